#include "cluster/ingest.hpp"

#include "core/limits.hpp"

#include <algorithm>

namespace framemill {

namespace {

event_record object_event(timestamp now, const object_record& o) {
  event_record e;
  e.time = now;
  e.type = fmt::format("object.{}", to_string(o.state));
  e.bucket = o.object.bucket;
  e.key = o.object.key;
  e.state = std::string{to_string(o.state)};
  e.message = o.reason;
  return e;
}

std::string why_no_run(const object_record& line, bool any_trigger, bool any_ran) {
  if (any_ran)
    return "the workflows that take it have run on this content";
  auto depth = line.origin ? line.origin->workflows.size() : 0;
  if (any_trigger && depth >= static_cast<std::size_t>(limits::workflow_chain_depth_max))
    return fmt::format("at the end of a chain of {} workflows, the most there may be", depth);
  if (line.origin && any_trigger)
    return "made by a run of the workflow that it would trigger";
  if (line.origin)
    return "an output of ours, which no other enabled workflow takes";
  return "no enabled workflow takes it";
}

} // namespace

run_record make_run(timestamp now, run_id id, run_cause cause, workflow_id workflow,
                    std::uint32_t revision, workflow_spec spec, object_ref object) {
  run_record run;
  run.id = id;
  run.cause = cause;
  run.workflow = workflow;
  run.revision = revision;
  run.priority = spec.priority;
  run.spec = std::move(spec);
  run.object = std::move(object);
  run.created = now;
  return run;
}

event_record run_created_event(const run_record& run) {
  event_record e;
  e.time = run.created;
  e.type = "run.created";
  e.run = run.id;
  e.bucket = run.object.bucket;
  e.key = run.object.key;
  e.state = std::string{to_string(run.state)};
  e.message = run.spec.name;
  return e;
}

ingest_decision
decide_ingest(timestamp now, const settled_report& report,
              const std::optional<object_record>& known, catalog& definitions,
              const std::function<bool(const std::string&)>& has_run_key) {
  ingest_decision out;
  object_record line;
  line.object = report.object;
  line.first_seen = report.first_seen;
  line.last_change = report.first_seen;
  line.settled = now;
  line.evidence = report.evidence;
  if (known && known->object == report.object) {
    if (known->state != object_state::settling)
      return out; // told twice: the books have it
    line.origin = known->origin;
    line.runs = known->runs;
  }
  out.replaces = known && known->object.generation != report.object.generation;

  if (!report.refused.empty()) {
    line.state = object_state::ignored;
    line.reason = report.refused;
  } else {
    auto triggered = definitions.triggered_by(line.object.bucket, line.object.key);
    auto any_ran = false;
    for (const auto* w : triggered) {
      std::vector<std::uint64_t> lineage;
      if (line.origin)
        lineage = line.origin->workflows;
      if (std::find(lineage.begin(), lineage.end(), w->id.value) != lineage.end())
        continue;
      if (lineage.size() >= static_cast<std::size_t>(limits::workflow_chain_depth_max))
        continue;
      auto key = run_key(line.object, w->id, w->revision);
      if (has_run_key(key)) {
        any_ran = true;
        continue;
      }
      auto run = make_run(now, {definitions.next_run_id()}, run_cause::trigger, w->id,
                          w->revision, w->spec, line.object);
      run.lineage = std::move(lineage);
      out.record.run_keys.emplace_back(std::move(key), run.id);
      out.record.events.push_back(run_created_event(run));
      line.runs.push_back(run.id);
      out.started.push_back(run.id);
      out.record.runs.push_back(std::move(run));
    }
    line.state = line.runs.empty() ? object_state::ignored : object_state::settled;
    if (line.runs.empty())
      line.reason = why_no_run(line, !triggered.empty(), any_ran);
  }
  if (!out.started.empty())
    out.record.counters.emplace_back("last_run", definitions.last_run_id());
  out.record.events.push_back(object_event(now, line));
  out.record.objects.push_back(std::move(line));
  return out;
}

} // namespace framemill
