#include "api/action.hpp"
#include "media/plan/plan.hpp"
#include "storage/records.hpp"

#include <atomic>
#include <charconv>
#include <mutex>

// Framemill's own actions: docs/cluster-api.md is their contract.

namespace framemill {

namespace {

// ---- DescribeRuns -----------------------------------------------------------------

struct describe_runs {
  std::string state;
  workflow_id workflow;
  std::string bucket;
  std::string key_prefix;
  std::int64_t limit = 10;
  run_id before;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("State", s.state);
    v("WorkflowId", s.workflow);
    v("Bucket", s.bucket);
    v("KeyPrefix", s.key_prefix);
    v("Limit", s.limit);
    v("Before", s.before);
  }
};

result<void> check(const describe_runs& r) {
  if (!r.state.empty() && !from_name<run_state>(r.state))
    return fail_field(errc::invalid_argument, "State",
                      "`{}` is not one of: waiting, probing, processing, succeeded, failed, "
                      "cancelled",
                      r.state);
  return framemill::check(page{0, r.limit}, 100);
}

bool is_wanted(const describe_runs& r, const run_record& run) {
  return (r.state.empty() || to_string(run.state) == r.state)
         && (!r.workflow || run.workflow == r.workflow)
         && (r.bucket.empty() || run.object.bucket == r.bucket)
         && run.object.key.starts_with(r.key_prefix);
}

json run_summary(const run_record& run, double fraction) {
  return {{"Id", run.id.value},
          {"TaskId", task_id_of(run)},
          {"State", to_string(run.state)},
          {"Cause", to_string(run.cause)},
          {"Workflow", run.workflow.value},
          {"WorkflowName", run.spec.name},
          {"Bucket", run.object.bucket},
          {"Key", run.object.key},
          {"Created", to_iso8601_us(run.created)},
          {"Started", to_iso8601_us(run.started)},
          {"Finished", to_iso8601_us(run.finished)},
          {"Fraction", fraction},
          {"Failure", to_json_value(run.failure)}};
}

struct run_page {
  std::vector<run_record> runs;
  run_id next;
};

/// One more than the page is looked for, to know whether there is a next.
result<run_page> find_runs(const describe_runs& r, const state_store& store) {
  run_page out;
  bool more = false;
  FM_CHECK(scan_records<run_record>(
      store, family::runs, "", r.before ? keys::of(r.before) : "",
      [&](run_record run) {
        if (!is_wanted(r, run))
          return true;
        more = out.runs.size() == static_cast<std::size_t>(r.limit);
        if (!more)
          out.runs.push_back(std::move(run));
        return !more;
      },
      true));
  if (more)
    out.next = out.runs.back().id;
  return out;
}

/// Asks the progress of each live run; answers when the last reply is in.
class run_lister : public std::enable_shared_from_this<run_lister> {
public:
  run_lister(run_page page, api_reply done)
      : page_(std::move(page)), fractions_(page_.runs.size()), done_(std::move(done)) {}

  void start(gateway& system) {
    for (std::size_t i = 0; i < page_.runs.size(); ++i) {
      const auto& run = page_.runs[i];
      if (is_terminal(run.state))
        learn(i, run.state == run_state::succeeded ? 1.0 : 0.0);
      else
        system.progress(run.id, [self = shared_from_this(), i](result<run_progress> p) {
          self->learn(i, p ? p->fraction : 0.0);
        });
    }
    arrive();
  }

private:
  void learn(std::size_t i, double fraction) {
    fractions_[i].store(fraction);
    arrive();
  }

  void arrive() {
    if (missing_.fetch_sub(1) != 1)
      return;
    json runs = json::array();
    for (std::size_t i = 0; i < page_.runs.size(); ++i)
      runs.push_back(run_summary(page_.runs[i], fractions_[i].load()));
    done_(json{{"Runs", std::move(runs)}, {"Next", page_.next.value}});
  }

  const run_page page_;
  std::vector<std::atomic<double>> fractions_;
  const api_reply done_;
  std::atomic<std::size_t> missing_{page_.runs.size() + 1}; ///< + 1: start() itself
};

void list_runs(const action_context& context, describe_runs request, api_reply done) {
  if (auto status = check(request); !status)
    return done(refuse(status.error()));
  auto found = find_runs(request, context.system.store());
  if (!found)
    return done(refuse(found.error()));
  std::make_shared<run_lister>(std::move(*found), std::move(done))->start(context.system);
}

// ---- One run ------------------------------------------------------------------------

/// A run by its number, as number or text, or by its TaskId.
struct by_run {
  json id;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("RunId", s.id, required);
  }
};

