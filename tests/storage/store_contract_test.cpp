#include "core/object.hpp"
#include "storage/memory_state_store.hpp"
#include "storage/records.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

using namespace framemill;
using framemill::test::temp_dir;

namespace {

using pairs = std::vector<std::pair<std::string, std::string>>;

write_batch one(family f, std::string key, std::string value) {
  write_batch b;
  b.put(f, std::move(key), std::move(value));
  return b;
}

enum class order { up, down };

pairs all(const state_store& s, family f, std::string_view from = "",
          std::string_view until = "", order o = order::up) {
  pairs found;
  auto visit = [&](std::string_view k, std::string_view v) {
    found.emplace_back(k, v);
    return true;
  };
  const auto r =
      o == order::up ? s.scan(f, from, until, visit) : s.scan_back(f, from, until, visit);
  REQUIRE(r);
  return found;
}

/// Every implementation keeps the same contract.
struct both_stores {
  temp_dir dir;
  std::vector<std::unique_ptr<state_store>> stores;
  both_stores() {
    stores.push_back(std::make_unique<memory_state_store>());
    auto rocks = open_rocks_state_store({.directory = dir / "state"});
    REQUIRE(rocks);
    stores.push_back(std::move(*rocks));
    stores.push_back(std::make_unique<faulty_state_store>(
        std::make_unique<memory_state_store>(),
        [](const write_batch&) { return std::optional<error>{}; }));
  }
};

} // namespace

TEST_CASE_FIXTURE(both_stores, "state_store: what was put is found, what was erased is not") {
  for (auto& s : stores) {
    const std::string key{"k\0\xff", 3};
    REQUIRE(s->commit_and_wait(one(family::runs, key, std::string{"\0v", 2})));

    CHECK(s->find(family::runs, key).value() == std::string{"\0v", 2});
    CHECK_FALSE(s->find(family::jobs, key).value().has_value());

    write_batch erase;
    erase.erase(family::runs, key);
    REQUIRE(s->commit_and_wait(std::move(erase)));
    CHECK_FALSE(s->find(family::runs, key).value().has_value());
  }
}

TEST_CASE_FIXTURE(both_stores,
                  "state_store: later operations of a batch win over earlier ones") {
  for (auto& s : stores) {
    auto b = one(family::meta, "a", "1");
    b.erase(family::meta, "a");
    b.put(family::meta, "a", "2");
    b.merge(one(family::meta, "b", ""));

    REQUIRE(s->commit_and_wait(std::move(b)));

    CHECK(s->find(family::meta, "a").value() == "2");
    CHECK(s->find(family::meta, "b").value() == "");
  }
}

TEST_CASE_FIXTURE(both_stores, "state_store: scans are ordered, bounded and can be ended") {
  for (auto& s : stores) {
    for (std::uint64_t n : {300, 2, 17, 1, 0xffff})
      REQUIRE(s->commit_and_wait(one(family::events, keys::number(n), std::to_string(n))));
    const auto n = [](std::uint64_t i) {
      return std::pair{keys::number(i), std::to_string(i)};
    };

    CHECK(all(*s, family::events) == pairs{n(1), n(2), n(17), n(300), n(0xffff)});
    CHECK(all(*s, family::events, keys::number(2), keys::number(300)) == pairs{n(2), n(17)});
    CHECK(all(*s, family::events, "", keys::number(300), order::down) ==
          pairs{n(17), n(2), n(1)});
    CHECK(all(*s, family::events, keys::number(3), "", order::down) ==
          pairs{n(0xffff), n(300), n(17)});
    CHECK(all(*s, family::events, "z", "a").empty());

    int visited = 0;
    REQUIRE(s->scan(family::events, "", "", [&](auto, auto) { return ++visited < 2; }));
    CHECK(visited == 2);
  }
}

TEST_CASE_FIXTURE(both_stores, "state_store: a prefix scan takes exactly what begins with it") {
  for (auto& s : stores) {
    for (const char* key : {"a", "a/", "a/1", "a/\xff", "a0", "b"})
      REQUIRE(s->commit_and_wait(one(family::jobs, key, "")));

    CHECK(all(*s, family::jobs, "a/", prefix_end("a/")) ==
          pairs{{"a/", ""}, {"a/1", ""}, {"a/\xff", ""}});
  }
}

