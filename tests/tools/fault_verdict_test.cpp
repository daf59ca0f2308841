#include "tools/framemill/fault_verdict.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

namespace {

json attempt(int epoch, std::string started, std::string finished, bool hedge = false) {
  return {{"Epoch", epoch}, {"Started", started}, {"Finished", finished}, {"Hedge", hedge}};
}

json event(std::string type, std::string state, std::string message = {}) {
  return {{"Type", type}, {"State", state}, {"Message", message}};
}

/// A run of one shard and one output, as all should be.
drill_run good_run(int id) {
  json output{{"Object", {{"Bucket", "media"}, {"Key", "out/a.mp4"}}}, {"Size", 9}, {"Md5", "m"}};
  json shard{{"Id", {{"Run", id}, {"Index", 0}}},
             {"Attempts", {attempt(1, "01", "02"), attempt(2, "03", "06")}}};
  drill_run out;
  out.object = "in/a.mp4";
  out.told = {{"Run", {{"Id", id}, {"State", "succeeded"}}},
              {"Jobs", {{{"Outputs", {output}}}}},
              {"Shards", {shard}}};
  out.events = {event("run.state", "processing"), event("output.published", "media", "media/a"),
                event("run.state", "succeeded")};
  return out;
}

drill_facts good_facts() {
  drill_facts f;
  f.faults = {{"w1", "w1: fault arm store.commit", fault_fate::came}};
  f.sinks = json::array({{{"Sink", "http://h"}, {"Pending", 0}}});
  f.disturbed = {good_run(1)};
  f.undisturbed = {good_run(2)};
  f.audits["in/a.mp4"] = {{"Missing", json::array()}, {"Duplicated", json::array()}};
  f.scratch = {{"w1", {}}, {"w2", {"r77-s0-e1"}}}; // another's run
  f.published = {{"media/out/a.mp4", "m"}};
  return f;
}

/// Names of what is broken after `change`.
template <class Change>
std::vector<std::string> broken_by(Change change) {
  auto f = good_facts();
  change(f);
  std::vector<std::string> out;
  auto verdicts = judge(f);
  for (const auto& v : verdicts)
    if (v.found == finding::broken) {
      CHECK_FALSE(v.details.empty());
      out.push_back(v.invariant);
    }
  CHECK(all_hold(verdicts) == out.empty());
  return out;
}

template <class Change>
finding finding_after(Change change, std::string_view invariant) {
  auto f = good_facts();
  change(f);
  for (const auto& v : judge(f))
    if (v.invariant == invariant) {
      CHECK((v.found == finding::holds || !v.details.empty()));
      return v.found;
    }
  FAIL("there is no such invariant");
  return finding::broken;
}

using names = std::vector<std::string>;
json& shard_of(drill_facts& f) { return f.disturbed[0].told["Shards"][0]; }
json& output_of(drill_run& r) { return r.told["Jobs"][0]["Outputs"][0]; }

} // namespace

TEST_CASE("fault verdict: all hold when all is well") {
  CHECK(broken_by([](auto&) {}).empty());
  CHECK(judge(good_facts()).size() == 11);
  for (const auto& v : judge(good_facts()))
    CHECK_MESSAGE(v.found == finding::holds, v.invariant);
}

TEST_CASE("fault verdict: a drill whose faults were not armed has shown nothing") {
  const auto armed = "every fault was armed", came = "every fault came to pass";
  auto with = [](std::vector<fault_record> faults) {
    return [faults](auto& f) { f.faults = faults; };
  };
  fault_record refused{"w1", "w1: fault arm nosuch.point", fault_fate::not_armed,
                       "no such point"};
  auto excused = refused;
  excused.is_excused = true;

  CHECK(broken_by(with({refused})) == names{armed});
  CHECK(broken_by(with({excused, refused})) == names{armed});
  CHECK(finding_after(with({refused}), came) == finding::not_checked);
  CHECK(finding_after(with({excused}), armed) == finding::not_checked);
  CHECK(finding_after(with({}), armed) == finding::not_checked);
  CHECK(finding_after(with({}), came) == finding::not_checked);
}

