#pragma once

#include "cluster/fleet.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace framemill {

/// A shard that waits for a slot.
struct shard_offer {
  shard_id id;
  std::uint64_t workflow = 0;    ///< fair share is per workflow
  double weight = 1;             ///< of the workflow: twice the weight, twice the share
  std::int32_t priority = 0;     ///< −10..10
  timestamp since;               ///< of the run: older ones go first
  bool first = false;            ///< serial work (audio, probe): before its siblings
  double cost = 1;               ///< predicted CPU seconds
  // What it takes of its node as long as it runs.
  std::int64_t memory_bytes = 0;
  std::int64_t scratch_bytes = 0;
  std::int64_t cores = 1;        ///< threads that work at once; at least 1
  std::int64_t sessions = 0;     ///< of `device`
  // What a node must have.
  std::string fingerprint;       ///< "" = any
  std::string device;            ///< "" = none
  std::map<std::string, std::string> labels;
  // What is better, but never leaves a slot idle; the first is worth most.
  std::string near_node;         ///< the node where the inputs are
  std::map<std::string, std::string> preferred_labels; ///< a node that has them all
  std::string bucket;            ///< a node that has it mounted
  std::vector<std::string> avoid_nodes; ///< failed there; only if no other can take it
};

/// What it takes of its node.
[[nodiscard]] room size_of(const shard_offer& o);

/// A decision: this shard goes to that worker.
struct shard_grant {
  shard_id shard;
  worker_key worker = 0;
  std::string node;
};

/// What a node says to a shard that waits.
struct node_objections {
  std::string node;
  std::vector<std::string> why_not; ///< empty: it could begin there
  bool preferred = false;           ///< by its labels
};

/// An answer looks at no more shards than these: nobody works meanwhile.
inline constexpr std::size_t explain_ahead_max = 100'000;

struct queue_explanation {
  /// 1 = the next one. explain_ahead_max + 1 stands for all that are further back.
  std::size_t position = 0;
  std::size_t waiting = 0;  ///< shards in the queue, this one included
  std::string why;          ///< as `why_waiting`
  std::string needs;        ///< "2 cores, 120 MiB, one session of gpu0, label zone=a"
  std::vector<node_objections> nodes; ///< by name
  /// If what runs and what is ahead takes as long as predicted, a CPU second a
  /// second. Nothing: no node can take it now, or it is too far back to tell.
  std::optional<timestamp> expected_start;
};

/// Who works on what next, and where. Pure and deterministic; owned by the
/// SCHEDULER actor. Highest effective priority first (a point more for every
/// `ageing_step` waited, so that nothing starves), then serial work, then the
/// workflow that has had least CPU for its weight so far (fair share), then the
/// oldest run. A shard goes to the node with the most free memory among those
/// that have what it needs, or to one that is nearer to its data or preferred.
///
/// A shard that cannot go is passed by (back-fill), but not for ever: after
/// `passes_max` grants (fewer where few nodes could take it) at nodes that lacked
/// only the room for it, a node is kept free for it until there is room. A shard
/// that is larger than any node gets a whole one.
///
///   offer → queue (like needs) → line (one workflow) → place (band, since)
///
/// All that wait age alike, so that ageing changes nobody's place: an offer's
/// place is found once, when it comes. Offers with like needs (the same nodes and
/// cores, memory to a quarter of an octave, scratch to an octave) stand in one queue;
/// when its first cannot go, none of it goes. A decision goes through the queues
/// from the best one on, until what became free is taken; one that could not go
/// is *stuck*, and is only asked about the nodes that have more room since. So
/// the cost grows with the kinds of needs that cannot be met now, not with the
/// offers. A queue's listed rank may flatter it, since its workflow has been
/// served from other queues meanwhile, and is put right when it comes to the
/// front; it is never too bad, since `used` only grows.
class scheduler {
public:
  struct options {
    microseconds ageing_step{60'000'000};
    int passes_max = 100;
    int passes_per_node = 8; ///< that could take it; what is less counts
  };
  explicit scheduler(options o) : options_(o) {}
  scheduler(scheduler&&) = default; // its parts point at each other: no copies
  scheduler& operator=(scheduler&&) = default;

