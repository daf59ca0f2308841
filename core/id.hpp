#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace framemill {

/// A number that cannot be taken for another kind of number. 0 means none.
/// Issued below 2^53, so that every JSON reader keeps it exact.
template <class Tag>
struct strong_id {
  std::uint64_t value = 0;

  constexpr explicit operator bool() const noexcept { return value != 0; }
  constexpr auto operator<=>(const strong_id&) const = default;
};

using workflow_id = strong_id<struct workflow_tag>;
using run_id = strong_id<struct run_tag>;
using event_id = strong_id<struct event_tag>; ///< sequence in the event log

/// One shard of one run: `index` counts from 0 in planning order; 0 is the
/// probe, which every run has.
struct shard_id {
  run_id run;
  std::uint32_t index = 0;

  constexpr auto operator<=>(const shard_id&) const = default;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& v) {
    v("Run", self.run);
    v("Index", self.index);
  }
};

} // namespace framemill

template <class Tag>
struct std::hash<framemill::strong_id<Tag>> {
  std::size_t operator()(framemill::strong_id<Tag> id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value);
  }
};
template <>
struct std::hash<framemill::shard_id> {
  std::size_t operator()(const framemill::shard_id& id) const noexcept {
    return std::hash<std::uint64_t>{}(id.run.value * 0x9e3779b97f4a7c15ULL + id.index);
  }
};
