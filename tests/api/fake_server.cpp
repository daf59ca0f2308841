#include "tests/api/client.hpp"

#include <fmt/core.h>

#include <csignal>
#include <cstdlib>

using namespace framemill;
using namespace framemill::test;

/// fake_api_server [ADDRESS:PORT]: serves until SIGTERM; prints its port.
int main(int argc, char** argv) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  system_clock time;
  fake_gateway system{time};
  api_options options;
  options.listen = argc > 1 ? argv[1] : "127.0.0.1:0";
  options.credentials = {{credential.secret_id, credential.secret_key}};
  auto server = api_server::start(std::move(options), system, time);
  if (!server) {
    fmt::print(stderr, "{}\n", server.error().message);
    return EXIT_FAILURE;
  }
  fmt::print("{}\n", (*server)->port());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  (*server)->stop();
}