  /// Adds a node, or says anew what it has.
  void set_node(scheduler_node n);
  /// Its workers are gone with it.
  void remove_node(const std::string& name);
  /// How full its disk is now (`scheduler_node::scratch_left`).
  void set_scratch_left(const std::string& node, std::int64_t bytes);
  /// `use`: it is at work already (a coordinator that begins again adopts it).
  /// Until `set_node` has told of its node, it gets no work.
  void add_worker(const worker_slot& w, const std::optional<reservation>& use = {});
  void remove_worker(worker_key w);
  void offer(shard_offer o);
  /// Forgets an offer that was not granted. False: it is granted or unknown.
  bool withdraw(shard_id id);
  void withdraw_run(run_id run);
  /// The worker is idle again.
  void release(worker_key w);

  /// As many grants as workers and room allow; each worker is reserved until
  /// `release`.
  [[nodiscard]] std::vector<shard_grant> decide(timestamp now);

  [[nodiscard]] bool has_node(const std::string& name) const;
  [[nodiscard]] std::size_t ready() const { return offers_.size(); }
  [[nodiscard]] std::size_t busy() const { return fleet_.busy(); }
  [[nodiscard]] std::size_t workers() const { return fleet_.slots(); }
  /// Idle slots that would take work.
  [[nodiscard]] std::size_t idle_workers() const;
  /// The most that a node with slots offers.
  [[nodiscard]] std::int64_t cores_of_widest() const;
  /// Is there an idle slot on none of `nodes`?
  [[nodiscard]] bool has_idle_elsewhere(const std::vector<std::string>& nodes) const;

  // Questions about one shard; they look at all nodes, `explain` at what is ahead.
  /// Why it waits, in one sentence; "" when it is not waiting.
  [[nodiscard]] std::string why_waiting(shard_id id) const;
  /// Nothing when it is not waiting.
  [[nodiscard]] std::optional<queue_explanation> explain(shard_id id, timestamp now) const;
  /// The reasons when no node that is known could ever take it, even with all
  /// of it free; {} when one could, or none is known. A node that takes no work
  /// now may later. Too few cores are no reason: it is only slower, alone there.
  [[nodiscard]] std::vector<std::string> why_never(const shard_offer& o) const;

  /// Queues that `decide` has looked at so far: what deciding costs, counted.
  [[nodiscard]] std::uint64_t looked() const { return looked_; }

private:
  struct line;
  struct queue;

  struct waiting {
    line* in = nullptr;
    std::int64_t band = 0; ///< ageing steps; a point of priority is worth one
    std::int64_t since_us = 0;
    room size;
    double cost = 0;
    double charge = 0; ///< to the workflow's share: cost by weight
    bool after_serial = false;
    // Better ones of the able nodes; may be null.
    node_group *liked_near = nullptr, *liked = nullptr, *near = nullptr;
    std::string near_node;
    std::vector<std::string> avoid; ///< sorted
  };
  using offers = std::map<shard_id, waiting>;
  struct by_place {
    bool operator()(offers::iterator a, offers::iterator b) const;
  };
  struct rank {
    std::int64_t band = 0;
    bool after_serial = false;
    double used = 0;
    std::int64_t since_us = 0;
    shard_id id;
    auto operator<=>(const rank&) const = default;
  };
  struct share {
    double used = 0; ///< CPU seconds by weight
    std::size_t waiting = 0;
  };
  struct line {
    queue* of = nullptr;
    std::uint64_t workflow = 0;
    const share* account = nullptr;
    std::set<offers::iterator, by_place> places; ///< never empty
    std::optional<rank> listed;
  };
  struct needs {
    node_group* able = nullptr; ///< nodes that may take it
    int memory_level = 0, scratch_level = 0;
    std::int64_t cores = 1, sessions = 0;
    std::uint32_t avoid_lane = 0;
    auto operator<=>(const needs&) const = default;
  };
  struct queue {
    needs need;
    std::map<std::uint64_t, line> lines;      ///< by workflow; never empty
    std::set<std::pair<rank, line*>> order;
    std::optional<rank> listed;
    bool is_stuck = false;          ///< its first could go nowhere at the last look
    int passes = 0;                 ///< grants that went past its first for lack of room
    fleet_node* claim = nullptr;    ///< kept free for it
  };
  /// On what terms the first of a queue may have a node.
  struct terms {
    bool elsewhere = true; ///< only where it has not failed
    bool alone = false;    ///< no node has room for it: it may have an empty one
  };

