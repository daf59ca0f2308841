#include "cluster/fleet.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

constexpr std::int64_t mebibyte = 1 << 20;

node_facts some_facts() {
  node_facts f;
  f.version = "1";
  f.cores = 8;
  f.memory_bytes = 100 * mebibyte;
  f.scratch_bytes = 700 * mebibyte;
  f.scratch_total_bytes = 1000 * mebibyte;
  f.scratch_floor_bytes = 50 * mebibyte;
  f.fingerprint = "x264 r1";
  f.devices = {"gpu0", "gpu1"};
  f.device_sessions = {{"gpu0", 3}};
  f.buckets = {{"vod", "sentinel"}};
  return f;
}

} // namespace

TEST_CASE("fleet: a node offers what it tells of itself") {
  auto n = offered_by("a", some_facts());

  CHECK(n.told);
  CHECK(n.cores == 8);
  CHECK(n.memory_bytes == 100 * mebibyte);
  CHECK(n.scratch_bytes == 950 * mebibyte); // an empty disk, less its floor
  CHECK(n.scratch_left == 650 * mebibyte);
  CHECK(n.fingerprint == "x264 r1");
  CHECK(n.devices == std::map<std::string, std::int64_t>{{"gpu0", 3}, {"gpu1", 1}});
  CHECK(n.buckets == std::vector<std::string>{"vod"});
}

TEST_CASE("fleet: a node of an older version, which does not tell its disk's size, has what is free") {
  auto facts = some_facts();
  facts.scratch_total_bytes = facts.scratch_floor_bytes = 0;
  auto n = offered_by("a", facts);

  CHECK(n.scratch_bytes == 700 * mebibyte);
  CHECK_FALSE(n.scratch_left);
}

TEST_CASE("fleet: a disk that is smaller than its floor offers nothing, not everything") {
  auto facts = some_facts();
  facts.scratch_floor_bytes = 2000 * mebibyte;
  auto n = offered_by("a", facts);

  CHECK(n.scratch_bytes == 1); // 0 would be unlimited
  CHECK(*n.scratch_left < 0);
}

TEST_CASE("fleet: who has told nothing yet is known by its name alone") {
  CHECK_FALSE(offered_by("a", {}).told);
}

TEST_CASE("fleet: small changes of a disk are no news, the floor always is") {
  CHECK_FALSE(is_scratch_news(10'000 * mebibyte, 9'500 * mebibyte));
  CHECK(is_scratch_news(10'000 * mebibyte, 9'300 * mebibyte));
  CHECK_FALSE(is_scratch_news(100 * mebibyte, 40 * mebibyte));
  CHECK(is_scratch_news(100 * mebibyte, 30 * mebibyte));
  CHECK(is_scratch_news(1, 0));
  CHECK(is_scratch_news(-5, 1));
  CHECK_FALSE(is_scratch_news(-5, -9));
}
