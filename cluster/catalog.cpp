#include "cluster/catalog.hpp"

#include <algorithm>

namespace framemill {

namespace {

constexpr std::string_view workflow_counter = "last_workflow";
constexpr std::string_view run_counter = "last_run";

/// MPS's quota of custom templates.
std::size_t quota_of(template_family f) {
  return f == template_family::transcode || f == template_family::watermark ? 1000 : 16;
}

std::string counter_of(template_family f) {
  return fmt::format("last_definition/{}", to_string(f));
}

/// What a kind of definition is called, and its parameters in the API.
struct words {
  const char *noun, *id, *name;
};
words words_of(task_kind kind) {
  if (kind == task_kind::schedule)
    return {"scheme", "ScheduleId", "ScheduleName"};
  return {"workflow", "WorkflowId", "WorkflowName"};
}

event_record workflow_event(timestamp now, const workflow_record& w, std::string state) {
  event_record e;
  e.time = now;
  e.type = "workflow.state";
  e.bucket = w.spec.trigger.bucket;
  e.state = std::move(state);
  e.message = fmt::format("{} {} ({})", words_of(w.spec.kind).noun, w.id.value, w.spec.name);
  return e;
}

} // namespace

void template_catalog::put(template_record record) {
  auto key = std::pair{record.family, record.definition};
  custom_.insert_or_assign(key, std::move(record));
}

void template_catalog::erase(template_family f, std::uint64_t definition) {
  custom_.erase({f, definition});
}

const template_record* template_catalog::find(template_family f,
                                              std::uint64_t definition) const {
  auto entry = custom_.find({f, definition});
  return entry != custom_.end() ? &entry->second : find_preset(f, definition);
}

std::size_t template_catalog::custom_count(template_family f) const {
  return static_cast<std::size_t>(std::count_if(
      custom_.begin(), custom_.end(), [f](const auto& e) { return e.first.first == f; }));
}

void catalog::load(workflow_record w) {
  last_workflow_ = std::max(last_workflow_, w.id.value);
  auto id = w.id;
  workflows_.insert_or_assign(id, std::move(w));
}

void catalog::load(template_record t) {
  auto copy = std::make_shared<template_catalog>(*templates_);
  auto& last = last_definition_[t.family];
  last = std::max(last, t.definition);
  copy->put(std::move(t));
  templates_ = std::move(copy);
}

void catalog::load_counter(std::string_view name, std::uint64_t value) {
  if (name == workflow_counter)
    last_workflow_ = std::max(last_workflow_, value);
  if (name == run_counter)
    last_run_ = std::max(last_run_, value);
  for (std::size_t f = 0; f < enum_names<template_family>::names.size(); ++f)
    if (auto family = static_cast<template_family>(f); name == counter_of(family))
      last_definition_[family] = std::max(last_definition_[family], value);
}

std::uint64_t catalog::next_run_id() { return ++last_run_; }

result<void> catalog::check(const workflow_spec& spec, workflow_id self) const {
  FM_CHECK(validate(spec, *templates_));
  const auto called = words_of(spec.kind);
  for (const auto& [id, w] : workflows_)
    if (id != self && w.spec.kind == spec.kind && w.spec.name == spec.name)
      return fail_field(errc::already_exists, called.name, "a {} named `{}` exists already (id {})",
                        called.noun, spec.name, id.value);
  return {};
}

result<catalog::created> catalog::create_workflow(timestamp now, workflow_spec spec) {
  FM_CHECK(check(spec, {}));
  workflow_record w;
  w.id = {++last_workflow_};
  w.created = w.updated = now;
  w.spec = std::move(spec);
  created out;
  out.id = w.id.value;
  out.record.counters.emplace_back(workflow_counter, last_workflow_);
  out.record.events.push_back(workflow_event(now, w, "created"));
  out.record.workflows.push_back(w);
  load(std::move(w));
  return out;
}

result<changes> catalog::reset_workflow(timestamp now, workflow_id id, workflow_spec spec) {
  FM_CHECK(get_disabled({id, spec.kind}));
  FM_CHECK(check(spec, id));
  auto& w = entry(id);
  w.spec = std::move(spec);
  w.updated = now;
  ++w.revision;
  changes out;
  out.workflows.push_back(w);
  out.events.push_back(workflow_event(now, w, "reset"));
  return out;
}

result<changes> catalog::set_enabled(timestamp now, definition_ref which, bool enabled) {
  FM_CHECK(get(which));
  auto& w = entry(which.id);
  changes out;
  if (w.enabled == enabled)
    return out;
  w.enabled = enabled;
  w.updated = now;
  out.workflows.push_back(w);
  out.events.push_back(workflow_event(now, w, enabled ? "enabled" : "disabled"));
  return out;
}

result<changes> catalog::delete_workflow(timestamp now, definition_ref which) {
  FM_TRY(const auto* w, get_disabled(which));
  changes out;
  out.erased_workflows.push_back(which.id);
  out.events.push_back(workflow_event(now, *w, "deleted"));
  workflows_.erase(which.id);
  return out;
}

result<catalog::created> catalog::put_template(timestamp now, template_record record) {
  auto f = record.family;
  if (find_preset(f, record.definition))
    return fail_field(errc::in_use, "Definition", "preset templates cannot be changed");
  FM_CHECK(validate(record));
  record.origin = template_origin::custom;
  record.updated = now;
  created out;
  if (record.definition == 0) {
    if (templates_->custom_count(f) >= quota_of(f))
      return fail(errc::too_large, "at most {} custom templates of this kind", quota_of(f));
    auto& last = last_definition_[f];
    last = std::max(last, custom_definition_first - 1) + 1;
    record.definition = last;
    record.created = now;
    out.record.counters.emplace_back(counter_of(f), last);
  } else if (const auto* old = templates_->find(f, record.definition)) {
    record.created = old->created;
  } else {
    return fail_field(errc::not_found, "Definition", "no template {}", record.definition);
  }
  out.id = record.definition;
  out.record.templates.push_back(record);
  load(std::move(record));
  return out;
}

result<changes> catalog::delete_template(template_family f, std::uint64_t definition) {
  if (find_preset(f, definition))
    return fail_field(errc::in_use, "Definition", "preset templates cannot be deleted");
  if (!templates_->find(f, definition))
    return fail_field(errc::not_found, "Definition", "no template {}", definition);
  auto copy = std::make_shared<template_catalog>(*templates_);
  copy->erase(f, definition);
  templates_ = std::move(copy);
  changes out;
  out.erased_templates.emplace_back(f, definition);
  return out;
}

const workflow_record* catalog::find(workflow_id id) const {
  auto entry = workflows_.find(id);
  return entry == workflows_.end() ? nullptr : &entry->second;
}

result<const workflow_record*> catalog::get(definition_ref which) const {
  const auto* w = find(which.id);
  const auto called = words_of(which.kind);
  if (w == nullptr || w->spec.kind != which.kind)
    return fail_field(errc::not_found, called.id, "no {} {}", called.noun, which.id.value);
  return w;
}

result<const workflow_record*> catalog::get_disabled(definition_ref which) const {
  FM_TRY(const auto* w, get(which));
  const auto called = words_of(which.kind);
  if (w->enabled)
    return fail_field(errc::in_use, called.id, "{} is enabled; disable it first", called.noun);
  return w;
}

std::vector<const workflow_record*> catalog::triggered_by(std::string_view bucket,
                                                          std::string_view key) const {
  std::vector<const workflow_record*> out;
  for (const auto& [id, w] : workflows_)
    if (w.enabled && w.spec.trigger.bucket == bucket && matches(w.spec.trigger, key))
      out.push_back(&w);
  return out;
}

} // namespace framemill
