#include "api/reply.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <array>

namespace framemill {

std::string_view common_code(errc code) noexcept {
  switch (code) {
  case errc::invalid_argument:
  case errc::already_exists: return "InvalidParameterValue";
  case errc::missing_argument: return "MissingParameter";
  case errc::unknown_argument: return "UnknownParameter";
  case errc::malformed: return "InvalidParameter";
  case errc::not_found: return "ResourceNotFound";
  case errc::unsupported: return "UnsupportedOperation";
  case errc::too_large: return "LimitExceeded";
  case errc::unauthorized: return "UnauthorizedOperation";
  case errc::no_space:
  case errc::no_memory:
  case errc::no_watches:
  case errc::no_slot: return "ResourceInsufficient";
  case errc::busy: return "RequestLimitExceeded";
  case errc::unavailable:
  case errc::timed_out: return "ServiceUnavailable";
  case errc::in_use:
  case errc::conflict:
  case errc::cancelled:
  case errc::input_unreadable:
  case errc::input_not_media:
  case errc::input_incomplete:
  case errc::input_no_video:
  case errc::input_no_audio:
  case errc::input_damaged:
  case errc::input_refused:
  case errc::input_changed:
  case errc::input_quarantined: return "FailedOperation";
  default: return "InternalError";
  }
}

api_error to_api_error(const error& e, std::span<const code_rule> rules) {
  auto rule = std::find_if(rules.begin(), rules.end(), [&](const code_rule& r) {
    return r.code == e.code && std::string_view{e.field}.ends_with(r.field);
  });
  std::string code{rule != rules.end() ? rule->api_code : common_code(e.code)};
  bool named = e.field.empty() || e.message.find("`" + e.field + "`") != std::string::npos;
  return {std::move(code), named ? e.message : fmt::format("`{}`: {}", e.field, e.message)};
}

http_response envelope(api_result answer, const std::string& request_id) {
  json response =
      answer ? std::move(*answer)
             : json{{"Error",
                     {{"Code", answer.error().code}, {"Message", answer.error().message}}}};
  response["RequestId"] = request_id;
  http_response out;
  // Names of files may be any bytes; an answer must be UTF-8 all the same.
  out.body = json{{"Response", std::move(response)}}.dump(-1, ' ', false,
                                                          json::error_handler_t::replace);
  return out;
}

std::string make_request_id() {
  std::array<unsigned char, 16> b{};
  RAND_bytes(b.data(), static_cast<int>(b.size()));
  b[6] = static_cast<unsigned char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<unsigned char>((b[8] & 0x3f) | 0x80);
  std::string out;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      out += '-';
    out += fmt::format("{:02x}", b[i]);
  }
  return out;
}

} // namespace framemill
