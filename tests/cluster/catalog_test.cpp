#include "cluster/catalog.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

constexpr timestamp now{1'000'000}, later{2'000'000};

workflow_spec spec(std::string name, std::string bucket = "in", std::string dir = "/") {
  workflow_spec s;
  s.name = std::move(name);
  s.trigger.bucket = std::move(bucket);
  s.trigger.dir = std::move(dir);
  s.output_dir = "/out/";
  activity a;
  a.transcode.emplace().definition = 100020;
  s.activities.push_back(std::move(a));
  return s;
}

workflow_id create(catalog& c, workflow_spec s) {
  auto created = c.create_workflow(now, std::move(s));
  REQUIRE(created);
  return {created->id};
}

template_record snapshot_template_of(std::uint64_t definition = 0) {
  template_record t;
  t.family = template_family::snapshot_by_time_offset;
  t.definition = definition;
  t.name = "mine";
  t.snapshot.emplace();
  return t;
}

template <class T>
errc code_of(const result<T>& r) {
  REQUIRE_FALSE(r);
  return r.error().code;
}

} // namespace

TEST_CASE("catalog: a workflow is disabled at birth, with its first revision") {
  catalog c;

  auto created = c.create_workflow(now, spec("a"));

  REQUIRE(created);
  const auto* w = c.find({created->id});
  REQUIRE(w);
  CHECK_FALSE(w->enabled);
  CHECK(w->revision == 1);
  CHECK(w->created == now);
  REQUIRE(created->record.workflows.size() == 1);
  CHECK(created->record.workflows[0] == *w);
  CHECK(created->record.events.at(0).type == "workflow.state");
}

TEST_CASE("catalog: names are unique") {
  catalog c;
  auto a = create(c, spec("a"));
  auto b = create(c, spec("b"));

  auto again = c.create_workflow(now, spec("a"));
  CHECK(code_of(again) == errc::already_exists);
  CHECK(again.error().field == "WorkflowName");
  CHECK(code_of(c.reset_workflow(now, b, spec("a"))) == errc::already_exists);
  CHECK(c.reset_workflow(now, a, spec("a"))); // its own name is its own
  CHECK(c.reset_workflow(now, a, spec("c")));
  CHECK(c.reset_workflow(now, b, spec("a"))); // free again
}

TEST_CASE("catalog: a scheme is no workflow, and may have a workflow's name") {
  catalog c;
  auto scheme = spec("a");
  scheme.kind = task_kind::schedule;
  auto w = create(c, spec("a")), s = create(c, scheme);

  CHECK(w != s);
  auto again = c.create_workflow(now, scheme);
  CHECK(code_of(again) == errc::already_exists);
  CHECK(again.error().field == "ScheduleName");
  for (auto wrong : {c.set_enabled(now, {s}, true), c.delete_workflow(now, {s}),
                     c.reset_workflow(now, s, spec("b"))}) {
    CHECK(code_of(wrong) == errc::not_found);
    CHECK(wrong.error().field == "WorkflowId");
  }
  CHECK(c.reset_workflow(now, w, scheme).error().field == "ScheduleId");
  CHECK(c.set_enabled(now, {s, task_kind::schedule}, true));
  CHECK(code_of(c.reset_workflow(now, s, scheme)) == errc::in_use);
  CHECK(c.triggered_by(scheme.trigger.bucket, "in/a.mp4").size() == 1);
}

TEST_CASE("catalog: a specification that is wrong changes nothing") {
  catalog c;
  auto a = create(c, spec("a"));
  auto wrong = spec("b");
  wrong.activities[0].transcode->definition = 424242;

  CHECK_FALSE(c.create_workflow(now, wrong));
  CHECK_FALSE(c.reset_workflow(now, a, wrong));

  CHECK(c.find(a)->revision == 1);
  CHECK(c.find(a)->spec.name == "a");
  CHECK(create(c, spec("b")).value == a.value + 1);
}

