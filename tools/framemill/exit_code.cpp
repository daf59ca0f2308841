#include "tools/framemill/exit_code.hpp"

#include <array>

namespace framemill::cli {

namespace {

struct code_rule {
  std::string_view part; ///< of the API's code
  errc code;
};

// The first part found decides: the special before the general.
constexpr auto api_codes = std::to_array<code_rule>({
    {"NotFound", errc::not_found},
    {"NotExist", errc::not_found},
    {"AuthFailure", errc::unauthorized},
    {"Unauthorized", errc::unauthorized},
    {"NotProcessingTask", errc::conflict},
    {"ResourceInUse", errc::in_use},
    {"DefaultTemplate", errc::in_use},
    {"AlreadyExist", errc::already_exists},
    {"UnsupportedOperation", errc::unsupported},
    {"UnknownParameter", errc::unknown_argument},
    {"MissingParameter", errc::missing_argument},
    {"InvalidParameterValue", errc::invalid_argument},
    {"InvalidParameter", errc::malformed},
    {"InvalidRequest", errc::malformed},
    {"RequestLimitExceeded", errc::busy},
    {"LimitExceeded", errc::too_large},
    {"ResourceInsufficient", errc::no_slot},
    {"ServiceUnavailable", errc::unavailable},
    {"FailedOperation", errc::conflict},
    {"InternalError", errc::internal},
});

} // namespace

exit_code exit_code_of(errc code) noexcept {
  switch (code) {
  case errc::invalid_argument:
  case errc::missing_argument:
  case errc::unknown_argument:
  case errc::malformed:
  case errc::unsupported:
  case errc::too_large: return exit_code::usage;
  case errc::not_found: return exit_code::not_found;
  case errc::already_exists:
  case errc::in_use:
  case errc::unauthorized:
  case errc::conflict: return exit_code::refused;
  case errc::unavailable:
  case errc::timed_out:
  case errc::busy: return exit_code::unreachable;
  case errc::cancelled: return exit_code::interrupted;
  case errc::internal: return exit_code::internal;
  default: return exit_code::failed;
  }
}

errc errc_of_api_code(std::string_view code) noexcept {
  for (const auto& rule : api_codes)
    if (code.find(rule.part) != std::string_view::npos)
      return rule.code;
  return errc::internal;
}

std::string_view exit_code_help() noexcept {
  return "Exit codes:\n"
         "  0    done\n"
         "  1    failed: the watched run failed, the audit does not balance, …\n"
         "  2    usage: the command line or a value in it is wrong\n"
         "  3    not found\n"
         "  4    refused: credentials, in use, conflict\n"
         "  5    the server cannot be reached, or does not answer\n"
         "  6    internal error\n"
         "  130  interrupted\n";
}

} // namespace framemill::cli
