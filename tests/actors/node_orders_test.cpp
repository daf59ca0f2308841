#include "actors/node_orders.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <future>

using namespace framemill;
namespace fs = std::filesystem;

namespace {

std::future<result<std::string>> order(node_services& services, std::string what,
                                       std::vector<std::string> arguments = {}) {
  auto answer = std::make_shared<std::promise<result<std::string>>>();
  carry_out(services, {1, std::move(what), std::move(arguments)},
            [answer](result<std::string> r) { answer->set_value(std::move(r)); });
  return answer->get_future();
}

} // namespace

TEST_CASE("node_orders: a word that is not one is refused by name") {
  node_services services;
  auto answer = order(services, "dance").get();
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == errc::unknown_argument);
  CHECK(answer.error().field == "What");
}

TEST_CASE("node_orders: self-tests that are asked for at once are answered together") {
  test::temp_dir dir;
  node_services services;
  services.scratch_root = dir / "scratch";
  services.children = std::make_unique<child_host>(child_host::options{FAKE_CHILD, true});

  auto first = order(services, "self-test"), second = order(services, "self-test");
  auto a = first.get(), b = second.get();

  REQUIRE_FALSE(a); // the fake child encodes nothing
  CHECK(a.error().code == errc::contract_broken);
  REQUIRE_FALSE(b);
  CHECK(b.error().message == a.error().message);
}