result<run_id> run_of(const by_run& r) {
  if (r.id.is_string()) {
    auto id = run_of_task_id(r.id.get_ref<const std::string&>());
    if (!id)
      return fail_field(errc::not_found, "RunId", "there is no run {}", r.id.dump());
    return id;
  }
  auto n = from_json_value<std::uint64_t>(r.id);
  if (!n)
    return fail_field(n.error().code, "RunId", "{}", n.error().message);
  return run_id{*n};
}

result<run_record> find_run(const state_store& store, const by_run& r) {
  FM_TRY(auto id, run_of(r));
  FM_TRY(auto run, find_record<run_record>(store, family::runs, keys::of(id)));
  if (!run)
    return fail_field(errc::not_found, "RunId", "there is no run {}", id.value);
  return std::move(*run);
}

/// Commands for the shards of which a failed attempt was kept.
json reproduce(const gateway& system, const std::vector<shard_record>& shards) {
  json out = json::array();
  for (const auto& s : shards)
    if (auto directory = system.reproduce_directory(s.id); !directory.empty())
      out.push_back(
          {{"Shard", s.id.index}, {"Command", "framemill-media --reproduce " + directory}});
  return out;
}

run_progress progress_of_finished(const run_record& run) {
  run_progress p;
  p.run = run.id;
  p.state = run.state;
  p.phase = to_string(run.state);
  p.fraction = run.state == run_state::succeeded ? 1 : 0;
  return p;
}

result<json> run_json(const gateway& system, const run_record& run) {
  FM_TRY(auto jobs, records_of<job_record>(system.store(), family::jobs, run.id));
  FM_TRY(auto shards, records_of<shard_record>(system.store(), family::shards, run.id));
  return json{{"Run", to_json_value(run)},
              {"TaskId", task_id_of(run)},
              {"Jobs", to_json_value(jobs)},
              {"Shards", to_json_value(shards)},
              {"Progress", to_json_value(progress_of_finished(run))},
              {"Reproduce", reproduce(system, shards)}};
}

void describe_run(const action_context& context, by_run request, api_reply done) {
  auto run = find_run(context.system.store(), request);
  if (!run)
    return done(refuse(run.error()));
  auto answer = run_json(context.system, *run);
  if (!answer)
    return done(refuse(answer.error()));
  if (is_terminal(run->state))
    return done(std::move(*answer));
  context.system.progress(run->id, [done = std::move(done), answer = std::move(*answer)](
                                       result<run_progress> p) mutable {
    if (p) // a run that has just ended has none
      answer["Progress"] = to_json_value(*p);
    done(std::move(answer));
  });
}

void cancel_run(const action_context& context, by_run request, api_reply done) {
  auto id = run_of(request);
  if (!id)
    return done(refuse(id.error()));
  context.system.cancel(*id, answer_empty(std::move(done)));
}

/// Answers with a run that is in the books.
gateway::reply<run_id> answer_new_run(const action_context& context, api_reply done) {
  return answer_with<run_id>(
      std::move(done), {}, [&store = context.system.store()](run_id id) -> api_result {
        auto run = find_record<run_record>(store, family::runs, keys::of(id));
        if (!run || !*run)
          return refuse(run ? error{errc::not_found, fmt::format("no run {}", id.value), {}}
                            : run.error());
        return json{{"RunId", id.value}, {"TaskId", task_id_of(**run)}};
      });
}

void retry_run(const action_context& context, by_run request, api_reply done) {
  auto id = run_of(request);
  if (!id)
    return done(refuse(id.error()));
  context.system.retry(*id, answer_new_run(context, std::move(done)));
}

void release_run(const action_context& context, by_run request, api_reply done) {
  auto id = run_of(request);
  if (!id)
    return done(refuse(id.error()));
  context.system.release_run(*id, answer_new_run(context, std::move(done)));
}

void explain_run(const action_context& context, by_run request, api_reply done) {
  auto id = run_of(request);
  if (!id)
    return done(refuse(id.error()));
  context.system.explain_run(
      *id, answer_with<run_explanation>(std::move(done), {}, [](run_explanation e) {
        return json{{"Explanation", to_json_value(e)}};
      }));
}

struct by_job {
  by_run of;
  std::uint32_t job = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_run::fields(s.of, v);
    v("Job", s.job);
  }
};

