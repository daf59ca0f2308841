#include "tools/framemill/fault_drill.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

using namespace framemill;
using namespace framemill::cli;

namespace {

constexpr auto scenario_text = R"({
  "Name": "children in trouble",
  "Workload": {"Bucket": "media", "Workflow": "web", "Within": 2,
               "Objects": ["in/a-{seed}.mp4", "in/b.mp4"]},
  "Faults": [
    {"Point": "child.killed:1-2", "Count": 3, "From": 1, "To": 9},
    {"Node": "w2", "Point": "data.deliver:2", "Action": "delay=500", "To": 5, "For": 3},
    {"Node": "w1", "Mode": "cordoned", "From": 2, "To": 2, "For": 4}
  ]})";
const std::vector<std::string> workers{"w1", "w2", "w3"};

std::vector<drill_step> plan(std::uint64_t seed) {
  auto s = parse_scenario(scenario_text, seed);
  REQUIRE_MESSAGE(s, s.error().message);
  return plan_drill(*s, 7, seed, workers);
}

std::vector<std::string> told(const std::vector<drill_step>& steps) {
  std::vector<std::string> out;
  for (const auto& s : steps)
    out.push_back(fmt::format("{:.6f} {}", s.at, describe(s)));
  return out;
}

/// The field that a scenario with `change` is refused for.
std::string refused_field(const std::string& path, const json& value) {
  auto in = json::parse(scenario_text);
  in[json::json_pointer{path}] = value;
  auto s = parse_scenario(in.dump(), 1);
  return s ? "" : s.error().field;
}

} // namespace

TEST_CASE("fault drill: the same seed gives the same plan, another one another") {
  CHECK(told(plan(5)) == told(plan(5)));
  CHECK(told(plan(5)) != told(plan(6)));
}

TEST_CASE("fault drill: whose clock is set is known before") {
  auto with = [](const json& fault) {
    auto in = json::parse(scenario_text);
    in["Faults"].push_back(fault);
    return plan_drill(*parse_scenario(in.dump(), 1), 7, 1, workers);
  };
  json fault{{"Node", "w2"}, {"Point", "clock.now:1-"}, {"Action", "skew=-5000"}};

  CHECK(sets_clock_of(with(fault), "w2"));
  CHECK_FALSE(sets_clock_of(with(fault), "w1"));
  CHECK_FALSE(sets_clock_of(plan(1), "w2"));
}

TEST_CASE("fault drill: a plan is in order, within its times, and ends what is to end") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    auto steps = plan(seed);
    REQUIRE(steps.size() == 2 + 3 + 2 + 2);
    CHECK(std::ranges::is_sorted(steps, {}, &drill_step::at));
    double delayed = -1;
    for (const auto& s : steps) {
      auto text = describe(s);
      if (text == "submit in/b.mp4")
        CHECK(s.body["WorkflowId"] == 7);
      if (text.find("child.killed:1-2") != text.npos) {
        CHECK(s.at >= 1);
        CHECK(s.at <= 9);
      }
      if (text == "w2: fault arm data.deliver:2, delay=500")
        delayed = s.at;
      if (text == "w2: fault disarm data.deliver")
        CHECK(s.at == doctest::Approx(delayed + 3));
      if (text == "w1: active")
        CHECK(s.at == 6);
    }
    CHECK(delayed >= 0);
  }
}

TEST_CASE("fault drill: the seed picks the node where any will do, and names fresh keys") {
  std::string picked;
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    for (const auto& s : plan(seed)) {
      if (s.action == "OrderNode" && s.body["Arguments"][0] == "child.killed:1-2")
        picked += s.body["Name"].get<std::string>();
      CHECK(describe(s).find("{seed}") == std::string::npos);
    }
  for (const auto& w : workers)
    CHECK(picked.find(w) != picked.npos);
}

