#include "storage/timeline.hpp"

#include "storage/memory_state_store.hpp"
#include "storage/records.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

std::uint64_t number_at(const state_store& store, std::string_view key) {
  auto value = store.find(family::meta, key).value();
  return value ? std::stoull(*value, nullptr, 16) : 0;
}

} // namespace

TEST_CASE("timeline: a state that was never restored has none, and numbers go on") {
  memory_state_store store;
  CHECK(timeline_of(store).value() == "");
  CHECK(last_event_number(store).value() == 0);

  write_batch batch;
  put_record(batch, family::events, keys::of(event_id{41}), event_record{});
  REQUIRE(store.commit_and_wait(std::move(batch)));
  CHECK(last_event_number(store).value() == 41);
}

TEST_CASE("timeline: one that begins passes over what may have been given since the backup") {
  memory_state_store store;
  write_batch batch;
  batch.put(family::meta, "counter/last_run", keys::number(7));
  batch.put(family::meta, "counter/workflow", keys::number(0));
  put_record(batch, family::events, keys::of(event_id{41}), event_record{});
  REQUIRE(store.commit_and_wait(std::move(batch)));

  REQUIRE(begin_timeline(store, "first"));

  CHECK(timeline_of(store).value() == "first");
  CHECK(number_at(store, "counter/last_run") == 1'000'007);
  CHECK(number_at(store, "counter/workflow") == 1'000'000);
  CHECK(last_event_number(store).value() == 1'000'041);
  REQUIRE(begin_timeline(store, "second")); // without an event between
  CHECK(timeline_of(store).value() == "second");
  CHECK(last_event_number(store).value() == 2'000'041);
}
