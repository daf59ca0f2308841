#pragma once

#include "core/blame.hpp"
#include "core/function.hpp"
#include "core/node.hpp"
#include "core/queue_message.hpp"
#include "core/notify.hpp"
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
  std::vector<queue_record> queues;
  std::vector<std::string> erased_queues; ///< names
  std::vector<topic_record> topics;
  std::vector<std::string> erased_topics; ///< names
  std::vector<subscription_record> subscriptions;
  std::vector<std::pair<std::string, std::string>> erased_subscriptions; ///< topic, name
  std::vector<message_record> messages;
  std::vector<message_state> message_states;
  std::vector<message_id> erased_messages; ///< with their states
  std::vector<delivery_record> deliveries; ///< its state says where it is kept
  std::vector<std::pair<std::string, event_id>> erased_deliveries; ///< pending: sink, event
  std::vector<std::pair<std::string, event_id>> cursors; ///< last event that was dealt with
  std::vector<signing_key_record> signing_keys;
  std::vector<std::string> erased_signing_keys; ///< ids
  std::vector<function_record> functions;
  std::vector<std::string> erased_functions;   ///< names; their secrets go with them
  std::vector<function_secrets> secrets;
  std::vector<std::pair<std::string, std::string>> function_code; ///< SHA-256, bytes
  std::vector<std::string> erased_function_code;
  std::vector<function_trigger> function_triggers;
  std::vector<std::string> erased_function_triggers; ///< event types
  std::vector<invocation_record> invocations;
  std::vector<std::string> erased_invocations; ///< keys
  std::vector<event_record> events;   ///< ids are given by the journal

  [[nodiscard]] bool empty() const { return *this == changes{}; }
  bool operator==(const changes&) const = default;
};

} // namespace framemill
