#include "tests/media/exec/bench.hpp"
#include "tests/media/exec/media_maker.hpp"

#include "media/packet_file.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <functional>

using namespace framemill;
using namespace framemill::test;

namespace {

/// Encodes `v` in shards of `step` frames, each in its own process, and joins.
media_result sharded(
    const scratch& s, const std::string& source, const packet_index& x, const video_output& v,
    std::int64_t step, const std::function<void()>& between = [] {},
    seam_sides sides = seam_sides::both) {
  std::vector<std::string> parts;
  for (std::int64_t first = 0; first < v.last; first += step) {
    auto o = v;
    o.name = "part" + std::to_string(parts.size());
    auto r = run_child(request_of(source, {shard(x, o, first, std::min(first + step, v.last))},
                                  {o.name}),
                       source, s)
                 .result;
    REQUIRE_MESSAGE(!r.failure, why(r));
    s.hand_on(o.name);
    parts.push_back(o.name);
  }
  between();
  auto join = joined(parts, "", v.last, 0);
  join.seams = sides;
  return run_child(request_of("", {join}, {"result"}), "", s).result;
}

void check_every_frame(const std::string& path, const video_output& v, const packet_index& x) {
  auto frames = read_video(path);
  REQUIRE(frames.size() == static_cast<std::size_t>(v.last));
  for (std::size_t k = 0; k < frames.size(); ++k) {
    CAPTURE(k);
    CHECK(frames[k].number == source_of(static_cast<std::int64_t>(k), v.grid, x));
    if (k > 0)
      CHECK(frames[k].pts > frames[k - 1].pts);
    if (v.gop > 0)
      CHECK(frames[k].key == (k % static_cast<std::size_t>(v.gop) == 0));
  }
}

std::vector<av::packet_ptr> packets_of(packet_reader& r) {
  std::vector<av::packet_ptr> out;
  auto packet = av::make_packet().value();
  while (r.next(*packet).value())
    out.emplace_back(av_packet_clone(packet.get()));
  return out;
}

/// Writes a packet file again with the payload of frame k taken from frame
/// `from(k)` of `payloads`, times untouched: the mistake that counts and timestamps
/// cannot see. All packets must be key frames for the pictures to stay decodable.
void replace(const std::string& path, const std::string& payloads,
             const std::function<std::size_t(std::size_t)>& from) {
  auto r = packet_reader::open(path).value(), other = packet_reader::open(payloads).value();
  const auto packets = packets_of(r), others = packets_of(other);
  auto w = packet_writer::create(path + ".new", r.head()).value();
  for (std::size_t k = 0; k < packets.size(); ++k) {
    auto out = av::packet_ptr{av_packet_clone(others[from(k)].get())};
    out->pts = packets[k]->pts;
    out->dts = packets[k]->dts;
    REQUIRE(w.add(*out));
  }
  REQUIRE(w.finish(r.foot()));
  std::filesystem::rename(path + ".new", path);
}

/// The same within one file.
void reorder(const std::string& path, const std::function<std::size_t(std::size_t)>& from) {
  replace(path, path, from);
}

} // namespace

TEST_CASE("shards: three shards give exactly the planned frames, whatever the source") {
  struct variant {
    const char* file;
    bool open_gop;
    AVRational fps;
    rational to;
    int bframes;
    const char* codec;
  };
  for (auto [file, open_gop, fps, to, bframes, codec] :
       {variant{"a.mp4", false, {25, 1}, {25, 1}, 2, "libx264"},
        {"a.mp4", true, {25, 1}, {25, 1}, 3, "libx264"},
        {"a.mkv", true, {30000, 1001}, {30000, 1001}, 2, "libx264"},
        {"a.ts", false, {25, 1}, {30, 1}, 2, "libx264"},
        {"a.ts", true, {30, 1}, {25, 1}, 2, "libx264"},
        {"a.mkv", true, {25, 1}, {25, 1}, 2, "mpeg2video"},
        {"a.webm", false, {25, 1}, {25, 1}, 0, "libvpx"},
        {"a.mp4", false, {50, 1}, {25, 1}, 0, "mpeg4"}}) {
    CAPTURE(file);
    CAPTURE(open_gop);
    CAPTURE(codec);
    scratch s;
    const auto source = s.path(file);
    make({.path = source,
          .codec = codec,
          .frames = 150,
          .fps = fps,
          .gop = 20,
          .bframes = bframes,
          .open_gop = open_gop});
    auto p = probe(source, s);
    REQUIRE_MESSAGE(!p.result.failure, why(p.result));
    CHECK_MESSAGE(p.index.exact, p.index.reason);
    CHECK(p.index.pts.size() == 150);
    auto v = rendition(p.index, to, 10);

    auto r = sharded(s, source, p.index, v, (v.last / 3 + 9) / 10 * 10);

    REQUIRE_MESSAGE(!r.failure, why(r));
    check_every_frame(s.out("result"), v, p.index);
  }
}

