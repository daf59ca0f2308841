#include "core/limits.hpp"
#include "media/plan/frame_grid.hpp"
#include "tests/media/plan/sources.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>
#include <set>

using namespace framemill;
using namespace framemill::plan_test;

namespace {

const clip_shape shapes[] = {
    {"25", {1, 90000}, {25, 1}, 2000, 50},
    {"29.97", {1, 30000}, {30000, 1001}, 2400, 60},
    {"23.976 in ms", {1, 1000}, {24000, 1001}, 2000, 48, 21},
    {"variable", {1, 1000}, {30, 1}, 2400, 40, 0, 0.8},
    {"60", {1, 15360}, {60, 1}, 5000, 120},
    {"late start", {1, 90000}, {25, 1}, 2000, 50, 126000},
    {"long GOP", {1, 12800}, {25, 1}, 3000, 130},
};

using pts_list = std::vector<std::int64_t>;

/// The source pts that each rendition of the plan shows, in order, and the
/// checks that hold for every shard.
std::map<std::string, pts_list> shown_frames(const planned& p, const physical_plan& plan) {
  std::map<std::string, pts_list> out;
  std::map<std::string, std::int64_t> next;
  for (const auto& d : steps_of<decode_step>(plan))
    for (const auto& v : d.videos) {
      auto rendition = v.name.substr(0, v.name.find('.'));
      REQUIRE(v.first == next[rendition]);
      REQUIRE(v.last > v.first);
      next[rendition] = v.last;
      for (auto k = v.first; k < v.last; ++k) {
        auto at = source_of(k, v.grid, *p.index);
        REQUIRE(at >= 0);
        auto pts = p.index->pts[static_cast<std::size_t>(at)];
        REQUIRE(pts >= d.begin);
        REQUIRE(pts <= d.end);
        REQUIRE(d.start.pts <= pts);
        out[rendition].push_back(pts);
      }
    }
  return out;
}

/// When the last slot is done, if each takes the next shard as soon as it can.
template <class Work>
double end_of(const physical_plan& plan, int slots, Work work) {
  std::vector<double> ends(static_cast<std::size_t>(slots), 0);
  for (const auto& d : steps_of<decode_step>(plan))
    for (const auto& v : d.videos)
      *std::min_element(ends.begin(), ends.end()) += work(v);
  return *std::max_element(ends.begin(), ends.end());
}

bool begins_with_key(const video_output& v, const packet_index& index) {
  auto at = source_of(v.first, v.grid, index);
  auto output_pts = [&](std::int64_t i) {
    return index.pts[static_cast<std::size_t>(i)] - v.grid.origin;
  };
  auto pts = v.grid.fps.num > 0 ? v.first : output_pts(at);
  auto previous = v.first == 0 || v.grid.fps.num > 0 ? pts : output_pts(at - 1);
  return is_key_frame(v.first, pts, previous, v, output_time_base(v.grid, index.time_base));
}

planned busy_run(const clip_shape& shape) {
  planned p{shape};
  p.raw("mp4", 25);
  p.raw("hls", 0);
  p.raw("mp4", 29.97).video->gop = 37;
  auto& task = p.transcode(0);
  task = *p.run.spec.activities[0].transcode;
  task.output_object_path = "clip.{format}";
  task.start_offset = 13.3;
  task.end_offset = -7;
  p.snapshots({"0s", "33.34s", "50%", "99%"});
  p.sprite();
  p.animation(20, 30);
  return p;
}

} // namespace

TEST_CASE("planner: shards of every rendition tile its frames and lose none") {
  for (const auto& shape : shapes) {
    CAPTURE(shape.name);
    auto p = busy_run(shape);
    auto sharded = p.plan();
    p.options.allow_sharding = false;
    auto whole = p.plan();

    REQUIRE(sharded.shards.size() > 4);
    CHECK(whole.shards.size() == 1);
    CHECK(shown_frames(p, sharded) == shown_frames(p, whole));
  }
}

TEST_CASE("planner: a shard begins with a key frame of the rendition's own grid") {
  for (const auto& shape : shapes) {
    CAPTURE(shape.name);
    auto p = busy_run(shape);
    for (const auto& d : steps_of<decode_step>(p.plan()))
      for (const auto& v : d.videos)
        CHECK(begins_with_key(v, *p.index));
  }
}

TEST_CASE("planner: decoding starts at the last access point before the first frame") {
  for (const auto& shape : shapes) {
    auto p = busy_run(shape);
    for (const auto& d : steps_of<decode_step>(p.plan())) {
      CHECK(d.start.pts <= d.begin);
      for (const auto& a : p.index->access_points)
        CHECK_FALSE((a.pts > d.start.pts && a.pts <= d.begin && d.start.pts != INT64_MIN));
    }
  }
}