TEST_CASE("fault verdict: a fault whose pass never came is told, and breaks nothing") {
  for (auto fate : {fault_fate::never_came, fault_fate::not_known}) {
    auto change = [&](auto& f) { f.faults[0].fate = fate; };

    CHECK(broken_by(change).empty());
    CHECK(finding_after(change, "every fault was armed") == finding::holds);
    CHECK(finding_after(change, "every fault came to pass") == finding::not_checked);
  }
}

TEST_CASE("fault verdict: events that stay pending are found, dead letters are an end") {
  const auto delivered = "events are delivered, or dead letters";
  auto sink = [](int pending, const char* oldest) {
    return json{{"Sink", "http://h"},
                {"Pending", pending},
                {"Oldest", oldest},
                {"LastError", "HTTP 500"}};
  };
  auto with = [](json sinks) { return [sinks](auto& f) { f.sinks = sinks; }; };
  auto told_at = [](drill_facts& f, const char* time) {
    for (auto& e : f.disturbed[0].events)
      e["Time"] = time;
  };

  CHECK(broken_by(with(json::array({sink(2, "05")}))) == names{delivered});
  CHECK(broken_by([&](auto& f) { // of an event that happened after all of theirs
          told_at(f, "04");
          f.sinks = json::array({sink(2, "05")});
        })
            .empty());
  CHECK(broken_by([&](auto& f) {
          told_at(f, "04");
          f.sinks = json::array({sink(2, "05")});
          f.is_clock_wrong = true;
        })
        == names{delivered});
  CHECK(broken_by([](auto& f) {
          f.dead_letters = json::array({{{"Sink", "http://h"}, {"Event", 7}, {"Run", 1}}});
        }).empty());
  CHECK(broken_by([](auto& f) {
          f.sinks = json::array();
          f.disturbed[0].told["Run"]["Spec"]["TaskNotifyConfig"] = {{"NotifyType", "URL"}};
        })
        == names{delivered});
  CHECK(finding_after(with(json::array()), delivered) == finding::not_checked);
  CHECK(finding_after(with(nullptr), delivered) == finding::not_checked);
  CHECK(finding_after(
            [&](auto& f) { // somebody else's, perhaps
              f.sinks_before = json::array({sink(1, "01")});
              f.sinks = json::array({sink(2, "01")});
            },
            delivered)
        == finding::not_checked);
}

TEST_CASE("fault verdict: an object that was not audited is not said to have its run") {
  CHECK(finding_after([](auto& f) { f.unaudited = {"in/a.mp4: no answer"}; },
                      "no settled object without a run")
        == finding::not_checked);
}

TEST_CASE("fault verdict: scratch that could not be looked at is not said to be empty") {
  auto silent = [](auto& f) { f.silent = {"w3: is away"}; };

  CHECK(finding_after(silent, "scratch is empty") == finding::not_checked);
  CHECK(broken_by([&](auto& f) {
          silent(f);
          f.scratch["w1"] = {"r1-s0-e1"};
        })
        == names{"scratch is empty"});
}

TEST_CASE("fault verdict: an object without a run, or with two, is found") {
  const names wanted{"no settled object without a run"};
  for (const auto* list : {"Missing", "Duplicated"})
    CHECK(broken_by([&](auto& f) { f.audits["in/a.mp4"][list] = {"in/a.mp4"}; }) == wanted);
  auto all = broken_by([](auto& f) { f.disturbed[0].told = nullptr; });
  CHECK(std::ranges::count(all, wanted[0]) == 1);
}

