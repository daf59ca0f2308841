#include "cluster/attempt_book.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>

using namespace framemill;

namespace {

shard_id shard(std::uint32_t index) { return {run_id{1}, index}; }

assign_attempt order(std::uint32_t index, std::uint32_t epoch, std::uint32_t slot = 0) {
  assign_attempt a;
  a.shard = shard(index);
  a.epoch = epoch;
  a.slot = slot;
  return a;
}

attempt_outcome success(std::uint32_t epoch) {
  attempt_outcome o;
  o.epoch = epoch;
  o.exit = "exit 0";
  return o;
}

template <class T>
const T* only(const attempt_book::actions& actions) {
  return actions.size() == 1 ? std::get_if<T>(&actions.front()) : nullptr;
}

template <class T>
const T* first(const attempt_book::actions& actions) {
  for (const auto& a : actions)
    if (const auto* x = std::get_if<T>(&a))
      return x;
  return nullptr;
}

bool is_not_started(const tell_outcome* t, std::uint32_t index, std::uint32_t epoch, errc why) {
  return t && t->outcome.shard == shard(index) && t->outcome.outcome.epoch == epoch
         && t->outcome.outcome.failure && t->outcome.outcome.failure->code == why
         && t->outcome.outcome.exit == "not started";
}

/// A book of two slots with (shard 1, epoch 1) at work in slot 0.
attempt_book at_work() {
  attempt_book book{2};
  REQUIRE(only<start_attempt>(book.assigned(order(1, 1))));
  return book;
}

} // namespace

TEST_CASE("attempt_book: an order starts on its slot and is held until its outcome is noted") {
  attempt_book book{2};

  auto actions = book.assigned(order(7, 3, 1));

  REQUIRE(only<start_attempt>(actions));
  CHECK(only<start_attempt>(actions)->order == order(7, 3, 1));
  CHECK(book.held() == std::vector<held_attempt>{{shard(7), 3, 1, false, {}}});
  auto told = book.ended(1, success(3));
  REQUIRE(only<tell_outcome>(told));
  CHECK(only<tell_outcome>(told)->outcome == node_outcome{shard(7), success(3)});
  CHECK(book.held() == std::vector<held_attempt>{{shard(7), 3, 1, true, {}}});
  CHECK(!book.empty());
  book.noted(shard(7), 3);
  CHECK(book.held().empty());
  CHECK(book.empty());
}

TEST_CASE("attempt_book: what is forsaken is killed and not told of, and its number is free") {
  auto book = at_work();
  (void)book.assigned(order(2, 1)); // waits behind it
  (void)book.assigned(order(3, 1, 1));
  (void)book.ended(1, success(1));

  auto actions = book.forsake();

  REQUIRE(only<kill_attempt>(actions));
  CHECK(only<kill_attempt>(actions)->shard == shard(1));
  CHECK(book.held().empty());
  CHECK(book.welcomed().empty());
  CHECK(book.forsake().empty());
  CHECK(only<start_attempt>(book.assigned(order(3, 1, 1)))); // another's shard 3
  CHECK(book.assigned(order(1, 1)).empty());                 // waits until the slot is free
  auto freed = book.ended(0, success(1));
  REQUIRE(only<start_attempt>(freed)); // and no outcome
  CHECK(only<start_attempt>(freed)->order == order(1, 1));
}

TEST_CASE("attempt_book: an order said again does nothing, in whatever state it is") {
  auto book = at_work();
  CHECK(book.assigned(order(1, 1)).empty());
  CHECK(book.assigned(order(1, 1, 1)).empty()); // nor on another slot

  CHECK(only<tell_outcome>(book.ended(0, success(1))));
  CHECK(only<tell_outcome>(book.assigned(order(1, 1)))); // the outcome was lost, it seems

  book.noted(shard(1), 1);
  CHECK(book.assigned(order(1, 1)).empty());
}

TEST_CASE("attempt_book: outcomes are told again on each connection until they are noted") {
  auto book = at_work();
  CHECK(only<start_attempt>(book.assigned(order(2, 1, 1))));
  CHECK(book.welcomed().empty());
  CHECK(!book.ended(0, success(1)).empty());
  CHECK(!book.ended(1, success(1)).empty());

  CHECK(book.welcomed().size() == 2);
  book.noted(shard(1), 1);
  REQUIRE(only<tell_outcome>(book.welcomed()));
  CHECK(only<tell_outcome>(book.welcomed())->outcome.shard == shard(2));
  book.noted(shard(2), 9); // of no attempt that we know
  CHECK(book.welcomed().size() == 1);
}

