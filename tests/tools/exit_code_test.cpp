#include "tools/framemill/exit_code.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

namespace {
exit_code exit_code_of_api(std::string_view code) {
  return exit_code_of(errc_of_api_code(code));
}
} // namespace

TEST_CASE("exit_code: what the API answers decides the exit status") {
  CHECK(exit_code_of_api("ResourceNotFound") == exit_code::not_found);
  CHECK(exit_code_of_api("ResourceNotFound.TemplateNotExist") == exit_code::not_found);
  CHECK(exit_code_of_api("FailedOperation.TaskNotFound") == exit_code::not_found);
  CHECK(exit_code_of_api("AuthFailure.SignatureFailure") == exit_code::refused);
  CHECK(exit_code_of_api("FailedOperation") == exit_code::refused);
  CHECK(exit_code_of_api("InvalidParameterValue.NotProcessingTask") == exit_code::refused);
  CHECK(exit_code_of_api("InvalidParameterValue.Name") == exit_code::usage);
  CHECK(exit_code_of_api("UnknownParameter") == exit_code::usage);
  CHECK(exit_code_of_api("RequestLimitExceeded") == exit_code::unreachable);
  CHECK(exit_code_of_api("ServiceUnavailable") == exit_code::unreachable);
  CHECK(exit_code_of_api("InternalError") == exit_code::internal);
  CHECK(exit_code_of_api("SomethingNew") == exit_code::internal);
}

TEST_CASE("exit_code: Ctrl-C is neither success nor failure") {
  CHECK(exit_code_of(errc::cancelled) == exit_code::interrupted);
  CHECK(static_cast<int>(exit_code::interrupted) == 130);
}
