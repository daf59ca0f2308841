#pragma once

#include "cluster/attempt_book.hpp"
#include "cluster/service_book.hpp"
#include "tests/sim/machines.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/watch_shell.hpp"

#include <functional>

namespace framemill::sim {

/// A worker node: NODE AGENT and TASK WORKERs as in actors/node_agent.cpp and
/// actors/task_worker.cpp, around the real attempt_book; their children only
/// take time. Owned by the schedule.
class node final : public endpoint {
public:
  node(stage s, std::string name, node_facts facts);

  // ---- its life
  void start();
  void crash();
  void stop_in_order(); ///< systemctl stop
  void freeze();
  void thaw();
  /// A TASK WORKER dies with what it works on.
  void lose_worker(std::uint32_t slot);
  /// Its BUCKET WATCHER dies with what it knows.
  void lose_watcher();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] bool is_up() const { return process_.is_up; }
  [[nodiscard]] bool is_frozen() const { return process_.is_frozen; }
  [[nodiscard]] bool is_quiet() const;
  [[nodiscard]] bool watches() const { return watch_.has_value(); }
  /// Told for good that it is not wanted: needs a token to come back.
  [[nodiscard]] bool is_outcast() const { return is_outcast_; }
  void enrolled() { is_outcast_ = false; }

  // ---- its machine
  bool disk_is_full = false;
  bool breaks_children = false;
  bool mount_is_gone = false;
  int slowness = 1;
  std::string self_test;
  node_facts facts;

private:
  struct slot {
    std::optional<assign_attempt> job;
    std::int64_t serial = 0;
    std::uint64_t child = 0;
    bool is_running = false; ///< its child is there, and can be stopped
    bool is_stopping = false;
  };

  // endpoint
  void on_up(connection_key c) override;
  void on_frame(connection_key c, const std::string& frame) override;
  void on_gone(connection_key c) override;

  // NODE AGENT
  void say(cluster_message word);
  void say_hello();
  void beat();
  void act(const attempt_book::actions& actions);
  void act_on(const start_attempt& a);
  void act_on(const kill_attempt& a);
  void act_on(const tell_outcome& a);
  void hear(const node_welcome& m);
  void hear(const node_refused& m);
  void hear(const coordinator_beat&) {}
  void hear(const assign_attempt& m);
  void hear(const stop_held& m);
  void hear(const outcome_noted& m);
  void hear(const node_order& m);
  void hear(const host_service& m);
  void hear(const end_service& m);
  void hear(const service_answer& m);
  template <class Other>
  void hear(const Other&) {
    stage_.w.violate("{} heard the word of a node", name_);
  }
  void end_life();

  // SERVICE HOST and BUCKET WATCHER: actors/service_host.cpp
  void act(const service_book::actions& actions);
  void act_on(const begin_service& a);
  void act_on(const cease_service& a);
  void act_on(const say_word& a);
  void scan(std::uint64_t epoch);
  void say(const watch_word& word, const std::string& topic,
           std::function<void(const watch_answer&)> answered);

  // TASK WORKER
  void later(microseconds delay, std::uint32_t slot, void (node::*what)(std::uint32_t));
  void execute(std::uint32_t slot, assign_attempt order);
  void fetch(std::uint32_t slot);
  void run_child(std::uint32_t slot);
  void child_ended(std::uint32_t slot);
  void deliver(std::uint32_t slot, std::vector<result_file> files, int tries);
  void stop_child(std::uint32_t slot);
  void finish(std::uint32_t slot, std::optional<error> failure,
              std::vector<result_file> files = {});
  [[nodiscard]] std::optional<error> failure_of_child(const slot& s);
  [[nodiscard]] std::vector<result_file> files_of(const assign_attempt& order) const;
  [[nodiscard]] timestamp uptime() const { return stage_.w.now(); }

  stage stage_;
  std::string name_, key_;
  process process_;
  std::string boot_;
  std::optional<attempt_book> book_;
  std::optional<service_book> services_;
  std::optional<watch_shell> watch_;
  std::uint64_t watch_epoch_ = 0;
  std::map<std::uint64_t, std::function<void(const watch_answer&)>> waiting_; ///< by number
  std::uint64_t books_term_ = 0; ///< of what the watcher remembers
  std::uint64_t beats_ = 0;
  std::vector<slot> slots_;
  std::uint64_t term_ = 0, sequence_ = 0;
  bool is_connected_ = false, is_welcome_ = false, is_leaving_ = false, is_outcast_ = false;
  timestamp heard_;
};

} // namespace framemill::sim
