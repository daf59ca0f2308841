#include "actors/fail_points.hpp"
#include "actors/node_orders.hpp"
#include "core/json.hpp"
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
  services.children = std::make_unique<sandboxed_child_host>(
      sandboxed_child_host::options{FAKE_CHILD, true});

  auto first = order(services, "self-test"), second = order(services, "self-test");
  auto a = first.get(), b = second.get();

  REQUIRE_FALSE(a); // the fake child encodes nothing
  CHECK(a.error().code == errc::contract_broken);
  REQUIRE_FALSE(b);
  CHECK(b.error().message == a.error().message);
}

TEST_CASE("node_orders: faults are refused unless the node's config allows them") {
  node_services services;
  for (const auto* what : {"fault list", "fault arm", "fault disarm"}) {
    auto answer = order(services, what, {"store.commit", "error"}).get();
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == errc::unauthorized);
  }
  CHECK(fail_door("store.commit"));
}

TEST_CASE("node_orders: a point is armed, listed and disarmed") {
  node_services services;
  services.config.allow_faults = true;
  auto list = [&] { return order(services, "fault list").get().value_or(""); };

  CHECK(order(services, "fault arm", {"bucket.open:2-3", "delay=5"}).get()
        == "bucket.open is armed: delay of 5 ms at passes 2 to 3\n");
  CHECK(order(services, "fault arm", {"link.send:2-", "reorder"}).get()
        == "link.send is armed: reorder at pass 2 on\n");
  CHECK(order(services, "fault arm", {"clock.now:1-", "skew=-5000"}).get()
        == "clock.now is armed: skew of -5000 ms at pass 1 on\n");
  CHECK(order(services, "fault arm", {"child.crash"}).get());
  CHECK(list().find("armed: delay of 5 ms at passes 2 to 3; passed 0") != std::string::npos);
  CHECK(order(services, "fault disarm", {"bucket.open"}).get());
  CHECK(list().find("delay") == std::string::npos);
  CHECK(list().find("armed") != std::string::npos);
  CHECK(order(services, "fault disarm").get());
  CHECK(list().find("armed") == std::string::npos);

  CHECK(order(services, "fault arm").get().error().code == errc::missing_argument);
  CHECK(order(services, "fault arm", {"nowhere"}).get().error().code == errc::not_found);
  CHECK(order(services, "fault disarm", {"nowhere"}).get().error().code == errc::not_found);
  CHECK(order(services, "fault dance").get().error().code == errc::unknown_argument);
}

TEST_CASE("node_orders: fail points are told as fields where JSON is asked for") {
  node_services services;
  services.config.allow_faults = true;
  auto points = [&](std::string what, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "json");
    auto text = order(services, std::move(what), std::move(arguments)).get();
    REQUIRE_MESSAGE(text, text.error().message);
    return json::parse(*text)["Points"];
  };
  auto point = [&](std::string_view name) {
    for (const auto& p : points("fault list", {}))
      if (p["Name"] == name)
        return p;
    return json{};
  };

  CHECK(points("fault list", {}).size() == fail_point_places().size());
  CHECK(point("store.commit")["Kind"] == "door");
  CHECK(point("store.commit")["Armed"].is_null());
  CHECK(point("store.commit")["Actions"]
        == json::array({"", "kill", "hang", "delay", "error"}));
  CHECK(point("child.crash")["Actions"] == json::array({""}));
  CHECK(point("clock.now")["Actions"] == json::array({"skew"}));

  CHECK(points("fault arm", {"store.commit:2-", "delay=5"}).empty());
  const json armed{{"Action", "delay"}, {"First", 2}, {"Last", nullptr}, {"Milliseconds", 5}};
  CHECK(point("store.commit")["Armed"] == armed);
  CHECK(fail_door("store.commit"));

  auto replaced = points("fault arm", {"store.commit:1-2", "error"});
  REQUIRE(replaced.size() == 1);
  CHECK(replaced[0]["Armed"] == armed);
  CHECK(replaced[0]["Passes"] == 1);
  CHECK(replaced[0]["Failed"] == 0);
  CHECK_FALSE(fail_door("store.commit"));

  CHECK(points("fault disarm", {"bucket.open"}).empty());
  auto was = points("fault disarm", {"store.commit"});
  REQUIRE(was.size() == 1);
  CHECK(was[0]["Failed"] == 1);
  CHECK(point("store.commit")["Armed"].is_null());
  CHECK(points("fault disarm", {}).empty());
}
