#pragma once

#include "actors/journal.hpp"
#include "actors/step_queue.hpp"
#include "cluster/blame.hpp"
#include "cluster/ingest.hpp"
#include "cluster/membership.hpp"
#include "cluster/placement.hpp"
#include "cluster/progress_meter.hpp"
#include "cluster/protocol.hpp"
#include "cluster/run_machine.hpp"
#include "cluster/scheduler.hpp"
#include "tests/sim/machines.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/truth.hpp"
#include "tests/sim/watch_shell.hpp"

#include <deque>
#include <map>
#include <memory>
#include <set>

// The coordinator's actors, as thin as they are in actors/: each mirrors the
// file that it names, rule for rule, around the same pure cores. What differs
// there and here is a finding.

namespace framemill::sim {

using grant_number = std::uint64_t;
class scheduler_shell;
class membership_shell;
class remote_worker_shell;
class workflow_shell;
class run_keeper;
class placer_shell;
class publisher_shell;
inline const std::string coordinator_name = "coordinator";

/// The store as the coordinator has it: batches become durable after a while, and
/// the checkers see each.
class store_door final : public state_store {
public:
  store_door(stage s, process& owner) : stage_(s), process_(owner) {}
  void commit(write_batch batch, done_fn done) override;
  [[nodiscard]] result<std::optional<std::string>> find(family f,
                                                        std::string_view key) const override {
    return stage_.disks.store.find(f, key);
  }
  [[nodiscard]] result<void> scan(family f, std::string_view from, std::string_view until,
                                  const visit_fn& visit) const override {
    return stage_.disks.store.scan(f, from, until, visit);
  }
  [[nodiscard]] result<void> scan_back(family f, std::string_view from,
                                       std::string_view until,
                                       const visit_fn& visit) const override {
    return stage_.disks.store.scan_back(f, from, until, visit);
  }
  void forget_sync() { is_syncing_ = false; }

private:
  void sync_later();
  stage stage_;
  process& process_;
  bool is_syncing_ = false;
};

/// What the actors of one life of the coordinator share: actors/services.hpp.
struct services {
  stage on;
  process& self;
  store_door& store;
  std::unique_ptr<journal> books;
  std::uint64_t term = 0;
  std::deque<std::unique_ptr<actor>> actors; ///< until the life ends
  scheduler_shell* scheduler = nullptr;
  membership_shell* members = nullptr;
  run_keeper* keeper = nullptr;
  placer_shell* placer = nullptr;
  publisher_shell* publisher = nullptr;
  std::set<std::string> builds; ///< of the nodes that are here
  std::map<std::string, int> pin_counts;
  std::map<run_id, std::vector<std::string>> pins;

  [[nodiscard]] timestamp clock() const { return on.w.now() + on.disks.clock_skew; }
  [[nodiscard]] timestamp uptime() const { return on.w.now(); }
  template <class Actor, class... Args>
  Actor* spawn(Args&&... args) {
    auto a = std::make_unique<Actor>(*this, std::forward<Args>(args)...);
    auto* out = a.get();
    actors.push_back(std::move(a));
    return out;
  }
  void pin(run_id run, const std::string& sha256);
  void release_artifacts(run_id run);
  void discard(const std::string& sha256);
};

/// What a REMOTE WORKER was told about an attempt's outcome: called when it is
/// in the books.
using noted_fn = std::function<void()>;

struct late_outcome {
  shard_id shard;
  attempt_outcome outcome;
  noted_fn noted;
};

// ---- SCHEDULER: actors/scheduler_actor.cpp --------------------------------------------

class scheduler_shell final : public actor {
public:
  explicit scheduler_shell(services& s) : actor(s.on.w, s.self), services_(s) {}

  void join(const worker_slot& slot, remote_worker_shell* worker,
            const std::optional<reservation>& holds);
  void know(scheduler_node n, bool is_here);
  void forget_node(const std::string& name);
  void idle(worker_key worker, grant_number grant);
  void offer(shard_offer o, workflow_shell* reply_to, bool is_first_time);
  void withdraw(shard_id shard);

  [[nodiscard]] const scheduler& core() const { return core_; }

private:
  struct reserved {
    grant_number grant = 0;
    workflow_shell* owner = nullptr;
    std::string node;
    room size;
  };
  void grant();
  void check_room(const std::string& node) const;
  void lose_worker(worker_key key);
  void forget(workflow_shell* who);
  void show_builds();

