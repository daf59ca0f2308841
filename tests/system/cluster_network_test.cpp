#include "tests/system/cluster_fixture.hpp"

#include <doctest/doctest.h>

#include <random>
#include <thread>

// The network between the nodes of a cluster fails in every way that TCP lets
// through. What comes out is what comes out of one node alone.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

struct network_fixture : cluster_fixture {
  explicit network_fixture(cluster_links links, int workers = 4)
      : cluster_fixture(workers, links) {}

  template <class Fault>
  void everywhere(Fault fault) {
    for (auto& w : cluster.workers())
      fault(*w->control), fault(*w->data);
  }
  void heal() {
    cluster.heal();
    for (auto& w : cluster.workers())
      cluster.await_up(w->name);
  }
  /// All nodes take part again.
  void check_healed() {
    put(quick_key, 48);
    auto run = check_undisturbed(*this, quick_key, 48);
    CHECK(failures_of(run) == 0);
    check_quiet(*this);
  }
};

} // namespace

TEST_CASE("cluster network: the shard of a node that is cut off runs elsewhere") {
  network_fixture f{cluster_links::cables};
  auto run = f.begin(paced_key);
  auto victim = f.await_holder(run);

  auto fault = now();
  f.cluster.part(victim.node, flow::both);
  auto ended = check_undisturbed(f, paced_key);

  check_moved(ended, victim, fault, moved_within);
  f.heal();
  f.check_healed();
}

TEST_CASE("cluster network: a node that hears but is not heard loses its shard") {
  network_fixture f{cluster_links::cables};
  auto run = f.begin(paced_key);
  auto victim = f.await_holder(run);

  auto fault = now();
  f.cluster.part(victim.node, flow::forward);
  auto ended = check_undisturbed(f, paced_key);

  check_moved(ended, victim, fault, moved_within);
  f.heal();
  f.check_healed();
}

TEST_CASE("cluster network: a node that is heard but does not hear delays nobody for ever") {
  network_fixture f{cluster_links::cables};
  auto run = f.begin(paced_key, 48, 4);
  auto victim = f.await_holder(run);

  f.cluster.part(victim.node, flow::backward);
  (void)check_undisturbed(f, paced_key, 48);

  f.heal();
  f.check_healed();
}

TEST_CASE("cluster network: a partition that heals in time costs nothing") {
  network_fixture f{cluster_links::cables};
  auto run = f.begin("in/pace-0.4.mp4");
  auto victim = f.await_holder(run);

  f.cluster.part(victim.node, flow::both);
  std::this_thread::sleep_for(700ms); // the fault's time
  f.cluster.heal();
  auto ended = check_undisturbed(f, "in/pace-0.4.mp4");

  CHECK(failures_of(ended) == 0);
  check_quiet(f);
}

TEST_CASE("cluster network: words that take 200 ms change nothing") {
  network_fixture f{cluster_links::proxies};
  for (auto& w : f.cluster.workers()) {
    w->control->delay(200ms, 50ms);
    w->data->delay(50ms, 20ms); // a shard asks for its source in many steps
  }

  f.put(quick_key);
  auto run = check_undisturbed(f, quick_key);

  CHECK(failures_of(run) == 0);
  check_quiet(f);
}

TEST_CASE("cluster network: a slow data plane delays results, not beats") {
  network_fixture f{cluster_links::proxies, 2};
  for (auto& w : f.cluster.workers())
    w->data->throttle(600'000);

  f.put(paced_key);
  auto run = f.finish(paced_key);

  CHECK_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  CHECK(failures_of(run) == 0);
  check_quiet(f);
}

TEST_CASE("cluster network: connections that break now and then cost no shard") {
  network_fixture f{cluster_links::proxies};
  (void)f.begin(paced_key, 48, 4);

  for (int i = 0; i < 3; ++i) {
    f.everywhere([](chaos_proxy& p) { p.cut(); });
    std::this_thread::sleep_for(900ms); // the fault's time
  }
  auto run = check_undisturbed(f, paced_key, 48);

  CHECK(failures_of(run) == 0);
  check_quiet(f);
}

TEST_CASE("cluster network: connections that break all the time cost no output") {
  network_fixture f{cluster_links::proxies};
  (void)f.begin(paced_key, 48, 4);

  for (int i = 0; i < 20; ++i) {
    f.everywhere([](chaos_proxy& p) { p.cut(); });
    std::this_thread::sleep_for(100ms); // the fault's time
  }
  (void)check_undisturbed(f, paced_key, 48);

  check_quiet(f);
}

TEST_CASE("cluster network: a node that is refused for a while comes back") {
  network_fixture f{cluster_links::proxies};
  auto run = f.begin(paced_key);
  auto victim = f.await_holder(run);
  auto& w = f.cluster.worker(victim.node);

  w.control->refuse(), w.data->refuse();
  w.control->cut(), w.data->cut();
  auto fault = now();
  auto ended = check_undisturbed(f, paced_key);

  check_moved(ended, victim, fault, moved_within);
  f.heal();
  f.check_healed();
}

TEST_CASE("cluster network: bytes that are damaged on the wire never reach an output") {
  network_fixture f{cluster_links::proxies};
  constexpr unsigned seed = 20261123;
  std::mt19937 random{seed};
  std::uniform_int_distribution<std::uint64_t> somewhere{0, 3000};
  (void)f.begin(paced_key, 48, 4);

  for (int i = 0; i < 5; ++i) {
    f.everywhere([&](chaos_proxy& p) { p.flip_byte(somewhere(random), flow::both); });
    std::this_thread::sleep_for(300ms); // the fault's time
  }
  auto run = check_undisturbed(f, paced_key, 48);

  std::size_t flipped = 0;
  f.everywhere([&](chaos_proxy& p) { flipped += p.flipped(); });
  MESSAGE("seed " << seed << ": " << flipped << " bytes damaged, " << failures_of(run)
                  << " attempts lost");
  CHECK(flipped >= 8);
  f.heal();
  check_quiet(f);
}
