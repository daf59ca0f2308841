#include "cluster/shard_work.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

run_record some_run() {
  run_record r;
  r.id = {7};
  r.workflow = {3};
  r.object = {"media", "in/a.mp4", {}};
  r.priority = 4;
  r.created = {1000};
  r.fingerprint = "x264 r1";
  r.spec.scheduling = {{{"zone", "a"}}, {{"disk", "ssd"}}, "gpu0", 2.5};
  return r;
}

shard_record some_shard(shard_role role) {
  shard_record s;
  s.id = {{7}, 2};
  s.role = role;
  s.cost = 12;
  s.cores = 3;
  s.memory_bytes = 100;
  s.scratch_bytes = 200;
  return s;
}

} // namespace

TEST_CASE("shard_work: of several sources a shard is given its own") {
  auto run = some_run();
  run.more_sources.push_back({{"archive", "b.mp4", {}}, {}});
  auto shard = some_shard(shard_role::whole);
  shard.id.index = 0;
  shard.source = 1;
  shard.request.source_bytes = 9;

  CHECK(offer_of(run, shard).bucket == "archive"); // locality
  CHECK(order_of(run, {shard}, 0, 1).source->key == "b.mp4");
}

TEST_CASE("shard_work: an offer asks for what the shard takes and the workflow wants") {
  auto o = offer_of(some_run(), some_shard(shard_role::decode));

  CHECK(o.id == shard_id{{7}, 2});
  CHECK(o.workflow == 3);
  CHECK(o.weight == 2.5);
  CHECK(o.cores == 3);
  CHECK(o.memory_bytes == 100);
  CHECK(o.scratch_bytes == 200);
  CHECK(o.labels == std::map<std::string, std::string>{{"zone", "a"}});
  CHECK(o.preferred_labels == std::map<std::string, std::string>{{"disk", "ssd"}});
  CHECK(o.device == "gpu0");
  CHECK(o.sessions == 1);
}

TEST_CASE("shard_work: who works on no pictures holds no session of the device") {
  for (auto role : {shard_role::probe, shard_role::audio, shard_role::join}) {
    auto o = offer_of(some_run(), some_shard(role));

    CHECK(o.device == "gpu0"); // but goes where the device is
    CHECK(o.sessions == 0);
  }
  CHECK(offer_of(some_run(), some_shard(shard_role::whole)).sessions == 1);
}

TEST_CASE("shard_work: what is at work takes as much as was offered, since its last lease") {
  auto shard = some_shard(shard_role::decode);
  attempt_record first, second;
  first.started = {5000};
  second.started = {6000};
  shard.attempts = {first, second};

  auto r = reservation_of(some_run(), shard);

  CHECK(r.shard == shard.id);
  CHECK(r.size.cores == 3);
  CHECK(r.size.memory_bytes == 100);
  CHECK(r.size.scratch_bytes == 200);
  CHECK(r.size.sessions == 1);
  CHECK(r.device == "gpu0");
  CHECK(r.cost == 12);
  CHECK(r.since == timestamp{6000});
}