  // Places and ranks.
  void join_better(waiting& w, const shard_offer& o);
  [[nodiscard]] line& line_of(const shard_offer& o, const waiting& w);
  [[nodiscard]] static offers::iterator first_of(const queue& q);
  [[nodiscard]] static rank rank_of(const line& l);
  void list(line& l);
  bool list(queue& q); ///< true: it has moved
  bool settle(queue& q);
  void remove(offers::iterator at);
  void drop(line& l);
  void drop(queue& q);
  // Shares.
  void join_in(std::uint64_t workflow);
  void charge(std::uint64_t workflow, double cost);
  void leave(std::uint64_t workflow);
  // Nodes.
  [[nodiscard]] static const std::string& device_of(const waiting& w);
  [[nodiscard]] static terms terms_of(const waiting& w);
  [[nodiscard]] static bool may_use(const waiting& w, const fleet_node& n, terms t);
  [[nodiscard]] static bool fits(const waiting& w, const fleet_node& n, terms t);
  [[nodiscard]] static bool could_fit(const waiting& w, const fleet_node& n, terms t);
  [[nodiscard]] static fleet_node* first_fit(const node_group& g, const waiting& w, terms t);
  [[nodiscard]] fleet_node* near_fit(const waiting& w, terms t);
  [[nodiscard]] fleet_node* pick_node(const queue& q);
  [[nodiscard]] shard_grant reserve(queue& q, fleet_node& n, timestamp now);
  // What has changed.
  void set_stuck(queue& q, bool stuck);
  void note_room(fleet_node& n);
  void note_change();
  [[nodiscard]] bool has_news() const;
  [[nodiscard]] bool is_worth_a_look(const queue& q) const;
  // Those that are passed by.
  [[nodiscard]] int passes_max(const queue& q) const;
  void count_pass(const std::vector<queue*>& passed, const fleet_node& n);
  void claim(queue& q);
  void drop_claim(queue& q);
  void drop_void_claim(const std::string& node);
  // Explaining.
  [[nodiscard]] static std::vector<hindrance> hindrances(const waiting& w,
                                                         const fleet_node& n);
  [[nodiscard]] std::vector<const waiting*> ahead_of(offers::const_iterator at) const;
  [[nodiscard]] std::optional<timestamp>
  expected_start(const waiting& w, const std::vector<const waiting*>& ahead,
                 timestamp now) const;

  options options_;
  fleet fleet_;
  offers offers_;
  std::map<needs, queue> queues_;                ///< of the offers
  std::set<std::pair<rank, queue*>> front_;      ///< all queues, by their listed ranks
  std::map<const fleet_node*, queue*> claims_;
  // Since the last decision there is more room at these few, or anywhere.
  static constexpr std::size_t roomier_max = 8;
  std::vector<fleet_node*> roomier_;
  bool all_changed_ = false;
  std::size_t fresh_ = 0; ///< queues that are not stuck
  std::map<std::uint64_t, share> shares_;        ///< by workflow
  std::set<std::pair<double, std::uint64_t>> levels_; ///< `used` of those that wait
  double level_ = 0; ///< `used` of the workflow granted last, before that grant
  std::uint64_t looked_ = 0;
};

} // namespace framemill