TEST_CASE("shards: a variable frame rate is kept over the seams") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 120, .pts = [](int i) {
          return std::int64_t{i} * 100 + (i % 3) * 30;
        }});
  auto p = probe(source, s);
  auto v = rendition(p.index, {0, 1}, 0);

  auto r = sharded(s, source, p.index, v, 40);

  REQUIRE_MESSAGE(!r.failure, why(r));
  auto frames = read_video(s.out("result"));
  REQUIRE(frames.size() == 120);
  for (std::size_t k = 0; k < frames.size(); ++k)
    CHECK(frames[k].number == static_cast<int>(k));
}

TEST_CASE("decode_step: a source without exact times is worked as it decodes") {
  scratch s;
  for (auto file : {"a.mpg", "a.avi"}) {
    CAPTURE(file);
    s.clear();
    const auto source = s.path(file);
    make({.path = source,
          .codec = std::string{file} == "a.mpg" ? "mpeg2video" : "mpeg4",
          .frames = 150,
          .gop = 20});
    auto p = probe(source, s);
    REQUIRE_MESSAGE(!p.result.failure, why(p.result));
    CHECK(!p.index.exact);
    CHECK(!p.index.reason.empty());
    auto v = rendition(p.index, {25, 1}, 25);
    v.last = INT64_MAX;
    v.grid.end = INT64_MAX;
    decode_step d;
    d.stream = p.index.stream;
    d.start.pts = INT64_MIN;
    d.begin = INT64_MIN;
    d.end = INT64_MAX;
    d.videos = {v};

    auto r =
        run_child(request_of(source, {d, joined({"video"}, "", -1, 0)}, {"result"}), source, s)
            .result;

    REQUIRE_MESSAGE(!r.failure, why(r));
    auto frames = read_video(s.out("result"));
    CHECK(frames.size() >= 149);
    CHECK(frames.size() <= 152);
    CHECK(frames.back().number >= 148);
  }
}

TEST_CASE("shards: a shard done twice is the same to the byte") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 80});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 10);
  auto request = request_of(source, {shard(p.index, v, 30, 60)}, {"video"});

  auto a = run_child(request, source, s).result, b = run_child(request, source, s).result;

  REQUIRE(a.files.size() == 1);
  CHECK(a.files[0].sha256 == b.files[0].sha256);
}

TEST_CASE("seam_check: a shard that is one frame off at either end is refused") {
  // With a GOP of 30 a shard begins at an access point and sees nothing of the
  // one before; with 20 it decodes its last frames on the way.
  for (int gop : {20, 30}) {
    CAPTURE(gop);
    scratch s;
    const auto source = s.path("a.mp4");
    make({.path = source, .frames = 90, .gop = gop});
    auto p = probe(source, s);
    auto v = rendition(p.index, {25, 1}, 1); // key frames only, so that payloads can move
    struct mistake {
      const char* what;
      const char* part;
      std::function<std::size_t(std::size_t)> from;
    };
    const mistake mistakes[] = {
        {"all later", "part1", [](std::size_t k) { return k == 0 ? 0 : k - 1; }},
        {"all earlier", "part1", [](std::size_t k) { return std::min<std::size_t>(k + 1, 29); }},
        {"first frames", "part1", [](std::size_t k) { return k < 4 ? k + 1 : k; }},
        {"last frames", "part1", [](std::size_t k) { return k > 25 ? k - 1 : k; }},
        {"of the first shard", "part0", [](std::size_t k) { return k > 25 ? k - 1 : k; }},
        {"of the last shard", "part2", [](std::size_t k) { return k < 4 ? k + 1 : k; }},
    };

    auto good = sharded(s, source, p.index, v, 30);
    REQUIRE_MESSAGE(!good.failure, why(good));
    for (const auto& m : mistakes) {
      CAPTURE(m.what);
      auto bad = sharded(s, source, p.index, v, 30,
                         [&] { reorder(s.path(std::string{"in/"} + m.part), m.from); });

      REQUIRE(bad.failure);
      CHECK(bad.failure->code == errc::input_damaged); // planned anew in one piece
      CHECK(bad.failure->message.find("seam") != std::string::npos);
    }
  }
}

