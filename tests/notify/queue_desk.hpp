#pragma once

#include "notify/queue_machine.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

namespace framemill::test {

/// What the store would hold of queues and messages.
struct queue_books {
  std::map<std::string, queue_record> queues;
  std::map<std::string, topic_record> topics;
  std::map<std::pair<std::string, std::string>, subscription_record> subscriptions;
  std::map<message_id, message_record> messages;
  std::map<message_id, message_state> states;
  std::map<std::string, std::uint64_t> counters;

  void apply(const changes& c) {
    for (const auto& q : c.queues)
      queues[q.name] = q;
    for (const auto& name : c.erased_queues)
      queues.erase(name);
    for (const auto& t : c.topics)
      topics[t.name] = t;
    for (const auto& name : c.erased_topics)
      topics.erase(name);
    for (const auto& s : c.subscriptions)
      subscriptions[{s.topic, s.name}] = s;
    for (const auto& key : c.erased_subscriptions)
      subscriptions.erase(key);
    for (const auto& m : c.messages)
      messages[m.id] = m;
    for (const auto& s : c.message_states)
      states[s.id] = s;
    for (auto id : c.erased_messages) {
      messages.erase(id);
      states.erase(id);
    }
    for (const auto& [name, value] : c.counters)
      counters[name] = value;
  }

  [[nodiscard]] queue_machine load() const {
    queue_machine m;
    for (const auto& [name, q] : queues)
      m.load(q);
    for (const auto& [name, t] : topics)
      m.load(t);
    for (const auto& [key, s] : subscriptions)
      m.load(s);
    for (const auto& [name, value] : counters)
      m.load_counter(name, value);
    for (const auto& [id, s] : states)
      m.load(s);
    return m;
  }
};

/// A machine, its books, and a clock that is moved by hand.
struct queue_desk {
  queue_machine machine;
  queue_books books;
  timestamp now{1'800'000'000'000'000};
  waiter_id last_waiter = 0;
  std::map<waiter_id, result<std::vector<message_state>>> served;

  void pass(std::chrono::milliseconds time) {
    now = now + time;
    write(machine.tick(now));
  }
  void write(queue_machine::step s) {
    books.apply(s.record);
    for (auto& w : s.served) {
      REQUIRE(!served.contains(w.waiter));
      served.emplace(w.waiter, std::move(w.messages));
    }
  }
  result<void> write(result<queue_machine::step> s) {
    FM_CHECK(s);
    write(std::move(*s));
    return {};
  }
  /// The process dies, and its successor reads the books.
  void restart() {
    machine = books.load();
    served.clear();
  }

  void create(const std::string& name, queue_settings s = {}) {
    auto made = write(machine.create(now, name, std::move(s)));
    REQUIRE_MESSAGE(made.has_value(), made.error().message);
  }
  result<message_id> send(const std::string& queue, outgoing_message m) {
    auto sent = machine.send(now, queue, {std::move(m)}, "me");
    FM_CHECK(sent);
    write(std::move(sent->made));
    return sent->each.at(0);
  }
  message_id send(const std::string& queue, const std::string& body) {
    auto id = send(queue, outgoing_message{body, {}, {}, {}});
    REQUIRE_MESSAGE(id.has_value(), id.error().message);
    return *id;
  }
  waiter_id ask(const std::string& queue, std::int64_t wait, std::size_t count = 1,
                std::optional<std::int64_t> visibility = {}) {
    auto asked = write(machine.receive(now, queue, {++last_waiter, count, visibility, wait}));
    REQUIRE_MESSAGE(asked.has_value(), asked.error().message);
    return last_waiter;
  }
  /// What is there now.
  std::vector<message_state> receive(const std::string& queue, std::size_t count = 1,
                                     std::optional<std::int64_t> visibility = {}) {
    return served.at(ask(queue, 0, count, visibility)).value();
  }
  /// Bodies of what is there now.
  std::vector<std::string> bodies(const std::string& queue, std::size_t count = 16) {
    std::vector<std::string> out;
    for (const auto& s : receive(queue, count))
      out.push_back(books.messages.at(s.id).body);
    return out;
  }
  result<void> erase(const std::string& queue, const std::string& receipt) {
    auto done = machine.erase(now, queue, {receipt});
    FM_CHECK(done);
    write(std::move(done->made));
    return done->each.at(0);
  }
  result<void> hide(const std::string& queue, const std::string& receipt, std::int64_t seconds) {
    auto done = machine.hide(now, queue, {{receipt, seconds}});
    FM_CHECK(done);
    write(std::move(done->made));
    return done->each.at(0);
  }
  queue_view view(const std::string& queue) { return machine.view(queue).value(); }
};

} // namespace framemill::test
