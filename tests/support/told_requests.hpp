#pragma once

#include "tests/support/http_receiver.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

// Notifications as their receiver got them.

namespace framemill::test {

inline std::uint64_t event_of(const received_request& r) {
  return std::stoull(r.headers.at("framemill-event-id"));
}
inline std::uint64_t run_of(const received_request& r) {
  return std::stoull(r.headers.at("framemill-run-id"));
}

inline std::set<std::uint64_t> distinct(const std::vector<received_request>& all) {
  std::set<std::uint64_t> out;
  for (const auto& r : all)
    out.insert(event_of(r));
  return out;
}

/// A repetition comes before the next of its run, never after it.
inline void check_order(const std::vector<received_request>& all) {
  std::map<std::uint64_t, std::uint64_t> last;
  bool in_order = true;
  for (const auto& r : all) {
    in_order = in_order && event_of(r) >= last[run_of(r)];
    last[run_of(r)] = event_of(r);
  }
  CHECK(in_order);
}

} // namespace framemill::test
