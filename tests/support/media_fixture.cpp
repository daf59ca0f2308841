#include "tests/support/media_fixture.hpp"

#include "storage/digest.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace framemill::test {

namespace fs = std::filesystem;

namespace {

/// The clips of this process; they go with it, unless its last test failed. That
/// is after doctest's own end: nothing of it may be used any more.
struct clip_directory {
  fs::path path;

  clip_directory() {
    std::string name = fs::temp_directory_path() / "framemill-clips-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"mkdtemp failed: " + name};
    path = name;
  }
  clip_directory(const clip_directory&) = delete;
  clip_directory& operator=(const clip_directory&) = delete;
  ~clip_directory() {
    std::error_code ignored;
    if (failure_listener::has_failed)
      std::fprintf(stderr, "kept: %s\n", path.c_str());
    else
      fs::remove_all(path, ignored);
  }
};

const fs::path& clips() {
  static const clip_directory directory;
  return directory.path;
}

void encode(const clip_options& o, const std::string& path) {
  std::vector<std::string> words{"ffmpeg",
                                 "-v",
                                 "error",
                                 "-y",
                                 "-f",
                                 "lavfi",
                                 "-i",
                                 fmt::format("testsrc2=size={}x{}:rate={}:duration={}", o.width,
                                             o.height, o.fps, o.seconds)};
  if (o.audio == clip_audio::sine)
    words.insert(words.end(),
                 {"-f", "lavfi", "-i",
                  fmt::format("sine=frequency=440:sample_rate=44100:duration={}", o.seconds)});
  auto gop = std::to_string(std::max(1, static_cast<int>(o.keyframe_seconds * o.fps)));
  words.insert(words.end(), {"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", gop,
                             "-keyint_min", gop, "-sc_threshold", "0", "-pix_fmt", "yuv420p",
                             "-c:a", "aac", "-b:a", "64k", path});
  if (auto r = run(words); r.end.exit_code != 0)
    throw std::runtime_error{"ffmpeg: " + r.complaint};
}

} // namespace

std::string make_clip(const clip_options& o) {
  auto name = fmt::format("{}x{}_{}fps_{}s_{}k{}.mp4", o.width, o.height, o.fps, o.seconds,
                          o.keyframe_seconds, o.audio == clip_audio::none ? "_silent" : "");
  auto path = clips() / name;
  if (!fs::exists(path))
    encode(o, path);
  return path;
}

std::string make_long_clip() { return make_clip({.seconds = 24}); }

std::optional<std::string> real_clip(const std::string& name) {
  const auto* told = std::getenv("FRAMEMILL_CLIPS");
  auto root = told != nullptr ? fs::path{told}
                              : fs::path{FRAMEMILL_SOURCE_DIR}.parent_path() / "shared/media";
  auto path = root / name;
  return fs::is_regular_file(path) ? std::optional{path.string()} : std::nullopt;
}

json probe(const std::string& path) {
  auto r = run({"ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format",
                "-of", "json", path});
  auto document = parse_json(r.output);
  return document ? *document : json{};
}

json stream_of(const json& probed, const std::string& kind) {
  for (const auto& stream : probed.value("streams", json::array()))
    if (stream.value("codec_type", "") == kind)
      return stream;
  return {};
}

std::string file_content(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

void write_file(const std::string& path, const std::string& content) {
  fs::create_directories(fs::path{path}.parent_path());
  std::ofstream{path, std::ios::binary} << content;
}

std::string sha256_of_file(const std::string& path) {
  digest d;
  d.update(file_content(path));
  return d.hex();
}

} // namespace framemill::test
