#pragma once

#include "core/id.hpp"
#include "core/node.hpp"
#include "core/time.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

using worker_key = std::uint64_t;

struct worker_slot {
  worker_key key = 0;
  std::string node;
};

/// A node as the SCHEDULER knows it.
struct scheduler_node {
  std::string name;
  std::int64_t cores = 0;         ///< for all that runs there together; 0 = unlimited
  std::int64_t memory_bytes = 0;  ///< likewise
  std::int64_t scratch_bytes = 0; ///< likewise, when nothing else fills the disk
  std::optional<std::int64_t> scratch_left; ///< of it, as the disk is filled now; 0 and
                                            ///< below: it is down to its floor
  std::map<std::string, std::string> labels;
  std::string fingerprint;
  std::map<std::string, std::int64_t> devices; ///< and their sessions at once
  std::vector<std::string> buckets; ///< names of those it has mounted
  bool told = true;                 ///< false: it has never said what it has
  bool takes_work = true;
  std::string why_not;              ///< when it takes none: "draining"
};

/// By what it tells itself; labels and whether it takes work are not in it.
[[nodiscard]] scheduler_node offered_by(std::string name, const node_facts& facts);
/// Of free bytes that stay so: is the change worth telling?
[[nodiscard]] bool is_scratch_news(std::int64_t told, std::int64_t now);

/// What a shard takes of a node, or what is there for it.
struct room {
  std::int64_t memory_bytes = 0;
  std::int64_t scratch_bytes = 0;
  std::int64_t cores = 0;    ///< threads that work at once
  std::int64_t sessions = 0; ///< of the device that the shard must have
  /// What writes nothing needs no scratch, however full the disk is.
  [[nodiscard]] bool holds(const room& r) const;
};

/// What a slot is reserved for.
struct reservation {
  shard_id shard;
  room size;
  std::string device; ///< that `size.sessions` are of
  double cost = 0;    ///< predicted CPU seconds
  timestamp since;
};

/// What a node must have; "" and {} = nothing.
struct requirement {
  std::string fingerprint;
  std::string device;
  std::string bucket;
  std::map<std::string, std::string> labels;
  auto operator<=>(const requirement&) const = default;
};

/// Why work does not begin at a node. The first ones keep it from there for
/// good, the later ones for now.
enum class hindrance : std::uint8_t {
  other_fingerprint,
  no_device,
  no_mount,
  no_label,
  too_little_memory,  ///< in all
  too_little_scratch, ///< in all
  too_few_cores,      ///< in all
  takes_no_work,
  failed_there,
  no_slots,
  slots_busy,
  memory_reserved,
  scratch_reserved,
  scratch_floor, ///< its disk is too full
  cores_busy,
  device_busy,
  not_alone,   ///< no node is large enough: it gets a whole one
  kept_free,   ///< for a shard that was passed by too often
};

struct node_group;

/// A node, its slots, and what they are reserved for.
struct fleet_node {
  /// Where a node stands in a group: the most free memory first.
  struct spot {
    std::int64_t memory_bytes = 0;
    std::size_t busy = 0;
    fleet_node* node = nullptr;
    [[nodiscard]] bool operator<(const spot& o) const;
  };

  scheduler_node facts;
  std::set<worker_key> slots, idle;
  room reserved;                      ///< but for sessions
  std::map<std::string, std::int64_t> sessions_reserved; ///< by device
  bool told = false;                  ///< false: only its slots have come, or not even they
  bool kept_free = false;
  std::vector<node_group*> groups;    ///< it meets their requirements
  std::optional<spot> offered;        ///< in their `idle`

  [[nodiscard]] std::size_t busy() const { return slots.size() - idle.size(); }
  [[nodiscard]] bool is_in(const node_group& g) const;
  [[nodiscard]] bool is_at_scratch_floor() const;
  /// For shards that must have the device ("" = none).
  [[nodiscard]] room total(const std::string& device) const;
  [[nodiscard]] room free(const std::string& device) const; ///< negative when more was
                                                            ///< tried than there is
};

/// The nodes that meet a requirement, take work and have slots.
struct node_group {
  requirement must;
  std::set<fleet_node::spot> members; ///< by their memory in all
  std::set<fleet_node::spot> idle;    ///< with an idle slot, by their free memory
  std::size_t users = 0;

  /// Is any large enough, when nothing else runs there? Those in `but` do not count.
  [[nodiscard]] bool has_room(const room& r, const std::vector<std::string>& but) const;
  /// Are there others than those in `but`?
  [[nodiscard]] bool has_others(const std::vector<std::string>& but) const;
};

/// What a node lacks for good, or for as long as it takes no work.
[[nodiscard]] std::vector<hindrance> lacking(const scheduler_node& n, const requirement& must);

/// All nodes and slots, found by what a node has and by what is free there, so
/// that asking for the best node costs about the logarithm of their number.
/// Pure; part of the scheduler, which alone decides.
class fleet {
public:
  fleet() { everybody_ = &join({}); }
  fleet(fleet&&) = default; // its parts point at each other: no copies
  fleet& operator=(fleet&&) = default;

  /// Adds a node, or says anew what it has; its slots and reservations stay.
  void set_node(scheduler_node n);
  /// `scratch_left` of a node. Null when it is unknown.
  fleet_node* set_scratch_left(const std::string& name, std::int64_t bytes);
  void remove_node(const std::string& name);
  /// A slot, already at work if `use` says so. A node that nobody has told of
  /// takes no work yet. One that joins again has lost what it had.
  void add_slot(const worker_slot& w, const std::optional<reservation>& use);
  std::string remove_slot(worker_key w); ///< returns its node; "" = unknown

  /// Takes an idle slot of the node: it must have one.
  worker_key reserve(fleet_node& n, const reservation& r);
  fleet_node* release(worker_key w); ///< its node; null = it was unknown or idle
  /// Takes it out of every group's `idle`, or puts it back.
  void keep_free(fleet_node& n, bool kept);

  /// The group that meets it, in use until `leave`.
  [[nodiscard]] node_group& join(const requirement& must);
  void leave(node_group& g);

  [[nodiscard]] fleet_node* find(const std::string& name);
  [[nodiscard]] const std::map<std::string, fleet_node>& nodes() const { return nodes_; }
  [[nodiscard]] const node_group& everybody() const { return *everybody_; }
  [[nodiscard]] std::size_t slots() const { return slots_.size(); }
  [[nodiscard]] std::size_t busy() const { return busy_.size(); }
  [[nodiscard]] const std::map<worker_key, reservation>& reservations() const { return busy_; }

private:
  /// Unused groups that are kept, so that one offer at a time is cheap too.
  static constexpr std::size_t groups_kept_max = 64;

  static void enter(fleet_node& n, node_group& g);
  void occupy(fleet_node& n, worker_key w, const reservation& r);
  void enter_groups(fleet_node& n);
  void leave_groups(fleet_node& n);
  void refile(fleet_node& n);

  std::map<std::string, fleet_node> nodes_;
  std::map<worker_key, fleet_node*> slots_;
  std::map<worker_key, reservation> busy_;
  std::map<requirement, node_group> groups_;
  node_group* everybody_ = nullptr; ///< requires nothing
};

} // namespace framemill
