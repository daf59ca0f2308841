#include "storage/memory_state_store.hpp"

#include <algorithm>
#include <vector>

namespace framemill {

namespace {

using record_map = std::map<std::string, std::string>;
using record_list = std::vector<std::pair<std::string, std::string>>;

/// A copy of the range: visitors may call the store again.
record_list records_between(const record_map& records, std::string_view from,
                            std::string_view until) {
  const auto first = records.lower_bound(std::string{from});
  const auto last = until.empty() ? records.end() : records.lower_bound(std::string{until});
  record_list range;
  for (auto i = first; i != last && i != records.end() && (until.empty() || i->first < until);
       ++i)
    range.push_back(*i);
  return range;
}

template <class Range>
void visit_all(const Range& records, const state_store::visit_fn& visit) {
  for (const auto& [key, value] : records)
    if (!visit(key, value))
      return;
}

} // namespace

void memory_state_store::commit(write_batch batch, done_fn done) {
  result<void> answer;
  {
    std::lock_guard lock{mutex_};
    if (failures_ > 0) {
      --failures_;
      answer = failure{failure_};
    } else if (manual_) {
      queue_.emplace_back(std::move(batch), std::move(done));
      return;
    } else {
      answer = write(batch);
    }
  }
  done(std::move(answer));
}

result<std::optional<std::string>> memory_state_store::find(family f,
                                                            std::string_view key) const {
  std::lock_guard lock{mutex_};
  const auto& records = records_[static_cast<std::size_t>(f)];
  const auto i = records.find(std::string{key});
  return i == records.end() ? std::nullopt : std::optional{i->second};
}

result<void> memory_state_store::scan(family f, std::string_view from, std::string_view until,
                                      const visit_fn& visit) const {
  std::unique_lock lock{mutex_};
  const auto range = records_between(records_[static_cast<std::size_t>(f)], from, until);
  lock.unlock();
  visit_all(range, visit);
  return {};
}

result<void> memory_state_store::scan_back(family f, std::string_view from,
                                           std::string_view until,
                                           const visit_fn& visit) const {
  std::unique_lock lock{mutex_};
  auto range = records_between(records_[static_cast<std::size_t>(f)], from, until);
  lock.unlock();
  std::reverse(range.begin(), range.end());
  visit_all(range, visit);
  return {};
}

void memory_state_store::sync(std::size_t n) {
  // Only those that wait now: an answer may well commit again.
  for (n = std::min(n, waiting()); n > 0; --n) {
    std::unique_lock lock{mutex_};
    if (queue_.empty())
      return;
    auto [batch, done] = std::move(queue_.front());
    queue_.pop_front();
    auto answer = write(batch);
    lock.unlock();
    done(std::move(answer));
  }
}

void memory_state_store::crash() {
  std::lock_guard lock{mutex_};
  queue_.clear();
}

std::size_t memory_state_store::waiting() const {
  std::lock_guard lock{mutex_};
  return queue_.size();
}

void memory_state_store::fail_next(std::size_t n, error e) {
  std::lock_guard lock{mutex_};
  failures_ = n;
  failure_ = std::move(e);
}

result<void> memory_state_store::write(const write_batch& batch) {
  FM_CHECK(batch.may_be_written());
  for (const auto& op : batch.operations()) {
    auto& records = records_[static_cast<std::size_t>(op.family)];
    if (op.value)
      records.insert_or_assign(op.key, *op.value);
    else
      records.erase(op.key);
  }
  return {};
}

void faulty_state_store::commit(write_batch batch, done_fn done) {
  if (auto fault = before_(batch))
    return done(failure{std::move(*fault)});
  inner_->commit(std::move(batch), std::move(done));
}

result<std::optional<std::string>> faulty_state_store::find(family f,
                                                            std::string_view key) const {
  return inner_->find(f, key);
}

result<void> faulty_state_store::scan(family f, std::string_view from, std::string_view until,
                                      const visit_fn& visit) const {
  return inner_->scan(f, from, until, visit);
}

result<void> faulty_state_store::scan_back(family f, std::string_view from,
                                           std::string_view until,
                                           const visit_fn& visit) const {
  return inner_->scan_back(f, from, until, visit);
}

} // namespace framemill
