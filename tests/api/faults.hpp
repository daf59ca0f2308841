#pragma once

#include "tests/api/client.hpp"

#include <doctest/doctest.h>

#include <span>

namespace framemill::test {

/// Parameters that an action refuses: with this code, in words that name the field.
struct fault {
  json parameters;
  const char* code;
  const char* field;
};

inline void check_refused(const api_fixture& f, const char* action, std::span<const fault> all) {
  for (const auto& r : all) {
    CAPTURE(r.parameters.dump());
    auto response = f.call(action, r.parameters);
    CHECK_MESSAGE(code_of(response) == r.code, message_of(response));
    CHECK_MESSAGE(message_of(response).find(fmt::format("`{}`", r.field)) != std::string::npos,
                  message_of(response));
  }
}

} // namespace framemill::test