  services& services_;
  scheduler core_{scheduler::options{}};
  std::map<shard_id, workflow_shell*> waiting_;
  std::map<shard_id, room> sizes_;
  std::map<worker_key, remote_worker_shell*> workers_;
  std::map<worker_key, reserved> reserved_;
  std::map<std::string, std::string> fingerprints_;
  std::map<std::string, scheduler_node> known_;
  std::set<workflow_shell*> watched_;
  grant_number last_grant_ = 0;
};

// ---- REMOTE WORKER: actors/remote_worker.cpp --------------------------------------------

struct remote_slot {
  worker_slot worker;
  std::uint32_t index = 0;
  std::optional<held_attempt> held;
  std::optional<reservation> holds = {}; ///< by the books
};

struct assignment {
  assign_attempt order;
  grant_number grant = 0;
  workflow_shell* reply_to = nullptr;
};

class remote_worker_shell final : public actor {
public:
  remote_worker_shell(services& s, remote_slot slot);

  void assign(assignment a);
  void give_back(grant_number grant);
  void stop_attempt(shard_id shard, std::uint32_t epoch);
  void vacate(std::string why);
  void claimed(workflow_shell* owner);
  void seen(const std::optional<held_attempt>& held);
  void ended(shard_id shard, attempt_outcome outcome, noted_fn noted);

  [[nodiscard]] bool is_idle() const { return !job_; }

private:
  struct work {
    shard_id shard;
    std::uint32_t epoch = 0;
    workflow_shell* owner = nullptr;
    grant_number grant = 0;
    std::optional<assign_attempt> order;
    timestamp told;
    std::optional<watermark> mark;
    bool stopping = false;
    std::string vacated;
  };
  void tell(cluster_message word);
  void tell_use(int change);
  void give_order();
  void stop();
  void end(attempt_outcome outcome, noted_fn noted = {});
  void compare(const std::optional<held_attempt>& held);

  services& services_;
  remote_slot slot_;
  std::optional<work> job_;
};

// ---- MEMBERSHIP: actors/membership_actor.cpp ----------------------------------------------

class membership_shell final : public actor, public endpoint {
public:
  explicit membership_shell(services& s);

  struct claim_lease {
    shard_id shard;
    std::uint32_t epoch = 0;
    std::string node;
    workflow_shell* reply_to = nullptr;
  };
  void claim(const claim_lease& m);
  void unclaimed(late_outcome m);
  void tell_node(const std::string& node, worker_key slot, cluster_message word);
  void tell_service(const std::string& node, cluster_message word);
  void introduce_placer();
  void slot_used(const std::string& node, worker_key slot, int change);
  void judged(const attempt_report& r, workflow_shell* reply_to);
  void apply(membership::step step, std::function<void(result<void>)> then = {});
  [[nodiscard]] bool admits(const std::string& key) const { return keys_.contains(key); }

  // Operators.
  void set_mode(const std::string& node, node_mode mode,
                std::optional<microseconds> deadline = {});
  void set_labels(const std::string& node, std::map<std::string, std::string> labels);
  void remove(const std::string& node);
  void enrol(const std::string& token, const std::string& node, const std::string& key,
             std::function<void(result<void>)> done);
  void add_token(join_token_record t);

  [[nodiscard]] const membership& core() const { return *core_; }
  [[nodiscard]] std::string restlessness() const; ///< "" when nothing is under way

private:
  struct consequence {
    std::vector<membership_action> of_core;
    std::function<void(result<void>)> then;
    changes record; ///< written again if the store refused it
  };
  using attempt = std::pair<shard_id, std::uint32_t>; ///< and its epoch
  struct remote_node {
    connection_key connection = 0;
    std::vector<remote_worker_shell*> slots;
    std::set<worker_key> keys;
    struct place {
      std::uint32_t slot = 0;
      std::uint32_t epoch = 0;
    };
    std::map<shard_id, place> places;
    std::uint64_t sequence = 0;
    int busy = 0;
    std::optional<std::vector<hosted_service>> services; ///< as last told
  };
  struct asked {
    std::function<void(result<std::string>)> done;
    timestamp until;
  };

  void on_frame(connection_key c, const std::string& frame) override;
  void on_gone(connection_key c) override;