TEST_CASE("fault drill: a file is dropped where one is given") {
  auto in = json::parse(scenario_text);
  in["Workload"]["DropFile"] = "clip.mp4";
  in["Workload"]["Directory"] = "/srv/media";
  auto s = parse_scenario(in.dump(), 3);
  REQUIRE(s);
  auto steps = plan_drill(*s, 7, 3, workers);
  CHECK(std::ranges::count(steps, "", &drill_step::action) == 2);
  auto lines = told(steps);
  CHECK(std::ranges::any_of(lines, [](auto& l) { return l.ends_with("drop in/a-3.mp4"); }));
}

TEST_CASE("fault drill: a scenario that cannot be meant is refused by its field") {
  CHECK(refused_field("/Workload/Bucket", nullptr) == "Workload.Bucket");
  CHECK(refused_field("/Workload/Objects", json::array()) == "Workload.Objects");
  CHECK(refused_field("/Workload/Objects", {"a", "a"}) == "Workload.Objects");
  for (const auto* key : {"", "/a", "../a", "a/../b", ".."})
    CHECK_MESSAGE(refused_field("/Workload/Objects/0", key) == "Workload.Objects", key);
  CHECK(refused_field("/Workload/DropFile", "f") == "Workload.Directory");
  CHECK(refused_field("/Workload/Within", -1) == "Workload.Within");
  CHECK(refused_field("/Faults/0/Mode", "cordoned") == "Faults.0");
  CHECK(refused_field("/Faults/0/Point", "") == "Faults.0");
  CHECK(refused_field("/Faults/0/Point", "store.commit:0") == "Faults.0.Point");
  CHECK(refused_field("/Faults/1/Action", "explode") == "Faults.1.Action");
  CHECK(refused_field("/Faults/0/Count", 0) == "Faults.0.Count");
  CHECK(refused_field("/Faults/0/To", 0.5) == "Faults.0.To");
  CHECK(refused_field("/Faults/1/For", 1e9) == "Faults.1.For");
  CHECK(refused_field("/Faults/2/Mode", "removed") == "Faults.2.Mode");
  CHECK(refused_field("/Faults/2/Colour", "red") == "Faults.2.Colour");
  CHECK(refused_field("/Quiesce", -5) == "Quiesce");
  CHECK_FALSE(parse_scenario("{", 1));
  CHECK_FALSE(parse_scenario("[]", 1));
}

TEST_CASE("fault drill: points and actions that a node does not have are found before") {
  const json points = {
      {{"Name", "child.killed"}, {"Actions", json::array({""})}},
      {{"Name", "data.deliver"}, {"Actions", {"", "kill", "hang", "delay", "error"}}},
      {{"Name", "clock.now"}, {"Actions", json::array({"skew"})}}};
  auto refused = [&](int index, const json& fault) {
    auto in = json::parse(scenario_text);
    in["Faults"][index] = fault;
    auto s = parse_scenario(in.dump(), 1);
    REQUIRE(s);
    auto status = check_faults(*s, points);
    return status ? "" : status.error().field;
  };

  CHECK(refused(0, {{"Point", "data.deliver:2-"}}) == "");
  CHECK(refused(0, {{"Point", "clock.now"}, {"Action", "skew=-5"}}) == "");
  CHECK(refused(2, {{"Point", "nosuch.point"}}) == "Faults.2.Point");
  CHECK(refused(2, {{"Point", "data.deliver"}, {"Action", "reorder"}}) == "Faults.2.Action");
  CHECK(refused(1, {{"Point", "child.killed"}, {"Action", "error"}}) == "Faults.1.Action");
  CHECK(refused(1, {{"Point", "clock.now"}}) == "Faults.1.Action");
}

TEST_CASE("fault drill: the manual's scenario is one") {
  std::ifstream file{FRAMEMILL_SOURCE_DIR "/docs/faults.md"};
  std::stringstream manual;
  manual << file.rdbuf();
  auto text = manual.str();
  auto begin = text.find("```json\n");
  REQUIRE(begin != text.npos);
  begin += 8;
  auto s = parse_scenario(text.substr(begin, text.find("```", begin) - begin), 1);
  CHECK_MESSAGE(s, s.error().message);
}
