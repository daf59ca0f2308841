#pragma once

#include "core/run.hpp"

#include <vector>

namespace framemill::test {

/// Can `to` be reached from `from` by the transition table, in any number of
/// steps? (A batch may hold two.)
template <class State>
bool is_reachable(State from, State to) {
  static const auto reach = [] {
    constexpr auto n = enum_names<State>::names.size();
    std::vector<std::vector<bool>> r(n, std::vector<bool>(n));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        r[i][j] = i == j || may_become(static_cast<State>(i), static_cast<State>(j));
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
          r[i][j] = r[i][j] || (r[i][k] && r[k][j]);
    return r;
  }();
  return reach[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
}

} // namespace framemill::test
