#pragma once

#include "cluster/notify_words.hpp"
#include "core/notify.hpp"
#include "notify/delivery.hpp"
#include "notify/sink.hpp"

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace framemill {

struct node_services;
struct outbox_state;

/// How every sink fares, for whoever asks, and what is new for the CREWs. Thread-safe.
class sink_board {
public:
  sink_board();
  void pending(const std::string& sink, std::uint64_t more, timestamp oldest);
  /// What became of a try of one that `happened` then.
  void tried(const std::string& sink, const delivery_outcome& outcome, timestamp now,
             timestamp happened);
  /// The first of what is pending.
  void oldest(const std::string& sink, timestamp happened);
  [[nodiscard]] std::vector<sink_status> all() const;

  /// There is more for the CREW of this sink; `anew`: some of it older than what it knows.
  void announce(const std::string& sink, bool anew);
  /// Sinks of a share with something pending that was announced behind `seen`; all of
  /// them, anew, when that is of another life.
  [[nodiscard]] notify_news news(const service_id& share, const notify_wait& behind) const;
  /// Calls `on_news` after each announcement; it must not block. Replaces who followed.
  void follow(std::function<void()> on_news);

  /// Of one kind of sink, since the start.
  struct totals {
    std::uint64_t pending = 0, delivered = 0, failed_tries = 0, dead = 0;
  };
  [[nodiscard]] std::map<sink_kind, totals> by_kind() const;

  /// Seconds from the event to its delivery: bounds of the buckets, the last is
  /// infinite.
  static constexpr std::array latency_bounds{0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                             1.0,  5.0,   30.0, 300.0};
  struct latencies {
    std::array<std::uint64_t, latency_bounds.size() + 1> counts{};
    double sum = 0;
  };
  [[nodiscard]] latencies latency() const;

private:
  struct entry {
    sink_status status;
    service_id share;
    std::uint64_t announced = 0, announced_anew = 0; ///< last, by number
  };
  entry& at(const std::string& sink);
  totals& totals_of(const std::string& sink);

  mutable std::mutex mutex_;
  std::map<std::string, entry> sinks_;
  std::map<sink_kind, totals> totals_;
  latencies latency_;
  const std::uint64_t life_; ///< no other process numbers its news under it
  std::uint64_t last_news_ = 0;
  std::function<void()> on_news_;
};

/// The live signing keys, newest first. Thread-safe.
class signing_key_board {
public:
  void set(std::vector<signing_key_record> keys);
  [[nodiscard]] std::vector<signing_key_record> all() const;
  [[nodiscard]] std::vector<std::string> secrets() const;

private:
  mutable std::mutex mutex_;
  std::vector<signing_key_record> keys_;
};

/// The way to the OUTBOX, which may be restarted. Thread-safe.
class outbox_door {
public:
  using call = std::function<void(outbox_state&)>;

  void open(std::function<void(call)> to);
  /// False: there is none just now.
  [[nodiscard]] bool send(call what) const;

private:
  mutable std::mutex mutex_;
  std::function<void(call)> to_;
};

/// What a coordinator needs to tell the world.
struct notices {
  std::map<sink_kind, std::unique_ptr<sink>> sinks; ///< fixed after the start
  sink_board board;
  signing_key_board keys;
  outbox_door outbox;
  std::atomic<bool> counted{false}; ///< the board has what was pending at the start

  /// Null: this node has none of that kind.
  [[nodiscard]] sink* find(sink_kind kind) const;
};

/// Opens the sinks that any node has, with its own egress policy and authorities.
[[nodiscard]] result<void> open_http_sinks(node_services& services);

/// Opens the sinks that this node has, and the broker for queues and topics when one is
/// configured (one that is not up is no failure); reads the signing keys (makes the first),
/// and begins the outbox's cursor: of a log that had none, only what comes is
/// told. Before any actor starts.
[[nodiscard]] result<void> open_notices(node_services& services);

/// The sinks of queues and topics, once their driver is there; before the OUTBOX starts.
void open_queue_sinks(node_services& services);

/// Is this sink told by a CREW, wherever that is placed? Else by a NOTIFIER of the OUTBOX.
[[nodiscard]] bool is_told_by_crew(const node_services& services, std::string_view sink);

/// unsupported, naming NotifyType: this node has no such sink.
[[nodiscard]] result<void> check_sink(const notices& n,
                                      const std::optional<notify_config>& notify);

} // namespace framemill
