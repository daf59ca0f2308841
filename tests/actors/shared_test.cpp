#include "actors/progress_board.hpp"
#include "actors/services.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace framemill;

TEST_CASE("node_services: what an ended run wants is not kept") {
  test::test_services node{test::durability::at_once};
  run_record run;
  run.id = {1};
  run.state = run_state::cancelled;
  changes c;
  c.runs.push_back(run);
  node.keep(std::move(c));

  CHECK(node.shared.want_artifact({1}, "a").error().code == errc::cancelled);
  CHECK_FALSE(node.shared.pins.is_pinned("a"));
  CHECK(node.shared.want_artifact({2}, "a")); // an inspection: it is in no books
  CHECK(node.shared.want_artifact({2}, "a"));
  CHECK(node.shared.pins.release({2}) == std::vector<std::string>{"a"});
}

TEST_CASE("artifact_pins: what a run pins twice is free when it lets go") {
  artifact_pins pins;
  pins.pin({1}, "a");
  pins.pin({1}, "a");
  CHECK(pins.release({1}) == std::vector<std::string>{"a"});
  CHECK_FALSE(pins.is_pinned("a"));
}

TEST_CASE("artifact_pins: what two runs need is free when the second lets go") {
  artifact_pins pins;
  pins.pin({1}, "a");
  pins.pin({1}, "b");
  pins.pin({2}, "a");
  CHECK(pins.release({1}) == std::vector<std::string>{"b"});
  CHECK(pins.is_pinned("a"));
  CHECK(pins.release({2}) == std::vector<std::string>{"a"});
  CHECK_FALSE(pins.is_pinned("a"));
}

TEST_CASE("artifact_pins: what one run pinned twice is freed once") {
  artifact_pins pins;
  pins.pin({1}, "a");
  pins.pin({1}, "a");
  CHECK(pins.release({1}) == std::vector<std::string>{"a"});
  CHECK(pins.release({1}).empty());
}

TEST_CASE("node_services: an ended run's artifacts go, but not another's") {
  framemill::test::temp_dir dir;
  node_services services;
  services.artifacts = std::make_unique<artifact_store>(dir / "artifacts");
  auto own = *services.artifacts->put("own"), shared = *services.artifacts->put("shared");
  services.pins.pin({1}, own);
  services.pins.pin({1}, shared);
  services.pins.pin({2}, shared);
  services.release_artifacts({1});
  CHECK_FALSE(services.artifacts->contains(own));
  CHECK(services.artifacts->contains(shared));

  // Pinned by another run after it was given free, before it is removed.
  CHECK(services.artifacts->discard(shared, [](auto) { return true; }));
  CHECK(services.artifacts->contains(shared));
}

TEST_CASE("progress_board: shows the latest and tells it to who follows") {
  progress_board board;
  std::vector<double> heard;
  auto token = board.follow([&](const run_progress& p) { heard.push_back(p.fraction); });
  run_progress p;
  p.run = {1};
  for (double fraction : {0.25, 0.5}) {
    p.fraction = fraction;
    board.set(p);
  }
  CHECK(heard == std::vector{0.25, 0.5});
  CHECK(board.find({1})->fraction == 0.5);
  CHECK_FALSE(board.find({2}));

  token.reset();
  board.set(p);
  CHECK(heard.size() == 2);
  p.run = {1};
  board.set(p, {{{2, 3}, {watermark{}, {7}}}});
  CHECK(board.marks_of({1}).at({2, 3}).moved == timestamp{7});
  board.erase({1});
  CHECK_FALSE(board.find({1}));
  CHECK(board.marks_of({1}).empty());
}

TEST_CASE("node_config: what cannot work is refused by name") {
  auto field = [](auto change) {
    node_config c;
    c.buckets["in"] = "/srv/in";
    change(c);
    auto r = validate(c);
    return r ? std::string{} : r.error().field;
  };
  CHECK(field([](auto&) {}).empty());
  CHECK(field([](auto& c) { c.data_dir.clear(); }) == "data_dir");
  CHECK(field([](auto& c) { c.name = "mill-1"; }).empty());
  for (const auto* name : {"bad name", "-1", "a/b", "m\xc3\xbchle"})
    CHECK(field([&](auto& c) { c.name = name; }) == "name");
  CHECK(field([](auto& c) { c.name = std::string(64, 'n'); }) == "name");
  CHECK(field([](auto& c) { c.slots = -1; }) == "slots");
  CHECK(field([](auto& c) { c.slots = 1025; }) == "slots");
  CHECK(field([](auto& c) { c.cores = -1; }) == "cores");
  CHECK(field([](auto& c) { c.cores = 4097; }) == "cores");
  CHECK(field([](auto& c) { c.scratch_floor_bytes = -1; }) == "scratch_floor_mib");
  CHECK(field([](auto& c) { c.devices["gpu0"] = 3; }).empty());
  CHECK(field([](auto& c) { c.devices["gpu0"] = 0; }) == "device");
  CHECK(field([](auto& c) { c.devices["gpu 0"] = 1; }) == "device");
  CHECK(field([](auto& c) { c.memory_bytes = -1; }) == "memory_bytes");
  CHECK(field([](auto& c) { c.scan_interval = std::chrono::milliseconds{99}; })
        == "scan_interval");
  CHECK(field([](auto& c) { c.stall_limit = std::chrono::milliseconds{999}; })
        == "stall_limit");
  CHECK(field([](auto& c) { c.planning.shard_source_seconds_min = -1; })
        == "source_seconds_min");
  CHECK(field([](auto& c) { c.planning.shard_cpu_seconds_min = std::nan(""); })
        == "cpu_seconds_min");
  CHECK(field([](auto& c) { c.planning.shard_seconds_min = 0; }) == "seconds_min");
  CHECK(field([](auto& c) { c.planning.shard_seconds_max = 7; }) == "seconds_max");
  for (const auto* name : {"", "a/b", "a b", "\xc3\xa9", "..\n"})
    CHECK(field([&](auto& c) { c.buckets[name] = "/srv"; }) == "bucket");
  CHECK(field([](auto& c) { c.buckets[std::string(64, 'a')] = "/srv"; }) == "bucket");
  CHECK(field([](auto& c) { c.buckets["in"].clear(); }) == "bucket");
}

TEST_CASE("node_config: what is for another role is refused, with the way out") {
  auto refusal = [](bool coordinates, auto change) {
    node_config c;
    c.roles = {coordinates, coordinates, true};
    change(c);
    auto r = validate(c);
    return r ? error{} : r.error();
  };
  auto joining = refusal(true, [](auto& c) { c.cluster.join = "10.0.0.1:8711"; });
  auto with_token = refusal(true, [](auto& c) { c.cluster.token = "fmj1.secret"; });
  auto listening = refusal(false, [](auto& c) { c.cluster.listen = "10.0.0.1:8710"; });

  CHECK(joining.field == "join");
  CHECK(joining.message.find("--role worker") != std::string::npos);
  CHECK(with_token.field == "token");
  CHECK(with_token.message.find("secret") == std::string::npos);
  CHECK(listening.field == "cluster_listen");
  CHECK(refusal(false, [](auto& c) { c.cluster.join = "10.0.0.1:8711"; }).field.empty());
  CHECK(refusal(true, [](auto& c) { c.cluster.listen = "10.0.0.1:8710"; }).field.empty());
}

TEST_CASE("find_bucket: names what is not there") {
  node_services services;
  auto found = services.find_bucket("gone");
  REQUIRE_FALSE(found);
  CHECK(found.error().code == errc::not_found);
  CHECK(found.error().message.find("gone") != std::string::npos);
}
