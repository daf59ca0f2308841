#include "tests/notify/queue_desk.hpp"

#include <deque>
#include <random>
#include <set>

// One queue and its dead letters under random traffic: senders, receivers that
// delete, give up, prolong or forget what they hold, a store that answers late,
// refuses steps, and crashes that lose what was not written. Answers are given
// when their step is durable, as QUEUE BROKER does. Checked at every answer; see
// check_delivery() and finish().

using namespace framemill;
using namespace framemill::test;

namespace {

constexpr int faulty_steps = 400;
constexpr int quiet_steps_max = 2'000;
constexpr auto visibility = std::chrono::seconds{5};

/// What the world was told of one message.
struct told {
  bool acknowledged = false;
  bool delete_asked = false; ///< it may be gone
  bool deleted = false;      ///< and it is
  bool certain = true;       ///< held_until is: no change of it went unanswered
  timestamp held_until;
  std::uint32_t receives = 0;
  queue_id queue;
};

struct held {
  std::string queue, receipt, body;
};

class simulation {
public:
  explicit simulation(std::uint64_t seed) : random_(seed) {
    queue_settings settings;
    settings.visibility_seconds = visibility.count();
    settings.dead_letter_queue = "dead";
    settings.receives_max = 3;
    decide(machine_.create(now_, "dead", {}), {});
    decide(machine_.create(now_, "q", settings), {});
    write_all();
  }

  void run() {
    for (int i = 0; i < faulty_steps; ++i)
      faulty_step();
    finish();
  }

private:
  using answer = std::function<void()>;
  struct pending_step {
    queue_machine::step made;
    answer then;
    timestamp at;
  };

  [[nodiscard]] bool one_in(std::uint32_t n) { return random_() % n == 0; }
  [[nodiscard]] std::string some_queue() { return one_in(4) ? "dead" : "q"; }

  void faulty_step() {
    now_ = now_ + std::chrono::milliseconds{random_() % 400};
    switch (random_() % 16) {
      case 0: return crash();
      case 1: return refuse_one();
      case 2:
      case 3:
      case 4:
      case 5: return write_some();
      case 6: return decide(machine_.tick(now_), {});
      case 7:
      case 8:
      case 9: return send();
      case 10:
      case 11:
      case 12: return receive(some_queue(), one_in(3) ? 10 : 0);
      case 13: return change_hold();
      default: return erase();
    }
  }

  // ---- the shell: steps are durable in order, then answered ------------------------

  void decide(result<queue_machine::step> made, answer then) {
    REQUIRE_MESSAGE(made.has_value(), made.error().message);
    pending_.push_back({std::move(*made), std::move(then), now_});
  }

  void write_one() {
    auto step = std::move(pending_.front());
    pending_.pop_front();
    books_.apply(step.made.record);
    if (step.then)
      step.then();
    for (const auto& w : step.made.served)
      if (w.messages)
        for (const auto& s : *w.messages)
          deliver(s, step.at);
  }
  void write_some() {
    for (auto n = random_() % 4; n > 0 && !pending_.empty(); --n)
      write_one();
  }
  void write_all() {
    while (!pending_.empty())
      write_one();
  }

  /// The store refuses a step. Those behind it may still be written, but nobody
  /// is told so: the machine was ahead, and is read back.
  void refuse_one() {
    if (pending_.empty())
      return;
    pending_.pop_front();
    for (auto& step : pending_)
      if (!one_in(3))
        books_.apply(step.made.record);
    crash();
  }

  void crash() {
    pending_.clear();
    machine_ = books_.load();
    check_books();
  }

  void check_books() const {
    for (const auto& [id, m] : books_.messages)
      CHECK(books_.states.contains(id));
    for (const auto& [body, t] : told_)
      if (t.acknowledged && !t.delete_asked)
        CHECK(std::any_of(books_.messages.begin(), books_.messages.end(),
                          [&](const auto& entry) { return entry.second.body == body; }));
  }

  // ---- the world -------------------------------------------------------------------