TEST_CASE("planner: every picture is picked once, sharded or not") {
  for (const auto& shape : shapes) {
    auto p = busy_run(shape);
    auto picks = [](const physical_plan& plan) {
      std::multiset<std::pair<std::string, std::int64_t>> out;
      for (const auto& d : steps_of<decode_step>(plan))
        for (const auto& o : d.pictures)
          for (const auto& pick : o.picks)
            out.insert({o.name.substr(0, o.name.find('.')), pick.ticks});
      return out;
    };
    auto sharded = picks(p.plan());
    p.options.allow_sharding = false;

    CHECK(sharded == picks(p.plan()));
    CHECK(sharded.size() > 4 + 20); // snapshots, cels, and the tiles
  }
}

TEST_CASE("planner: files that a shard reads are kept by the shards it needs") {
  for (const auto& shape : shapes) {
    auto plan = busy_run(shape).plan();
    for (const auto& s : plan.shards)
      for (const auto& step : s.request.steps) {
        std::vector<std::string> files;
        if (const auto* a = std::get_if<assemble_step>(&step)) {
          files = a->videos;
          files.push_back(a->audio);
        }
        if (const auto* a = std::get_if<sprite_step>(&step))
          files = a->pictures;
        if (const auto* a = std::get_if<animation_step>(&step))
          files = a->pictures;
        for (const auto& f : files) {
          bool found = false;
          for (auto need : s.needs)
            for (const auto& kept : plan.shards.at(need - 1).request.keep)
              found |= kept == f;
          CHECK_MESSAGE(found, f);
        }
      }
  }
}

TEST_CASE("planner: the same input gives the same plan") {
  auto p = busy_run(shapes[3]);
  auto a = p.plan(), b = p.plan();

  CHECK(a.shards == b.shards);
  CHECK(a.jobs == b.jobs);
}

TEST_CASE("planner: ends of shards are compared in the smallest of what is cut alike") {
  planned p{{"1 min", {1, 90000}, {25, 1}, 1500, 50}};
  for (std::int64_t height : {720, 360, 480})
    p.raw("mp4", 25).video->height = height;
  p.raw("hls", 25).video->height = 540; // cut at segments
  p.raw("mp4", 30);                     // another grid
  auto steps = steps_of<assemble_step>(p.plan());

  REQUIRE(steps.size() == 5);
  CHECK(steps[0].seams == seam_sides::starts);
  CHECK(steps[1].seams == seam_sides::both);
  CHECK(steps[2].seams == seam_sides::starts);
  CHECK(steps[3].seams == seam_sides::both);
  CHECK(steps[4].seams == seam_sides::both);
}

TEST_CASE("planner: audio comes first and needs nothing") {
  auto plan = busy_run(shapes[0]).plan();

  CHECK(plan.shards[0].role == shard_role::audio);
  CHECK(plan.shards[0].needs.empty());
  CHECK(plan.shards[0].state == shard_state::ready);
  CHECK(plan.shards[1].role == shard_role::decode);
  CHECK(plan.shards[1].needs == std::vector<std::uint32_t>{0});
  CHECK(plan.shards.back().state == shard_state::blocked);
}

TEST_CASE("planner: two hours are planned in less than a second, in bounded shards") {
  planned p{{"2 h", {1, 90000}, {25, 1}, 2 * 3600 * 25, 50}};
  p.options.slots = 8;
  p.transcode(100020);
  p.raw("hls", 0);
  p.sprite();
  p.samples();

  auto before = std::clock();
  auto plan = p.plan();
  auto seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;

  CHECK(seconds < 1);
  CHECK(plan.shards.size() > 100);
  CHECK(plan.shards.size() < 200);
}

TEST_CASE("planner: the number of shards is bounded however short they are asked for") {
  planned p{{"2 h", {1, 1000}, {25, 1}, 2 * 3600 * 25, 25}};
  p.options.shard_seconds_min = p.options.shard_seconds_max = 0.1;
  p.raw("mp4", 25).video->gop = 1;

  auto shards = p.plan().shards.size();

  CHECK(shards > 1000);
  CHECK(shards < limits::run_shards_max);
}

