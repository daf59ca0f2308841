#pragma once

#include "core/change.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string_view>

namespace framemill {

/// Parameter sets by family and Definition: the presets, and the custom ones.
/// Immutable snapshots are shared with whoever plans.
class template_catalog final : public template_source {
public:
  void put(template_record record);
  void erase(template_family f, std::uint64_t definition);
  [[nodiscard]] const template_record* find(template_family f,
                                            std::uint64_t definition) const override;
  [[nodiscard]] std::size_t custom_count(template_family f) const;

private:
  std::map<std::pair<template_family, std::uint64_t>, template_record> custom_;
};

/// The definitions: workflows, schemes and templates, with the rules of changing them.
/// Pure; owned by the COORDINATOR. A verb returns what to write, and has
/// already changed the catalogue: writes are made in the order of the calls.
class catalog {
public:
  struct created {
    changes record;
    std::uint64_t id = 0;
  };

  // From the store, at start.
  void load(workflow_record w);
  void load(template_record t);
  void load_counter(std::string_view name, std::uint64_t value);

  [[nodiscard]] result<created> create_workflow(timestamp now, workflow_spec spec);
  /// Replaces what the definition of this id and the spec's kind says.
  [[nodiscard]] result<changes> reset_workflow(timestamp now, workflow_id id, workflow_spec spec);
  [[nodiscard]] result<changes> set_enabled(timestamp now, definition_ref which, bool enabled);
  [[nodiscard]] result<changes> delete_workflow(timestamp now, definition_ref which);
  [[nodiscard]] result<created> put_template(timestamp now, template_record record);
  [[nodiscard]] result<changes> delete_template(template_family f, std::uint64_t definition);

  [[nodiscard]] const workflow_record* find(workflow_id id) const;
  /// not_found, with the field that names its kind's ids.
  [[nodiscard]] result<const workflow_record*> get(definition_ref which) const;
  /// Enabled workflows whose trigger takes this object.
  [[nodiscard]] std::vector<const workflow_record*> triggered_by(std::string_view bucket,
                                                                 std::string_view key) const;
  [[nodiscard]] std::shared_ptr<const template_catalog> templates() const { return templates_; }
  [[nodiscard]] std::uint64_t next_run_id();
  [[nodiscard]] std::uint64_t last_run_id() const { return last_run_; }

private:
  [[nodiscard]] result<void> check(const workflow_spec& spec, workflow_id self) const;
  /// The same, disabled: enabled ones do not change.
  [[nodiscard]] result<const workflow_record*> get_disabled(definition_ref which) const;
  [[nodiscard]] workflow_record& entry(workflow_id id) { return workflows_.find(id)->second; }

  std::map<workflow_id, workflow_record> workflows_;
  std::shared_ptr<const template_catalog> templates_ = std::make_shared<template_catalog>();
  std::uint64_t last_workflow_ = 0;
  std::uint64_t last_run_ = 0;
  std::map<template_family, std::uint64_t> last_definition_;
};

} // namespace framemill
