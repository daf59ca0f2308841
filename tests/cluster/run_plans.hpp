#pragma once

#include "cluster/ingest.hpp"
#include "cluster/run_machine.hpp"

#include <initializer_list>

namespace framemill::test {

/// What a planner answers.
struct plan {
  std::vector<shard_record> shards; ///< numbered from 1; 0 is the probe
  std::vector<job_record> jobs;

  std::uint32_t add(shard_role role, std::vector<std::uint32_t> needs,
                    std::vector<std::uint32_t> wanted_by) {
    shard_record s;
    s.id.index = static_cast<std::uint32_t>(shards.size()) + 1;
    s.role = role;
    s.needs = std::move(needs);
    s.jobs = std::move(wanted_by);
    s.memory_bytes = 100;
    shards.push_back(std::move(s));
    return shards.back().id.index;
  }

  /// A job that publishes one file of each of these shards.
  void add_job(std::initializer_list<std::uint32_t> items) {
    job_record j;
    j.index = static_cast<std::uint32_t>(jobs.size());
    for (auto shard : items)
      j.items.push_back({"out", shard, "bucket", "key", "media"});
    jobs.push_back(std::move(j));
  }
};

/// Two jobs that share one decode (1), each with a join of its own (2, 3).
inline plan shared_decode() {
  plan p;
  p.add(shard_role::decode, {0}, {0, 1});
  p.add(shard_role::join, {1}, {0});
  p.add(shard_role::join, {1}, {1});
  p.add_job({2});
  p.add_job({3});
  return p;
}

inline run_record waiting_run() {
  workflow_spec spec;
  spec.name = "w";
  object_ref object{"in", "a.mp4", {}};
  object.generation.size = 1000;
  return make_run({1'000'000}, {7}, run_cause::trigger, {1}, 1, std::move(spec),
                  std::move(object));
}

inline attempt_outcome success(std::uint32_t epoch, std::string sha256 = "sha") {
  attempt_outcome o;
  o.epoch = epoch;
  o.exit = "exit 0";
  o.result.files.push_back({"out", 1, std::move(sha256)});
  return o;
}

inline attempt_outcome failure_of(std::uint32_t epoch, errc code) {
  attempt_outcome o;
  o.epoch = epoch;
  o.failure = error{code, "it failed", {}};
  o.exit = "exit 1";
  return o;
}

template <class Action>
const Action* find_action(const run_machine::step& s) {
  for (const auto& a : s.actions)
    if (const auto* found = std::get_if<Action>(&a))
      return found;
  return nullptr;
}

template <class Action>
std::vector<Action> all_of(const run_machine::step& s) {
  std::vector<Action> out;
  for (const auto& a : s.actions)
    if (const auto* found = std::get_if<Action>(&a))
      out.push_back(*found);
  return out;
}

/// Two decodes (1, 2) and their join (3).
inline plan in_two_parts() {
  plan p;
  p.add(shard_role::decode, {0}, {0});
  p.add(shard_role::decode, {0}, {0});
  p.add(shard_role::join, {1, 2}, {0});
  p.add_job({3});
  return p;
}

} // namespace framemill::test
