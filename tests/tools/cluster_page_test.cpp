#include "tools/framemill/cluster_page.hpp"

#include "tools/framemill/explanation_page.hpp"
#include "tools/framemill/node_page.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace framemill;
using namespace framemill::cli;
using namespace std::chrono_literals;

namespace {

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const json nodes = json::parse(R"json([
  {"Name": "one", "Presence": "up", "Mode": "active", "SlotsBusy": 1, "Drained": false,
   "Labels": {"rack.row": "a\u001b[2J"}, "LastHeard": "2026-11-21T10:00:00.000000Z",
   "Facts": {"Slots": 2, "Cores": 8, "MemoryBytes": 16000000000,
             "Encoders": ["libx264", "aac"], "SelfTest": "frame 3 differs"},
   "Running": [{"Run": 7, "Shard": 3, "Role": "decode", "Epoch": 2, "Phase": "encoding",
                "Fraction": 0.25}],
   "Services": [{"Service": {"Kind": "bucket-watcher", "Name": "media"}, "Epoch": 8,
                 "Problem": ""},
                {"Service": {"Kind": "bucket-watcher", "Name": "old"}, "Epoch": 2,
                 "Problem": "its mount is gone"}]},
  {"Name": "two", "Presence": "away", "Mode": "cordoned", "ModeReason": "three inputs failed",
   "LastHeard": "", "LastSeen": "2026-11-20T10:00:00.000000Z", "Facts": {}, "Running": []}])json");

const json cluster = json::parse(R"json({
  "Id": "c1", "Term": 3, "Coordinator": "mill", "NodesUp": 1, "NodesAway": 1, "NodesCordoned": 0,
  "Slots": 2, "SlotsBusy": 1, "ShardsReady": 12, "RunsLive": 3, "RunsQueued": 0,
  "ControlEndpoint": "10.0.0.1:8710", "DataEndpoint": "", "FaultsAllowed": true,
  "Fingerprints": {"libavcodec 59": ["one"]}, "Warnings": ["two fingerprints"]})json");

top_sample sample(double frames, std::chrono::seconds at) {
  return {cluster,
          nodes,
          {{{"Name", "framemill_frames_encoded_total"}, {"Value", frames}},
           {{"Name", "framemill_bytes_published_total"}, {"Value", frames * 1e5}}},
          std::chrono::steady_clock::time_point{} + at};
}

} // namespace

TEST_CASE("node_state: presence and mode in a word or two") {
  auto state = [](const char* presence, const char* mode, bool drained) {
    return node_state({{"Presence", presence}, {"Mode", mode}, {"Drained", drained}});
  };

  CHECK(state("up", "active", false) == "up");
  CHECK(state("up", "cordoned", false) == "cordoned");
  CHECK(state("up", "draining", false) == "draining");
  CHECK(state("up", "draining", true) == "drained");
  CHECK(state("away", "paused", false) == "away, paused");
  CHECK(state("suspect", "active", false) == "suspect");
}

TEST_CASE("node_table: what a node said of itself reaches no terminal raw") {
  auto text = node_table(nodes).render();

  CHECK(holds(text, "rack.row=a\\x1b[2J"));
  CHECK_FALSE(holds(text, "\x1b"));
  CHECK(holds(text, "16.0 GB"));
  CHECK(holds(text, "2026-11-20 10:00:00"));
  CHECK(holds(text, "three inputs failed"));
}

TEST_CASE("node_page: facts, self-test, and what runs") {
  auto page = node_page(nodes[0]);

  CHECK(holds(page, "failed: frame 3 differs"));
  CHECK(holds(page, "1/2 busy"));
  CHECK(holds(page, "libx264, aac"));
  CHECK(holds(page, "encoding"));
  CHECK(holds(page, "25%"));
  CHECK(holds(page, "bucket-watcher media, bucket-watcher old (its mount is gone)"));
  CHECK(node_page(nullptr) != ""); // another server's answer is survived
}

TEST_CASE("cluster_page: who coordinates, and what is wrong") {
  auto page = cluster_page(cluster);

  CHECK(holds(page, "mill (term 3)"));
  CHECK(holds(page, "10.0.0.1:8710"));
  CHECK(holds(page, "libavcodec 59: one"));
  CHECK(holds(page, "may be injected"));
  CHECK(holds(page, "warning: two fingerprints"));
}

TEST_CASE("throughput: counters over time") {
  auto t = throughput_between(sample(100, 10s), sample(340, 12s));

  CHECK(t.frames == 120);
  CHECK(t.bytes == 12e6);
  CHECK(holds(top_line(sample(0, 0s), t),
              "queue 12  runs 3 live 0 queued  120.0 frames/s  12.0 MB/s"));
}