TEST_CASE("attempt_book: a newer epoch kills the older and starts when that has ended") {
  auto book = at_work();

  auto actions = book.assigned(order(1, 2));

  const auto* kill = only<kill_attempt>(actions);
  REQUIRE(kill);
  CHECK(kill->epoch == 1);
  CHECK(kill->slot == 0);
  CHECK(book.held().size() == 2);
  auto next = book.ended(0, success(1));
  REQUIRE(next.size() == 2);
  CHECK(first<tell_outcome>(next)->outcome.outcome.epoch == 1);
  CHECK(first<start_attempt>(next)->order == order(1, 2));
}

TEST_CASE("attempt_book: a newer epoch on an idle slot starts at once") {
  auto book = at_work();

  auto actions = book.assigned(order(1, 2, 1));

  REQUIRE(actions.size() == 2);
  CHECK(first<kill_attempt>(actions)->slot == 0);
  CHECK(first<start_attempt>(actions)->order.slot == 1);
}

TEST_CASE("attempt_book: an older epoch that comes late is not heard") {
  attempt_book book{2};
  CHECK(only<start_attempt>(book.assigned(order(1, 5))));

  CHECK(book.assigned(order(1, 4, 1)).empty());
  CHECK(!book.ended(0, success(5)).empty());
  book.noted(shard(1), 5);
  CHECK(book.assigned(order(1, 4, 1)).empty());
}

TEST_CASE("attempt_book: an order for a slot at work waits, a newer one takes its place") {
  auto book = at_work();

  CHECK(book.assigned(order(2, 1)).empty());
  CHECK(book.assigned(order(2, 1)).empty());
  auto replaced = book.assigned(order(3, 1));

  CHECK(is_not_started(only<tell_outcome>(replaced), 2, 1, errc::lease_lost));
  auto next = book.ended(0, success(1));
  REQUIRE(first<start_attempt>(next));
  CHECK(first<start_attempt>(next)->order.shard == shard(3));
}

TEST_CASE("attempt_book: a newer epoch takes the place of one that waits") {
  auto book = at_work();
  CHECK(book.assigned(order(2, 1)).empty());

  auto actions = book.assigned(order(2, 2));

  CHECK(is_not_started(only<tell_outcome>(actions), 2, 1, errc::lease_lost));
  CHECK(first<start_attempt>(book.ended(0, success(1)))->order == order(2, 2));
}

TEST_CASE("attempt_book: a stop kills what is at work, and only that epoch") {
  auto book = at_work();

  CHECK(book.stop(shard(1), 0).empty());
  auto actions = book.stop(shard(1), 1);

  REQUIRE(only<kill_attempt>(actions));
  CHECK(only<kill_attempt>(actions)->slot == 0);
  CHECK(book.held().size() == 1); // until the child is dead
}

TEST_CASE("attempt_book: a stop takes back what waits") {
  auto book = at_work();
  CHECK(book.assigned(order(2, 1)).empty());

  CHECK(is_not_started(only<tell_outcome>(book.stop(shard(2), 1)), 2, 1, errc::cancelled));
  CHECK(only<tell_outcome>(book.ended(0, success(1)))); // nothing starts
}

TEST_CASE("attempt_book: a stop that overtakes its order prevents it") {
  attempt_book book{1};

  CHECK(is_not_started(only<tell_outcome>(book.stop(shard(1), 1)), 1, 1, errc::cancelled));
  CHECK(only<tell_outcome>(book.assigned(order(1, 1))));
  CHECK(only<start_attempt>(book.assigned(order(1, 2))));
}

TEST_CASE("attempt_book: a stop of what has ended tells its outcome again") {
  auto book = at_work();
  CHECK(!book.ended(0, success(1)).empty());

  auto told = book.stop(shard(1), 1);

  REQUIRE(only<tell_outcome>(told));
  CHECK(!only<tell_outcome>(told)->outcome.outcome.failure);
  book.noted(shard(1), 1);
  CHECK(book.stop(shard(1), 1).empty());
}

