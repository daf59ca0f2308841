#include "media/plan/frame_grid.hpp"
#include "tests/media/plan/sources.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::plan_test;

TEST_CASE("frame_grid: a source at the grid's own rate maps frame to frame") {
  for (rational rate : {rational{25, 1}, rational{30000, 1001}, rational{24000, 1001}}) {
    auto index = make_index({"", {1, 1000}, rate, 500, 50, 21});
    frame_grid grid{rate, 21, index.pts.back() + index.last_duration};

    CHECK(frame_count(grid, index) == 500);
    for (std::int64_t k = 0; k < 500; ++k)
      REQUIRE(source_of(k, grid, index) == k);
  }
}

TEST_CASE("frame_grid: 60 to 25 frames per second shows the last frame of each slot") {
  auto index = make_index({"", {1, 60}, {60, 1}, 60, 60});
  frame_grid grid{{25, 1}, 0, 60};

  CHECK(frame_count(grid, index) == 25);
  CHECK(source_of(0, grid, index) == 1);
  CHECK(source_of(1, grid, index) == 3);
  CHECK(source_of(24, grid, index) == 58);
}

TEST_CASE("frame_grid: one frame is one output frame, and nothing is none") {
  auto index = make_index({"", {1, 90000}, {25, 1}, 1});
  frame_grid grid{{25, 1}, 0, 1};

  CHECK(frame_count(grid, index) == 1);
  CHECK(source_of(0, grid, index) == 0);
  CHECK(source_of(1, grid, index) == -1);
  CHECK(source_of(-1, grid, index) == -1);
  CHECK(frame_count(grid, packet_index{}) == 0);
}

TEST_CASE("frame_grid: frames before the first source frame show the first") {
  packet_index index;
  index.time_base = {1, 1000};
  index.pts = {500, 540};
  index.last_duration = 40;
  frame_grid grid{{25, 1}, 0, 580};

  CHECK(source_of(0, grid, index) == 0);
  CHECK(source_of(14, grid, index) == 1);
}

TEST_CASE("frame_grid: without a rate the frames of the clip keep their times") {
  auto index = make_index({"", {1, 1000}, {25, 1}, 100});
  frame_grid grid{{0, 1}, 1000, 2000};

  CHECK(frame_count(grid, index) == 25);
  CHECK(source_of(0, grid, index) == 25);
  CHECK(source_of(25, grid, index) == -1);
  CHECK(output_time_base(grid, {1, 1000}) == rational{1, 1000});
}

TEST_CASE("frame_grid: two hours in nanoseconds do not overflow") {
  frame_grid grid{{30000, 1001}, 0, 0};

  CHECK(slot_of(7'200'000'000'000, grid, {1, 1'000'000'000}) == 215784);
}

TEST_CASE("frame_grid: key frames are the first at or after each multiple") {
  video_output v;
  v.gop_seconds = 2;

  CHECK(is_key_frame(0, 40, 40, v, {1, 1000}));
  CHECK(is_key_frame(50, 2000, 1960, v, {1, 1000}));
  CHECK(is_key_frame(50, 2030, 1990, v, {1, 1000}));
  CHECK_FALSE(is_key_frame(51, 2040, 2000, v, {1, 1000}));
}
