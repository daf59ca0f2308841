#pragma once

#include "core/blame.hpp"
#include "core/node.hpp"
#include "core/run.hpp"
#include "core/service.hpp"
#include "core/workflow.hpp"

#include <string>
#include <utility>
#include <vector>

namespace framemill {

/// What a decision changes in the books, as records: becomes durable as one
/// batch, with its events, or not at all. Pure classes return these; the
/// journal (actors/journal.hpp) writes them.
struct changes {
  std::vector<workflow_record> workflows;
  std::vector<workflow_id> erased_workflows;
  std::vector<template_record> templates;
  std::vector<std::pair<template_family, std::uint64_t>> erased_templates;
  std::vector<object_record> objects;
  std::vector<run_record> runs;       ///< live_runs follows from their state
  std::vector<job_record> jobs;
  std::vector<shard_record> shards;
  std::vector<std::pair<std::string, run_id>> run_keys;
  std::vector<std::pair<std::string, run_id>> sessions;
  std::vector<std::pair<std::string, std::uint64_t>> counters; ///< in `meta`
  std::vector<node_record> nodes;
  std::vector<join_token_record> join_tokens;
  std::vector<std::string> erased_join_tokens; ///< ids
  std::vector<input_blame> input_blames; ///< one without strikes is erased
  std::vector<node_blame> node_blames;   ///< a blank one is erased
  std::vector<service_record> services;
  std::vector<service_id> erased_services;
  std::vector<event_record> events;   ///< ids are given by the journal

  [[nodiscard]] bool empty() const { return *this == changes{}; }
  bool operator==(const changes&) const = default;
};

} // namespace framemill
