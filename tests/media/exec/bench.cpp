#include "tests/media/exec/bench.hpp"

#include "core/codec.hpp"
#include "media/child.hpp"
#include "media/executor.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <stdexcept>

namespace framemill::test {
namespace fs = std::filesystem;

scratch::scratch() {
  auto name = (fs::temp_directory_path() / "framemill-media-XXXXXX").string();
  if (!::mkdtemp(name.data()))
    throw std::runtime_error("mkdtemp");
  root_ = name;
  clear();
}
scratch::~scratch() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}
void scratch::hand_on(const std::string& name) const {
  fs::rename(out(name), path("in/" + name));
}
void scratch::clear() const {
  for (auto d : {"in", "out"}) {
    fs::remove_all(path(d));
    fs::create_directory(path(d));
  }
}

namespace {

struct pipe_pair {
  int read = -1, write = -1;
  pipe_pair() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0)
      throw std::runtime_error("pipe");
    read = fds[0];
    write = fds[1];
  }
};

[[noreturn]] void become_child(const scratch& s, int in, int out, int source) {
  ::dup2(in, 0);
  ::dup2(out, 1);
  if (source >= 0)
    ::fcntl(::dup2(source, 3), F_SETFD, 0); // dup2 of 3 itself would leave it close-on-exec
  if (::chdir(s.path("").c_str()) == 0)
    ::execl(FRAMEMILL_BIN_DIR "/framemill-media", "framemill-media", nullptr);
  ::_exit(127);
}

} // namespace

outcome run_child(const media_request& request, const std::string& source, const scratch& s) {
  return run_child(request,
                   source.empty() ? -1 : ::open(source.c_str(), O_RDONLY | O_CLOEXEC), s);
}

outcome run_child(const media_request& request, int fd, const scratch& s) {
  pipe_pair in, out;
  auto pid = ::fork();
  if (pid == 0)
    become_child(s, in.read, out.write, fd);
  ::close(in.read);
  ::close(out.write);
  if (fd >= 0)
    ::close(fd);
  outcome o;
  if (!write_frame(in.write, encode(request)))
    o.result.failure = error{errc::worker_crashed, "the child took no request", ""};
  while (true) {
    auto body = read_frame(out.read);
    if (!body)
      break;
    auto message = decode<child_message>(*body).value();
    if (auto r = std::get_if<media_result>(&message)) {
      o.result = std::move(*r);
      break;
    }
    ++o.watermarks;
  }
  ::waitpid(pid, &o.exit_status, 0);
  ::close(in.write);
  ::close(out.read);
  return o;
}

media_result run_here(const media_request& request, const std::string& source,
                      const scratch& s) {
  auto fd = source.empty() ? -1 : ::open(source.c_str(), O_RDONLY | O_CLOEXEC);
  auto r = execute(request, {fd, s.path(""), {}});
  if (fd >= 0)
    ::close(fd);
  return r;
}

media_request request_of(const std::string& source, std::vector<media_step> steps,
                         std::vector<std::string> keep) {
  media_request r;
  r.source_name = fs::path{source}.filename().string();
  r.source_bytes = source.empty() ? 0 : static_cast<std::int64_t>(fs::file_size(source));
  r.steps = std::move(steps);
  r.keep = std::move(keep);
  return r;
}

probed probe(const std::string& source, const scratch& s) {
  probed p;
  p.result = run_here(request_of(source, {probe_step{}}, {"index*"}), source, s);
  if (p.result.failure || p.result.files.empty())
    return p;
  s.hand_on("index");
  std::string bytes(fs::file_size(s.path("in/index")), '\0');
  auto f = std::fopen(s.path("in/index").c_str(), "rb");
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), f));
  std::fclose(f);
  p.index = decode_index(bytes).value();
  return p;
}

video_output rendition(const packet_index& index, rational fps, int gop) {
  video_output v;
  v.name = "video";
  v.geometry = {160, 90, 160, 90, fill_mode::stretch};
  v.grid.fps = fps;
  v.grid.origin = index.pts.front();
  v.grid.end = index.pts.back() + index.last_duration;
  v.gop = gop;
  v.gop_seconds = 1;
  v.encoder.preset = "ultrafast";
  v.encoder.bframes = 2;
  v.last = frame_count(v.grid, index);
  return v;
}

decode_step shard(const packet_index& index, video_output v, std::int64_t first,
                  std::int64_t last) {
  decode_step d;
  v.first = first;
  v.last = last;
  d.stream = index.stream;
  d.index_file = "index";
  d.begin = index.pts[static_cast<std::size_t>(source_of(first, v.grid, index))];
  d.end = index.pts[static_cast<std::size_t>(source_of(last - 1, v.grid, index))];
  d.start.pts = std::numeric_limits<std::int64_t>::min();
  for (const auto& p : index.access_points)
    if (p.pts <= d.begin)
      d.start = p;
  d.videos = {std::move(v)};
  return d;
}

assemble_step joined(std::vector<std::string> parts, std::string audio, std::int64_t frames,
                     double seconds) {
  assemble_step a;
  a.name = "result";
  a.container = "mp4";
  a.videos = std::move(parts);
  a.audio = std::move(audio);
  a.contract.video_frames = frames;
  a.contract.duration = seconds;
  a.contract.duration_tolerance = 0.1;
  a.contract.has_video = !a.videos.empty();
  a.contract.has_audio = !a.audio.empty();
  return a;
}

std::string why(const media_result& r) { return r.failure ? r.failure->message : ""; }

} // namespace framemill::test
