#pragma once

#include "cluster/transport.hpp"
#include "core/change.hpp"
#include "core/node.hpp"

#include <chrono>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace framemill {

// What MEMBERSHIP wants done, once `record` of the step is durable.
/// The node is there in a new life, on this connection: welcome it, make its
/// slots. What it held before this life is lost.
struct node_came { std::string name; connection_key connection; };
/// The same life on a new connection (a cut healed): welcome it; its slots and
/// leases are as they were.
struct node_returned { std::string name; connection_key connection; };
/// The node is lost, or left, or was removed: its leases are broken.
struct node_gone { std::string name; std::string why; };
/// Mode, labels or facts changed: its slots' eligibility follows.
struct node_changed { std::string name; };
/// Tell it why (unless empty), then break the connection.
struct refuse_connection { connection_key connection; std::string reason; bool final = false; };
/// The drain deadline passed: stop what it holds.
struct stop_all_of { std::string name; };
using membership_action = std::variant<node_came, node_returned, node_gone, node_changed,
                                       refuse_connection, stop_all_of>;

enum class node_presence : std::uint8_t { away, up, suspect };

/// Who belongs to the cluster and who is alive. Pure; owned by the MEMBERSHIP
/// actor; only the leader has one. A broken connection makes a node *suspect*
/// for `grace`, in which it may come back in the same life and keep its leases;
/// silence for `silence_max` (frozen, cut off) has the same end as a grace that
/// ran out: gone. A node that comes after that is told to drop what it holds by
/// the epochs of its leases, which have moved on.
///
/// Identity is the CURVE key: a name belongs to the key that enrolled it.
class membership {
public:
  struct options {
    std::chrono::milliseconds grace{500};
    std::chrono::milliseconds silence_max{3000};
  };
  struct step {
    changes record;
    std::vector<membership_action> actions;
  };

  membership(std::vector<node_record> nodes, std::vector<join_token_record> tokens, options o);

  // ---- joining -----------------------------------------------------------------------
  /// Books a token; the secret itself is only in the caller's hands. Expired
  /// and used-up tokens are forgotten with the next change.
  [[nodiscard]] step add_token(timestamp now, join_token_record t);
  /// Errors: unauthorized (unknown, expired or used-up token, wrong secret; one
  /// sentence for all of them), already_exists (the name belongs to another
  /// key), invalid_argument (name). The same key enrolling the same name again
  /// uses nothing up.
  [[nodiscard]] result<step> enrol(timestamp now, const std::string& token_id,
                                   const std::string& secret_sha256, const std::string& name,
                                   const std::string& public_key);
  /// For the doorkeeper (ZAP): thread-safe copies are its owner's business.
  [[nodiscard]] std::vector<std::string> admitted_keys() const;

  // ---- living ------------------------------------------------------------------------
  [[nodiscard]] step hello(timestamp now, connection_key c, const std::string& public_key,
                           const std::string& name, const std::string& boot, node_facts facts);
  /// Any frame of a connection. False: the connection has not said hello.
  bool heard(timestamp now, connection_key c);
  [[nodiscard]] step disconnected(timestamp now, connection_key c);
  [[nodiscard]] step left(timestamp now, connection_key c); ///< node_leaving
  /// At least every 100 ms. A tick that comes late by more than `silence_max`/2
  /// says that *we* stood still: deadlines move by as much.
  [[nodiscard]] step tick(timestamp now);
  /// Slots in use, for draining: with 0 a draining node is drained.
  [[nodiscard]] step load(timestamp now, const std::string& name, int busy);

  // ---- operators ---------------------------------------------------------------------
  /// active, paused, cordoned, draining. not_found names the node.
  [[nodiscard]] result<step> set_mode(timestamp now, const std::string& name, node_mode mode,
                                      std::string reason,
                                      std::optional<timestamp> drain_deadline);
  [[nodiscard]] result<step> set_labels(timestamp now, const std::string& name,
                                        std::map<std::string, std::string> labels);
  /// Its key is refused from now on; its leases are broken.
  [[nodiscard]] result<step> remove(timestamp now, const std::string& name);

  // ---- looking -----------------------------------------------------------------------
  struct view {
    node_record record;
    node_presence presence = node_presence::away;
    std::string boot;
    timestamp last_heard;
    bool drained = false; ///< draining, and nothing runs
  };
  [[nodiscard]] std::vector<view> nodes() const; ///< by name, removed ones left out
  [[nodiscard]] const node_record* find(const std::string& name) const;
  [[nodiscard]] std::optional<std::string> name_of(connection_key c) const;

private:
  struct life {
    connection_key connection = 0; ///< 0 while suspect
    std::string boot;
    timestamp last_heard;
    std::optional<timestamp> gone_at; ///< while suspect
    int busy = 0;
  };
  std::map<std::string, node_record> records_;
  std::map<std::string, join_token_record> tokens_;
  std::map<std::string, life> lives_;              ///< by name
  std::map<connection_key, std::string> name_of_;
  options options_;
  timestamp last_tick_;
};

} // namespace framemill

FM_ENUM_NAMES(framemill::node_presence, "away", "up", "suspect")