TEST_CASE("planner: what cannot be cut is one piece and says why") {
  auto note = [](planned& p) {
    auto plan = p.plan();
    REQUIRE(plan.shards.size() == 1);
    CHECK(plan.shards[0].role == shard_role::whole);
    return plan.stages.at(0).note;
  };
  auto contains = [](const std::string& text, const char* part) {
    return text.find(part) != text.npos;
  };
  planned average{shapes[0]};
  average.raw("mp4", 25).video->mode = rate_mode::abr;
  average.run.spec.activities[0].transcode->raw->video->bitrate = 1000;
  planned interlaced{shapes[0]};
  interlaced.raw("mp4", 25);
  interlaced.run.media->streams[0].interlaced = true;
  planned one_gop{{"one GOP", {1, 1000}, {25, 1}, 3000, 3000}};
  one_gop.raw("mp4", 25);
  planned brief{{"short", {1, 1000}, {25, 1}, 250, 25}};
  brief.raw("mp4", 25);

  CHECK(contains(note(average), "average bitrate needs one encoder"));
  CHECK(contains(note(interlaced), "deinterlacing"));
  CHECK(contains(note(one_gop), "too far apart"));
  CHECK(contains(note(brief), "short"));
}

TEST_CASE("planner: slots that take the shards in order finish together, however many there are") {
  for (int slots : {2, 3, 4, 8, 16, 24}) {
    CAPTURE(slots);
    planned p{{"10 min", {1, 90000}, {25, 1}, 15000, 50}};
    p.options.slots = slots;
    p.raw("mp4", 25);
    auto seconds = [](const video_output& v) { return static_cast<double>(v.last - v.first) / 25; };

    CHECK(end_of(p.plan(), slots, seconds) <= 600.0 / slots + 4);
  }
}

TEST_CASE("planner: where the source has more bytes, more work is expected") {
  constexpr int slots = 8; // a piece each: nobody evens out what was not expected
  planned p{{"2 min", {1, 90000}, {25, 1}, 3000, 50}};
  p.options.slots = slots;
  p.raw("mp4", 25);
  auto bytes = [](std::int64_t frame) { // four times as many in the last quarter
    return frame * 1000 + std::max<std::int64_t>(frame - 2250, 0) * 3000;
  };
  for (std::size_t i = 0; i < p.index->access_points.size(); ++i)
    p.index->access_points[i].position = bytes(static_cast<std::int64_t>(i) * 50);
  p.run.media->size = bytes(3000);
  auto work = [&](const video_output& v) { // of 120 seconds
    const auto time = static_cast<double>(v.last - v.first) / 3000;
    const auto size =
        static_cast<double>(bytes(v.last) - bytes(v.first)) / static_cast<double>(bytes(3000));
    return 120 * (2 * time + size) / 3;
  };
  const auto known = p.plan();
  p.run.media->size += bytes(1500); // the container's own index, behind the last picture
  CHECK(steps_of<decode_step>(p.plan()) == steps_of<decode_step>(known));
  for (auto& a : p.index->access_points)
    a.position = -1;

  CHECK(end_of(known, slots, work) < 120 / slots + 2);
  CHECK(end_of(p.plan(), slots, work) > 120 / slots + 2);
}

TEST_CASE("planner: what costs less than its shards would is one piece") {
  planned p{{"1 min", {1, 90000}, {25, 1}, 1500, 50}};
  p.raw("mp4", 25);
  p.options.shard_cpu_seconds_min = 3;
  auto dear = p.plan();
  p.run.media->streams[0].width = 160;
  p.run.media->streams[0].height = 90;
  auto cheap = p.plan();
  p.options.shard_cpu_seconds_min = 0;
  auto asked = p.plan();

  CHECK(steps_of<decode_step>(dear).size() > 1);
  REQUIRE(cheap.shards.size() == 1);
  CHECK(cheap.stages.at(0).note.find("CPU seconds, too little to pay for shards")
        != std::string::npos);
  CHECK(steps_of<decode_step>(asked).size() > 1);
}

TEST_CASE("planner: an index that is not exact is worked as it decodes") {
  auto p = busy_run(shapes[0]);
  p.options.trust_index = false;
  auto plan = p.plan();

  REQUIRE(plan.shards.size() == 1);
  CHECK(plan.shards[0].needs.empty());
  CHECK_FALSE(plan.warnings.empty());
  for (const auto& d : steps_of<decode_step>(plan)) {
    CHECK(d.index_file.empty());
    CHECK(d.begin == INT64_MIN);
    for (const auto& v : d.videos)
      CHECK(v.last == INT64_MAX);
  }
  for (const auto& a : steps_of<assemble_step>(plan))
    CHECK(a.contract.video_frames == -1);
}
