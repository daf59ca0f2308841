#include "actors/service_line.hpp"

#include "actors/interfaces.hpp"

#include <caf/all.hpp>

namespace framemill {

void service_line::say(std::string payload, std::string topic,
                       std::function<void(result<std::string>)> answered) const {
  caf::anon_send(host, service_says{service, epoch, std::move(payload), std::move(topic),
                                    std::move(answered)});
}

} // namespace framemill
