#pragma once

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

/// What every actor does with what it does not understand: nothing, and it
/// says so. In CAF 0.17 an unmatched message answers its sender with an error,
/// and an error that nobody handles ends whoever receives it.
template <class Self>
void tolerate_strangers(Self* self, const char* role) {
  self->set_default_handler(caf::drop);
  self->set_error_handler([role](caf::scheduled_actor*, caf::error& e) {
    spdlog::error("{}: a message was not understood ({})", role, e.code());
  });
}

} // namespace framemill