api_result certificate_json(const std::string& text) {
  auto certificate = parse_json(text);
  if (!certificate)
    return refuse(
        error{errc::corrupt, "the certificate is damaged: " + certificate.error().message, {}});
  return json{{"Certificate", std::move(*certificate)}};
}

void describe_certificate(const action_context& context, by_job request, api_reply done) {
  auto id = run_of(request.of);
  if (!id)
    return done(refuse(id.error()));
  context.system.certificate(*id, request.job,
                             answer_with<std::string>(std::move(done), {}, certificate_json));
}

// ---- SubmitRun, ExplainPlan -------------------------------------------------------------

struct manual_start {
  run_request request;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.request.bucket, required);
    v("Key", s.request.key, required);
    v("WorkflowId", s.request.workflow, required);
  }
};

void submit_run(const action_context& context, manual_start start, api_reply done) {
  context.system.submit(std::move(start.request), answer_new_run(context, std::move(done)));
}

void explain_plan(const action_context& context, manual_start start, api_reply done) {
  context.system.explain(
      std::move(start.request),
      answer_with<physical_plan>(std::move(done), {}, [](physical_plan plan) {
        return json{{"Plan", to_json_value(plan)}, {"Text", explain(plan)}};
      }));
}

// ---- Buckets and objects ------------------------------------------------------------------

void describe_buckets(const action_context& context, empty_request, api_reply done) {
  context.system.buckets(answer_with<std::vector<bucket_status>>(
      std::move(done), {}, [](std::vector<bucket_status> buckets) {
        return json{{"Buckets", to_json_value(buckets)}};
      }));
}

struct audit_bucket {
  std::string bucket;
  std::string prefix;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.bucket, required);
    v("Prefix", s.prefix);
  }
};

void audit(const action_context& context, audit_bucket request, api_reply done) {
  context.system.audit(request.bucket, request.prefix,
                       answer_with<audit_report>(std::move(done), {}, [](audit_report report) {
                         return json{{"Audit", to_json_value(report)}};
                       }));
}

struct describe_objects {
  std::string bucket;
  std::string prefix;
  std::string state;
  std::int64_t limit = 100;
  std::string after;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.bucket, required);
    v("Prefix", s.prefix);
    v("State", s.state);
    v("Limit", s.limit);
    v("After", s.after);
  }
};

result<json> list_objects(const state_store& store, const describe_objects& r) {
  FM_CHECK(framemill::check(page{0, r.limit}, 1000));
  if (!r.state.empty() && !from_name<object_state>(r.state))
    return fail_field(errc::invalid_argument, "State",
                      "`{}` is not one of: settling, settled, ignored, vanished", r.state);
  auto prefix = keys::object(r.bucket, r.prefix);
  auto after = keys::object(r.bucket, r.after) + '\0'; // the first key behind it
  std::vector<object_record> found;
  bool more = false;
  FM_CHECK(scan_records<object_record>(
      store, family::objects, r.after.empty() ? prefix : std::max(prefix, after),
      prefix_end(prefix), [&](object_record o) {
        if (!r.state.empty() && to_string(o.state) != r.state)
          return true;
        more = found.size() == static_cast<std::size_t>(r.limit);
        if (!more)
          found.push_back(std::move(o));
        return !more;
      }));
  return json{{"Next", more ? found.back().object.key : ""}, {"Objects", to_json_value(found)}};
}

void describe_objects_action(const action_context& context, describe_objects request,
                             api_reply done) {
  answer(done, list_objects(context.system.store(), request));
}

} // namespace

action_table cluster_actions() {
  using enum effect;
  action_table table{{"DescribeRuns", make_action(reads, list_runs)},
                     {"DescribeRun", make_action(reads, describe_run)},
                     {"SubmitRun", make_action(changes, submit_run)},
                     {"CancelRun", make_action(changes, cancel_run)},
                     {"RetryRun", make_action(changes, retry_run)},
                     {"ReleaseRun", make_action(changes, release_run)},
                     {"ExplainRun", make_action(reads, explain_run)},
                     {"DescribeCertificate", make_action(reads, describe_certificate)},
                     {"ExplainPlan", make_action(reads, explain_plan)},
                     {"DescribeBuckets", make_action(reads, describe_buckets)},
                     {"AuditBucket", make_action(reads, audit)},
                     {"DescribeObjects", make_action(reads, describe_objects_action)}};
  add_node_actions(table);
  add_queue_actions(table);
  add_event_actions(table);
  add_function_actions(table);
  return table;
}

} // namespace framemill
