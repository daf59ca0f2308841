#pragma once

#include "cluster/protocol.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <variant>
#include <vector>

namespace framemill {

// What the NODE AGENT shall do.
struct start_attempt { assign_attempt order; }; ///< on `order.slot`, which is idle
struct kill_attempt { shard_id shard; std::uint32_t epoch; std::uint32_t slot; };
struct tell_outcome { node_outcome outcome; };
using book_action = std::variant<start_attempt, kill_attempt, tell_outcome>;

/// What a worker node holds: the attempts at work in its slots, and the
/// outcomes that the coordinator may not know yet. Pure; owned by the NODE
/// AGENT. Idempotent: orders may be lost, repeated, late or out of order, and
/// still each (shard, epoch) is started at most once, and its outcome is told
/// until it is noted.
///
/// An order for a slot that is at work on something else waits behind it (one
/// per slot; a newer one replaces it, which then ends as `lease_lost`). Of one
/// shard, a newer epoch kills the older, and an older one that comes late is
/// not heard. A stop that overtakes its order is kept as the outcome
/// `cancelled`, so that the order does nothing.
///
///   order ─→ at work ─────→ ended ─→ noted ─→ forgotten
///     │        ↑              ↑
///     └────→ waiting ─────────┘ stopped or replaced
///
/// The last `ended_max` that ended are known of; a copy of an order older than
/// that would start again, and be refused for its epoch.
class attempt_book {
public:
  using actions = std::vector<book_action>;

  explicit attempt_book(std::uint32_t slots);

  [[nodiscard]] actions assigned(assign_attempt order);
  [[nodiscard]] actions stop(shard_id shard, std::uint32_t epoch);
  /// The slot is idle again. Of another epoch than it is at work on: nothing.
  [[nodiscard]] actions ended(std::uint32_t slot, attempt_outcome outcome);
  void noted(shard_id shard, std::uint32_t epoch);
  /// A new connection: what has to be told again.
  [[nodiscard]] actions welcomed() const;
  /// A beat is due: now and then, what was told may have been lost with whoever
  /// heard it (a run that died of a full disk), and is told again.
  [[nodiscard]] actions beat();
  void moved(std::uint32_t slot, const watermark& mark);
  /// The coordinator's state is another than what was held belongs to (a backup was
  /// restored): it is killed and never told of, not even how it ended.
  [[nodiscard]] actions forsake();

  /// For hellos and beats: what is at work or waits, by slot, then every outcome
  /// kept, newest first.
  [[nodiscard]] std::vector<held_attempt> held() const;
  /// Nothing at work, and every outcome noted.
  [[nodiscard]] bool empty() const;

private:
  struct slot_state {
    std::optional<assign_attempt> at_work;
    bool forsaken = false; ///< it is at work on nobody's wish
    std::optional<watermark> mark;
    std::optional<assign_attempt> waiting;
  };
  struct kept {
    node_outcome outcome;
    std::uint32_t slot = 0;
    bool noted = false; ///< kept on for a while: orders may come late
  };
  static constexpr std::size_t ended_max = 256;
  static constexpr std::uint64_t tell_again_beats = 8; ///< 2 s

  [[nodiscard]] bool is_superseded(shard_id shard, std::uint32_t epoch) const;
  [[nodiscard]] kept* find_ended(shard_id shard, std::uint32_t epoch);
  static void tell_again(actions& out, const kept& known);
  void supersede(actions& out, const assign_attempt& order);
  void start(actions& out, slot_state& slot, assign_attempt order);
  void wait(actions& out, slot_state& slot, assign_attempt order);
  void drop_waiting(actions& out, slot_state& slot, errc code, std::string why);
  void end(actions& out, const assign_attempt& order, attempt_outcome outcome);
  void forget_one();

  std::vector<slot_state> slots_;
  std::deque<kept> ended_; ///< oldest first, at most ended_max
  std::uint64_t beats_ = 0;
};

/// What of `held()` each of a node's slots is about, as the coordinator sees it:
/// what waits there before what is at work, and an outcome only when it is all.
[[nodiscard]] std::vector<std::optional<held_attempt>> by_slot(std::vector<held_attempt> held,
                                                               std::size_t slots);

} // namespace framemill
