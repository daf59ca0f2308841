#pragma once

#include "core/codec.hpp"
#include "core/service.hpp"

#include <caf/actor.hpp>

#include <functional>
#include <string>
#include <variant>

namespace framemill {

/// How a service speaks to the coordinator, wherever that is: through the SERVICE
/// HOST of its node, under the epoch that it was placed with. A value; thread-safe.
struct service_line {
  caf::actor host;
  service_id service;
  std::uint64_t epoch = 0;

  /// Tells or asks; of one topic ("" is none) only the newest word counts. `answered`
  /// is called once, on whatever thread: errc::cancelled when the service ends here.
  void say(std::string payload, std::string topic,
           std::function<void(result<std::string>)> answered) const;
};

/// The answer that was wanted, of those that a kind of service is given.
template <class Wanted, class Answers>
[[nodiscard]] result<Wanted> answer_as(const result<std::string>& payload) {
  if (!payload)
    return failure{payload.error()};
  FM_TRY(auto any, decode<Answers>(*payload));
  auto* wanted = std::get_if<Wanted>(&any);
  if (wanted == nullptr)
    return fail(errc::malformed, "the coordinator answers another question");
  return std::move(*wanted);
}

} // namespace framemill
