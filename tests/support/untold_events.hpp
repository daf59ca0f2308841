#pragma once

#include "storage/records.hpp"
#include "tests/support/crash_scale.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

namespace framemill::test {

/// Events of a crash test's runs, which are over: five each, interleaved.
struct untold_events {
  static constexpr std::uint64_t per_run = 5, first = 10'000;
  std::uint64_t runs = crash_events() / per_run;

  [[nodiscard]] std::uint64_t count() const { return runs * per_run; }

  /// Into a data directory that no daemon has open: as if one had died before its
  /// OUTBOX looked at the log.
  void write(const std::string& data_dir, const notify_config& to) const {
    std::filesystem::create_directories(data_dir);
    auto store = open_rocks_state_store({data_dir + "/state", false});
    REQUIRE(store);
    write_batch batch;
    for (std::uint64_t i = 1; i <= runs; ++i) {
      run_record r;
      r.id = {i};
      r.state = run_state::succeeded;
      r.object = {"media", "in/" + std::to_string(i) + ".mp4", {}};
      r.spec.notify = to;
      put_record(batch, family::runs, keys::of(r.id), r);
    }
    for (std::uint64_t i = 0; i < count(); ++i) {
      event_record e;
      e.id = {first + i};
      e.run = {i % runs + 1};
      e.type = i / runs + 1 == per_run ? "run.state" : "job.state";
      e.state = "succeeded";
      put_record(batch, family::events, keys::of(e.id), e);
    }
    batch.put(family::meta, "counter/last_run", keys::number(runs));
    batch.put(family::cursors, "outbox", keys::of(event_id{first - 1}));
    REQUIRE((*store)->commit_and_wait(std::move(batch)));
  }
};

} // namespace framemill::test
