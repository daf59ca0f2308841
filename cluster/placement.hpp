#pragma once

#include "cluster/membership.hpp"
#include "cluster/protocol.hpp"
#include "core/change.hpp"
#include "core/service.hpp"

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace framemill {

/// How far a node may be given services now.
enum class node_standing : std::uint8_t {
  open,     ///< up and active: any
  keeping,  ///< paused, or its connection broke a moment ago: keeps what it has
  doubtful, ///< cordoned: keeps what no other node can have
  closed,   ///< here, but draining or stopping: none
  away,
};
[[nodiscard]] node_standing standing_of(const membership::view& v);

struct placement_node {
  std::string name;
  bool is_here = false; ///< the coordinator's own machine
  node_standing standing = node_standing::away;
  std::string why_not;              ///< of a standing that is not open: "it is away"
  std::vector<std::string> kinds;   ///< of services that it can host
  std::vector<std::string> buckets; ///< mounted there, as their sentinels prove
};

/// Where a service shall be. `any`: on another node, on the coordinator while
/// there is none. `node`: on that one; elsewhere while it is not there.
struct service_wish {
  enum class place : std::uint8_t { coordinator, any, node };
  place where = place::coordinator;
  std::string node;
  bool operator==(const service_wish&) const = default;
};
/// "coordinator", "any", or a node's name.
[[nodiscard]] result<service_wish> parse_wish(const std::string& text);
[[nodiscard]] std::string to_text(const service_wish& w);

struct service_spec {
  service_id id;
  std::string payload; ///< for its host
  std::string bucket;  ///< that its host must have mounted; "" = none
  service_wish wish;
};

// What the PLACER shall say, once `record` of the step is durable.
struct tell_host {
  std::string node;
  host_service order;
};
struct tell_end {
  std::string node;
  end_service order;
};
using placement_action = std::variant<tell_host, tell_end>;

/// Which node hosts which service. Pure; owned by the PLACER; only the leader
/// has one. A placement is a durable record with an epoch that grows with each:
/// words of a former host are refused by it. A service stays where it is until
/// its host is gone, drains, stops, is cordoned, has not mounted what it needs,
/// or has had a problem for a while that another node may not have; and goes
/// where it is wished once that has been possible for a while. Of several nodes
/// it goes to the one that is wished, has the fewest services, is not the
/// coordinator. The records outlive the coordinator: hosts that go on with what
/// they have are waited for, and keep it.
class placement {
public:
  struct options {
    std::chrono::milliseconds claims_last{5000};      ///< after `begin`: hosts may come
    std::chrono::milliseconds return_after{5000};     ///< so long a better node must be open
    std::chrono::milliseconds problem_patience{5000}; ///< before it goes elsewhere
    std::chrono::milliseconds unfit_for{60'000};      ///< a node that had a problem
    std::chrono::milliseconds tell_again_after{1000};
  };
  struct step {
    changes record;
    std::vector<placement_action> actions;
  };

  explicit placement(std::vector<service_record> records) : placement(std::move(records), {}) {}
  placement(std::vector<service_record> records, options o);

  // ---- what there is to do ------------------------------------------------------------
  /// First, once. Records of services that are not wanted any more are erased.
  [[nodiscard]] step begin(timestamp now, std::vector<service_spec> wanted);
  /// New, or as it shall be from now on.
  [[nodiscard]] step want(timestamp now, service_spec spec);
  [[nodiscard]] step unwant(const service_id& id);

  // ---- nodes -------------------------------------------------------------------------
  /// All about one, whenever something changes.
  [[nodiscard]] step node_known(timestamp now, placement_node n);
  /// Its life ended, and with it what it hosted; `n` is how it is now, perhaps
  /// in another life.
  [[nodiscard]] step node_ended(timestamp now, placement_node n, const std::string& why);
  /// What it says it hosts, in a hello and whenever that changes.
  [[nodiscard]] step node_hosts(timestamp now, const std::string& node,
                                std::vector<hosted_service> hosted);
  /// At least every second.
  [[nodiscard]] step tick(timestamp now);

  /// What the store refused, to be written again: as it is by now.
  [[nodiscard]] changes renewed(changes refused) const;

  // ---- looking -----------------------------------------------------------------------
  /// Does that node speak for the service? Else `tell_end` is the answer.
  [[nodiscard]] bool is_host(const std::string& node, const service_id& id,
                             std::uint64_t epoch) const;
  struct view {
    service_spec spec;
    service_record record;
    bool is_confirmed = false; ///< its host says that it has it
    std::string problem;       ///< as its host says
  };
  [[nodiscard]] std::vector<view> services() const; ///< by id
  /// By name: "" for a node that could have it now, else why not.
  [[nodiscard]] std::map<std::string, std::string> verdicts(const service_id& id) const;

private:
  struct placed {
    service_spec spec;
    service_record record;
    std::uint64_t seen_epoch = 0; ///< the greatest that any node spoke of
    bool is_confirmed = false;
    bool is_told = false; ///< in this life of the coordinator
    timestamp told;
    std::string lost; ///< why it must be placed anew
    std::string problem;
    timestamp problem_since;
    std::map<std::string, timestamp> unfit_since; ///< by node
  };
  struct known_node {
    placement_node is;
    timestamp open_since;
  };

  [[nodiscard]] std::string obstacle(const placed& s, const placement_node& n) const;
  [[nodiscard]] const known_node* best(const placed& s, timestamp now) const;
  [[nodiscard]] bool is_unfit(const placed& s, const std::string& node, timestamp now) const;
  [[nodiscard]] bool waits_for_host(const placed& s, timestamp now) const;
  [[nodiscard]] std::string why_leave(const placed& s) const;
  [[nodiscard]] std::size_t load_of(const placed& s, const std::string& node) const;
  void update(timestamp now, placement_node n);
  void decide_all(step& out, timestamp now);
  void decide(step& out, timestamp now, placed& s);
  void improve(step& out, timestamp now, placed& s, const known_node& host);
  void move(step& out, timestamp now, placed& s, const std::string& host, std::string reason);
  void confirm(step& out, timestamp now, const std::string& node, const hosted_service& h);
  static void tell(step& out, timestamp now, placed& s);
  void tell_unconfirmed(step& out, timestamp now);

  options options_;
  std::map<service_id, placed> services_;
  std::vector<service_record> records_; ///< until `begin`
  std::map<std::string, known_node> nodes_;
  timestamp began_;
};

} // namespace framemill
