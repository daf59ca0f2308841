#pragma once

#include "cluster/transport.hpp"
#include "core/change.hpp"
#include "core/node.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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
/// Mode, labels, facts or presence changed: its slots' eligibility follows.
struct node_changed { std::string name; };
/// Tell it why (unless empty), then break the connection.
struct refuse_connection { connection_key connection; std::string reason; bool final = false; };
/// The drain deadline passed: stop what it holds.
struct stop_all_of { std::string name; };
using membership_action = std::variant<node_came, node_returned, node_gone, node_changed,
                                       refuse_connection, stop_all_of>;

enum class node_presence : std::uint8_t { away, up, suspect };
/// What a node comes for: work, or only to tell what it still holds.
enum class node_wish : std::uint8_t { work, leave };

/// 1 to 63 of letters, digits, `-`, `_`, `.`; the first is a letter or a digit.
[[nodiscard]] result<void> check_node_name(std::string_view name);

/// Who belongs to the cluster and who is alive. Pure; owned by the MEMBERSHIP
/// actor; only the leader has one. A broken connection makes a node *suspect*
/// for `grace`, in which it may come back in the same life and keep its leases;
/// silence for `silence_max` (frozen, cut off) has the same end as a grace that
/// ran out: gone. A node that comes after that is told to drop what it holds by
/// the epochs of its leases, which have moved on.
///
///          hello                 broken connection
///   away ────────→ up (one life) ──────────────────→ suspect
///    ↑              │  ↑        hello, same boot        │
///    │              │  └────────────────────────────────┤
///    └──────────────┴───────────────────────────────────┘
///      silence, left, removed,          grace over,
///      hello of another boot            hello of another boot
///
/// Identity is the CURVE key: a name belongs to the key that enrolled it. A
/// *life* is one start of the node's daemon, known by its boot id. Of two
/// connections of one life the newer counts: the older is half open. A new boot
/// ends the old life; but a life that was replaced so does not come back while
/// its successor is up: two machines with copies of one data directory would
/// throw each other out for ever.
class membership {
public:
  struct options {
    std::chrono::milliseconds grace{500};
    std::chrono::milliseconds silence_max{3000};
    std::string coordinator; ///< the name of its own machine, which no node may have
    /// What that machine has, when it works too. It is up for as long as we are: it has
    /// no key and no connection, and its record is in the books once an operator has
    /// said something about it.
    std::optional<node_facts> own = {};
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
  /// key, or the key to another name), invalid_argument (name). The same key
  /// enrolling the same name again uses nothing up and needs no token: the
  /// answer to its first request was lost. A removed node comes back, under its
  /// old key or a new one, only by a token.
  [[nodiscard]] result<step> enrol(timestamp now, const std::string& token_id,
                                   const std::string& secret_sha256, const std::string& name,
                                   const std::string& public_key);
  /// For the doorkeeper (ZAP): thread-safe copies are its owner's business.
  [[nodiscard]] std::vector<std::string> admitted_keys() const;

  // ---- living ------------------------------------------------------------------------
  /// A new life whose facts tell of a failed self-test is cordoned in doubt; one
  /// that passed it is in doubt no longer.
  [[nodiscard]] step hello(timestamp now, connection_key c, const std::string& public_key,
                           const std::string& name, const std::string& boot, node_facts facts,
                           node_wish wish = node_wish::work);
  /// Any frame of a connection. False: the connection has not said hello.
  bool heard(timestamp now, connection_key c);
  [[nodiscard]] step disconnected(timestamp now, connection_key c);
  /// node_leaving: takes no more work, and is gone with its connection when
  /// nothing runs there. It breaks that itself, once all it held is noted.
  [[nodiscard]] step left(timestamp now, connection_key c);
  /// At least every 100 ms. A tick that comes late by more than `silence_max`/2
  /// says that *we* stood still: deadlines move by as much.
  [[nodiscard]] step tick(timestamp now);
  /// Slots in use, for draining: with 0 a draining node is drained.
  [[nodiscard]] step load(timestamp now, const std::string& name, int busy);

  // ---- doubt (blame, self-test) --------------------------------------------------------
  /// Cordons an active node, or tells a new reason for doubting it still; an
  /// operator's word of any kind stands above it.
  [[nodiscard]] step doubt(timestamp now, const std::string& name, std::string reason);
  /// Takes back what `doubt` did, and nothing else.
  [[nodiscard]] step trust(timestamp now, const std::string& name);

