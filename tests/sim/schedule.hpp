#pragma once

#include "tests/sim/coordinator.hpp"
#include "tests/sim/node.hpp"

#include <set>

namespace framemill::sim {

/// One seed: a cluster, a workload, the faults that befall it until they stop,
/// and what must be so in the end. Throws `broken` at the first thing that must
/// not be.
class schedule {
public:
  schedule(std::uint64_t seed, rule broken_rule, bool traces);

  void run();

  [[nodiscard]] const std::vector<std::string>& trace() const { return world_.trace(); }
  struct sights {
    std::uint64_t steps = 0, runs = 0, succeeded = 0, failed = 0, cancelled = 0;
    std::uint64_t faults = 0, seconds = 0, excused = 0;
    truth::counts facts;
  };
  [[nodiscard]] sights seen() const;

private:
  using fault = void (schedule::*)();

  // ---- the beginning
  void define_workflow();
  void build_cluster();
  void land_inputs();
  [[nodiscard]] input_nature some_nature();

  // ---- faults, each with its own end
  void choose_faults();
  void next_fault();
  void cut_connection();
  void block_one_way();
  void block_both_ways();
  void crash_node();
  void freeze_node();
  void slow_node();
  void fill_disk();
  void break_children();
  void kill_worker();
  void jumble_frames();
  void kill_watcher();
  void lose_mount();
  void stop_node();
  void upgrade_node();
  void crash_coordinator();
  void freeze_coordinator();
  void skew_coordinator();
  void refuse_commits();
  void slow_store();
  void cancel_run();
  void replace_input();
  void cordon_node();
  void drain_node();
  void remove_node();
  void label_node();

  // ---- the end
  void heal();
  void nurse();
  [[nodiscard]] std::string restlessness();
  void check_end();
  void check_run(const real_run& r);
  void check_outputs(const real_run& r) const;
  [[nodiscard]] bool is_excused(const real_run& r) const;

  // ---- means
  [[nodiscard]] node& some_node() { return *world_.dice.pick(nodes_); }
  [[nodiscard]] microseconds a_while();
  void later(microseconds delay, std::function<void()> what);
  void ask_members(std::function<void(membership_shell&)> what);
  void enrol(node& n);
  void look_at_nodes();
  void run_until(timestamp until);

  world world_;
  truth facts_;
  network net_;
  machines disks_;
  stage stage_;
  coordinator coordinator_;
  std::vector<std::unique_ptr<node>> nodes_;
  std::vector<fault> faults_;
  std::map<std::string, timestamp> last_whole_;
  std::set<run_id> cancelled_;
  std::uint64_t tokens_ = 0, faults_told_ = 0;
  bool is_healed_ = false;
  sights seen_;
};

/// Runs a seed; "" when nothing is wrong, else what, and `trace` tells how.
[[nodiscard]] std::string try_seed(std::uint64_t seed, rule broken_rule,
                                   schedule::sights& seen);
[[nodiscard]] std::vector<std::string> trace_of(std::uint64_t seed, rule broken_rule);

} // namespace framemill::sim
