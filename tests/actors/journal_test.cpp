#include "actors/journal.hpp"
#include "storage/memory_state_store.hpp"
#include "storage/records.hpp"
#include "tests/cluster/run_plans.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <numeric>
#include <thread>

using namespace framemill;
using namespace framemill::test;

namespace {

changes one_event(std::string message = {}) {
  changes c;
  c.events.emplace_back();
  c.events.back().type = "test";
  c.events.back().message = std::move(message);
  return c;
}

/// What a follower was told, in order; waits for a number of events.
class followed {
public:
  journal::event_fn listener() {
    return [this](const event_record& e) {
      std::lock_guard lock{mutex_};
      ids_.push_back(e.id.value);
      grown_.notify_all();
    };
  }
  std::vector<std::uint64_t> wait_for(std::size_t count) {
    std::unique_lock lock{mutex_};
    grown_.wait_for(lock, std::chrono::seconds{60}, [&] { return ids_.size() >= count; });
    return ids_;
  }

private:
  std::mutex mutex_;
  std::condition_variable grown_;
  std::vector<std::uint64_t> ids_;
};

std::vector<std::uint64_t> numbers(std::uint64_t from, std::size_t count) {
  std::vector<std::uint64_t> out(count);
  std::iota(out.begin(), out.end(), from);
  return out;
}

void commit_and_wait(journal& j, changes c) {
  std::mutex done;
  done.lock();
  j.commit(std::move(c), [&](const result<void>&) { done.unlock(); });
  done.lock();
}

} // namespace

TEST_CASE("journal: numbers follow the order of commits, whoever commits") {
  temp_dir dir;
  auto store = open_rocks_state_store({dir / "state", false});
  REQUIRE(store);
  auto j = journal::open(**store);
  REQUIRE(j);
  followed seen;
  auto token = (*j)->follow({}, seen.listener());
  constexpr std::size_t writers = 4, each = 100;
  std::vector<std::thread> threads;
  for (std::size_t w = 0; w < writers; ++w)
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < each; ++i)
        (*j)->commit(one_event(), [](const result<void>&) {});
    });
  for (auto& t : threads)
    t.join();
  CHECK(seen.wait_for(writers * each) == numbers(1, writers * each));
}

TEST_CASE("journal: a follower sees the past, then the present, without gap or repeat") {
  temp_dir dir;
  auto store = open_rocks_state_store({dir / "state", false});
  REQUIRE(store);
  auto j = journal::open(**store);
  REQUIRE(j);
  constexpr std::size_t events = 400, followers = 20;
  std::thread writer{[&] {
    for (std::size_t i = 0; i < events; ++i)
      (*j)->commit(one_event(), [](const result<void>&) {});
  }};
  std::vector<followed> seen(followers);
  std::vector<std::shared_ptr<void>> tokens;
  for (auto& s : seen) {
    tokens.push_back((*j)->follow({5}, s.listener()));
    commit_and_wait(**j, {}); // lets the writer get ahead
  }
  writer.join();
  for (auto& s : seen)
    CHECK(s.wait_for(events - 5) == numbers(6, events - 5));
}

TEST_CASE("journal: a follower hears nothing after its token is dropped") {
  memory_state_store store;
  auto j = std::move(*journal::open(store));
  followed seen;
  auto token = j->follow({}, seen.listener());
  j->commit(one_event(), [](const result<void>&) {});
  token.reset();
  j->commit(one_event(), [](const result<void>&) {});
  CHECK(seen.wait_for(1) == numbers(1, 1));
}

TEST_CASE("journal: of a commit that failed nobody is told") {
  memory_state_store store;
  auto j = std::move(*journal::open(store));
  followed seen;
  auto token = j->follow({}, seen.listener());
  store.fail_next(1, {errc::no_space, "disk full", {}});
  result<void> answer;
  j->commit(one_event(), [&](result<void> r) { answer = std::move(r); });
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == errc::no_space);
  j->commit(one_event(), [](const result<void>&) {});
  CHECK(seen.wait_for(1).size() == 1);
}

TEST_CASE("journal: followers are told only what is durable") {
  memory_state_store store{true};
  auto j = std::move(*journal::open(store));
  std::size_t told = 0;
  auto token = j->follow({}, [&](const event_record&) { ++told; });
  j->commit(one_event(), [](const result<void>&) {});
  CHECK(told == 0);
  store.sync();
  CHECK(told == 1);
}

TEST_CASE("journal: opened again, it goes on with the next number") {
  memory_state_store store;
  {
    auto first = std::move(*journal::open(store));
    for (int i = 0; i < 20; ++i)
      first->commit(one_event(), [](const result<void>&) {});
  }
  auto second = std::move(*journal::open(store));
  followed seen;
  auto token = second->follow({20}, seen.listener());
  second->commit(one_event(), [](const result<void>&) {});
  CHECK(seen.wait_for(1) == numbers(21, 1));
}