TEST_CASE_FIXTURE(both_stores, "state_store: a visitor may ask the store again") {
  for (auto& s : stores) {
    REQUIRE(s->commit_and_wait(one(family::runs, "r", "1")));

    const auto r = s->scan(family::runs, "", "", [&](std::string_view key, std::string_view) {
      return s->find(family::runs, key).value().has_value();
    });

    CHECK(r.has_value());
  }
}

TEST_CASE_FIXTURE(both_stores, "state_store: of a broken chain nothing is written") {
  for (auto& s : stores) {
    auto chain = std::make_shared<commit_chain>();
    auto link = [&](std::string key) {
      auto b = one(family::runs, std::move(key), "");
      b.belong_to(chain);
      return b;
    };
    REQUIRE(s->commit_and_wait(link("before")));
    chain->break_off();

    CHECK(s->commit_and_wait(link("after")).error().code == errc::conflict);
    CHECK(s->commit_and_wait(one(family::runs, "of another", "")));

    CHECK(s->find(family::runs, "before").value().has_value());
    CHECK_FALSE(s->find(family::runs, "after").value().has_value());
    CHECK(s->find(family::runs, "of another").value().has_value());
  }
}

TEST_CASE("prefix_end: skips bytes that cannot grow") {
  CHECK(prefix_end("ab") == "ac");
  CHECK(prefix_end("a\xff\xff") == "b");
  CHECK(prefix_end("\xff").empty());
  CHECK(prefix_end("").empty());
}

TEST_CASE("family: every one has its own name") {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < family_count; ++i) {
    names.push_back(to_string(static_cast<family>(i)));
    CHECK(names.back() != "unknown");
    for (std::size_t j = 0; j < i; ++j)
      CHECK(names[j] != names[i]);
  }
}

TEST_CASE("memory_state_store: a crash loses what was not synced, and only that") {
  memory_state_store s{true};
  int answered = 0;
  const auto count = [&](const result<void>& r) { answered += r ? 1 : 0; };
  s.commit(one(family::runs, "a", ""), count);
  s.commit(one(family::runs, "b", ""), count);

  s.sync(1);
  s.crash();
  s.sync();

  CHECK(answered == 1);
  CHECK(s.find(family::runs, "a").value().has_value());
  CHECK_FALSE(s.find(family::runs, "b").value().has_value());
}

TEST_CASE("memory_state_store: nothing of a failed commit is visible, the next one is") {
  memory_state_store s;
  s.fail_next(1, {errc::no_space, "full", ""});

  CHECK(s.commit_and_wait(one(family::runs, "a", "")).error().code == errc::no_space);
  CHECK(s.commit_and_wait(one(family::runs, "b", "")));

  CHECK_FALSE(s.find(family::runs, "a").value().has_value());
  CHECK(s.find(family::runs, "b").value().has_value());
}

TEST_CASE("faulty_state_store: the hook decides which commits fail") {
  faulty_state_store s{std::make_unique<memory_state_store>(), [](const write_batch& b) {
                         return b.operations().front().key == "bad"
                                    ? std::optional{error{errc::io_failed, "planned", ""}}
                                    : std::nullopt;
                       }};

  CHECK(s.commit_and_wait(one(family::runs, "good", "")));
  CHECK(s.commit_and_wait(one(family::runs, "bad", "")).error().message == "planned");
  CHECK_FALSE(s.find(family::runs, "bad").value().has_value());
}

TEST_CASE("records: round trip, and one that does not decode is named by the scan") {
  memory_state_store s;
  const object_record seen{.object = {"in", "a.mp4", {7, 8, 9, ""}},
                           .state = object_state::ignored,
                           .reason = "zero bytes"};
  write_batch b;
  put_record(b, family::objects, keys::object("in", "a.mp4"), seen);
  b.put(family::objects, keys::object("in", "b.mp4"), "\xc1");
  REQUIRE(s.commit_and_wait(std::move(b)));

  std::vector<object_record> found;
  const auto r = scan_records<object_record>(s, family::objects, "", "", [&](auto record) {
    found.push_back(std::move(record));
    return true;
  });

  CHECK(find_record<object_record>(s, family::objects, keys::object("in", "a.mp4")).value() ==
        seen);
  CHECK(found == std::vector{seen});
  REQUIRE_FALSE(r);
  CHECK(r.error().code == errc::corrupt);
  CHECK(r.error().message.find("b.mp4") != std::string::npos);
}
