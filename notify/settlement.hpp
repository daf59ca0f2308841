#pragma once

#include "core/change.hpp"
#include "notify/delivery.hpp"

namespace framemill {

/// What became of a try of `tried`, as it is written. Pure.
[[nodiscard]] changes settle(delivery_record tried, const delivery_outcome& outcome,
                             timestamp now);

/// May an outcome be written that comes from afar: late, twice, or of a try that the
/// books know nothing of?
enum class settlement : std::uint8_t {
  due,   ///< the books have the delivery as it was tried
  known, ///< it is written: a copy
  stale, ///< the books have it otherwise: who says so must read them again
};
/// `booked`: as it is pending now. The try is named by the `since` of what was tried,
/// which each redrive makes anew, and by the outcome's attempts. Pure.
[[nodiscard]] settlement settlement_of(const std::optional<delivery_record>& booked,
                                       timestamp since, const delivery_outcome& outcome);

} // namespace framemill
