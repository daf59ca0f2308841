#include "cluster/certificate.hpp"
#include "core/json.hpp"
#include "tests/cluster/run_plans.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace framemill;
using namespace framemill::test;

namespace {

/// Two decodes of two renditions each, one sound, and the join of the first
/// rendition (job 0), all done and published.
struct published_run {
  run_record run = waiting_run();
  job_record job;
  std::vector<shard_record> shards;

  published_run() {
    run.fingerprint = "x264 r1";
    run.state = run_state::succeeded;
    stream_info video;
    video.index = 0;
    video.time_base = {1, 90'000};
    run.media.emplace().streams.push_back(video);
    add(shard_role::probe, {});
    add_decode(0, 50, 0, 179'999);
    add_decode(50, 80, 180'000, 290'000);
    add(shard_role::audio, {{"a0", {}}});
    add_join();
    job.state = job_state::succeeded;
    job.items.push_back({"m0", 4, "out", "a.mp4", "media"});
    published_file p;
    p.object = {"out", "a.mp4", {}};
    p.role = "media";
    p.size = 7;
    p.md5 = "md5 of m0";
    job.outputs.push_back(p);
  }

  struct file { std::string name; std::optional<std::int64_t> frames; };

  shard_record& add(shard_role role, std::vector<file> files) {
    shard_record s;
    s.id = {run.id, static_cast<std::uint32_t>(shards.size())};
    s.role = role;
    s.state = shard_state::done;
    s.jobs = {0, 1};
    s.epoch = s.made_by = 1;
    attempt_record a;
    a.epoch = 1;
    a.node = fmt::format("node {}", s.id.index);
    a.fingerprint = "x264 r1";
    s.attempts.push_back(a);
    for (auto& f : files)
      s.files.push_back({f.name, 7, "sha of " + f.name, "md5 of " + f.name, {}, f.frames});
    shards.push_back(std::move(s));
    return shards.back();
  }

  void add_decode(std::int64_t first, std::int64_t last, std::int64_t begin, std::int64_t end) {
    auto n = shards.size();
    auto mine = fmt::format("v0.s{}", n), other = fmt::format("v1.s{}", n);
    auto& s = add(shard_role::decode, {{mine, last - first}, {other, last - first}});
    s.needs = {0};
    decode_step d;
    d.begin = begin;
    d.end = end;
    d.index_file = "index";
    for (const auto& name : {mine, other}) {
      auto& v = d.videos.emplace_back();
      v.name = name;
      v.first = first;
      v.last = last;
    }
    s.request.steps.push_back(d);
  }

  void add_join() {
    auto& s = add(shard_role::join, {{"m0", 80}});
    s.needs = {1, 2, 3};
    assemble_step j;
    j.name = "m0";
    j.videos = {"v0.s1", "v0.s2"};
    j.audio = "a0";
    j.contract.video_frames = 80;
    s.request.steps.push_back(j);
    s.files[0].seams = {{50, 48, 172'800, 41.5, 30, true},
                        {50, 49, 176'400, 36.25, 37, false},
                        {50, 50, 180'000, 44, 29, true},
                        {50, 51, 183'600, 43, 28, true}};
  }

  join_certificate certificate() const {
    auto c = certify(run, job, shards);
    REQUIRE(c.has_value());
    return *c;
  }
  /// What was found wrong.
  std::string fault() const {
    std::string out;
    for (const auto& check : certificate().checks)
      if (!check.passed)
        out += check.what + ": " + check.found;
    return out;
  }
};

} // namespace

TEST_CASE("certificate: it names every part, its maker and its hash") {
  published_run r;
  r.shards[2].attempts[0].failure = error{errc::worker_crashed, "gone", {}};
  auto second = r.shards[2].attempts[0];
  second.epoch = 2;
  second.node = "another";
  second.failure.reset();
  r.shards[2].attempts.push_back(second);
  r.shards[2].made_by = 2;

  auto c = r.certificate();

  CHECK(c.passed);
  CHECK(c.source == r.run.object);
  CHECK(c.fingerprint == "x264 r1");
  REQUIRE(c.shards.size() == 4); // the probe made nothing of it
  const auto& part = c.shards[1];
  CHECK(part.shard == 2);
  CHECK(part.node == "another");
  CHECK(part.epoch == 2);
  CHECK(part.attempts == 2);
  REQUIRE(part.files.size() == 1); // the other rendition is another job's
  CHECK(part.files[0].sha256 == "sha of v0.s2");
  CHECK(part.files[0].frames == 30);
  REQUIRE(part.windows.size() == 1);
  CHECK(part.windows[0].first == 50);
  CHECK(part.windows[0].last == 80);
  CHECK(part.windows[0].begin == 180'000);
  CHECK(part.windows[0].time_base == rational{1, 90'000});
  CHECK(c.shards[2].files[0].name == "a0");
}

TEST_CASE("certificate: an output is tied to the artifact that it is a copy of") {
  auto c = published_run{}.certificate();

  REQUIRE(c.outputs.size() == 1);
  CHECK(c.outputs[0].object.key == "a.mp4");
  CHECK(c.outputs[0].md5 == "md5 of m0");
  CHECK(c.outputs[0].sha256 == "sha of m0");
  CHECK(c.outputs[0].frames == 80);
}

TEST_CASE("certificate: an output that no attempt made is found") {
  published_run r;
  r.job.outputs[0].md5 = "another";

  CHECK(r.fault() == "what is published is what was made: out/a.mp4 is none of the artifacts");
  CHECK_FALSE(r.certificate().passed);
}

TEST_CASE("certificate: parts by different builds are found") {
  published_run r;
  r.shards[2].attempts[0].fingerprint = "x264 r2";

  CHECK(r.fault() == "all parts are encoded by one build: 2 builds");
}

TEST_CASE("certificate: a join may be made by any build") {
  published_run r;
  r.shards[4].attempts[0].fingerprint = "x264 r2";

  CHECK(r.fault().empty());
}

TEST_CASE("certificate: a gap between parts is found") {
  published_run r;
  std::get<decode_step>(r.shards[2].request.steps[0]).videos[0].first = 51;

  CHECK(r.fault().starts_with("the parts of m0 follow on each other: "
                              "v0.s2 begins at frame 51, not 50"));
}

TEST_CASE("certificate: a part with too few frames is found") {
  published_run r;
  r.shards[1].files[0].frames = 49;

  CHECK(r.fault() == "each part of m0 has the frames it was asked for: v0.s1 has 49 of 50");
}

TEST_CASE("certificate: what was measured at the seams is in it") {
  auto c = published_run{}.certificate();

  REQUIRE(c.seams.size() == 4);
  CHECK(c.seams[1].file == "m0");
  CHECK(c.seams[1].frame.frame == 49);
  CHECK(c.seams[1].frame.psnr == 36.25);
  CHECK(c.checks[3].what == "the pictures at each seam of m0 are the source's");
  CHECK(c.checks[3].found == "1 seam, 4 frames, at least 36.2 dB");
  CHECK(c.checks[3].passed);
}

TEST_CASE("certificate: a seam with other pictures, or that nobody compared, is found") {
  published_run r;
  auto& seams = r.shards[4].files[0].seams;

  seams[2].nearest = seams[3].nearest = false;
  CHECK(r.fault() == "the pictures at each seam of m0 are the source's: "
                     "those from frame 50 are others");
  seams[0].nearest = false;
  CHECK(r.fault() == "the pictures at each seam of m0 are the source's: "
                     "those before frame 50 are others");
  seams.clear();
  CHECK(r.fault() == "the pictures at each seam of m0 are the source's: "
                     "0 of 1 seams were compared");
}

TEST_CASE("certificate: a joined file without its planned frames is found") {
  published_run r;
  r.shards[4].files[0].frames = 79;

  CHECK(r.fault() == "m0 has the frames its plan promised: 79 of 80");
}

TEST_CASE("certificate: a plan that did not know its end promises no frames") {
  published_run r;
  auto& v = std::get<decode_step>(r.shards[2].request.steps[0]).videos[0];
  v.last = std::numeric_limits<std::int64_t>::max();
  std::get<assemble_step>(r.shards[4].request.steps[0]).contract.video_frames = -1;

  auto c = r.certificate();

  CHECK(c.passed);
  CHECK_FALSE(c.shards[1].windows[0].last);
}

TEST_CASE("certificate: what is published straight from its shards has one, too") {
  published_run r;
  r.shards.resize(2);
  r.shards[1].files.push_back({"snap.1", 3, "sha of snap", "md5 of snap"});
  r.job.items = {{"snap.*", 1, "out", "s{number}.jpg", "picture"}};
  r.job.outputs[0].size = 3;
  r.job.outputs[0].md5 = "md5 of snap";

  auto c = r.certificate();

  CHECK(c.passed);
  CHECK(c.outputs[0].sha256 == "sha of snap");
  REQUIRE(c.shards[0].files.size() == 1);
  CHECK(c.shards[0].windows.empty());
}

TEST_CASE("certificate: a job that published nothing has none") {
  published_run r;
  r.job.state = job_state::failed;

  auto c = certify(r.run, r.job, r.shards);

  REQUIRE_FALSE(c.has_value());
  CHECK(c.error().code == errc::not_found);
}

TEST_CASE("certificate: it comes back from its JSON") {
  auto c = published_run{}.certificate();

  auto back = from_json_value<join_certificate>(to_json_value(c));

  REQUIRE_MESSAGE(back.has_value(), back.error().message);
  CHECK(*back == c);
}
