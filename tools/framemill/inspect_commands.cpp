#include "storage/records.hpp"
#include "tools/framemill/context.hpp"
#include "tools/framemill/file_input.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <map>
#include <memory>

namespace framemill::cli {

namespace {

struct inspect_options {
  std::string directory;
  std::string what = "overview";
};

std::string when(timestamp t) { return format_time(to_iso8601(t)); }

std::string why(const std::optional<error>& e) {
  return e ? fmt::format("{}: {}", to_string(e->code), e->message) : "";
}

/// One kind of record: how it is found and what its row shows.
template <class Record>
struct view {
  family of;
  std::vector<column> columns;
  std::vector<std::string> (*row)(const Record&);
};

const view<run_record> runs_view{family::runs,
                                 {{"RUN", align::right},
                                  {"STATE"},
                                  {"OBJECT"},
                                  {"WORKFLOW"},
                                  {"SHARDS", align::right},
                                  {"CREATED"},
                                  {"FINISHED"},
                                  {"WHY"}},
                                 [](const run_record& r) -> std::vector<std::string> {
                                   return {std::to_string(r.id.value),
                                           std::string{to_string(r.state)},
                                           r.object.bucket + ":" + r.object.key,
                                           fmt::format("{} r{}", r.workflow.value, r.revision),
                                           std::to_string(r.shard_count),
                                           when(r.created),
                                           when(r.finished),
                                           why(r.failure)};
                                 }};

const view<workflow_record> workflows_view{
    family::workflows,
    {{"ID", align::right},
     {"NAME"},
     {"ENABLED"},
     {"REVISION", align::right},
     {"TRIGGER"},
     {"ACTIVITIES", align::right},
     {"CREATED"}},
    [](const workflow_record& w) -> std::vector<std::string> {
      return {std::to_string(w.id.value),
              w.spec.name,
              w.enabled ? "yes" : "no",
              std::to_string(w.revision),
              w.spec.trigger.bucket + w.spec.trigger.dir,
              std::to_string(w.spec.activities.size()),
              when(w.created)};
    }};

const view<object_record> objects_view{
    family::objects,
    {{"OBJECT"}, {"SIZE", align::right}, {"STATE"}, {"SEEN"}, {"RUNS", align::right}, {"WHY"}},
    [](const object_record& o) -> std::vector<std::string> {
      return {o.object.bucket + ":" + o.object.key,
              format_size(static_cast<std::int64_t>(o.object.generation.size)),
              std::string{to_string(o.state)},
              when(o.first_seen),
              std::to_string(o.runs.size()),
              o.reason};
    }};

const view<event_record> events_view{family::events,
                                     {{"ID", align::right},
                                      {"TIME"},
                                      {"EVENT"},
                                      {"RUN", align::right},
                                      {"STATE"},
                                      {"OBJECT"},
                                      {"WHAT"}},
                                     [](const event_record& e) -> std::vector<std::string> {
                                       return {std::to_string(e.id.value),
                                               when(e.time),
                                               e.type,
                                               e.run ? std::to_string(e.run.value) : "",
                                               e.state,
                                               e.bucket.empty() ? "" : e.bucket + ":" + e.key,
                                               e.message};
                                     }};

const view<shard_record> shards_view{
    family::shards,
    {{"RUN", align::right},
     {"SHARD", align::right},
     {"ROLE"},
     {"STATE"},
     {"EPOCH", align::right},
     {"ATTEMPTS", align::right},
     {"FILES", align::right},
     {"LAST FAILURE"}},
    [](const shard_record& s) -> std::vector<std::string> {
      return {std::to_string(s.id.run.value),
              std::to_string(s.id.index),
              std::string{to_string(s.role)},
              std::string{to_string(s.state)},
              std::to_string(s.epoch),
              std::to_string(s.attempts.size()),
              std::to_string(s.files.size()),
              s.attempts.empty() ? "" : why(s.attempts.back().failure)};
    }};

template <class Record>
result<exit_code> show(const context& ctx, const state_store& store, const view<Record>& v) {
  table t{v.columns};
  FM_CHECK(scan_records<Record>(store, v.of, "", "", [&](Record r) {
    if (ctx.wants_json())
      print(dump(to_json_value(r), -1) + "\n"); // a line per record: there may be millions
    else
      t.row(v.row(r));
    return true;
  }));
  if (!ctx.wants_json())
    print(t, "none");
  return exit_code::ok;
}

/// How many records each family holds.
result<exit_code> overview(const context& ctx, const state_store& store) {
  table t{{{"FAMILY"}, {"RECORDS", align::right}, {"BYTES", align::right}}};
  auto all = json::object();
  for (std::size_t i = 0; i < family_count; ++i) {
    auto f = static_cast<family>(i);
    std::uint64_t records = 0, bytes = 0;
    FM_CHECK(store.scan(f, "", "", [&](std::string_view key, std::string_view value) {
      ++records;
      bytes += key.size() + value.size();
      return true;
    }));
    t.row({std::string{to_string(f)}, std::to_string(records),
           format_size(static_cast<std::int64_t>(bytes))});
    all[std::string{to_string(f)}] = {{"Records", records}, {"Bytes", bytes}};
  }
  if (ctx.wants_json())
    print_json(all);
  else
    print(t, "");
  return exit_code::ok;
}

/// Where the store is below a data directory (docs/operations.md).
result<std::string> store_directory(const std::string& data_dir) {
  std::error_code ec;
  for (auto path : {data_dir + "/state", data_dir})
    if (std::filesystem::exists(path + "/CURRENT", ec))
      return path;
  return fail(errc::not_found, "{} holds no state of a node", data_dir);
}

result<exit_code> inspect(const context& ctx, const inspect_options& o) {
  FM_TRY(auto directory, store_directory(o.directory));
  FM_TRY(auto store, open_rocks_state_store({.directory = directory, .read_only = true}));
  if (o.what == "runs")
    return show(ctx, *store, runs_view);
  if (o.what == "workflows")
    return show(ctx, *store, workflows_view);
  if (o.what == "objects")
    return show(ctx, *store, objects_view);
  if (o.what == "events")
    return show(ctx, *store, events_view);
  if (o.what == "shards")
    return show(ctx, *store, shards_view);
  return overview(ctx, *store);
}

} // namespace

void add_inspect(CLI::App& app, context& ctx) {
  auto o = std::make_shared<inspect_options>();
  auto* verb = app.add_subcommand("inspect",
                                  "Read a data directory without a server; never writes to it");
  verb->add_option("DATA-DIR", o->directory, "Data directory of a node")
      ->required()
      ->check(check_directory);
  verb->add_option("WHAT", o->what, "Which records")
      ->check(CLI::IsMember({"overview", "runs", "workflows", "objects", "events", "shards"}))
      ->capture_default_str();
  on_chosen(ctx, *verb, [&ctx, o] { return inspect(ctx, *o); });
}

} // namespace framemill::cli