  void send() {
    std::vector<outgoing_message> batch;
    std::vector<std::string> bodies;
    for (auto n = 1 + random_() % 3; n > 0; --n) {
      bodies.push_back("m" + std::to_string(++last_body_));
      batch.push_back({bodies.back(), {}, {}, one_in(5) ? std::optional<std::int64_t>{3} : 0});
    }
    auto sent = machine_.send(now_, "q", std::move(batch), "");
    REQUIRE(sent.has_value());
    decide(std::move(sent->made), [this, bodies] {
      for (const auto& body : bodies)
        told_[body].acknowledged = true;
    });
  }

  void receive(const std::string& queue, std::int64_t wait) {
    decide(machine_.receive(now_, queue, {++last_waiter_, 1 + random_() % 4, {}, wait}), {});
  }

  void deliver(const message_state& s, timestamp at) {
    auto body = books_.messages.find(s.id);
    if (body == books_.messages.end())
      return decide(machine_.forget(s.id, s.queue), {}); // its send was refused
    auto& t = told_[body->second.body];
    check_delivery(t, s, at);
    t.held_until = s.hidden_until;
    t.receives = s.receives;
    t.queue = s.queue;
    t.certain = true;
    holds_.push_back({machine_.name_of(s.queue), receipt_of(s), body->second.body});
  }

  void check_delivery(const told& t, const message_state& s, timestamp at) {
    CHECK_FALSE(t.deleted);
    if (t.queue == s.queue) {
      CHECK(s.receives > t.receives);
      if (t.certain)
        CHECK(t.held_until <= at);
    }
    CHECK(receipts_.insert(receipt_of(s)).second);
    CHECK(s.receives <= 3 + 1000 * (machine_.name_of(s.queue) == "dead"));
  }

  [[nodiscard]] std::optional<held> some_hold() {
    if (holds_.empty())
      return std::nullopt;
    const auto i = random_() % holds_.size();
    auto out = holds_[i];
    holds_.erase(holds_.begin() + static_cast<std::ptrdiff_t>(i));
    return out;
  }

  void change_hold() {
    auto h = some_hold();
    if (!h || one_in(4))
      return; // its receiver died
    const auto seconds = static_cast<std::int64_t>(random_() % 8);
    auto made = machine_.hide(now_, h->queue, {{h->receipt, seconds}});
    REQUIRE(made.has_value());
    auto& t = told_[h->body];
    if (!made->each[0])
      return decide(std::move(made->made), {});
    t.certain = false;
    decide(std::move(made->made), [&t, until = now_ + std::chrono::seconds{seconds}] {
      t.held_until = until;
      t.certain = true;
    });
    holds_.push_back(*h);
  }

  void erase() {
    auto h = some_hold();
    if (!h)
      return;
    auto made = machine_.erase(now_, h->queue, {h->receipt});
    REQUIRE(made.has_value());
    auto& t = told_[h->body];
    if (!made->each[0])
      return decide(std::move(made->made), {});
    t.delete_asked = true;
    decide(std::move(made->made), [&t] { t.deleted = true; });
  }

  /// No more faults: everything is received, and deleted, and nothing is left.
  void finish() {
    crash();
    holds_.clear();
    for (int i = 0; !machine_.is_idle() || !pending_.empty(); ++i) {
      REQUIRE_MESSAGE(i < quiet_steps_max, "messages are left");
      now_ = now_ + std::chrono::seconds{1};
      decide(machine_.tick(now_), {});
      receive("q", 0);
      receive("dead", 0);
      write_all();
      while (!holds_.empty())
        erase();
      write_all();
    }
    for (const auto& [body, t] : told_)
      CHECK_MESSAGE((!t.acknowledged || t.delete_asked), body, " was lost");
    CHECK(books_.messages.empty());
    CHECK(books_.states.empty());
  }

  std::mt19937_64 random_;
  timestamp now_{1'800'000'000'000'000};
  queue_machine machine_;
  queue_books books_;
  std::deque<pending_step> pending_;
  std::map<std::string, told> told_;
  std::vector<held> holds_;
  std::set<std::string> receipts_;
  waiter_id last_waiter_ = 0;
  int last_body_ = 0;
};

} // namespace

TEST_CASE("queue_machine: no schedule of crashes loses a message, or brings a deleted one back") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    simulation{seed}.run();
  }
}
