#include "media/plan/cost.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace framemill {
namespace {

constexpr double shard_start = 0.2;      ///< process, probe, seek
constexpr double decode_pixel = 2.6e-9;  ///< 0.16 s per second of 1080p30
constexpr double encode_pixel = 1.27e-8; ///< 0.35 s per second of 720p30, veryfast
constexpr double scale_pixel = 6e-10;    ///< of the source, each output
constexpr double audio_second = 0.02;
constexpr double copied_byte = 3e-9;
constexpr std::int64_t child_bytes = 96 << 20;
constexpr std::int64_t child_files_bytes = 1 << 20; ///< index, witnesses, overlay images
constexpr std::int64_t image_packing = 8;           ///< raw to JPEG or WebP
constexpr std::int64_t decoder_frames = 24, encoder_frames = 72;

double preset_factor(const std::string& preset) {
  static const std::map<std::string, double> factors = {
      {"ultrafast", 0.5}, {"superfast", 0.7}, {"veryfast", 1}, {"faster", 1.6}, {"fast", 2.2},
      {"medium", 3.2},    {"slow", 5},        {"slower", 9},   {"veryslow", 16}};
  auto at = factors.find(preset);
  return at == factors.end() ? 1 : at->second;
}

double codec_factor(const std::string& codec) {
  return codec == "hevc" ? 1.5 : codec == "av1" || codec == "vp9" ? 2 : 1;
}

std::int64_t frame_bytes(std::int64_t width, std::int64_t height, int bit_depth) {
  return width * height * 3 / 2 * (bit_depth > 8 ? 2 : 1);
}

double rate_of(const source_facts& s) {
  const auto& r = s.video->frame_rate;
  auto rate = r.den > 0 ? static_cast<double>(r.num) / static_cast<double>(r.den) : 0;
  return rate > 0 ? rate : 25;
}

/// Adds up one step after the other.
struct estimator {
  const source_facts& source;
  const file_sizes& handed; ///< by other shards
  file_sizes made;
  prediction sum{shard_start, child_bytes, child_files_bytes};

  void write(const std::string& name, std::int64_t bytes) {
    made[name] += bytes;
    sum.scratch_bytes += bytes;
  }

  /// Bytes of a file that is read; another shard's is brought to scratch.
  std::int64_t read(const std::string& name) {
    if (auto own = made.find(name); own != made.end())
      return own->second;
    auto other = handed.find(name);
    auto bytes = other == handed.end() ? 0 : other->second;
    sum.scratch_bytes += bytes;
    return bytes;
  }

  std::int64_t read(const std::vector<std::string>& names) {
    std::int64_t bytes = 0;
    for (const auto& name : names)
      bytes += read(name);
    return bytes;
  }

  double pixels() const {
    return static_cast<double>(source.video->width) * source.video->height;
  }

  double frames_between(std::int64_t begin, std::int64_t end) const {
    if (!source.exact || begin == INT64_MIN || end == INT64_MAX)
      return source.clock.duration * rate_of(source);
    const auto& pts = source.index->pts;
    auto last = std::upper_bound(pts.begin(), pts.end(), end);
    return static_cast<double>(last - std::lower_bound(pts.begin(), pts.end(), begin));
  }

  void encode(const video_output& v) {
    auto frames = v.last == INT64_MAX ? source.clock.duration * rate_of(source)
                                      : static_cast<double>(v.last - v.first);
    auto area = static_cast<double>(v.geometry.width) * v.geometry.height;
    sum.cpu_seconds += frames * area * encode_pixel * preset_factor(v.encoder.preset) +
                       frames * pixels() * scale_pixel;
    sum.memory_bytes += encoder_frames * frame_bytes(v.geometry.width, v.geometry.height, 8);
    auto bits = v.encoder.kbps > 0 ? v.encoder.kbps * 1000.0 / rate_of(source) : area * 0.12;
    write(v.name, static_cast<std::int64_t>(frames * bits / 8));
  }

  void take(const picture_output& p) {
    auto bytes = frame_bytes(p.geometry.width, p.geometry.height, 8);
    auto count = static_cast<double>(p.picks.size());
    sum.cpu_seconds += count * (pixels() * scale_pixel + static_cast<double>(bytes) * 2e-8);
    sum.memory_bytes += 4 * bytes;
    write(p.name, static_cast<std::int64_t>(p.picks.size()) * bytes
                      / (p.format == "raw" ? 1 : image_packing));
  }

  void operator()(const probe_step&) {}
  void operator()(const decode_step& s) {
    auto begin = s.start.pts == INT64_MIN ? s.begin : std::min(s.start.pts, s.begin);
    auto frames = s.key_frames_only ? static_cast<double>(source.index->access_points.size())
                                    : frames_between(begin, s.end);
    sum.cpu_seconds += frames * pixels() * decode_pixel * codec_factor(source.video->codec);
    sum.memory_bytes += decoder_frames * frame_bytes(source.video->width, source.video->height,
                                                     source.video->bit_depth);
    for (const auto& v : s.videos)
      encode(v);
    for (const auto& p : s.pictures)
      take(p);
  }
  void operator()(const audio_step& s) {
    for (const auto& a : s.outputs) {
      auto seconds = a.end > a.begin ? a.end - a.begin : source.clock.duration;
      sum.cpu_seconds += audio_second * seconds;
      const auto pcm_kbps = a.sample_rate * a.channels * 16 / 1000;
      const auto kbps = a.codec == "pcm_s16le" ? pcm_kbps : a.kbps > 0 ? a.kbps : 128;
      write(a.name, static_cast<std::int64_t>(seconds * 125 * kbps));
    }
  }
  void operator()(const assemble_step& s) {
    sum.cpu_seconds += 0.1;
    write(s.name, read(s.videos) + read(s.audio));
  }
  void operator()(const remux_step& s) {
    sum.cpu_seconds += static_cast<double>(source.media->size) * copied_byte;
    write(s.name, source.media->size + read(s.video_file) + read(s.audio_file));
  }
  void operator()(const splice_step&) {} // of several sources: media/plan/edit.cpp
  void operator()(const sprite_step& s) {
    sum.cpu_seconds += 0.005 * static_cast<double>(s.times.size());
    sum.memory_bytes += 64 << 20;
    write(s.name, read(s.pictures) / image_packing);
  }
  void operator()(const animation_step& s) {
    sum.cpu_seconds += 0.5;
    sum.memory_bytes += 128 << 20;
    write(s.name, read(s.pictures) / image_packing);
  }
};

} // namespace

double predict_video(const std::vector<shared_video>& videos, const source_facts& source) {
  decode_step all;
  all.begin = INT64_MAX;
  all.end = INT64_MIN;
  for (const auto& v : videos) {
    all.videos.push_back(v.what.output);
    all.videos.back().last = v.what.frames >= 0 ? v.what.frames : INT64_MAX;
    all.begin = std::min(all.begin, v.what.output.grid.origin);
    all.end = std::max(all.end, v.what.output.grid.end);
  }
  all.start.pts = all.begin;
  const file_sizes none;
  estimator e{source, none, {}, {}};
  e(all);
  return e.sum.cpu_seconds;
}

prediction predict(const shard_record& shard, const source_facts& source, file_sizes& made) {
  estimator e{source, made, {}};
  for (const auto& step : shard.request.steps)
    std::visit(e, step);
  made.merge(e.made);
  return e.sum;
}

} // namespace framemill