TEST_CASE("catalog: an enabled workflow is neither reset nor deleted") {
  catalog c;
  auto id = create(c, spec("a"));
  REQUIRE(c.set_enabled(later, {id}, true));

  CHECK(code_of(c.reset_workflow(later, id, spec("b"))) == errc::in_use);
  CHECK(code_of(c.delete_workflow(later, {id})) == errc::in_use);

  REQUIRE(c.set_enabled(later, {id}, false));
  CHECK(c.reset_workflow(later, id, spec("b")));
  auto deleted = c.delete_workflow(later, {id});
  REQUIRE(deleted);
  CHECK(deleted->erased_workflows == std::vector<workflow_id>{id});
  CHECK(c.find(id) == nullptr);
}

TEST_CASE("catalog: a reset is a new revision, enabling is none") {
  catalog c;
  auto id = create(c, spec("a"));
  REQUIRE(c.set_enabled(later, {id}, true));
  REQUIRE(c.set_enabled(later, {id}, false));
  CHECK(c.find(id)->revision == 1);

  REQUIRE(c.reset_workflow(later, id, spec("a")));

  CHECK(c.find(id)->revision == 2);
  CHECK(c.find(id)->created == now);
  CHECK(c.find(id)->updated == later);
}

TEST_CASE("catalog: enabling twice writes once") {
  catalog c;
  auto id = create(c, spec("a"));
  auto first = c.set_enabled(later, {id}, true), second = c.set_enabled(later, {id}, true);

  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->workflows.size() == 1);
  CHECK(second->workflows.empty());
  CHECK(second->events.empty());
}

TEST_CASE("catalog: what is unknown is not found") {
  catalog c;
  CHECK(code_of(c.set_enabled(now, {9}, true)) == errc::not_found);
  CHECK(code_of(c.reset_workflow(now, {9}, spec("a"))) == errc::not_found);
  CHECK(code_of(c.delete_workflow(now, {9})) == errc::not_found);
  CHECK(code_of(c.put_template(now, snapshot_template_of(1'000'005))) == errc::not_found);
  CHECK(code_of(c.delete_template(template_family::transcode, 1'000'005)) == errc::not_found);
}

TEST_CASE("catalog: only enabled workflows whose trigger takes the object are triggered") {
  catalog c;
  auto all = create(c, spec("all"));
  auto dir = create(c, spec("dir", "in", "/a/"));
  auto other = create(c, spec("other", "elsewhere"));
  create(c, spec("disabled"));
  for (auto id : {all, dir, other})
    REQUIRE(c.set_enabled(now, {id}, true));
  auto taken_by = [&](std::string_view bucket, std::string_view key) {
    std::vector<workflow_id> out;
    for (const auto* w : c.triggered_by(bucket, key))
      out.push_back(w->id);
    return out;
  };

  CHECK(taken_by("in", "x.mp4") == std::vector{all});
  CHECK(taken_by("in", "a/x.mp4") == std::vector{all, dir});
  CHECK(taken_by("elsewhere", "x.mp4") == std::vector{other});
  CHECK(taken_by("in", "x.txt").empty());
  CHECK(taken_by("nowhere", "x.mp4").empty());
}

// ---- Templates -----------------------------------------------------------------------

TEST_CASE("catalog: presets are there, and cannot be changed") {
  catalog c;
  constexpr auto family = template_family::transcode;
  REQUIRE(c.templates()->find(family, 100020));
  auto preset = *c.templates()->find(family, 100020);
  CHECK(preset.origin == template_origin::preset);

  CHECK(code_of(c.put_template(now, preset)) == errc::in_use);
  CHECK(code_of(c.delete_template(family, 100020)) == errc::in_use);
}