TEST_CASE("seam_check: what was measured is in the result, frame by frame") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 90, .gop = 20});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 10);
  using numbers = std::vector<std::int64_t>;
  for (auto [sides, expected] :
       {std::pair{seam_sides::both, numbers{28, 29, 30, 31, 58, 59, 60, 61}},
        {seam_sides::starts, numbers{28, 29, 30, 31, 60, 61}}}) {
    CAPTURE(to_string(sides));
    auto r = sharded(s, source, p.index, v, 30, [] {}, sides);

    REQUIRE_MESSAGE(!r.failure, why(r));
    REQUIRE(r.files.size() == 1);
    numbers compared;
    for (const auto& f : r.files[0].seams) {
      CAPTURE(f.frame);
      compared.push_back(f.frame);
      CHECK(f.seam == (f.frame < 45 ? 30 : 60));
      CHECK(f.source == p.index.pts[static_cast<std::size_t>(f.frame)]);
      CHECK(f.nearest);
      CHECK(f.psnr > 20);
      CHECK(f.psnr > f.other_psnr);
      CHECK(f.other_psnr > 0);
    }
    CHECK(compared == expected);
  }
}

TEST_CASE("seam_check: starts alone show a shard that is off as a whole, not its end") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 90, .gop = 20});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 1);
  struct mistake {
    const char* what;
    const char* part;
    std::function<std::size_t(std::size_t)> from;
    bool seen_at_starts;
  };
  const auto earlier = [](std::size_t k) { return std::min<std::size_t>(k + 1, 29); };
  const auto later = [](std::size_t k) { return k == 0 ? 0 : k - 1; };
  const auto at_start = [](std::size_t k) { return k < 4 ? k + 1 : k; };
  const auto at_end = [](std::size_t k) { return k > 25 ? k - 1 : k; };
  for (const auto& m : {mistake{"all earlier", "part1", earlier, true},
                        {"the last shard", "part2", earlier, true},
                        {"the first shard, at no seam", "part0", later, true},
                        {"first frames", "part1", at_start, true},
                        {"last frames of the first", "part0", at_end, true},
                        {"last frames", "part1", at_end, false}})
    for (auto sides : {seam_sides::both, seam_sides::starts}) {
      CAPTURE(m.what);
      CAPTURE(to_string(sides));
      auto r = sharded(
          s, source, p.index, v, 30,
          [&] { reorder(s.path(std::string{"in/"} + m.part), m.from); }, sides);

      CHECK(r.failure.has_value() == (m.seen_at_starts || sides == seam_sides::both));
      if (r.failure)
        CHECK(r.failure->message.find("seam") != std::string::npos);
    }
}

TEST_CASE("seam_check: starts alone show a shard that is late as a whole") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 90, .gop = 20});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 1);
  auto o = v;
  o.name = "late";
  auto late = run_here(request_of(source, {shard(p.index, o, 29, 59)}, {"late"}), source, s);
  REQUIRE_MESSAGE(!late.failure, why(late));
  s.hand_on("late");

  auto r = sharded(
      s, source, p.index, v, 30,
      [&] { replace(s.path("in/part1"), s.path("in/late"), std::identity{}); },
      seam_sides::starts);

  REQUIRE(r.failure);
  CHECK(r.failure->message.find("seam near frame 30") != std::string::npos);
}

// The pictures of a shard that decoded garbage are as far from every frame of the
// source: none of them is nearer than the right one.
TEST_CASE("seam_check: pictures that have nothing to do with the source are refused") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 90, .gop = 20});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 1);
  auto o = v;
  o.name = "other";
  auto d = shard(p.index, o, 30, 60);
  d.rotation = 180;
  auto other = run_here(request_of(source, {d}, {"other"}), source, s);
  REQUIRE_MESSAGE(!other.failure, why(other));
  s.hand_on("other");

  auto r = sharded(s, source, p.index, v, 30, [&] {
    replace(s.path("in/part1"), s.path("in/other"), [](std::size_t k) { return k; });
  });

  REQUIRE(r.failure);
  CHECK(r.failure->code == errc::input_damaged);
  CHECK(r.failure->message.find("seam near frame 30") != std::string::npos);
}

