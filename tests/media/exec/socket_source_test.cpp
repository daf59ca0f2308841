#include "cluster/data_plane.hpp"
#include "tests/media/exec/bench.hpp"
#include "tests/media/exec/media_maker.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <filesystem>

using namespace framemill;
using namespace framemill::test;
namespace fs = std::filesystem;

namespace {

/// Another node that has the file, and gives it by ranges.
struct remote_source {
  key_pair keys = make_key_pair();
  std::unique_ptr<data_server> server;
  std::unique_ptr<range_server> ranges;

  explicit remote_source(const std::string& path) {
    data_source files;
    files.open_object = [path](const object_ref&) -> result<int> {
      const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      if (fd < 0)
        return fail_errno(errno, path);
      return fd;
    };
    auto admit = [](std::string_view) { return hub::options::verdict::yes; };
    server = std::move(*data_server::open({.keys = keys, .admit = admit, .source = files}));
    object_ref object{"b", "a.mp4", {.size = fs::file_size(path)}};
    ranges = std::move(*range_server::start({.host = "127.0.0.1",
                                             .port = server->port(),
                                             .server_key = keys.public_key,
                                             .keys = make_key_pair(),
                                             .chunk_bytes = 16 << 10},
                                            object));
  }
};

} // namespace

TEST_CASE("source: by ranges from another node it is the same as from its file") {
  scratch s;
  const auto path = s.path("source.mp4");
  make({.path = path, .frames = 100, .sound_seconds = 4, .faststart = false});
  const auto p = probe(path, s);
  REQUIRE(why(p.result) == "");
  const auto video = rendition(p.index, {25, 1}, 25);
  const auto request = request_of(path, {probe_step{}, shard(p.index, video, 0, video.last)},
                                  {"index", "video"});

  auto from_file = run_child(request, path, s);
  s.clear();
  probe(path, s);
  remote_source remote{path};
  auto from_socket = run_child(request, remote.ranges->take_child_end(), s);

  REQUIRE(why(from_file.result) == "");
  REQUIRE(why(from_socket.result) == "");
  REQUIRE(from_socket.result.files.size() == from_file.result.files.size());
  for (std::size_t i = 0; i < from_file.result.files.size(); ++i)
    CHECK(from_socket.result.files[i].sha256 == from_file.result.files[i].sha256);
  CHECK_FALSE(remote.ranges->failure());
}

TEST_CASE("source: one that changes on its node fails the attempt, and the reason is kept") {
  scratch s;
  const auto path = s.path("source.mp4");
  make({.path = path, .frames = 100});
  remote_source remote{path};
  fs::resize_file(path, fs::file_size(path) / 2);

  auto o = run_child(request_of(path, {probe_step{}}, {"index"}),
                     remote.ranges->take_child_end(), s);

  CHECK(o.result.failure);
  REQUIRE(remote.ranges->failure());
  CHECK(remote.ranges->failure()->code == errc::input_changed);
}
