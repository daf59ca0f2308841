#pragma once

#include "api/http_message.hpp"
#include "core/json.hpp"

#include <functional>
#include <span>
#include <string>

// Answers in MPS's words: the error codes of the API, and the envelope.

namespace framemill {

/// An error as the API says it: `InvalidParameterValue.Name`, and a sentence.
struct api_error {
  std::string code;
  std::string message;
};

using api_result = tl::expected<json, api_error>;
/// Called once, on any thread.
using api_reply = std::function<void(api_result)>;

[[nodiscard]] inline tl::unexpected<api_error> refuse(std::string code, std::string message) {
  return tl::unexpected<api_error>{api_error{std::move(code), std::move(message)}};
}

/// An action's own code for a kind of failure, where it declares one. `field`
/// narrows it to failures at a field that ends so; "" takes all.
struct code_rule {
  errc code;
  std::string_view field;
  std::string_view api_code;
};

/// The common code of a failure: InvalidParameterValue, ResourceNotFound, …
[[nodiscard]] std::string_view common_code(errc code) noexcept;
/// The first rule that fits, else the common code; the message names the field.
[[nodiscard]] api_error to_api_error(const error& e, std::span<const code_rule> rules = {});

/// `{"Response":{…,"RequestId":…}}`, always 200, `application/json` exactly.
[[nodiscard]] http_response envelope(api_result answer, const std::string& request_id);
/// Random, version 4.
[[nodiscard]] std::string make_request_id();

} // namespace framemill
