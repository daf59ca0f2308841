#include "tools/framemill/fault_record.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

namespace {

const json points = {{{"Name", "store.commit"}, {"Kind", "door"}},
                     {{"Name", "child.crash"}, {"Kind", "effect"}},
                     {{"Name", "link.send"}, {"Kind", "frames"}}};

drill_step order(const std::string& node, const char* what, const json& arguments) {
  return {0, "OrderNode", {{"Name", node}, {"What", what}, {"Arguments", arguments}}, {}};
}
drill_step arming(const std::string& node, const json& arguments) {
  return order(node, "fault arm", arguments);
}
drill_step mode(const std::string& node, const char* to) {
  return {0, "SetNodeMode", {{"Name", node}, {"Mode", to}}, {}};
}

/// As a node says it: of these points, passed and failed so often.
result<json> says(const std::map<std::string, std::pair<int, int>>& counts) {
  auto told = json::array();
  for (const auto& [name, n] : counts)
    told.push_back({{"Name", name}, {"Passes", n.first}, {"Failed", n.second}});
  return json{{"Text", json{{"Points", told}}.dump()}};
}
result<json> away() { return fail(errc::unavailable, "node is away"); }

std::vector<fault_record> follow(const std::vector<told_step>& plan,
                                 const std::vector<told_step>& healing) {
  return follow_faults(plan, healing, "head", points);
}

} // namespace

TEST_CASE("fault record: a fault that came is told from one whose pass never came") {
  const std::vector<told_step> plan{
      {arming("w1", {"store.commit:1-2", "error"}), says({})},
      {arming("w2", {"store.commit:9", "error"}), says({})},
      {order("w1", "fault disarm", {"store.commit"}), says({{"store.commit", {5, 2}}})}};

  auto all = follow(
      plan, {{order("w1", "fault disarm", json::array()), says({})},
             {order("w2", "fault disarm", json::array()), says({{"store.commit", {3, 0}}})}});

  REQUIRE(all.size() == 2);
  CHECK(all[0].fate == fault_fate::came);
  CHECK(all[0].failed == 2);
  CHECK(all[1].fate == fault_fate::never_came);
  CHECK(all[1].passes == 3);
}

TEST_CASE("fault record: one that is armed anew there ends the counts of the first") {
  const std::vector<told_step> plan{
      {arming("w1", {"store.commit", "error"}), says({})},
      {arming("w1", {"store.commit", "hang"}), says({{"store.commit", {4, 1}}})}};

  auto all = follow(
      plan, {{order("w1", "fault disarm", json::array()), says({{"store.commit", {0, 0}}})}});

  REQUIRE(all.size() == 2);
  CHECK(all[0].fate == fault_fate::came);
  CHECK(all[1].fate == fault_fate::never_came);
}

TEST_CASE("fault record: a refused order has armed nothing, and nothing excuses it") {
  const std::vector<told_step> plan{
      {arming("w1", {"store.commit"}), says({})},
      {arming("w1", {"nosuch.point"}), fail(errc::not_found, "no fail point `nosuch.point`")}};

  auto all = follow(plan, {});

  REQUIRE(all.size() == 2);
  CHECK(all[1].fate == fault_fate::not_armed);
  CHECK(all[1].why == "no fail point `nosuch.point`");
  CHECK_FALSE(all[1].is_excused);
}

TEST_CASE("fault record: an order is lost for a reason only after a fault that cuts off") {
  auto excused = [](const std::vector<told_step>& before) {
    auto plan = before;
    plan.push_back({arming("w1", {"child.crash"}), away()});
    return follow(plan, {}).back().is_excused;
  };

  CHECK_FALSE(excused({}));
  CHECK_FALSE(excused({{arming("w1", {"store.commit", "delay=5"}), says({})}}));
  CHECK_FALSE(excused({{arming("w1", {"child.crash"}), says({})}}));
  CHECK_FALSE(excused({{arming("w2", {"store.commit"}), says({})}})); // another node
  CHECK_FALSE(excused({{arming("w1", {"store.commit"}), fail(errc::unauthorized, "no")}}));
  CHECK(excused({{arming("w1", {"store.commit"}), says({})}})); // kill, by default
  CHECK(excused({{arming("w1", {"store.commit", "hang"}), says({})}}));
  CHECK(excused({{arming("w1", {"link.send:2-9", "error"}), says({})}}));
  CHECK(excused({{arming("head", {"store.commit", "kill"}), away()}}));
}

TEST_CASE("fault record: an order whose answer was lost may have been carried out") {
  auto all =
      follow({{arming("w1", {"store.commit", "error"}), away()}},
             {{order("w1", "fault disarm", json::array()), says({{"store.commit", {1, 1}}})}});

  REQUIRE(all.size() == 1);
  CHECK(all[0].fate == fault_fate::came);
}

TEST_CASE("fault record: a process that ended was killed by the one kill that there was") {
  const told_step healed{order("w1", "fault disarm", json::array()), says({})};
  const told_step kill{arming("w1", {"store.commit:3"}), says({})};

  auto one = follow({kill, {arming("w1", {"child.crash"}), says({})}}, {healed});
  auto either = follow({kill, {arming("w1", {"link.send", "kill"}), says({})}}, {healed});

  REQUIRE(one.size() == 2);
  CHECK(one[0].fate == fault_fate::came);
  CHECK(one[1].fate == fault_fate::not_known);
  REQUIRE(either.size() == 2);
  CHECK(either[0].fate == fault_fate::not_known);
  CHECK(either[1].fate == fault_fate::not_known);
}

TEST_CASE("fault record: what nobody could be asked of is not known") {
  auto all = follow({{arming("w1", {"store.commit"}), says({})}},
                    {{order("w1", "fault disarm", json::array()), away()}});

  REQUIRE(all.size() == 1);
  CHECK(all[0].fate == fault_fate::not_known);
}

TEST_CASE("fault record: a mode is a fault that comes when it is set") {
  auto all = follow({{mode("w1", "cordoned"), json::object()},
                     {mode("w2", "paused"), fail(errc::not_found, "no node `w2`")},
                     {mode("w1", "active"), json::object()}},
                    {});

  REQUIRE(all.size() == 2);
  CHECK(all[0].fate == fault_fate::came);
  CHECK(all[1].fate == fault_fate::not_armed);
}
