#pragma once

#include "core/fields.hpp"
#include "core/time.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace framemill::sim {

using namespace std::chrono_literals;

/// SplitMix64: all of a schedule follows from its seed.
class random {
public:
  explicit random(std::uint64_t seed) : state_(seed) {}
  [[nodiscard]] std::uint64_t next();
  [[nodiscard]] std::uint64_t below(std::uint64_t n) { return next() % n; }
  [[nodiscard]] bool one_in(std::uint64_t n) { return below(n) == 0; }
  [[nodiscard]] microseconds between(microseconds from, microseconds to);
  template <class Container>
  [[nodiscard]] auto& pick(Container& c) {
    return c[below(c.size())];
  }

private:
  std::uint64_t state_;
};

/// A rule that the simulated shells can be told to break, to see whether the
/// checkers bite. Never product code.
enum class rule : std::uint8_t {
  none,
  fencing,     ///< an outcome counts whatever its epoch
  grace,       ///< a broken connection is a lost node
  durable,     ///< actions do not wait for their batch
  idempotence, ///< an order that is repeated is executed again
  grants,      ///< a word about an older reservation frees the slot
  drain,       ///< a node that shall take no work is offered some
  builds,      ///< the SCHEDULER lies about a node's encoder build
  publishing,  ///< what a former life published is published again
  claims,      ///< leases of a former life are broken at once
  noted,       ///< a node may forget an outcome that is not in the books
  placing,     ///< a former watcher is heard, and believed
  booking,     ///< what is being booked is booked again
};

/// An invariant does not hold.
class broken : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// A program that can die, be frozen, and come again as another life.
struct process {
  std::string name;
  std::uint32_t life = 0;
  bool is_up = false;
  bool is_frozen = false;
  std::vector<std::function<void()>> stalled; ///< what came while frozen, in order
};

/// Virtual time and what happens in it, one thing after the other. One thread.
class world {
public:
  world(std::uint64_t seed, rule broken_rule, bool traces);

  random dice;
  const rule breaks;

  [[nodiscard]] timestamp now() const { return now_; }
  /// Nothing happens for a life of `owner` that has ended.
  void after(microseconds delay, process* owner, std::function<void()> what);
  /// The next thing; false: there is none.
  bool step();
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

  static void begin(process& p);
  static void end(process& p);
  static void freeze(process& p) { p.is_frozen = true; }
  void thaw(process& p);

  template <class... Args>
  void note(fmt::format_string<Args...> text, Args&&... args) {
    if (traces_)
      write(fmt::format(text, std::forward<Args>(args)...));
  }
  template <class... Args>
  [[noreturn]] void violate(fmt::format_string<Args...> text, Args&&... args) const {
    throw broken{fmt::format(text, std::forward<Args>(args)...)};
  }
  [[nodiscard]] const std::vector<std::string>& trace() const { return trace_; }

private:
  struct event {
    timestamp when;
    std::uint64_t sequence = 0;
    process* owner = nullptr;
    std::uint32_t life = 0;
    std::function<void()> what;
    bool operator<(const event& o) const { // of a heap: the latest is the least
      return when != o.when ? when > o.when : sequence > o.sequence;
    }
  };
  void write(std::string line);

  bool traces_;
  timestamp now_{1'700'000'000'000'000};
  std::uint64_t sequence_ = 0, steps_ = 0;
  std::vector<event> events_; ///< a heap
  std::vector<std::string> trace_;
};

/// One actor of a process: a mailbox that is worked off in order, sometimes late.
/// Kept by its process until that ends, so that words to a dead one are lost.
class actor {
public:
  actor(world& w, process& p) : world_(w), process_(p) {}
  virtual ~actor() = default;
  actor(const actor&) = delete;
  actor& operator=(const actor&) = delete;

  void post(std::function<void()> message);
  void post_after(microseconds delay, std::function<void()> message);
  /// `down` is posted to us when `whom` ends, or at once when it has.
  void watch(actor& whom, std::function<void()> down);
  void quit();
  [[nodiscard]] bool is_dead() const { return is_dead_; }

protected:
  world& world_;
  process& process_;

private:
  timestamp worked_off_;
  bool is_dead_ = false;
  std::vector<std::pair<actor*, std::function<void()>>> watchers_;
};

} // namespace framemill::sim

FM_ENUM_NAMES(framemill::sim::rule, "none", "fencing", "grace", "durable", "idempotence",
              "grants", "drain", "builds", "publishing", "claims", "noted", "placing", "booking")