TEST_CASE("attempt_book: an order for a slot that is not there ends at once") {
  attempt_book book{2};

  CHECK(is_not_started(only<tell_outcome>(book.assigned(order(1, 1, 2))), 1, 1,
                       errc::lease_lost));
  CHECK(is_not_started(only<tell_outcome>(book.assigned(order(2, 1, 4'000'000'000))), 2, 1,
                       errc::lease_lost));
}

TEST_CASE("attempt_book: late words of a slot mean nothing") {
  auto book = at_work();

  CHECK(book.ended(0, success(9)).empty());
  CHECK(book.ended(1, success(1)).empty());
  CHECK(book.ended(77, success(1)).empty());
  book.noted(shard(1), 1); // it has not ended
  book.moved(1, {});
  book.moved(77, {});
  CHECK(book.held() == std::vector<held_attempt>{{shard(1), 1, 0, false, {}}});
}

TEST_CASE("attempt_book: beats carry the watermark of this attempt, not of the one before") {
  auto book = at_work();
  watermark mark;
  mark.frames_encoded = 12;

  book.moved(0, mark);

  CHECK(book.held()[0].mark == mark);
  CHECK(book.assigned(order(2, 1)).empty());
  CHECK(!book.held()[1].mark);
  CHECK(!book.ended(0, success(1)).empty());
  CHECK(!book.held()[0].mark);
}

TEST_CASE("attempt_book: what ended is bounded, and goes when it was noted first") {
  attempt_book book{1};
  for (std::uint32_t i = 0; i < 1000; ++i) {
    REQUIRE(only<start_attempt>(book.assigned(order(i, 1))));
    REQUIRE(only<tell_outcome>(book.ended(0, success(1))));
    if (i >= 10)
      book.noted(shard(i), 1);
  }
  CHECK(book.held().size() == 10);
  CHECK(book.welcomed().size() == 10);

  for (std::uint32_t i = 1000; i < 2000; ++i) {
    REQUIRE(only<start_attempt>(book.assigned(order(i, 1))));
    REQUIRE(only<tell_outcome>(book.ended(0, success(1))));
  }
  CHECK(book.held().size() == 256);
  CHECK(book.held().front().shard == shard(1999));
}

// ---- A book and a coordinator with a bad network between them --------------------------

namespace {

using word = std::variant<assign_attempt, stop_held, outcome_noted, node_outcome, node_beat>;

struct weather {
  std::uint32_t seed = 0;
  bool rough = false; ///< the coordinator stops attempts and breaks leases, too
};

/// Loses, repeats and reorders words; a step at a time.
class bad_world {
public:
  explicit bad_world(weather w) : weather_(w), random_(w.seed) {}

  void run() {
    for (int i = 0; i < 1500; ++i)
      step();
    healed_ = true;
    for (int i = 0; i < 20'000 && !is_over(); ++i)
      step();
  }

  [[nodiscard]] bool is_over() const {
    return done_.size() == shards && leases_.empty() && book_.empty();
  }
  std::map<std::pair<shard_id, std::uint32_t>, int> ordered, started, heard;
  bool started_on_busy_slot = false;

private:
  static constexpr std::uint32_t slots = 3;
  static constexpr std::size_t shards = 40;
  struct lease {
    std::uint32_t index = 0, epoch = 0;
    bool stopping = false;
  };

  bool chance(unsigned percent) { return random_() % 100 < percent; }

  void say(word w) {
    if (!healed_ && chance(20))
      return;
    for (int copies = !healed_ && chance(20) ? 3 : 1; copies > 0; --copies)
      in_flight_.push_back(w);
  }

  void step() {
    switch (random_() % 8) {
      case 0: return coordinate();
      case 1: return work();
      default: return deliver();
    }
  }

  void deliver() {
    if (in_flight_.empty())
      return;
    auto at = in_flight_.begin() + (healed_ ? 0 : random_() % in_flight_.size());
    auto w = std::move(*at);
    in_flight_.erase(at);
    std::visit([&](auto& x) { hear(x); }, w);
  }

  // The coordinator
  void coordinate() {
    auto slot = static_cast<std::uint32_t>(random_() % slots);
    if (!leases_.contains(slot) && !grant(slot))
      return;
    auto& l = leases_.at(slot);
    const bool rough = weather_.rough && !healed_;
    if (rough && chance(5)) {
      leases_.erase(slot); // it believes the node lost it
      return;
    }
    l.stopping = l.stopping || (rough && chance(5));
    if (l.stopping)
      say(stop_held{shard(l.index), l.epoch});
    else
      say(order(l.index, l.epoch, slot));
  }

  bool grant(std::uint32_t slot) {
    for (std::uint32_t i = 0; i < shards; ++i) {
      auto is_it = [&](const auto& entry) { return entry.second.index == i; };
      if (done_.contains(i) || std::any_of(leases_.begin(), leases_.end(), is_it))
        continue;
      leases_[slot] = {i, ++epochs_[i], false};
      ++ordered[{shard(i), epochs_[i]}];
      return true;
    }
    return false;
  }

  void hear(node_outcome& m) {
    ++heard[{m.shard, m.outcome.epoch}];
    say(outcome_noted{m.shard, m.outcome.epoch});
    for (auto l = leases_.begin(); l != leases_.end(); ++l)
      if (shard(l->second.index) == m.shard && l->second.epoch == m.outcome.epoch) {
        if (!m.outcome.failure)
          done_.insert(l->second.index);
        leases_.erase(l);
        return;
      }
  }

  void hear(node_beat& m) {
    for (const auto& h : m.held) {
      auto is_it = [&](const auto& entry) {
        return shard(entry.second.index) == h.shard && entry.second.epoch == h.epoch;
      };
      if (!h.ended && std::none_of(leases_.begin(), leases_.end(), is_it))
        say(stop_held{h.shard, h.epoch});
    }
  }

  // The node
  void work() {
    auto slot = static_cast<std::uint32_t>(random_() % slots);
    if (auto l = at_work_.extract(slot); !l.empty()) {
      auto outcome = success(l.mapped().epoch);
      if (l.mapped().stopping || chance(10))
        outcome.failure = error{errc::cancelled, "", {}};
      act(book_.ended(slot, outcome));
    }
    if (chance(30))
      say(node_beat{book_.held(), 0});
    if (chance(5))
      act(book_.welcomed()); // the connection was made anew
  }

  void hear(assign_attempt& m) { act(book_.assigned(m)); }
  void hear(stop_held& m) { act(book_.stop(m.shard, m.epoch)); }
  void hear(outcome_noted& m) { book_.noted(m.shard, m.epoch); }

  void act(const attempt_book::actions& actions) {
    for (const auto& a : actions)
      std::visit([&](const auto& x) { act_on(x); }, a);
  }
  void act_on(const start_attempt& a) {
    ++started[{a.order.shard, a.order.epoch}];
    started_on_busy_slot = started_on_busy_slot || at_work_.contains(a.order.slot);
    at_work_[a.order.slot] = {a.order.shard.index, a.order.epoch, false};
  }
  void act_on(const kill_attempt& a) {
    auto l = at_work_.find(a.slot);
    if (l != at_work_.end() && l->second.epoch == a.epoch)
      l->second.stopping = true;
  }
  void act_on(const tell_outcome& a) { say(a.outcome); }

  weather weather_;
  std::mt19937 random_;
  bool healed_ = false;
  std::vector<word> in_flight_;
  std::map<std::uint32_t, lease> leases_, at_work_; ///< by slot
  std::map<std::uint32_t, std::uint32_t> epochs_;
  std::set<std::uint32_t> done_;
  attempt_book book_{slots};
};

} // namespace

TEST_CASE("attempt_book: over a bad network all that is ordered starts once and is told") {
  for (std::uint32_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    bad_world world{{seed}};

    world.run();

    CHECK(world.is_over());
    CHECK(!world.started_on_busy_slot);
    CHECK(world.started == world.ordered); // once each
    for (const auto& [attempt, count] : world.ordered)
      CHECK(world.heard[attempt] >= 1);
  }
}

TEST_CASE("attempt_book: stops and broken leases among it start nothing twice, lose nothing") {
  for (std::uint32_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    bad_world world{{seed, true}};

    world.run();

    CHECK(world.is_over());
    CHECK(!world.started_on_busy_slot);
    for (const auto& [attempt, count] : world.started) {
      CHECK(count == 1);
      CHECK(world.ordered.contains(attempt));
      CHECK(world.heard[attempt] >= 1);
    }
  }
}

TEST_CASE("attempt_book: an outcome that nobody noted is told again now and then") {
  auto book = at_work();
  REQUIRE(only<tell_outcome>(book.ended(0, success(1))));

  int told = 0;
  for (int beat = 1; beat <= 16; ++beat) {
    auto actions = book.beat();
    told += static_cast<int>(actions.size());
    CHECK_MESSAGE(actions.size() == (beat % 8 == 0 ? 1U : 0U), "beat " << beat);
  }

  CHECK(told == 2);
  book.noted(shard(1), 1);
  for (int beat = 0; beat < 16; ++beat)
    CHECK(book.beat().empty());
}
