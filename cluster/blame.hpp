#pragma once

#include "core/change.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace framemill {

/// How an attempt ended, as far as blame goes.
struct attempt_report {
  object_ref input;
  shard_id shard;
  std::uint32_t epoch = 0;
  std::string node;
  std::optional<error> failure;
};

/// The input brings down whatever works on it: give it to nobody else.
struct quarantine_input {
  object_ref input;
  std::vector<strike> strikes; ///< the newest of each node, by node
  std::string report;          ///< the same for people
};
/// The node fails what others can do: no new work for it, and a self-test.
struct cordon_node { std::string node; std::string reason; };
/// It passed its self-test: lift the cordon, if it was for doubt.
struct readmit_node { std::string node; };
/// It stays cordoned; only an operator lifts that.
struct keep_cordoned { std::string node; std::string reason; };
using blame_verdict = std::variant<quarantine_input, cordon_node, readmit_node, keep_cordoned>;

/// May this failure be the input's fault: does it crash, hang or eat the memory
/// of what works on it, or break what was planned?
[[nodiscard]] bool may_blame_input(errc code) noexcept;
/// May it be the machine's fault: the same, and failing disks.
[[nodiscard]] bool may_blame_node(errc code) noexcept;

/// Whose fault failures are: the input's or the node's. Pure and deterministic;
/// owned by the MEMBERSHIP actor. Never retries, stops or cordons anything.
///
///   failure                                          | input  | node
///   -------------------------------------------------+--------+-------
///   worker_crashed, worker_hung, no_memory,          |        |
///   contract_broken, internal                        | strike | strike
///   io_failed, corrupt                               |        | strike
///   all others: wrong input or configuration,        |        |
///   cancelled, killed, lost leases, cut links, full  |        |
///   disks (the scheduler reserves those)             |        |
///
///   then                                             | means
///   -------------------------------------------------+----------------------------
///   the input has strikes on 2 nodes (no_memory: of  | quarantine_input, each time
///   the same shard, which was given more meanwhile)  |
///   the shard succeeds on another node               | its strikes are the nodes':
///                                                    | they count against them now
///   the shard succeeds on the same node              | its strikes there are void
///   3 inputs count against a node                    | cordon_node; its strikes no
///                                                    | longer count against inputs
///   10 successes of a node                           | its oldest count is void
///   a failure on a node in doubt                     | nothing
///   the self-test passes                             | readmit_node, counts void;
///                                                    | keep_cordoned the third time
///   the self-test fails                              | keep_cordoned, or cordon_node
///   an hour                                          | all of it is forgotten
///
/// With one node there is never a verdict: the run's own budget of attempts
/// ends it. What is remembered is in the books (family `blame`): whoever asks
/// something of it writes `take_changes` before the verdicts are acted on.
class blame_matrix {
public:
  struct options {
    std::size_t nodes_per_input = 2; ///< with strikes: quarantine
    std::size_t inputs_per_node = 3; ///< failed here, succeeded elsewhere: cordon
    std::chrono::minutes window{60}; ///< strikes and counts older than this are void
    int successes_per_pardon = 10;
    std::size_t cordons_max = 3;     ///< so many in `cordons_window`: a passed
    std::chrono::hours cordons_window{24}; ///< self-test proves nothing
    std::size_t inputs_max = 4096;   ///< remembered; the longest quiet is forgotten
    std::size_t strikes_per_input_max = 64;
  };
  using verdicts = std::vector<blame_verdict>;

  explicit blame_matrix(options o) : options_(o) {}
  /// From the books, but for what is old by `now`.
  blame_matrix(timestamp now, std::vector<input_blame> inputs, std::vector<node_blame> nodes,
               options o);

  [[nodiscard]] verdicts ended(timestamp now, const attempt_report& r);
  /// `failure` is "" when it passed. Also for one that nobody asked for.
  [[nodiscard]] verdicts self_test(timestamp now, const std::string& node,
                                   const std::string& failure);
  /// An operator gives the input another chance.
  void release(const object_ref& input);
  /// An operator trusts the node, or it was removed.
  void forget(const std::string& node);

  /// The records that changed since this was asked last.
  [[nodiscard]] changes take_changes();
  /// What the store refused, to be written again: as it is by now.
  [[nodiscard]] changes renewed(changes refused) const;

  [[nodiscard]] bool in_doubt(const std::string& node) const;
  [[nodiscard]] std::size_t inputs() const { return inputs_.size(); }

private:
  using input_key = std::tuple<std::string, std::string, generation>;
  using strikes = std::vector<strike>; ///< oldest first, never empty but in between
  struct account {
    std::map<input_key, timestamp> counts; ///< inputs that failed here alone
    int successes = 0;                     ///< since the last pardon
    std::optional<timestamp> doubted;
    std::vector<timestamp> cordons;        ///< oldest first
  };

  [[nodiscard]] verdicts failed(timestamp now, const attempt_report& r);
  [[nodiscard]] verdicts succeeded(timestamp now, const attempt_report& r);
  void add_strike(timestamp now, const attempt_report& r);
  [[nodiscard]] verdicts judge_input(const object_ref& input) const;
  [[nodiscard]] verdicts judge_node(timestamp now, const strike& last);
  void pardon(const std::string& node);
  void doubt(timestamp now, const std::string& node);
  [[nodiscard]] bool is_excused(timestamp now, const std::string& node) const;
  [[nodiscard]] static input_key key_of(const object_ref& input);
  [[nodiscard]] input_blame record_of(const input_key& key) const;
  [[nodiscard]] node_blame record_of(const std::string& node) const;
  account& touch(const std::string& node);
  template <class Predicate>
  void drop_strikes(Predicate is_void);
  void drop_strikes_of(const std::string& node);
  void forget_old(timestamp now);
  void forget_longest_quiet();

  options options_;
  std::map<input_key, strikes> inputs_;
  std::map<std::string, account> nodes_;
  std::set<input_key> touched_inputs_; ///< not yet written
  std::set<std::string> touched_nodes_;
};

} // namespace framemill
