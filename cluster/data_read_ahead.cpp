#include "cluster/data_read_ahead.hpp"

#include <algorithm>

namespace framemill::data {

std::optional<read_ahead::run> read_ahead::touch(std::uint64_t i, const has_fn& has) {
  if (i == last_ + 1)
    run_ = std::min(run_ * 2, run_max_);
  else if (i != last_)
    run_ = 1;
  last_ = i;
  if (!has(i))
    return run_from(i);
  // Going straight on: the next run begins to come while half of this is left.
  for (auto ahead = i + 1; run_ > 1 && ahead < chunks_ && ahead <= i + run_ / 2; ++ahead)
    if (!has(ahead))
      return run_from(ahead);
  return std::nullopt;
}

read_ahead::run read_ahead::run_from(std::uint64_t first) const {
  return {first, std::min(run_, chunks_ - first)};
}

bool chunk_cache::has(std::uint64_t chunk) const {
  return std::any_of(chunks_.begin(), chunks_.end(),
                     [&](const auto& c) { return c.first == chunk; });
}

chunk_cache::bytes chunk_cache::find(std::uint64_t chunk) {
  auto found = std::find_if(chunks_.begin(), chunks_.end(),
                            [&](const auto& c) { return c.first == chunk; });
  if (found == chunks_.end())
    return nullptr;
  chunks_.splice(chunks_.begin(), chunks_, found);
  return found->second;
}

void chunk_cache::keep(std::uint64_t chunk, std::string content) {
  chunks_.remove_if([&](const auto& c) { return c.first == chunk; });
  chunks_.emplace_front(chunk, std::make_shared<std::string>(std::move(content)));
  if (chunks_.size() > chunks_max_)
    chunks_.pop_back();
}

} // namespace framemill::data
