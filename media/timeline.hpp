#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <vector>

namespace framemill {

/// Decoding times for a whole stream, made from its presentation times alone
/// (performance notes R10): the sorted times delayed by the reorder depth, so
/// they rise strictly and never pass a packet's presentation.
class timeline {
public:
  /// `pts` in decoding order; `end` is where the last frame ends. Two frames at
  /// one time are errc::contract_broken.
  [[nodiscard]] static result<timeline> make(std::vector<std::int64_t> pts, std::int64_t end);
  [[nodiscard]] std::int64_t dts(std::size_t packet) const;
  /// Until the next frame in presentation order.
  [[nodiscard]] std::int64_t duration(std::size_t packet) const;
  [[nodiscard]] std::size_t size() const noexcept { return pts_.size(); }
  /// Presentation order.
  [[nodiscard]] const std::vector<std::int64_t>& sorted() const noexcept { return sorted_; }

private:
  std::vector<std::int64_t> pts_, sorted_;
  std::int64_t end_ = 0;
  std::size_t delay_ = 0;
};

} // namespace framemill
