#include "storage/state_store.hpp"

#include <array>
#include <future>
#include <iterator>

namespace framemill {

std::string_view to_string(family f) noexcept {
  static constexpr std::array<std::string_view, family_count> names{
      "meta",   "workflows", "templates", "objects",   "runs",      "jobs",
      "shards", "artifacts", "events",    "cursors",   "functions", "function_logs",
      "nodes",  "audit",     "run_keys",  "live_runs", "sessions",  "deliveries",
      "queues", "messages",  "function_triggers",
      "blame",  "message_states"};
  const auto index = static_cast<std::size_t>(f);
  return index < names.size() ? names[index] : "unknown";
}

result<void> write_batch::may_be_written() const {
  if (chain_ && chain_->is_broken())
    return fail(errc::conflict, "what this builds on was refused, so it is not written");
  return {};
}

void write_batch::merge(write_batch other) {
  bytes_ += other.bytes_;
  operations_.insert(operations_.end(), std::make_move_iterator(other.operations_.begin()),
                     std::make_move_iterator(other.operations_.end()));
}

result<void> state_store::commit_and_wait(write_batch batch) {
  std::promise<result<void>> answer;
  auto future = answer.get_future();
  commit(std::move(batch), [&](result<void> r) { answer.set_value(std::move(r)); });
  return future.get();
}

std::string prefix_end(std::string_view prefix) {
  std::string end{prefix};
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff)
    end.pop_back();
  if (!end.empty())
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

} // namespace framemill
