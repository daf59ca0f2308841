#include "actors/golden_clip.hpp"
#include "actors/self_test.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace framemill;
namespace fs = std::filesystem;

namespace {

/// A node that has nothing but children.
struct tested_node {
  explicit tested_node(const std::string& program) {
    services.scratch_root = dir / "scratch";
    services.children = std::make_unique<sandboxed_child_host>(
      sandboxed_child_host::options{program, true});
  }
  [[nodiscard]] bool left_nothing() const {
    return !fs::exists(services.scratch_root) || fs::is_empty(services.scratch_root);
  }
  test::temp_dir dir;
  node_services services;
};

} // namespace

TEST_CASE("golden_clip: is an MP4 of a few kilobytes") {
  auto clip = golden_clip();
  REQUIRE(clip);
  CHECK(clip->size() < 4096);
  CHECK(clip->substr(4, 4) == "ftyp");
}

TEST_CASE("self_test: passes with the real child, and leaves nothing") {
  const std::string program = FRAMEMILL_BIN_DIR "/framemill-media";
  if (!fs::exists(program)) {
    MESSAGE("skipped: " << program << " is not built");
    return;
  }
  tested_node node{program};

  auto verdict = self_test(node.services);

  REQUIRE_MESSAGE(verdict, verdict.error().message);
  CHECK(*verdict == "");
  CHECK(node.left_nothing());
}

TEST_CASE("self_test: a child that does not do the work is told in a sentence") {
  tested_node node{FAKE_CHILD}; // "golden.mp4" is no way that it knows
  auto verdict = self_test(node.services);
  REQUIRE_MESSAGE(verdict, verdict.error().message);
  CHECK(verdict->starts_with("encoding the golden clip: "));
  CHECK(node.left_nothing());
}

TEST_CASE("self_test: a program that is not there is told in a sentence") {
  tested_node node{"/nowhere/framemill-media"};
  auto verdict = self_test(node.services);
  REQUIRE_MESSAGE(verdict, verdict.error().message);
  CHECK(verdict->starts_with("encoding the golden clip: "));
}

TEST_CASE("self_test: no room for its scratch is an error, not a verdict") {
  tested_node node{FAKE_CHILD};
  node.services.scratch_root = node.dir.write("a file", "") + "/scratch";
  CHECK_FALSE(self_test(node.services));
}