TEST_CASE("catalog: a custom template is made, changed and deleted") {
  catalog c;
  constexpr auto family = template_family::snapshot_by_time_offset;
  auto mine = snapshot_template_of();
  mine.origin = template_origin::preset; // whatever the caller says
  auto created = c.put_template(now, mine);
  REQUIRE(created);
  CHECK(created->id >= custom_definition_first);
  CHECK(c.templates()->find(family, created->id)->origin == template_origin::custom);

  auto changed = snapshot_template_of(created->id);
  changed.name = "renamed";
  REQUIRE(c.put_template(later, changed));
  CHECK(c.templates()->find(family, created->id)->name == "renamed");
  CHECK(c.templates()->find(family, created->id)->created == now);
  CHECK(c.templates()->find(family, created->id)->updated == later);
  CHECK(c.templates()->custom_count(family) == 1);

  auto deleted = c.delete_template(family, created->id);
  REQUIRE(deleted);
  CHECK(deleted->erased_templates.size() == 1);
  CHECK(c.templates()->find(family, created->id) == nullptr);
}

TEST_CASE("catalog: who plans keeps the templates he began with") {
  catalog c;
  auto id = c.put_template(now, snapshot_template_of())->id;
  auto snapshot = c.templates();

  REQUIRE(c.delete_template(template_family::snapshot_by_time_offset, id));

  CHECK(snapshot->find(template_family::snapshot_by_time_offset, id));
}

TEST_CASE("catalog: custom templates have a quota per kind") {
  catalog c;
  for (int i = 0; i < 16; ++i)
    REQUIRE(c.put_template(now, snapshot_template_of()));
  auto first = custom_definition_first;

  CHECK(code_of(c.put_template(now, snapshot_template_of())) == errc::too_large);

  CHECK(c.put_template(now, snapshot_template_of(first))); // a change is not one more
  REQUIRE(c.delete_template(template_family::snapshot_by_time_offset, first));
  CHECK(c.put_template(now, snapshot_template_of()));
}

TEST_CASE("catalog: a template that is wrong is not taken") {
  catalog c;
  auto wrong = snapshot_template_of();
  wrong.snapshot.reset();

  CHECK_FALSE(c.put_template(now, wrong));
  CHECK(c.templates()->custom_count(wrong.family) == 0);
}

// ---- Ids ----------------------------------------------------------------------------------

TEST_CASE("catalog: ids are never used again, over deletions and restarts") {
  catalog before;
  changes written;
  auto keep = [&](auto&& made) {
    REQUIRE(made);
    auto& counters = made->record.counters;
    written.counters.insert(written.counters.end(), counters.begin(), counters.end());
    return made->id;
  };
  auto workflow = keep(before.create_workflow(now, spec("a")));
  auto definition = keep(before.put_template(now, snapshot_template_of()));
  REQUIRE(before.delete_workflow(now, {workflow}));
  REQUIRE(before.delete_template(template_family::snapshot_by_time_offset, definition));
  auto run = before.next_run_id();
  written.counters.emplace_back("last_run", before.last_run_id());

  catalog after; // nothing is left but the counters
  for (const auto& [name, value] : written.counters)
    after.load_counter(name, value);

  CHECK(create(after, spec("b")).value == workflow + 1);
  CHECK(after.put_template(now, snapshot_template_of())->id == definition + 1);
  CHECK(after.next_run_id() == run + 1);
}

TEST_CASE("catalog: a counter that lags behind the records does no harm") {
  catalog c;
  workflow_record w;
  w.id = {41};
  w.spec = spec("a");
  c.load(w);
  c.load_counter("last_workflow", 3);
  c.load_counter("of another version", 1'000);

  CHECK(create(c, spec("b")).value == 42);
}

TEST_CASE("catalog: each kind of template counts by itself") {
  catalog c;
  auto sprite = snapshot_template_of();
  sprite.family = template_family::image_sprite;
  sprite.snapshot.reset();
  auto& s = sprite.image_sprite.emplace();
  s.sample_type = framemill::sample_type::percent;
  s.sample_interval = 10;
  s.row_count = s.column_count = 10;

  auto snapshot = c.put_template(now, snapshot_template_of());
  auto made = c.put_template(now, sprite);

  REQUIRE(snapshot);
  REQUIRE_MESSAGE(made, made.error().message);
  CHECK(snapshot->id == custom_definition_first);
  CHECK(made->id == custom_definition_first);
  CHECK(snapshot->record.counters != made->record.counters);
}