  void tick();
  void write(std::uint64_t token, changes record);
  void flush();
  void put(connection_key to, std::uint64_t sequence, cluster_message word);
  void say(const std::string& node, cluster_message word);
  void refuse(connection_key c, const std::string& reason, bool final);
  void welcome(const std::string& name, connection_key c);
  void tell_scheduler(const std::string& name);
  void tell_placer(const std::string& name, const std::string& ended = {});
  void forget_if_removed(const std::string& name);
  void answer(const claim_lease& claim, late_outcome m);
  void refuse(const claim_lease& m, const std::string& why);
  void answer_claims_of(const std::string& node, const std::vector<held_attempt>& held);
  void order_self_test(const std::string& node);
  void give_up_claims();
  void give_up_orders();
  void order(const std::string& node, std::string what,
             std::function<void(result<std::string>)> done);
  void judge(blame_matrix::verdicts verdicts, std::optional<attempt_report> of = {},
             workflow_shell* reply_to = nullptr);
  void follow(result<membership::step> step);

  void act_on(const node_came& a);
  void act_on(const node_returned& a);
  void act_on(const node_gone& a);
  void act_on(const node_changed& a);
  void act_on(const refuse_connection& a);
  void act_on(const stop_all_of& a);

  void hear(connection_key c, const std::string& frame);
  void hear(connection_key c, const std::string& name, node_hello& m);
  void hear(connection_key c, const std::string& name, node_beat& m);
  void hear(connection_key c, const std::string& name, node_outcome& m);
  void hear(connection_key c, const std::string& name, node_leaving& m);
  void hear(connection_key c, const std::string& name, node_report& m);
  void hear(connection_key c, const std::string& name, service_word& m);
  template <class Other>
  void hear(connection_key, const std::string& name, Other&) {
    world_.violate("{} speaks like a coordinator", name);
  }

  services& services_;
  std::optional<membership> core_;
  blame_matrix blame_{blame_matrix::options{}};
  std::set<std::string> keys_;
  step_queue<consequence> steps_;
  std::map<std::string, remote_node> nodes_;
  std::map<connection_key, std::vector<held_attempt>> hellos_;
  std::map<attempt, claim_lease> claims_;
  std::map<attempt, late_outcome> unclaimed_;
  timestamp claims_end_;
  worker_key last_key_ = worker_key{1} << 32;
  std::map<std::uint64_t, asked> orders_;
  std::uint64_t last_order_ = 0;
};

// ---- WORKFLOW: actors/workflow_actor.cpp ------------------------------------------------

struct worker_granted {
  std::uint32_t shard = 0;
  worker_key worker = 0;
  std::string node, fingerprint;
  remote_worker_shell* handle = nullptr;
  grant_number grant = 0;
};

class workflow_shell final : public actor {
public:
  workflow_shell(services& s, run_id run);

  void granted(const worker_granted& m);
  void work_refused(std::uint32_t shard, const std::vector<std::string>& reasons);
  void attempt_moved(std::uint32_t shard, std::uint32_t epoch, const watermark& mark);
  void attempt_ended(std::uint32_t shard, attempt_outcome outcome, noted_fn noted);
  void input_blamed(std::uint32_t shard, std::string report);
  void lease_found(std::uint32_t shard, std::uint32_t epoch, remote_worker_shell* handle);
  void lease_missing(std::uint32_t shard, std::uint32_t epoch, const std::string& why);
  void publish_done(std::uint32_t job, result<std::vector<published_file>> files);
  void cancel(std::string why);

  [[nodiscard]] run_id run() const { return run_; }
  /// It quit because the store refused a step.
  [[nodiscard]] bool was_refused() const { return was_refused_; }

private:
  struct consequence {
    std::vector<run_action> actions;
    noted_fn noted;
  };
  struct lease {
    std::string node;
    remote_worker_shell* handle = nullptr;
    grant_number grant = 0;
  };
  using attempt = std::pair<std::uint32_t, std::uint32_t>;

  void begin();
  void apply(run_machine::step step, noted_fn noted = {});
  void flush();
  void act_on(const offer_shard& a);
  void act_on(const start_shard& a);
  void act_on(const decline_worker& a);
  void act_on(const stop_shard& a);
  void act_on(const withdraw_shard& a);
  void act_on(const await_lease& a);
  void act_on(const plan_run& a);
  void act_on(const publish_job& a);
  void act_on(const finish_run& a);
  void watch_worker(remote_worker_shell* w);
  void break_leases(remote_worker_shell* w);
  void report(std::uint32_t shard, const attempt_outcome& outcome);
  void look_around();
  void replace_lost_build();
  void retry_publishing(std::uint32_t job, const error& e);
  [[nodiscard]] bool has_artifact(std::string_view sha256) const;

