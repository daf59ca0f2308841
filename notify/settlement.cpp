#include "notify/settlement.hpp"

#include <fmt/format.h>

namespace framemill {

namespace {

using kind = delivery_outcome::kind;

event_record death_of(const delivery_record& d, timestamp now) {
  event_record e;
  e.time = now;
  e.type = "delivery.dead";
  e.run = d.run;
  e.state = "dead";
  e.message = fmt::format("event {} to {}: {}", d.event.value, d.sink, d.last_error);
  return e;
}

} // namespace

changes settle(delivery_record d, const delivery_outcome& outcome, timestamp now) {
  changes c;
  if (outcome.what == kind::delivered) {
    c.erased_deliveries.emplace_back(d.sink, d.event);
    return c;
  }
  d.attempts = outcome.attempts;
  d.last_try = now;
  d.next_try = outcome.next_try;
  d.last_error = outcome.why;
  if (outcome.what == kind::dead) {
    d.state = delivery_state::dead;
    c.events.push_back(death_of(d, now));
  }
  c.deliveries.push_back(std::move(d));
  return c;
}

settlement settlement_of(const std::optional<delivery_record>& booked, timestamp since,
                         const delivery_outcome& outcome) {
  const bool has_failed = outcome.what != kind::delivered;
  if (!booked) // whoever ended it, it is over
    return outcome.what == kind::again ? settlement::stale : settlement::known;
  if (booked->since != since)
    return settlement::stale;
  if (booked->attempts + (has_failed ? 1 : 0) == outcome.attempts)
    return settlement::due;
  return outcome.what == kind::again && booked->attempts == outcome.attempts
             ? settlement::known
             : settlement::stale;
}

} // namespace framemill
