#include "storage/settle.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

constexpr timestamp start{1'700'000'000'000'000};
constexpr auto no_writer = std::optional{false};
constexpr std::optional<bool> unknown;

/// An object of this size, last written `age` before `start`.
generation made(std::uint64_t size, microseconds age = 0us) {
  return {size, (start.us - age.count()) * 1000, 42, ""};
}

/// Looks whenever the machine asks for it; when it was settled, from `now` on.
std::optional<microseconds> settles_after(settle_machine& m, timestamp now, const generation& g,
                                          std::optional<bool> writer = unknown) {
  const auto begin = now;
  for (int looks = 0; looks < 1000; ++looks) {
    if (!m.take_settled(now).empty())
      return now - begin;
    const auto next = m.next_look();
    if (!next)
      return std::nullopt;
    now = std::max(now, *next);
    for (const auto& key : m.due(now))
      m.observe(now, key, g, false, writer);
  }
  return std::nullopt;
}

} // namespace

TEST_CASE("settle_machine: how long an undisturbed object takes") {
  struct row {
    const char* what;
    generation g;
    bool closed;
    std::optional<bool> writer;
    microseconds at_least;
    microseconds at_most;
  };
  constexpr std::uint64_t gib = 1ull << 30;
  const row table[] = {
      {"closed", made(1000), true, no_writer, 30ms, 40ms},
      {"closed, writers unknown", made(1000), true, unknown, 30ms, 40ms},
      {"found old", made(1000, 24h), false, unknown, 2s, 2100ms},
      {"found just written", made(1000), false, no_writer, 2s, 2100ms},
      {"4 GiB found", made(4 * gib, 24h), false, unknown, 6s, 6100ms},
      {"1 TiB found", made(1024 * gib, 24h), false, unknown, 30s, 30100ms},
      {"empty", made(0, 24h), false, unknown, 2s, 2100ms},
      {"mtime in the future", made(1000, -24h), false, unknown, 2s, 2100ms},
  };
  for (const auto& r : table) {
    CAPTURE(r.what);
    settle_machine m{{}};
    m.observe(start, "k", r.g, r.closed, r.writer);

    const auto took = settles_after(m, start, r.g, r.writer);

    REQUIRE(took);
    CHECK(*took >= r.at_least);
    CHECK(*took <= r.at_most);
  }
}

TEST_CASE("settle_machine: what is settled has evidence, and is out") {
  settle_machine m{{}};
  m.observe(start, "k", made(5), true, no_writer);
  m.observe(start + 40ms, "k", made(5), false, no_writer);

  const auto settled = m.take_settled(start + 40ms);

  REQUIRE(settled.size() == 1);
  CHECK(settled[0].key == "k");
  CHECK(settled[0].generation == made(5));
  CHECK(settled[0].first_seen == start);
  REQUIRE(settled[0].evidence.size() == 2);
  CHECK(settled[0].evidence[0].find("closed after writing") != std::string::npos);
  CHECK(settled[0].evidence[1] == "not open for writing");
  CHECK(m.size() == 0);
  CHECK_FALSE(m.next_look());
}

TEST_CASE("settle_machine: a file that grows is not settled until it rests") {
  settle_machine m{{}};
  auto now = start;
  for (int i = 0; i < 60; ++i, now = now + 1s) {
    m.observe(now, "k", made(1000 + i, start - now), false, unknown);
    REQUIRE(m.take_settled(now).empty());
  }

  const auto last = made(1060, start - now);
  m.observe(now, "k", last, false, unknown);

  const auto took = settles_after(m, now, last);
  REQUIRE(took);
  CHECK(*took >= 2s);
}

TEST_CASE("settle_machine: a close hint counts for its own generation only") {
  settle_machine m{{}};
  m.observe(start, "k", made(5), true, unknown);
  m.observe(start + 100ms, "k", made(6), false, unknown);
  m.observe(start + 200ms, "k", made(6), false, unknown);

  CHECK(m.take_settled(start + 200ms).empty());
}