TEST_CASE("fault verdict: leases that overlap are found, a hedge's may") {
  const names wanted{"one live lease per shard"};
  auto with = [](json attempts) {
    return broken_by([&](auto& f) { shard_of(f)["Attempts"] = attempts; });
  };
  CHECK(with({attempt(1, "01", "04"), attempt(2, "03", "06")}) == wanted);
  CHECK(broken_by([](auto& f) { // by a clock that was set back
          shard_of(f)["Attempts"] = {attempt(1, "01", "04"), attempt(2, "03", "06")};
          f.is_clock_wrong = true;
        }).empty());
  CHECK(broken_by([](auto& f) {
          shard_of(f)["Attempts"] = {attempt(2, "01", "04"), attempt(2, "03", "06")};
          f.is_clock_wrong = true;
        }) == wanted);
  CHECK(with({attempt(1, "01", ""), attempt(2, "03", "06")}) == wanted);
  CHECK(with({attempt(1, "01", "02"), attempt(1, "03", "06")}) == wanted);
  CHECK(with({attempt(1, "01", "04"), attempt(2, "03", "06", true)}).empty());
  CHECK(with({attempt(1, "01", "09"), attempt(2, "02", "03", true), attempt(3, "04", "05")})
        == wanted);
  CHECK(with({attempt(2, "03", "06"), attempt(1, "01", "02")}).empty()); // in whatever order
}

TEST_CASE("fault verdict: what is published twice, or torn, is found") {
  CHECK(broken_by([](auto& f) {
          f.disturbed[0].events.push_back(event("output.published", "media", "media/a"));
        }) == names{"no output published twice"});
  for (const auto* there : {"", "x"})
    CHECK(broken_by([&](auto& f) { f.published["media/out/a.mp4"] = there; })
          == names{"no output torn"});
}

TEST_CASE("fault verdict: a run ends, and says so once") {
  const names wanted{"every run ends, with one event"};
  CHECK(broken_by([](auto& f) {
          f.disturbed[0].events.push_back(event("run.state", "failed"));
        }) == wanted);
  CHECK(broken_by([](auto& f) { f.disturbed[0].events = json::array(); }) == wanted);
  auto all = broken_by([](auto& f) { f.disturbed[0].told["Run"]["State"] = "processing"; });
  CHECK(std::ranges::count(all, wanted[0]) == 1);
}

TEST_CASE("fault verdict: scratch of the drill's runs is found, that of others is not") {
  CHECK(broken_by([](auto& f) { f.scratch["w1"] = {"r1-s0-e1"}; }) == names{"scratch is empty"});
  CHECK(broken_by([](auto& f) { f.scratch["w1"] = {"r12-s0-e1", "self-test-1"}; }).empty());
}

TEST_CASE("fault verdict: other outputs than without faults are found") {
  const names wanted{"outputs equal those of a run without faults"};
  auto change = [](auto edit) {
    return broken_by([&](auto& f) {
      f.published.clear(); // then tearing is not checked
      edit(f);
    });
  };
  CHECK(change([](auto& f) { output_of(f.disturbed[0])["Md5"] = "n"; }) == wanted);
  CHECK(change([](auto& f) { output_of(f.disturbed[0])["Size"] = 8; }) == wanted);
  CHECK(change([](auto& f) { f.disturbed[0].told["Jobs"] = json::array(); }) == wanted);
  CHECK(change([](auto& f) {
          auto& outputs = f.disturbed[0].told["Jobs"][0]["Outputs"];
          outputs.push_back(outputs[0]);
          outputs[1]["Object"]["Key"] = "out/b.mp4";
        }) == wanted);
  CHECK(change([](auto& f) { f.disturbed[0].told["Run"]["State"] = "failed"; }) == wanted);
}

TEST_CASE("fault verdict: no progress once healed is found") {
  auto all = broken_by([](auto& f) { f.undisturbed[0].told["Run"]["State"] = "processing"; });
  CHECK(std::ranges::count(all, "progress once healed") == 1);
}

TEST_CASE("fault verdict: what was not looked at is not said to hold") {
  auto f = good_facts();
  f.published.clear();
  f.scratch.clear();
  f.silent = {"w1"};
  int unchecked = 0;
  for (const auto& v : judge(f))
    unchecked += v.found == finding::not_checked;
  CHECK(unchecked == 2);
}
