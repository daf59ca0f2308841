#pragma once

#include "actors/gateway.hpp"
#include "storage/memory_state_store.hpp"
#include "tests/api/fake_queues.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace framemill::test {

/// Time by hand. Thread-safe.
class hand_clock final : public clock {
public:
  explicit hand_clock(timestamp start) : us_(start.us) {}
  [[nodiscard]] timestamp now() const override { return {us_.load()}; }
  void advance(microseconds d) { us_ += d.count(); }

private:
  std::atomic<std::int64_t> us_;
};

/// The gateway over a memory store: definitions are checked by core's rules,
/// a submitted run is finished at once (or waits, if so set), two nodes are there, and every
/// reply comes from a thread of its own, as with actors.
class fake_gateway final : public gateway {
public:
  explicit fake_gateway(const clock& time);
  ~fake_gateway() override;

  void create_workflow(workflow_spec spec, reply<workflow_id> done) override;
  void reset_workflow(workflow_id id, workflow_spec spec, reply<void> done) override;
  void modify_workflow(definition_ref which, workflow_change change, reply<void> done) override;
  void set_enabled(definition_ref which, bool enabled, reply<void> done) override;
  void delete_workflow(definition_ref which, reply<void> done) override;
  void put_template(template_record record, reply<std::uint64_t> done) override;
  void delete_template(template_family f, std::uint64_t definition, reply<void> done) override;
  [[nodiscard]] std::shared_ptr<const template_source> templates() const override;
  void submit(run_request request, reply<run_id> done) override;
  void cancel(run_id id, reply<void> done) override;
  void retry(run_id id, reply<run_id> done) override;
  void progress(run_id id, reply<run_progress> done) override;
  [[nodiscard]] std::string reproduce_directory(shard_id id) const override;
  void probe(std::string bucket, std::string key, reply<media_info> done) override;
  void explain(run_request request, reply<physical_plan> done) override;
  void buckets(reply<std::vector<bucket_status>> done) override;
  void audit(std::string bucket, std::string prefix, reply<audit_report> done) override;
  void node(reply<node_status> done) override;
  void metrics(reply<std::vector<metric>> done) override;
  void nodes(reply<std::vector<node_view>> done) override;
  void cluster(reply<cluster_status> done) override;
  void set_node_mode(std::string name, node_mode mode, std::string reason,
                     std::optional<timestamp> drain_deadline, reply<void> done) override;
  void label_node(std::string name, std::map<std::string, std::string> set,
                  std::vector<std::string> removed, reply<void> done) override;
  void remove_node(std::string name, reply<void> done) override;
  void make_join_token(std::int32_t uses, std::chrono::seconds ttl,
                       reply<join_offer> done) override;
  void order_node(std::string name, std::string what, std::vector<std::string> arguments,
                  reply<std::string> done) override;
  void explain_run(run_id id, reply<run_explanation> done) override;
  void release_run(run_id id, reply<run_id> done) override;
  void certificate(run_id id, std::uint32_t job, reply<std::string> done) override;
  void backup(std::string directory, reply<void> done) override;
  /// Every call answers `"done"`.
  void invoke_function(function_invocation call, reply<invocation_result> done) override;
  [[nodiscard]] queue_service* queues() override { return &queues_; }
  [[nodiscard]] const state_store& store() const override { return store_; }
  [[nodiscard]] std::unique_ptr<event_feed> follow(feed_options options) override;

  /// The last directory that a backup went to.
  [[nodiscard]] std::string backed_up_to() const;
  /// The next runs stay in this state.
  void set_run_state(run_state s) { run_state_ = s; }
  /// No reply comes until `release`.
  void hold();
  void release();
  void publish(event_record e);
  /// Time has passed for the queues.
  void tick_queues() { queues_.tick(); }
  /// Receives that wait.
  [[nodiscard]] std::size_t queue_waiters() { return queues_.waiters(); }
  [[nodiscard]] std::size_t followers() const;
  template <class T>
  void put(family f, std::string key, const T& record);

private:
  struct feed;
  void later(std::function<void()> job);
  void work();
  [[nodiscard]] workflow_record* find(workflow_id id);
  [[nodiscard]] result<workflow_record*> find(definition_ref which, bool to_change);
  void replace(definition_ref which,
               const std::function<workflow_spec(const workflow_spec&)>& by,
               const reply<void>& done);
  /// Calls `change` with the node, then answers.
  void change_node(std::string name, reply<void> done,
                   std::function<void(node_record&)> change);
  void save(const run_record& run);
  run_record make_run(const run_request& request);

  const clock& time_;
  fake_queues queues_{time_};
  memory_state_store store_;
  std::map<std::uint64_t, workflow_record> workflows_; ///< the worker's own
  std::map<std::uint64_t, run_record> runs_;           ///< the worker's own
  std::set<std::string> sessions_;                     ///< the worker's own
  std::map<std::string, node_view> nodes_;             ///< the worker's own: one and two
  std::uint64_t workflow_count_ = 0;
  std::uint64_t run_count_ = 0;
  std::uint64_t definition_count_ = custom_definition_first;
  std::atomic<run_state> run_state_{run_state::succeeded};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::map<std::pair<template_family, std::uint64_t>, template_record> templates_;
  std::set<feed*> feeds_;
  std::string backup_directory_;
  bool held_ = false;
  bool stopping_ = false;
  std::thread worker_;
};

/// A probe of a small clip.
[[nodiscard]] media_info sample_media();

} // namespace framemill::test
