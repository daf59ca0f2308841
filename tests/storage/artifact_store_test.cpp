#include "storage/artifact_store.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <set>

#include <sys/stat.h>
#include <unistd.h>

using namespace framemill;
using framemill::test::temp_dir;
namespace fs = std::filesystem;

namespace {

const std::string hash_of_abc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

} // namespace

TEST_CASE("digest: SHA-256 and MD5 of the known vectors") {
  CHECK(sha256_of("abc") == hash_of_abc);
  CHECK(md5_of("abc") == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(sha256_of("").starts_with("e3b0c44298fc1c14"));
}

TEST_CASE("artifact_store: takes a file over, and again, and gives it back") {
  temp_dir dir;
  artifact_store store{dir / "artifacts"};
  for (int i = 0; i < 2; ++i) {
    const auto made = dir.write("scratch/part", "abc");

    REQUIRE(store.adopt(made, hash_of_abc));

    CHECK_FALSE(fs::exists(made));
    CHECK(store.contains(hash_of_abc));
    CHECK(store.path_of(hash_of_abc) == dir / ("artifacts/ba/" + hash_of_abc));
    CHECK(dir.read("artifacts/ba/" + hash_of_abc) == "abc");
    CHECK(store.verify(hash_of_abc));
  }
}

TEST_CASE("artifact_store: adopting a hard link of what is there removes the link") {
  temp_dir dir;
  artifact_store store{dir / "artifacts"};
  REQUIRE(store.put("abc").value() == hash_of_abc);
  REQUIRE(store.link_to(hash_of_abc, dir / "linked"));

  REQUIRE(store.adopt(dir / "linked", hash_of_abc));

  CHECK_FALSE(fs::exists(dir / "linked"));
  CHECK(store.verify(hash_of_abc));
}

TEST_CASE("artifact_store: refuses a file that is not what its hash says") {
  temp_dir dir;
  artifact_store store{dir / "artifacts"};
  const auto made = dir.write("part", "abd");

  const auto r = store.adopt(made, hash_of_abc);

  REQUIRE_FALSE(r);
  CHECK(r.error().code == errc::corrupt);
  CHECK(fs::exists(made));
  CHECK_FALSE(store.contains(hash_of_abc));
}

TEST_CASE("artifact_store: names that are not hashes lead nowhere") {
  temp_dir dir;
  artifact_store store{dir / "artifacts"};
  const auto secret = dir.write("secret", "x");
  for (const auto& name : {std::string{}, std::string{"../../secret"}, std::string{"ab"},
                           std::string{".."}, std::string(64, 'A')}) {
    CHECK_FALSE(store.contains(name));
    CHECK(store.adopt(secret, name).error().code == errc::invalid_argument);
    CHECK(store.verify(name).error().code == errc::invalid_argument);
    CHECK(store.link_to(name, dir / "out").error().code == errc::invalid_argument);
  }
}

TEST_CASE("artifact_store: changed bytes are found and removed, and good ones adopted") {
  temp_dir dir;
  artifact_store store{dir / "artifacts"};
  REQUIRE(store.put("abc"));
  fs::permissions(store.path_of(hash_of_abc), fs::perms::owner_all);
  dir.write("artifacts/ba/" + hash_of_abc, "abX");

  CHECK(store.verify(hash_of_abc).error().code == errc::corrupt);
  CHECK_FALSE(store.contains(hash_of_abc)); // so that it can be delivered anew
  CHECK_FALSE(store.verify(hash_of_abc));
  REQUIRE(store.adopt(dir.write("again", "abc"), hash_of_abc));
  CHECK(store.verify(hash_of_abc));
}

TEST_CASE("artifact_store: opens what is here, and says what is not") {
  temp_dir dir;
  artifact_store store{dir / "artifacts"};
  CHECK(store.open(hash_of_abc).error().code == errc::not_found);
  CHECK(store.open("../abc").error().code == errc::invalid_argument);
  REQUIRE(store.put("abc"));

  auto file = store.open(hash_of_abc);

  REQUIRE(file);
  char bytes[4] = {};
  CHECK(::read(file->get(), bytes, sizeof bytes) == 3);
  CHECK(bytes == std::string{"abc"});
}

TEST_CASE("artifact_store: artifacts are read-only, for they are linked elsewhere") {
  temp_dir dir;
  artifact_store store{dir / "artifacts"};
  REQUIRE(store.adopt(dir.write("part", "abc"), hash_of_abc));

  struct stat info {};
  REQUIRE(::stat(store.path_of(hash_of_abc).c_str(), &info) == 0);

  CHECK((info.st_mode & 0777) == 0444);
  REQUIRE(store.link_to(hash_of_abc, dir / "linked"));
  CHECK(dir.read("linked") == "abc");
  CHECK(store.link_to(hash_of_abc, dir / "linked").error().code == errc::already_exists);
}

TEST_CASE("artifact_store: collects what nobody wants and leaves the rest") {
  temp_dir dir;
  artifact_store store{dir / "artifacts"};
  const auto wanted = store.put("wanted").value();
  const auto unwanted = store.put("unwanted!").value();
  const auto young = dir.write("artifacts/tmp-1-1", "young");
  const auto old = dir.write("artifacts/ab/tmp-1-2", "old");
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours{2});
  const auto foreign = dir.write("artifacts/ab/notes.txt", "somebody's");

  const auto freed = store.collect([&](std::string_view hash) { return hash == wanted; });

  CHECK(freed.value() == 9 + 3);
  CHECK(store.contains(wanted));
  CHECK_FALSE(store.contains(unwanted));
  CHECK(fs::exists(young));
  CHECK_FALSE(fs::exists(old));
  CHECK(fs::exists(foreign));
}

TEST_CASE("artifact_store: collecting in a store that is not there yet frees nothing") {
  temp_dir dir;
  artifact_store store{dir / "none"};

  CHECK(store.collect([](auto) { return false; }).value() == 0);
}
