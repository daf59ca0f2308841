#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "storage/memory_state_store.hpp"
#include "storage/records.hpp"
#include "tests/support/temp_dir.hpp"

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <spdlog/spdlog.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace framemill::test {

/// An actor that keeps what it is sent until a test takes it: stands in for
/// the other side of a conversation. Only of use while the system runs it.
class inbox {
public:
  explicit inbox(caf::actor_system& system) {
    handle = system.spawn([kept = kept_](caf::event_based_actor* self) -> caf::behavior {
      self->set_default_handler(
          [kept](caf::scheduled_actor*, caf::message_view& m) -> caf::result<caf::message> {
            kept->push_back(m.move_content_to_message());
            return caf::message{};
          });
      return {[](caf::tick_atom) {}}; // without a behaviour it would end
    });
  }

  /// All messages of one kind, oldest first; they are gone from here then.
  template <class T>
  [[nodiscard]] std::vector<T> take() {
    std::vector<T> out;
    std::erase_if(*kept_, [&](caf::message& m) {
      if (!m.match_elements<T>())
        return false;
      out.push_back(m.get_as<T>(0));
      return true;
    });
    return out;
  }
  /// The only one of its kind; anything else fails the test.
  template <class T>
  [[nodiscard]] T only() {
    auto all = take<T>();
    REQUIRE(all.size() == 1);
    return std::move(all.front());
  }

  void forget() { kept_->clear(); }

  caf::actor handle;

private:
  std::shared_ptr<std::deque<caf::message>> kept_ =
      std::make_shared<std::deque<caf::message>>();
};

/// Actors without threads and without waiting: messages run when the test says
/// so, and time passes when the test says so.
class virtual_actors {
public:
  virtual_actors() { system.await_actors_before_shutdown(false); }

  /// Runs messages until there are none. No time passes.
  void drain() {
    while (scheduling_.try_run_once()) {
    }
  }
  void advance(std::chrono::milliseconds time) {
    scheduling_.advance_time(time);
    drain();
  }
  template <class Message>
  void tell(const caf::actor& who, Message m) {
    caf::anon_send(who, std::move(m));
    drain();
  }
  void kill(const caf::actor& who) {
    caf::anon_send_exit(who, caf::exit_reason::kill);
    drain();
  }
  /// Why it ended; nothing while it lives.
  [[nodiscard]] static std::optional<caf::error> end_of(const caf::actor& who) {
    auto end = std::make_shared<std::optional<caf::error>>();
    who->attach_functor([end](const caf::error& why) { *end = why; });
    return *end;
  }

private:
  struct testing_config : caf::actor_system_config {
    testing_config() { set("scheduler.policy", caf::atom("testing")); }
  };
  testing_config config_;

public:
  caf::actor_system system{config_};

private:
  caf::scheduler::test_coordinator& scheduling_ =
      dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
};

/// When the books of a test become durable.
enum class durability { at_once, when_told };

/// The services of a node over a store in memory; no children, no buckets.
struct test_services {
  explicit test_services(durability d) {
    spdlog::set_level(spdlog::level::off); // what the actors complain of is asked for
    auto memory = std::make_unique<memory_state_store>(d == durability::when_told);
    store = memory.get();
    shared.store = std::move(memory);
    shared.journal = std::move(*journal::open(*shared.store));
    shared.artifacts = std::make_unique<artifact_store>(dir / "artifacts");
    shared.templates.set(std::make_shared<template_catalog>());
    shared.config.slots = 2;
    shared.config.name = "node";
  }

  /// Writes past the queue, as if it had always been there.
  void keep(changes c) {
    bool ok = false;
    shared.journal->commit(std::move(c), [&](const result<void>& r) { ok = r.has_value(); });
    store->sync();
    REQUIRE(ok);
  }
  template <class T>
  [[nodiscard]] std::optional<T> find(family f, const std::string& key) const {
    auto found = find_record<T>(*store, f, key);
    REQUIRE(found);
    return *found;
  }
  [[nodiscard]] run_record run(run_id id) const {
    auto found = find<run_record>(family::runs, keys::of(id));
    REQUIRE(found);
    return *found;
  }

  temp_dir dir;
  memory_state_store* store = nullptr;
  node_services shared;
};

} // namespace framemill::test
