#include "tools/framemill/certificate_page.hpp"
#include "tools/framemill/context.hpp"
#include "tools/framemill/explanation_page.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/interrupt.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/run_lookup.hpp"
#include "tools/framemill/run_page.hpp"
#include "tools/framemill/run_watch.hpp"
#include "tools/framemill/table.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

namespace framemill::cli {

namespace {

struct run_options {
  std::string run; ///< number, TaskId or BUCKET:KEY
  std::string object;
  std::uint64_t workflow = 0;
  std::string state;
  std::string bucket;
  std::string prefix;
  int limit = 20;
  int wait_seconds = 60;
  std::uint32_t job = 0;
  bool watch = false;
};
using options_ptr = std::shared_ptr<run_options>;

constexpr int page_items_max = 100;

result<exit_code> started(const context& ctx, const client& server, const json& answer,
                          const run_options& o) {
  if (!o.watch && ctx.wants_json())
    print_json(answer);
  else if (!ctx.wants_json())
    print(fmt::format("run {} ({})\n", text_at(answer, "RunId"), text_at(answer, "TaskId")));
  if (!o.watch)
    return exit_code::ok;
  return watch_run(ctx, server, static_cast<std::uint64_t>(integer_at(answer, "RunId")));
}

result<exit_code> submit(const context& ctx, const run_options& o) {
  FM_TRY(auto object, parse_object_name(o.object));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("SubmitRun", {{"Bucket", object.bucket},
                                               {"Key", object.key},
                                               {"WorkflowId", o.workflow}}));
  return started(ctx, server, answer, o);
}

json list_query(const run_options& o) {
  json query{{"Limit", std::clamp(o.limit, 1, page_items_max)}};
  for (auto [name, value] : {std::pair{"State", &o.state}, std::pair{"Bucket", &o.bucket},
                             std::pair{"KeyPrefix", &o.prefix}})
    if (!value->empty())
      query[name] = *value;
  if (o.workflow != 0)
    query["WorkflowId"] = o.workflow;
  return query;
}

result<json> runs_of(const client& server, const run_options& o) {
  auto runs = json::array();
  auto query = list_query(o);
  for (;;) {
    FM_TRY(auto page, server.own("DescribeRuns", query));
    for (const auto& run : list_at(page, "Runs"))
      if (runs.size() < static_cast<std::size_t>(o.limit))
        runs.push_back(run);
    if (integer_at(page, "Next") == 0 || runs.size() >= static_cast<std::size_t>(o.limit))
      return runs;
    query["Before"] = integer_at(page, "Next");
  }
}

result<exit_code> list(const context& ctx, const run_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto runs, runs_of(server, o));
  if (ctx.wants_json()) {
    print_json({{"Runs", runs}});
    return exit_code::ok;
  }
  table t{{{"RUN", align::right},
           {"STATE"},
           {"DONE", align::right},
           {"OBJECT"},
           {"WORKFLOW"},
           {"CREATED"},
           {"WHY"}}};
  for (const auto& r : runs)
    t.row({text_at(r, "Id"), text_at(r, "State"),
           fmt::format("{:.0f}%", std::floor(number_at(r, "Fraction") * 100)),
           text_at(r, "Bucket") + ":" + text_at(r, "Key"), text_at(r, "WorkflowName"),
           format_time(text_at(r, "Created")), failure_text(at(r, "Failure"))});
  print(t, "no runs");
  return exit_code::ok;
}

result<exit_code> show(const context& ctx, const run_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto id, find_run(server, o.run));
  FM_TRY(auto answer, server.own("DescribeRun", {{"RunId", id}}));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  FM_TRY(auto events, server.own("DescribeEvents", {{"Run", id}, {"Limit", 1000}}));
  print(run_page(answer, list_at(events, "Events")));
  return exit_code::ok;
}

result<exit_code> watch(const context& ctx, const run_options& o) {
  catch_interrupt();
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto id, find_run(server, o.run, std::chrono::seconds{o.wait_seconds}));
  return watch_run(ctx, server, id);
}

result<exit_code> cancel(const context& ctx, const run_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto id, find_run(server, o.run));
  FM_TRY(auto answer, server.own("CancelRun", {{"RunId", id}}));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("run {} cancelled\n", id));
  return exit_code::ok;
}