TEST_CASE("seam_check: marks are in the witnesses, each at its time") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 90, .gop = 20});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 10);
  overlay mark;
  mark.text = "MMMMMMMM";
  mark.font = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
  mark.font_size = 60;
  mark.color = "FFFFFF";
  mark.end = 1.5; // of the first seam at 1.2 s, not of the second at 2.4 s
  v.overlays = {mark};

  auto r = sharded(s, source, p.index, v, 30);

  REQUIRE_MESSAGE(!r.failure, why(r));
  for (const auto& f : r.files.at(0).seams) {
    CAPTURE(f.frame);
    CHECK(f.nearest);
    CHECK(f.psnr > 20);
  }
}

TEST_CASE("seam_check: HLS outputs and other rates are compared too") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 180, .gop = 25, .open_gop = true});
  auto p = probe(source, s);
  for (rational fps : {rational{25, 1}, {50, 1}, {5, 1}, {30000, 1001}})
    for (auto [container, fmp4] : {std::pair{"mp4", false}, {"hls", false}, {"hls", true}}) {
      CAPTURE(fps.num);
      CAPTURE(container);
      CAPTURE(fmp4);
      auto v = rendition(p.index, fps, 1);
      const auto step = v.last / 3;
      auto join = [&](const std::function<void()>& between,
                      seam_sides sides = seam_sides::both) {
        s.clear();
        probe(source, s);
        std::vector<std::string> parts;
        for (std::int64_t first = 0; first < v.last; first += step) {
          auto o = v;
          o.name = "part" + std::to_string(parts.size());
          auto d = shard(p.index, o, first, std::min(first + step, v.last));
          auto r = run_here(request_of(source, {d}, {o.name}), source, s);
          REQUIRE_MESSAGE(!r.failure, why(r));
          s.hand_on(o.name);
          parts.push_back(o.name);
        }
        between();
        auto a = joined(parts, "", v.last, 0);
        a.container = container;
        a.hls_fmp4 = fmp4;
        a.hls_seconds = 2;
        a.segment_pattern = "s%d";
        a.seams = sides;
        return run_here(request_of("", {a}, {"result"}), "", s);
      };

      for (auto sides : {seam_sides::both, seam_sides::starts}) {
        auto good = join([] {}, sides);
        auto bad = join(
            [&] {
              // at 50 each source frame is shown twice: only a shift by two moves both
              const std::size_t shift = fps.num == 50 ? 2 : 1;
              reorder(s.path("in/part2"), [&](std::size_t k) { return k < 4 ? k + shift : k; });
            },
            sides);

        CHECK_MESSAGE(!good.failure, why(good));
        REQUIRE(bad.failure);
        CHECK(bad.failure->message.find("seam") != std::string::npos);
      }
    }
}

TEST_CASE("assemble_step: shards out of order, missing, torn or foreign are refused") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 60});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 10);
  for (int i = 0; i < 3; ++i) {
    auto o = v;
    o.name = "part" + std::to_string(i);
    if (i == 2)
      o.encoder.crf = 40; // the same parameter sets: stitchable
    auto r = run_here(request_of(source, {shard(p.index, o, i * 20, i * 20 + 20)}, {o.name}),
                      source, s);
    REQUIRE_MESSAGE(!r.failure, why(r));
    s.hand_on(o.name);
  }
  auto join = [&](std::vector<std::string> parts, std::int64_t frames) {
    return run_here(request_of(source, {joined(std::move(parts), "", frames, 0)}, {"result"}),
                    source, s);
  };

  CHECK_MESSAGE(!join({"part0", "part1", "part2"}, 60).failure, "crf does not matter");
  CHECK(join({"part0", "part2", "part1"}, 60).failure->code == errc::contract_broken);
  CHECK(join({"part0", "part2"}, 40).failure->code == errc::contract_broken);
  CHECK(join({"part0", "part1", "part2"}, 61).failure->code == errc::contract_broken);
  CHECK(join({"part0", "gone"}, 40).failure->code == errc::not_found);
  std::filesystem::resize_file(s.path("in/part1"),
                               std::filesystem::file_size(s.path("in/part1")) / 2);
  CHECK(join({"part0", "part1", "part2"}, 60).failure->code == errc::corrupt);
}