  // ---- operators ---------------------------------------------------------------------
  /// active, paused, cordoned, draining; a deadline goes with draining only.
  /// What is so already changes nothing. not_found names the node; unsupported:
  /// the coordinator's own machine, when it does not work.
  [[nodiscard]] result<step> set_mode(timestamp now, const std::string& name, node_mode mode,
                                      std::string reason,
                                      std::optional<timestamp> drain_deadline);
  [[nodiscard]] result<step> set_labels(timestamp now, const std::string& name,
                                        std::map<std::string, std::string> labels);
  /// Its key is refused until a token enrols it anew; its leases are broken.
  /// unsupported: the coordinator's own machine.
  [[nodiscard]] result<step> remove(timestamp now, const std::string& name);

  /// What the store refused, to be written again: with the records as they are by
  /// now. Until that is durable, nothing that was decided since is acted on.
  [[nodiscard]] changes renewed(changes refused) const;

  // ---- looking -----------------------------------------------------------------------
  struct view {
    node_record record;
    node_presence presence = node_presence::away;
    std::string boot;
    timestamp last_heard;
    bool drained = false; ///< draining, and nothing runs
    int busy = 0;         ///< slots in use
    bool leaving = false; ///< stops of its own will
  };
  [[nodiscard]] std::vector<view> nodes() const; ///< by name, removed ones left out
  /// May it be given work now: up, active, and not leaving.
  [[nodiscard]] bool takes_work(const std::string& name) const;
  /// "it is paused: …", "it is stopping"; "" for a node that takes work.
  [[nodiscard]] std::string why_no_work(const std::string& name) const;
  /// The coordinator's own machine, which works.
  [[nodiscard]] bool is_own(const std::string& name) const;
  /// nullptr for removed ones too.
  [[nodiscard]] const node_record* find(const std::string& name) const;
  [[nodiscard]] std::optional<std::string> name_of(connection_key c) const;

private:
  struct life {
    connection_key connection = 0; ///< 0 while suspect
    std::string boot;
    timestamp last_heard;
    std::optional<timestamp> gone_at; ///< while suspect
    int busy = 0;
    bool leaving = false;
    bool is_own = false;               ///< of the coordinator's own machine
    bool told_to_stop = false;         ///< the drain deadline's order went out
    std::vector<std::string> replaced; ///< boots of lives that it ended, newest last
  };
  using lives = std::map<std::string, life>;

  void know_own_machine();
  [[nodiscard]] node_record* holder_of(const std::string& public_key);
  [[nodiscard]] result<node_record*> enrolled(const std::string& name);
  [[nodiscard]] std::optional<std::string> objection(const std::string& public_key,
                                                     const std::string& name,
                                                     const std::string& boot,
                                                     const node_facts& facts);
  [[nodiscard]] bool admits(timestamp now, const std::string& token_id,
                            const std::string& secret_sha256) const;
  void use_up(step& out, const std::string& token_id);
  void forget_stale_tokens(step& out, timestamp now);
  void begin_life(step& out, timestamp now, node_record& record, life fresh);
  void resume_life(step& out, timestamp now, node_record& record, connection_key c,
                   node_facts facts, node_wish wish);
  [[nodiscard]] static bool was_replaced_by(const life& successor, const std::string& boot);
  std::vector<std::string> replace_life(step& out, timestamp now, lives::iterator entry,
                                        connection_key c);
  void end_life(step& out, timestamp now, lives::iterator entry, const std::string& why);
  void judge(step& out, timestamp now, lives::iterator entry);
  void forgive_stillness(timestamp now);
  void change_mode(step& out, timestamp now, node_record& record, node_mode mode,
                   std::string reason);
  [[nodiscard]] bool is_drained(const node_record& record) const;

  std::map<std::string, node_record> records_;     ///< by name; removed ones too
  std::map<std::string, join_token_record> tokens_;
  lives lives_;                                    ///< by name
  std::map<connection_key, std::string> name_of_;  ///< of each live connection
  options options_;
  timestamp last_tick_;
};

} // namespace framemill

FM_ENUM_NAMES(framemill::node_presence, "away", "up", "suspect")
