#include "actors/self_test.hpp"

#include "actors/golden_clip.hpp"
#include "storage/file_handle.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

namespace framemill {

namespace fs = std::filesystem;

namespace {

using steady = std::chrono::steady_clock;
constexpr std::chrono::seconds test_time_max{30};
constexpr std::chrono::seconds death_time_max{5}; ///< of a child that was killed
constexpr std::int64_t memory_bytes_max = 1LL << 30;
constexpr std::uintmax_t index_bytes_max = 1 << 20;

/// A scratch directory below the node's, gone with this.
class bench {
public:
  explicit bench(const node_services& services) {
    static std::atomic<std::uint64_t> count{0};
    path_ = fmt::format("{}/self-test-{}", services.scratch_root, ++count);
  }
  ~bench() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  bench(const bench&) = delete;
  bench& operator=(const bench&) = delete;

  [[nodiscard]] result<void> lay_out() const {
    std::error_code ec;
    for (const auto* child : {"encode", "look"})
      for (const auto* side : {"in", "out"})
        if (fs::create_directories(fmt::format("{}/{}/{}", path_, child, side), ec); ec)
          return fail_errno(ec.value(), "create " + path_);
    return {};
  }
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

private:
  std::string path_;
};

result<void> write_clip(const std::string& path) {
  FM_TRY(auto bytes, golden_clip());
  std::ofstream out{path, std::ios::binary};
  out << bytes;
  out.close();
  return out ? result<void>{} : fail(errc::io_failed, "{} cannot be written", path);
}

result<std::string> read_file(const std::string& path) {
  std::error_code ec;
  if (auto size = fs::file_size(path, ec); ec || size > index_bytes_max)
    return fail(errc::io_failed, "{} is missing or too large", path);
  std::ifstream in{path, std::ios::binary};
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

// ---- What the children are asked -----------------------------------------------------

decode_step whole_decode() {
  decode_step d;
  d.start = {std::numeric_limits<std::int64_t>::min(), -1};
  d.begin = 0;
  d.index_file = "index"; // of the probe before
  return d;
}

video_output rendition(std::string name) {
  video_output v;
  v.name = std::move(name);
  v.geometry.width = v.geometry.inner_width = golden::width;
  v.geometry.height = v.geometry.inner_height = golden::height;
  v.grid = {{golden::fps, 1}, 0, golden::frames * golden::ticks_per_frame};
  v.last = golden::frames;
  v.gop = golden::gop;
  return v;
}

assemble_step join() {
  assemble_step a;
  a.name = "result";
  a.container = "mp4";
  a.videos = {"video"};
  a.audio = "audio";
  a.contract = {golden::frames, golden::seconds, 0.001, golden::width, golden::height,
                true,           true};
  return a;
}

media_request encode_request(std::int64_t source_bytes) {
  auto d = whole_decode();
  d.end = (golden::frames - 1) * golden::ticks_per_frame;
  d.videos = {rendition("video"), rendition("twin")};
  audio_step audio;
  audio.stream = 1;
  audio.outputs.resize(1);
  audio.outputs[0].name = "audio";
  media_request r;
  r.source_name = "golden.mp4";
  r.source_bytes = source_bytes;
  r.steps = {probe_step{}, d, audio, join()};
  r.keep = {"result", "video", "twin"};
  return r;
}

/// Decodes what was encoded, from its first frame to its last.
media_request look_request(std::int64_t source_bytes) {
  picture_output p;
  p.name = "pictures";
  p.format = "raw";
  p.geometry = rendition({}).geometry;
  p.picks = {{0, 0}, {std::numeric_limits<std::int64_t>::max(), 1}};
  auto d = whole_decode();
  d.end = std::numeric_limits<std::int64_t>::max();
  d.pictures = {p};
  media_request r;
  r.source_name = "result.mp4";
  r.source_bytes = source_bytes;
  r.steps = {probe_step{}, d};
  r.keep = {"pictures"};
  return r;
}

// ---- A child, waited for ---------------------------------------------------------------

/// What a child told; shared with the child host's thread, which may outlast us.
struct heard {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<media_result> result;
  std::optional<child_exit> exit;

  bool wait_for_exit(steady::time_point until) {
    std::unique_lock lock{mutex};
    return changed.wait_until(lock, until, [this] { return exit.has_value(); });
  }
};

child_listener listener_of(const std::shared_ptr<heard>& to) {
  return {[to](child_message m) {
            std::lock_guard lock{to->mutex};
            if (auto* r = std::get_if<media_result>(&m))
              to->result = std::move(*r);
          },
          [](const std::string&) {}, // its result says what is wrong
          [to](child_exit how) {
            std::lock_guard lock{to->mutex};
            to->exit = std::move(how);
            to->changed.notify_all();
          }};
}

/// What to ask of which file.
struct question {
  std::string scratch;
  std::string source;
  media_request (*request)(std::int64_t source_bytes);
};

result<child_spec> spec_of(const question& q) {
  std::error_code ec;
  const auto size = fs::file_size(q.source, ec);
  child_spec spec;
  spec.scratch = q.scratch;
  spec.source = file_handle{::open(q.source.c_str(), O_RDONLY | O_CLOEXEC)};
  if (ec || !spec.source)
    return fail_errno(ec ? ec.value() : errno, q.source);
  spec.request = q.request(static_cast<std::int64_t>(size));
  spec.memory_bytes_max = memory_bytes_max;
  return spec;
}

/// A child's result, or why there is none.
result<media_result> ask_child(node_services& services, const question& q,
                               steady::time_point until) {
  FM_TRY(auto spec, spec_of(q));
  auto told = std::make_shared<heard>();
  const auto child = services.children->spawn(std::move(spec), listener_of(told));
  if (!told->wait_for_exit(until)) {
    services.children->stop(child);
    (void)told->wait_for_exit(steady::now() + death_time_max); // its scratch goes after it
    return fail(errc::timed_out, "the child did not end within {} s", test_time_max.count());
  }
  std::lock_guard lock{told->mutex};
  if (!told->result)
    return fail(errc::worker_crashed, "the child gave no result: {}", told->exit->text());
  if (told->result->failure)
    return failure{*told->result->failure};
  return *told->result;
}

// ---- Judging ----------------------------------------------------------------------------

const result_file* file_of(const media_result& r, std::string_view name) {
  auto f = std::find_if(r.files.begin(), r.files.end(),
                        [&](const auto& x) { return x.name == name; });
  return f == r.files.end() ? nullptr : &*f;
}

std::string judge_encode(const media_result& r) {
  const auto *video = file_of(r, "video"), *twin = file_of(r, "twin");
  const auto* joined = file_of(r, "result");
  if (!video || !twin || !joined)
    return "the child left out a result file";
  if (joined->frames != golden::frames)
    return fmt::format("{} frames were encoded of {}", joined->frames.value_or(0),
                       golden::frames);
  if (video->sha256 != twin->sha256)
    return "the same frames encoded twice are not the same bytes";
  return {};
}

std::string judge_times(const packet_index& index) {
  if (index.pts.size() != golden::frames)
    return fmt::format("the result shows {} frames of {}", index.pts.size(), golden::frames);
  const auto& tb = index.time_base;
  const auto step = tb.num <= 0 ? 0 : tb.den / tb.num / golden::fps;
  for (std::size_t k = 0; k < index.pts.size(); ++k)
    if (index.pts[k] - index.pts[0] != static_cast<std::int64_t>(k) * step)
      return fmt::format("frame {} of the result is not at its time", k);
  return {};
}

result<std::string> judge_look(const media_result& r, const std::string& index_path) {
  if (r.frames_decoded < golden::frames)
    return fmt::format("of {} frames of the result {} decode", golden::frames,
                       r.frames_decoded);
  FM_TRY(auto bytes, read_file(index_path));
  FM_TRY(auto index, decode_index(bytes));
  return judge_times(index);
}

} // namespace

result<std::string> self_test(node_services& services) {
  const auto until = steady::now() + test_time_max;
  bench b{services};
  FM_CHECK(b.lay_out());
  FM_CHECK(write_clip(b / "golden.mp4"));
  auto made = ask_child(services, {b / "encode", b / "golden.mp4", encode_request}, until);
  if (!made)
    return "encoding the golden clip: " + made.error().message;
  if (auto wrong = judge_encode(*made); !wrong.empty())
    return wrong;
  auto seen = ask_child(services, {b / "look", b / "encode/out/result", look_request}, until);
  if (!seen)
    return "decoding what was made of the golden clip: " + seen.error().message;
  return judge_look(*seen, b / "look/out/index");
}

} // namespace framemill
