#include "tests/media/plan/sources.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace framemill;
using namespace framemill::plan_test;

namespace {

/// An edit of these sources, whole.
struct edited {
  planned p;
  std::vector<packet_index> indexes;

  explicit edited(std::vector<clip_shape> shapes) : p(shapes.front()) {
    auto& t = p.raw("mp4", 0);
    t.video->height = 0;
    p.run.spec.kind = task_kind::edit_media;
    p.run.spec.edit.emplace();
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      indexes.push_back(make_index(shapes[i]));
      edit_clip clip;
      const auto key = fmt::format("in/{}.mov", i);
      clip.input = {"COS", cos_input{"media", "", "/" + key}};
      p.run.spec.edit->clips.push_back(std::move(clip));
      if (i > 0)
        p.run.more_sources.push_back(
            {{"media", key, {}}, make_media(shapes[i], indexes[i])});
    }
    p.options.slots = 4;
  }

  [[nodiscard]] physical_plan plan() const {
    std::vector<const packet_index*> given;
    for (const auto& i : indexes)
      given.push_back(&i);
    auto made = make_edit_plan(p.run, given, p.templates, p.assets, p.options);
    REQUIRE(made);
    return std::move(*made);
  }
};

const clip_shape shorter{"10 s", {1, 90000}, {25, 1}, 250, 50};
const clip_shape longer{"1 min", {1, 90000}, {25, 1}, 1500, 50};

const shard_record& splice_of(const physical_plan& plan) { return plan.shards.back(); }

template <class Step>
const Step* step_in(const shard_record& shard) {
  for (const auto& step : shard.request.steps)
    if (const auto* s = std::get_if<Step>(&step))
      return s;
  return nullptr;
}

} // namespace

TEST_CASE("edit: each file is encoded as a clip, and one shard splices them") {
  edited e{{shorter, longer, shorter}};

  const auto plan = e.plan();

  REQUIRE(plan.jobs.size() == 1);
  REQUIRE_MESSAGE(!plan.jobs[0].failure, plan.jobs[0].failure->message);
  const auto& last = splice_of(plan);
  CHECK(last.role == shard_role::join);
  CHECK(last.needs.size() == 3);
  const auto* splice = step_in<splice_step>(last);
  REQUIRE(splice);
  CHECK(splice->clips == std::vector<std::string>{"c0.mov", "c1.mov", "c2.mov"});
  CHECK(splice->fps == rational{25, 1});
  REQUIRE(splice->sound);
  CHECK(splice->sound->codec == "aac");
  const auto* whole = step_in<assemble_step>(last);
  REQUIRE(whole);
  CHECK(whole->container == "mp4");
  CHECK(whole->videos == std::vector<std::string>{splice->video});
  CHECK(whole->audio == splice->sound->name);
  CHECK(whole->contract.video_frames == 250 + 1500 + 250);
  REQUIRE(plan.jobs[0].items.size() == 1);
  CHECK(plan.jobs[0].items[0].shard == last.id.index);
  CHECK(last.request.keep == std::vector<std::string>{plan.jobs[0].items[0].file});
}

TEST_CASE("edit: shards read the file that is theirs, and have numbers of their own") {
  edited e{{longer, longer}};
  e.p.run.more_sources[0].media->streams[0].width = 1280;

  const auto plan = e.plan();

  std::set<std::uint32_t> numbers, sources;
  std::set<std::string> packet_files;
  for (const auto& s : plan.shards) {
    CHECK(s.id.index >= 2); // 0 and 1 are the probes
    CHECK(numbers.insert(s.id.index).second);
    sources.insert(s.source);
    for (auto need : s.needs) {
      const bool is_probe = need < 2;
      CHECK(need < s.id.index);
      if (is_probe)
        CHECK(need == s.source);
    }
    if (s.request.source_bytes > 0)
      CHECK(s.request.source_name == e.p.run.object_of(s.source).key);
    for (const auto& step : s.request.steps)
      if (const auto* d = std::get_if<decode_step>(&step))
        for (const auto& v : d->videos)
          CHECK(packet_files.insert(v.name).second);
  }
  CHECK(sources == std::set<std::uint32_t>{0, 1});
  CHECK(packet_files.size() > 4); // both were cut
}

TEST_CASE("edit: all clips have the first one's size and rate, and one form of sound") {
  edited e{{shorter, {"24 fps", {1, 24000}, {24000, 1001}, 240, 48}}};
  auto& second = *e.p.run.more_sources[0].media;
  second.streams[0].width = 640;
  second.streams[0].height = 480; // 4:3, and smaller

  const auto plan = e.plan();

  std::vector<video_output> videos;
  for (const auto& s : plan.shards) {
    for (const auto& step : s.request.steps)
      if (const auto* d = std::get_if<decode_step>(&step))
        videos.insert(videos.end(), d->videos.begin(), d->videos.end());
    if (const auto* a = step_in<audio_step>(s)) {
      CHECK(a->outputs.at(0).codec == "pcm_s16le");
      CHECK(a->outputs.at(0).sample_rate == 48000);
      CHECK(a->outputs.at(0).channels == 2);
    }
  }
  REQUIRE(videos.size() == 2);
  const auto &a = videos[0].geometry, &b = videos[1].geometry;
  CHECK(a.width == b.width);
  CHECK(a.height == b.height);
  CHECK(b.inner_height == b.height); // enlarged, black at its sides
  CHECK(b.inner_width < b.width);
  CHECK(b.fill == fill_mode::black);
  CHECK(videos[0].grid.fps == videos[1].grid.fps);
  videos[1].encoder.threads = videos[0].encoder.threads; // which the stream's head does not show
  CHECK(videos[0].encoder == videos[1].encoder);
}