result<exit_code> retry(const context& ctx, const run_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto id, find_run(server, o.run));
  FM_TRY(auto answer, server.own("RetryRun", {{"RunId", id}}));
  return started(ctx, server, answer, o);
}

/// A run of a quarantined input starts anew.
result<exit_code> release(const context& ctx, const run_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto id, find_run(server, o.run));
  FM_TRY(auto answer, server.own("ReleaseRun", {{"RunId", id}}));
  return started(ctx, server, answer, o);
}

result<exit_code> explain(const context& ctx, const run_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto id, find_run(server, o.run));
  FM_TRY(auto answer, server.own("ExplainRun", {{"RunId", id}}));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(explanation_page(at(answer, "Explanation")));
  return exit_code::ok;
}

result<exit_code> certificate(const context& ctx, const run_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto id, find_run(server, o.run));
  FM_TRY(auto answer, server.own("DescribeCertificate", {{"RunId", id}, {"Job", o.job}}));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(certificate_page(at(answer, "Certificate")));
  return exit_code::ok;
}

CLI::App& add_verb(CLI::App& noun, const options_ptr& o, const char* name, const char* help) {
  auto* verb = noun.add_subcommand(name, help);
  verb->add_option("RUN", o->run, "Number, TaskId, or BUCKET:KEY for its newest run")
      ->required();
  return *verb;
}

void add_listing(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto* verb = noun.add_subcommand("list", "List runs, newest first");
  verb->add_option("--state", o->state, "Only runs in this state")
      ->check(CLI::IsMember(
          {"waiting", "probing", "processing", "succeeded", "failed", "cancelled"}));
  verb->add_option("--workflow", o->workflow, "Only runs of this workflow");
  verb->add_option("--bucket", o->bucket, "Only runs for objects in this bucket");
  verb->add_option("--prefix", o->prefix, "Only runs for keys that begin so");
  verb->add_option("--limit", o->limit, "At most so many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  on_chosen(ctx, *verb, [&ctx, o] { return list(ctx, *o); });
}

void add_watch_flag(CLI::App& verb, const options_ptr& o) {
  verb.add_flag("--watch", o->watch, "Go on with `run watch`");
}

void add_questions(CLI::App& noun, context& ctx, const options_ptr& o) {
  on_chosen(ctx, add_verb(noun, o, "explain", "Why it waits, is slow or failed"),
            [&ctx, o] { return explain(ctx, *o); });
  auto& releasing = add_verb(noun, o, "release", "Start a run of a quarantined input anew");
  add_watch_flag(releasing, o);
  on_chosen(ctx, releasing, [&ctx, o] { return release(ctx, *o); });
  auto& proof = add_verb(noun, o, "certificate", "How an output was joined from its shards");
  proof.add_option("--job", o->job, "Index of the activity")->capture_default_str();
  on_chosen(ctx, proof, [&ctx, o] { return certificate(ctx, *o); });
}

} // namespace

void add_run(CLI::App& app, context& ctx) {
  auto o = std::make_shared<run_options>();
  auto* noun = app.add_subcommand("run", "Executions of a workflow for an object");
  noun->require_subcommand(1)->fallthrough();

  auto* submission = noun->add_subcommand("submit", "Start a run by hand");
  submission->add_option("OBJECT", o->object, "BUCKET:KEY")->required();
  submission->add_option("--workflow", o->workflow, "Workflow, enabled or not")->required();
  add_watch_flag(*submission, o);
  on_chosen(ctx, *submission, [&ctx, o] { return submit(ctx, *o); });

  add_listing(*noun, ctx, o);
  on_chosen(ctx, add_verb(*noun, o, "show", "All that is known about a run"),
            [&ctx, o] { return show(ctx, *o); });
  auto& watching = add_verb(*noun, o, "watch", "Follow a run until it ends");
  watching
      .add_option("--wait", o->wait_seconds, "Seconds to wait for an object's run to begin")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  on_chosen(ctx, watching, [&ctx, o] { return watch(ctx, *o); });
  on_chosen(ctx, add_verb(*noun, o, "cancel", "Stop a live run"),
            [&ctx, o] { return cancel(ctx, *o); });
  auto& again = add_verb(*noun, o, "retry", "Start the same run anew");
  add_watch_flag(again, o);
  on_chosen(ctx, again, [&ctx, o] { return retry(ctx, *o); });
  add_questions(*noun, ctx, o);
}

} // namespace framemill::cli