TEST_CASE("settle_machine: a writer holds it back, however long") {
  settle_machine m{{}};
  auto now = start;
  for (; now < start + 1h; now = now + 10s) {
    m.observe(now, "k", made(5, 24h), true, true);
    REQUIRE(m.take_settled(now).empty());
  }
  CHECK(m.settling(now).at(0).waiting_for.find("open for writing") != std::string::npos);

  m.observe(now, "k", made(5, 24h), false, no_writer);
  const auto took = settles_after(m, now, made(5, 24h), no_writer);
  REQUIRE(took);
  CHECK(*took <= 40ms);
}

TEST_CASE("settle_machine: many looks in a short time are not patience") {
  settle_machine m{{}};
  for (int i = 0; i < 1000; ++i)
    m.observe(start + i * 1ms, "k", made(5, 24h), false, unknown);

  CHECK(m.take_settled(start + 1s).empty());
}

TEST_CASE("settle_machine: two looks far apart are too few") {
  settle_machine m{{}};
  m.observe(start, "k", made(5, 24h), false, unknown);
  m.observe(start + 1h, "k", made(5, 24h), false, unknown);

  CHECK(m.take_settled(start + 1h).empty());
}

TEST_CASE("settle_machine: a clock set back neither settles early nor hangs") {
  settle_machine m{{}};
  const auto g = made(5, 48h);
  m.observe(start, "stable", g, false, unknown);
  m.observe(start, "closed", g, true, unknown);
  m.observe(start + 1s, "stable", g, false, unknown);

  const auto back = start + -1h;
  CHECK(m.take_settled(back).empty());
  const auto due = m.due(back);
  REQUIRE(due == std::vector<std::string>{"closed", "stable"});
  for (const auto& key : due)
    m.observe(back, key, g, false, unknown);

  CHECK(m.take_settled(back).empty());
  auto took = settles_after(m, back, g);
  REQUIRE(took); // `closed`
  CHECK(*took >= 30ms);
  took = settles_after(m, back + *took, g);
  REQUIRE(took); // `stable`
  CHECK(*took >= 1900ms);
  CHECK(*took <= 2100ms);
}

TEST_CASE("settle_machine: a settled object left over a clock set back is looked at again") {
  settle_machine m{{}};
  m.observe(start, "k", made(5), true, unknown);
  m.observe(start + 40ms, "k", made(5), false, unknown);

  CHECK(m.take_settled(start + -1h).empty());
  CHECK(m.due(start + -1h) == std::vector<std::string>{"k"});
}

TEST_CASE("settle_machine: what is gone is forgotten") {
  settle_machine m{{}};
  m.observe(start, "k", made(5), true, unknown);
  m.observe(start + 40ms, "k", made(5), false, unknown);
  m.gone("k");
  m.gone("never seen");

  CHECK(m.take_settled(start + 1s).empty());
  CHECK(m.size() == 0);
  CHECK(m.due(start + 1h).empty());
}

TEST_CASE("settle_machine: ten thousand objects at once settle in well under a second") {
  settle_machine m{{}};
  const auto name = [](int i) { return fmt::format("dir/object-{:05}.mp4", i); };
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000; ++i)
    m.observe(start + i * 1us, name(i), made(5), true, no_writer);

  std::size_t settled = 0;
  for (auto now = start; settled < 10'000 && now < start + 10s; now = now + 1ms) {
    for (const auto& key : m.due(now))
      m.observe(now, key, made(5), false, no_writer);
    settled += m.take_settled(now).size();
  }

  CHECK(settled == 10'000);
  CHECK(std::chrono::steady_clock::now() - began < 5s); // sanitizers are slow; O(n²) is slower
}

TEST_CASE("settle_machine: says how long it will take and for what it waits") {
  settle_machine m{{}};
  m.observe(start, "k", made(5, 24h), false, unknown);

  const auto views = m.settling(start + 500ms);

  REQUIRE(views.size() == 1);
  CHECK(views[0].key == "k");
  CHECK(views[0].remaining == 1500ms);
  CHECK(views[0].waiting_for == "unchanged for 2.0 s over 3 looks (now 1)");
}
