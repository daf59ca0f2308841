#include "actors/child_process.hpp"
#include "tests/support/eventually.hpp"

#include <doctest/doctest.h>

#include <csignal>

#include <poll.h>
#include <unistd.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

child_end end_of_child(const spawned& child) {
  std::optional<int> status;
  REQUIRE(eventually([&] { return (status = reap(child)).has_value(); }, 10s));
  return end_of(*status, false);
}

} // namespace

TEST_CASE("child_process: who is left of a child's group ends with it") {
  auto out = *make_pipe();
  std::vector<file_handle> descriptors(2);
  descriptors[1] = std::move(out.write);
  descriptors[0] = file_handle{::dup(out.read.get())};

  auto child = spawn({"sh", "-c", "sleep 1000 & exit 3"}, std::move(descriptors));
  REQUIRE(child);
  CHECK(end_of_child(*child).code == 3);

  pollfd all_closed{out.read.get(), POLLIN, 0}; // by the sleeper too
  REQUIRE(::poll(&all_closed, 1, 5000) == 1);
  char byte = 0;
  CHECK(::read(out.read.get(), &byte, 1) == 0);
}

TEST_CASE("child_process: a child that lives is not reaped, and a reaped one is not again") {
  auto child = spawn({"sleep", "1000"}, {});
  REQUIRE(child);
  CHECK_FALSE(reap(*child));

  send_signal(*child, SIGKILL);

  CHECK(end_of_child(*child).signal == SIGKILL);
  CHECK_FALSE(reap(*child));
}
