#include "cluster/ingest.hpp"
#include "core/limits.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>

using namespace framemill;

namespace {

constexpr timestamp now{1'000'000};

object_ref object(std::string key, std::string etag = "1") {
  object_ref o{"in", std::move(key), {}};
  o.generation.size = 100;
  o.generation.etag = std::move(etag);
  return o;
}

/// The books, and the definitions that decide about what comes.
struct ledger {
  catalog definitions;
  std::map<std::string, object_record> lines;
  std::set<std::string> run_keys;
  std::map<std::uint64_t, run_record> runs;

  workflow_id enable(std::string name, std::string dir = "/") {
    workflow_spec s;
    s.name = std::move(name);
    s.trigger.bucket = "in";
    s.trigger.dir = std::move(dir);
    activity a;
    a.transcode.emplace().definition = 100020;
    s.activities.push_back(std::move(a));
    auto id = workflow_id{definitions.create_workflow(now, std::move(s)).value().id};
    REQUIRE(definitions.set_enabled(now, {id}, true));
    return id;
  }

  ingest_decision settle(object_ref o, std::string refused = {}) {
    settled_report report{o, {"close-write"}, {500'000}, std::move(refused)};
    auto line = lines.find(o.key);
    auto d = decide_ingest(
        now, report, line == lines.end() ? std::nullopt : std::optional{line->second},
        definitions, [&](const std::string& key) { return run_keys.contains(key); });
    for (const auto& o : d.record.objects)
      lines[o.object.key] = o;
    for (const auto& [key, id] : d.record.run_keys)
      CHECK(run_keys.insert(key).second);
    for (const auto& r : d.record.runs)
      runs[r.id.value] = r;
    return d;
  }

  /// As the PUBLISHER books an output: before it is there.
  void publish(const run_record& by, object_ref output) {
    object_record line;
    line.object = output;
    line.origin = object_origin{by.id, by.lineage};
    line.origin->workflows.push_back(by.workflow.value);
    lines[output.key] = line;
  }
};

} // namespace

TEST_CASE("ingest: a settled object gets one run of each workflow that takes it") {
  ledger l;
  auto a = l.enable("a"), b = l.enable("b");
  l.enable("c", "/elsewhere/");

  auto d = l.settle(object("x.mp4"));

  REQUIRE(d.record.runs.size() == 2);
  CHECK(d.record.runs[0].workflow == a);
  CHECK(d.record.runs[1].workflow == b);
  CHECK(d.record.runs[0].id != d.record.runs[1].id);
  CHECK(d.record.runs[0].state == run_state::waiting);
  CHECK(d.record.run_keys.size() == 2);
  CHECK(d.started == l.lines["x.mp4"].runs);
  CHECK(l.lines["x.mp4"].state == object_state::settled);
  CHECK(l.lines["x.mp4"].evidence == std::vector<std::string>{"close-write"});
  CHECK_FALSE(d.replaces);
  REQUIRE(d.record.counters.size() == 1); // ids are not used again
  CHECK(d.record.counters[0].second == d.record.runs[1].id.value);
}

TEST_CASE("ingest: every run and object is told of in the same batch") {
  ledger l;
  l.enable("a");

  auto d = l.settle(object("x.mp4"));

  REQUIRE(d.record.events.size() == 2);
  CHECK(d.record.events[0].type == "run.created");
  CHECK(d.record.events[0].run == d.started[0]);
  CHECK(d.record.events[1].type == "object.settled");
}

TEST_CASE("ingest: an object told twice is booked once") {
  ledger l;
  l.enable("a");
  l.settle(object("x.mp4"));

  auto again = l.settle(object("x.mp4"));

  CHECK(again.started.empty());
  CHECK(again.record.objects.empty());
  CHECK(again.record.events.empty());
  CHECK(l.runs.size() == 1);
}

TEST_CASE("ingest: an object that nobody takes is booked, with the reason") {
  ledger l;

  auto d = l.settle(object("x.mp4"));

  CHECK(d.started.empty());
  CHECK(l.lines["x.mp4"].state == object_state::ignored);
  CHECK(l.lines["x.mp4"].reason == "no enabled workflow takes it");
  CHECK(d.record.counters.empty());
}

TEST_CASE("ingest: what is not an object is refused with the reason") {
  ledger l;
  l.enable("a");

  auto d = l.settle(object("x.mp4"), "a name that is not UTF-8");

  CHECK(d.started.empty());
  CHECK(l.lines["x.mp4"].state == object_state::ignored);
  CHECK(l.lines["x.mp4"].reason == "a name that is not UTF-8");
  CHECK(d.record.events.at(0).type == "object.ignored");
}

TEST_CASE("ingest: another content under the same key replaces and runs again") {
  ledger l;
  l.enable("a");
  auto first = l.settle(object("x.mp4", "1"));

  auto second = l.settle(object("x.mp4", "2"));

  CHECK(second.replaces);
  REQUIRE(second.started.size() == 1);
  CHECK(second.started != first.started);
  CHECK(l.lines["x.mp4"].runs == second.started);
  CHECK(l.lines["x.mp4"].object.generation.etag == "2");
}

TEST_CASE("ingest: an older content that comes back has its run already") {
  // Was booked as if no workflow took it.
  ledger l;
  l.enable("a");
  l.settle(object("x.mp4", "1"));
  l.settle(object("x.mp4", "2"));

  auto back = l.settle(object("x.mp4", "1"));

  CHECK(back.replaces);
  CHECK(back.started.empty());
  CHECK(l.lines["x.mp4"].state == object_state::ignored);
  CHECK(l.lines["x.mp4"].reason == "the workflows that take it have run on this content");
}

TEST_CASE("ingest: a new revision of the workflow does not run on what is booked") {
  ledger l;
  auto a = l.enable("a");
  l.settle(object("x.mp4"));
  REQUIRE(l.definitions.set_enabled(now, {a}, false));
  REQUIRE(l.definitions.reset_workflow(now, a, l.definitions.find(a)->spec));
  REQUIRE(l.definitions.set_enabled(now, {a}, true));

  CHECK(l.settle(object("x.mp4")).started.empty());
  CHECK(l.settle(object("y.mp4")).record.runs.at(0).revision == 2);
}

TEST_CASE("ingest: run keys tell every object, content, workflow and revision apart") {
  std::set<std::string> keys;
  for (const auto* key : {"x.mp4", "y.mp4", "x.mp4\x01"})
    for (const auto* etag : {"1", "2", "11"})
      for (std::uint64_t workflow : {1, 11})
        for (std::uint32_t revision : {1u, 11u})
          keys.insert(run_key(object(key, etag), {workflow}, revision));

  CHECK(keys.size() == 36);
}

TEST_CASE("ingest: an output never triggers the workflow that made it") {
  ledger l;
  l.enable("a");
  auto run = l.settle(object("x.mp4")).record.runs.at(0);
  l.publish(run, object("x_out.mp4"));

  auto d = l.settle(object("x_out.mp4"));

  CHECK(d.started.empty());
  CHECK(l.lines["x_out.mp4"].state == object_state::ignored);
  CHECK(l.lines["x_out.mp4"].reason == "made by a run of the workflow that it would trigger");
  CHECK(l.lines["x_out.mp4"].origin->run == run.id); // remembered
}

TEST_CASE("ingest: an output may trigger another workflow, but no ring of them") {
  ledger l;
  auto a = l.enable("a"), b = l.enable("b");
  auto runs = l.settle(object("x.mp4")).record.runs;
  l.publish(runs.at(0), object("from_a.mp4"));

  auto second = l.settle(object("from_a.mp4"));

  REQUIRE(second.record.runs.size() == 1);
  CHECK(second.record.runs[0].workflow == b);
  CHECK(second.record.runs[0].lineage == std::vector<std::uint64_t>{a.value});
  l.publish(second.record.runs[0], object("from_b.mp4"));
  CHECK(l.settle(object("from_b.mp4")).started.empty()); // neither a nor b
}

TEST_CASE("ingest: a chain of workflows has an end") {
  ledger l;
  for (int i = 0; i < limits::workflow_chain_depth_max + 3; ++i)
    l.enable("w" + std::to_string(i));
  auto run = l.settle(object("0.mp4")).record.runs.at(0);

  int depth = 1;
  for (;; ++depth) {
    REQUIRE(depth < 100);
    auto output = object(std::to_string(depth) + ".mp4");
    l.publish(run, output);
    auto d = l.settle(output);
    if (d.started.empty())
      break;
    run = d.record.runs.at(0);
  }

  CHECK(depth == limits::workflow_chain_depth_max);
  CHECK(l.lines[std::to_string(depth) + ".mp4"].reason
        == "at the end of a chain of 8 workflows, the most there may be");
}

TEST_CASE("ingest: what a person puts over an output is no output any more") {
  ledger l;
  l.enable("a");
  auto run = l.settle(object("x.mp4")).record.runs.at(0);
  l.publish(run, object("x_out.mp4", "ours"));
  l.settle(object("x_out.mp4", "ours"));

  auto d = l.settle(object("x_out.mp4", "theirs"));

  CHECK(d.started.size() == 1);
  CHECK_FALSE(l.lines["x_out.mp4"].origin);
}

TEST_CASE("ingest: a run takes the definition as it is now") {
  ledger l;
  auto a = l.enable("a");

  auto run = l.settle(object("x.mp4")).record.runs.at(0);

  CHECK(run.spec == l.definitions.find(a)->spec);
  CHECK(run.revision == 1);
  CHECK(run.cause == run_cause::trigger);
  CHECK(run.object == object("x.mp4"));
  CHECK(run.created == now);
}