TEST_CASE("journal: a run is among the live ones until it has ended") {
  memory_state_store store;
  auto j = std::move(*journal::open(store));
  auto put = [&](run_state state) {
    changes c;
    c.runs.push_back(waiting_run());
    c.runs.back().state = state;
    j->commit(std::move(c), [](const result<void>&) {});
    return store.find(family::live_runs, keys::of(waiting_run().id))->has_value();
  };
  CHECK(put(run_state::waiting));
  CHECK(put(run_state::processing));
  CHECK_FALSE(put(run_state::failed));
}

TEST_CASE("journal: after a step that was refused no later one of its chain is written") {
  memory_state_store store{true};
  auto j = journal::open(store);
  REQUIRE(j);
  auto chain = std::make_shared<commit_chain>();
  std::vector<std::string> told;
  auto commit = [&](const std::string& name, std::shared_ptr<commit_chain> of = {}) {
    changes c;
    c.nodes.emplace_back();
    c.nodes.back().name = name;
    (*j)->commit(
        std::move(c),
        [&told, name](const result<void>& r) {
          told.push_back(name + (r ? " written" : fmt::format(" {}", to_string(r.error().code))));
        },
        std::move(of));
  };

  commit("earlier", chain);
  store.sync();
  store.fail_next(1, {errc::no_space, "disk full", {}});
  commit("refused", chain);
  commit("later", chain); // on its way before anybody heard of that
  commit("of another");
  store.sync();

  CHECK(told
        == std::vector<std::string>{"earlier written", "refused no_space", "later conflict",
                                    "of another written"});
  CHECK_FALSE(store.find(family::nodes, "later").value().has_value());
  CHECK(store.find(family::nodes, "of another").value().has_value());
}

TEST_CASE("journal: what is remembered of failures is kept, and erased when nothing is left") {
  memory_state_store store;
  auto j = journal::open(store);
  REQUIRE(j);
  changes c;
  c.input_blames.push_back({{"in", "a.mp4", {}}, {strike{.node = "n1"}}});
  c.node_blames.push_back({"n1", {}, 0, timestamp{7}, {}});
  commit_and_wait(**j, c);
  auto inputs = records_below<input_blame>(store, family::blame, "input/");
  auto nodes = records_below<node_blame>(store, family::blame, "node/");

  REQUIRE(inputs);
  CHECK(*inputs == c.input_blames);
  REQUIRE(nodes);
  CHECK(*nodes == c.node_blames);

  c.input_blames[0].strikes.clear();
  c.node_blames[0].doubted.reset();
  commit_and_wait(**j, c);
  CHECK(records_below<input_blame>(store, family::blame, "")->empty());
}

TEST_CASE("journal: a delivery is where its state says, and in one place only") {
  memory_state_store store;
  auto j = journal::open(store);
  REQUIRE(j);
  delivery_record d;
  d.sink = "http://h:80";
  d.event = {7};
  auto kept_as = [&](delivery_state s) {
    return *find_record<delivery_record>(store, family::deliveries,
                                         keys::delivery(s, d.sink, d.event));
  };
  auto write = [&](changes c) {
    (*j)->commit(std::move(c), [](const result<void>& r) { CHECK(r); });
  };
  auto put = [&](delivery_state s) {
    changes c;
    d.state = s;
    c.deliveries.push_back(d);
    c.cursors.emplace_back("outbox", d.event);
    write(std::move(c));
  };

  put(delivery_state::pending);
  CHECK(kept_as(delivery_state::pending) == d);
  CHECK(*store.find(family::cursors, "outbox") == keys::of(event_id{7}));
  put(delivery_state::dead);
  CHECK(kept_as(delivery_state::dead) == d);
  CHECK_FALSE(kept_as(delivery_state::pending));
  put(delivery_state::pending);
  CHECK_FALSE(kept_as(delivery_state::dead));
  changes arrived;
  arrived.erased_deliveries.emplace_back(d.sink, d.event);
  write(std::move(arrived));
  CHECK_FALSE(kept_as(delivery_state::pending));
}

TEST_CASE("journal: signing keys are kept by id until they are erased") {
  memory_state_store store;
  auto j = journal::open(store);
  REQUIRE(j);
  changes c;
  c.signing_keys = {{"a", "secret", {1}}, {"b", "other", {2}}};
  (*j)->commit(std::move(c), [](const result<void>& r) { CHECK(r); });
  changes gone;
  gone.erased_signing_keys = {"a"};

  (*j)->commit(std::move(gone), [](const result<void>& r) { CHECK(r); });

  CHECK_FALSE(*store.find(family::meta, keys::signing_key("a")));
  CHECK(*store.find(family::meta, keys::signing_key("b")));
}