TEST_CASE("throughput: unknown when a counter is absent, began anew, or time stood still") {
  auto without = sample(0, 3s);
  without.metrics = json::array();

  CHECK_FALSE(throughput_between(sample(5, 1s), without).frames);
  CHECK_FALSE(throughput_between(sample(5, 1s), sample(4, 2s)).frames);
  CHECK_FALSE(throughput_between(sample(5, 1s), sample(6, 1s)).frames);
  CHECK(holds(top_line(without, {}), "– frames/s"));
}

TEST_CASE("top_page: no more lines than the terminal has") {
  auto lines = [](const std::string& s) { return std::count(s.begin(), s.end(), '\n'); };
  auto s = sample(0, 0s);

  auto all = top_page(s, {}, 0, 0);

  CHECK(holds(all, "7/3 decode encoding 25%"));
  CHECK(lines(all) == 5);
  CHECK(lines(top_page(s, {}, 80, 4)) == 3);
  CHECK(lines(top_page(s, {}, 80, 100)) == 5);
}

TEST_CASE("explanation_page: each node's verdict on each shard that waits") {
  auto page = explanation_page(json::parse(R"json({
    "Run": 7, "State": "processing", "Why": "every slot is busy",
    "Shards": [{"Shard": 3, "Role": "decode", "State": "ready", "Why": "no slot is free",
      "Node": "", "QueuePosition": 2, "ExpectedStart": "2026-11-21T10:00:09.000000Z",
      "Nodes": [{"Node": "one", "Eligible": true, "Sentence": "busy: 2 of 2 slots"},
                {"Node": "two", "Eligible": false, "Sentence": "cordoned"}]}],
    "CriticalPath": []})json"));

  CHECK(holds(page, "run 7 is processing: every slot is busy"));
  CHECK(holds(page, "place 2 in the queue, expected to start at 2026-11-21 10:00:09"));
  CHECK(holds(page, "busy: 2 of 2 slots"));
  CHECK_FALSE(holds(page, "critical path"));
}

TEST_CASE("explanation_page: how each attempt of a slow shard fares") {
  auto page = explanation_page(json::parse(R"json({
    "Run": 7, "State": "processing", "Why": "1 of 8 shards are not done",
    "Shards": [{"Shard": 3, "Role": "decode", "State": "leased", "Node": "w3", "Hedge": "begun",
      "Why": "attempt 2 is at work on w2", "StageShards": 5, "StageSeconds": 4.0,
      "Attempts": [
        {"Epoch": 1, "Node": "w1", "Standing": "failed", "Seconds": 2.0, "Frames": 7,
         "FramesPlanned": 100, "FramesPerSecond": 3.5,
         "Failure": {"Code": "worker_crashed", "Message": "signal 11\u001b[2J"}},
        {"Epoch": 2, "Node": "w2", "Standing": "at-work", "Seconds": 20.0, "Frames": 20,
         "FramesPlanned": 100, "FramesPerSecond": 1.0, "Pace": 0.04, "StillSeconds": 12.0,
         "Moved": "2026-11-21T10:00:09.000000Z"},
        {"Epoch": 3, "Node": "w3", "Standing": "not-heard-of", "Seconds": 0.4, "Hedge": true,
         "Moved": ""}]}],
    "CriticalPath": []})json"));

  CHECK(holds(page, "shard 3 (decode): leased to w3; attempt 2 is at work on w2"));
  CHECK(holds(page, "worker_crashed: signal 11\\x1b[2J"));
  CHECK(holds(page, "7/100 frames"));
  CHECK(holds(page, "20/100 frames"));
  CHECK(holds(page, "1.0 frames/s"));
  CHECK(holds(page, "12 s ago"));
  CHECK(holds(page, "0.04x"));
  CHECK(holds(page, "3 (hedge)"));
  CHECK(holds(page, "not-heard-of"));
  CHECK(holds(page, "by the median of 5 others of its stage it takes 4.0 s"));
}

TEST_CASE("explanation_page: where the time of a finished run went") {
  auto page = explanation_page(json::parse(R"json({
    "Run": 7, "State": "succeeded", "Shards": [], "CriticalPath": [
      {"What": "waited for a slot", "Node": "", "Begin": "2026-11-21T10:00:00.000000Z",
       "Seconds": 1},
      {"What": "shard 3 (decode)", "Node": "one", "Begin": "2026-11-21T10:00:01.500000Z",
       "Seconds": 3}]})json"));

  CHECK(holds(page, "critical path, 4.0 s:"));
  CHECK(holds(page, "25%"));
  CHECK(holds(page, "75%"));
  CHECK(holds(page, "shard 3 (decode)"));
}