TEST_CASE("edit: the rate is a usual one near the first file's, or one that an output may have") {
  struct row {
    rational source, made;
  };
  for (const auto& r : {row{{90'000'000, 3'003'017}, {30000, 1001}}, row{{2'700'000, 90'089}, {30000, 1001}},
                        row{{24, 1}, {24, 1}}, row{{24000, 1001}, {24000, 1001}},
                        row{{1'168'000, 42'229}, {27659, 1000}}, row{{1, 15}, {1, 1}},
                        row{{240, 1}, {60, 1}}, row{{0, 1}, {25, 1}}}) {
    CAPTURE(r.source.num);
    edited e{{shorter, shorter}};
    e.p.run.media->streams[0].frame_rate = r.source;

    const auto plan = e.plan();

    REQUIRE_MESSAGE(!plan.jobs[0].failure, plan.jobs[0].failure->message);
    CHECK(step_in<splice_step>(splice_of(plan))->fps == r.made);
  }
}

TEST_CASE("edit: files of different colours become BT.709, others stay as they are") {
  auto all_become = [](const physical_plan& plan) {
    std::set<bool> found;
    for (const auto& s : plan.shards)
      if (const auto* d = step_in<decode_step>(s))
        found.insert(d->bt709);
    return found;
  };
  edited e{{shorter, shorter}};
  e.p.run.media->streams[0].color_space = "bt709";
  CHECK(all_become(e.plan()) == std::set<bool>{false}); // the other says nothing
  e.p.run.more_sources[0].media->streams[0].color_space = "smpte170m";
  CHECK(all_become(e.plan()) == std::set<bool>{true});
  e.p.run.media->streams[0].color_space = "smpte170m";
  CHECK(all_become(e.plan()) == std::set<bool>{false});
}

TEST_CASE("edit: the files share the shards that a run may have") {
  const clip_shape film{"5 min", {1, 90000}, {25, 1}, 7500, 50};
  edited e{{film, film, film, film}};
  e.p.options.slots = 64;
  e.p.options.shards_max = 64;

  CHECK(e.plan().shards.size() <= 64);
}

TEST_CASE("edit: files are cut where the caller says") {
  edited e{{longer, longer}};
  e.p.run.spec.edit->clips[0].start_offset = 2;
  e.p.run.spec.edit->clips[0].end_offset = 5;
  e.p.run.spec.edit->clips[1].start_offset = -4;

  const auto* whole = step_in<assemble_step>(splice_of(e.plan()));

  REQUIRE(whole);
  CHECK(whole->contract.video_frames == 3 * 25 + 4 * 25);
}

TEST_CASE("edit: what cannot be done fails the job, and names the file") {
  edited e{{shorter, shorter}};

  SUBCASE("no video") {
    std::erase_if(e.p.run.more_sources[0].media->streams,
                  [](const auto& s) { return s.kind == stream_kind::video; });
    auto plan = e.plan();
    REQUIRE(plan.jobs.at(0).failure);
    CHECK(plan.jobs[0].failure->code == errc::input_no_video);
    CHECK(plan.jobs[0].failure->field == "FileInfos.1");
    CHECK(plan.shards.empty());
  }
  SUBCASE("beyond its end") {
    e.p.run.spec.edit->clips[1].start_offset = 60;
    auto plan = e.plan();
    REQUIRE(plan.jobs.at(0).failure);
    CHECK(plan.jobs[0].failure->field == "FileInfos.1");
  }
  SUBCASE("onto its own source") {
    e.p.run.spec.activities[0].transcode->output_object_path = "/in/1.{format}";
    e.p.run.more_sources[0].object.key = "in/1.mp4";
    auto plan = e.plan();
    REQUIRE(plan.jobs.at(0).failure);
    CHECK(plan.jobs[0].failure->field == "OutputObjectPath");
  }
}

TEST_CASE("edit: a file without sound is silent among others") {
  edited e{{shorter, shorter}};
  auto mute = [](media_info& m) {
    std::erase_if(m.streams, [](const auto& s) { return s.kind == stream_kind::audio; });
  };
  mute(*e.p.run.media);

  CHECK(step_in<splice_step>(splice_of(e.plan()))->sound);
  mute(*e.p.run.more_sources[0].media);
  const auto silent = e.plan();
  CHECK_FALSE(step_in<splice_step>(splice_of(silent))->sound);
  CHECK(step_in<assemble_step>(splice_of(silent))->audio.empty());
}