  services& services_;
  run_id run_;
  std::optional<run_machine> machine_;
  progress_meter meter_;
  step_queue<consequence> steps_;
  std::map<worker_key, lease> granted_;
  std::map<attempt, lease> leases_;
  std::set<remote_worker_shell*> watched_;
  std::map<std::uint32_t, int> publish_attempts_;
  timestamp build_missed_;
  std::shared_ptr<commit_chain> chain_ = std::make_shared<commit_chain>();
  bool was_refused_ = false;
};

// ---- PLACER: actors/placer.cpp, actors/watch_desk.cpp --------------------------------------

class placer_shell final : public actor {
public:
  explicit placer_shell(services& s);

  void node_placeable(placement_node n, const std::string& ended);
  void node_hosting(const std::string& node, std::vector<hosted_service> hosted);
  void node_says(const std::string& node, const service_word& word);

  [[nodiscard]] const placement& core() const { return *core_; }
  [[nodiscard]] std::string restlessness() const; ///< "" when all is in its place

private:
  void apply(placement::step step);
  void write(changes record, std::uint64_t token);
  void flush();
  void act_on(const tell_host& a);
  void act_on(const tell_end& a);
  void say(const std::string& node, cluster_message word);
  void answer(const std::string& node, const service_word& to, const watch_answer& what);
  void book(const std::vector<settled_report>& reports, const std::string& node,
            std::function<void(bool)> done);
  [[nodiscard]] std::vector<std::uint32_t> unbooked(const watch_question& m) const;
  void tick();
  void host_here(std::uint64_t epoch);
  void scan_here(std::uint64_t epoch);

  services& services_;
  std::optional<placement> core_;
  step_queue<std::vector<placement_action>> steps_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> in_hand_; ///< epoch, number
  std::optional<watch_shell> here_;
  std::uint64_t here_epoch_ = 0;
};

// ---- COORDINATOR: actors/coordinator.cpp --------------------------------------------------

class run_keeper final : public actor {
public:
  explicit run_keeper(services& s);

  void late(late_outcome m);
  void run_ended(run_id run);
  void cancel(run_id run, std::string why);
  /// What a watcher found, on `node` ("" = here).
  void book(const std::vector<settled_report>& reports, const std::string& node,
            const std::function<void(bool)>& done);

  [[nodiscard]] std::string restlessness() const;
  [[nodiscard]] bool knows_all_inputs() const;

private:
  void remember(const run_record& run);
  void spawn_run(run_id run);
  void on_run_down(workflow_shell* who);
  void give_late(workflow_shell* to, late_outcome m);

  services& services_;
  catalog definitions_;
  std::map<std::string, std::set<run_id>> runs_of_object_;
  std::map<run_id, std::string> object_of_run_;
  std::map<run_id, workflow_shell*> live_;
  std::map<run_id, int> restarts_;
  std::set<std::string> being_booked_;
  using attempt = std::pair<std::uint32_t, std::uint32_t>; ///< shard, epoch
  std::map<run_id, std::map<attempt, late_outcome>> late_; ///< until their runs are there
};

// ---- PUBLISHER: actors/publisher.cpp ----------------------------------------------------

class publisher_shell final : public actor {
public:
  explicit publisher_shell(services& s) : actor(s.on.w, s.self), services_(s) {}

  struct publish_order {
    run_record run;
    job_record job;
    std::vector<std::vector<result_file>> files;
    workflow_shell* reply_to = nullptr;
  };
  void publish(publish_order order);

private:
  struct target {
    result_file file;
    std::string key;
    generation made;
    bool is_there = false;
  };
  void book(std::shared_ptr<publish_order> order, std::vector<target> targets);
  void rename(std::shared_ptr<publish_order> order, std::vector<target> targets,
              std::size_t next);
  void answer(const publish_order& order, result<std::vector<published_file>> files);
  [[nodiscard]] bool already_there(const publish_order& order, const std::string& key,
                                   const result_file& file) const;

  services& services_;
  bool is_busy_ = false;
  std::deque<publish_order> queue_;
};

// ---- The process ------------------------------------------------------------------------

/// The coordinator's machine and daemon. Owned by the schedule.
class coordinator {
public:
  explicit coordinator(stage s);

  void start();
  void crash();
  void freeze();
  void thaw();
  /// The next commits fail.
  void refuse_commits(std::size_t n);
  [[nodiscard]] bool is_up() const { return process_.is_up; }
  [[nodiscard]] bool is_frozen() const { return process_.is_frozen; }
  [[nodiscard]] services& life() { return *services_; }
  [[nodiscard]] timestamp began() const { return began_; }

private:
  stage stage_;
  process process_;
  store_door door_;
  std::unique_ptr<services> services_;
  timestamp began_;
};

} // namespace framemill::sim
