#include "core/run.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace framemill;

namespace {

template <class State>
std::size_t allowed_changes() {
  std::size_t n = 0;
  auto count = enum_names<State>::names.size();
  for (std::size_t from = 0; from < count; ++from)
    for (std::size_t to = 0; to < count; ++to)
      n += may_become(static_cast<State>(from), static_cast<State>(to)) ? 1 : 0;
  return n;
}

template <class State>
void check_ends(State failed, State cancelled, State excepted) {
  for (std::size_t i = 0; i < enum_names<State>::names.size(); ++i) {
    auto s = static_cast<State>(i);
    CAPTURE(to_string(s));
    CHECK(may_become(s, failed) == !is_terminal(s));
    CHECK(may_become(s, cancelled) == !is_terminal(s));
    CHECK(!may_become(s, s));
    if (is_terminal(s) && s != excepted)
      for (std::size_t to = 0; to < enum_names<State>::names.size(); ++to)
        CHECK(!may_become(s, static_cast<State>(to)));
  }
}

object_ref object_of(std::string bucket, std::string key) {
  object_ref o;
  o.bucket = std::move(bucket);
  o.key = std::move(key);
  o.generation = {100, 5, 7, "etag"};
  return o;
}

} // namespace

TEST_CASE("transitions: failed and cancelled follow every live state and no other") {
  check_ends(run_state::failed, run_state::cancelled, run_state::failed);
  check_ends(job_state::failed, job_state::cancelled, job_state::failed);
  check_ends(shard_state::failed, shard_state::cancelled, shard_state::done);
}

TEST_CASE("transitions: a run goes forward, or back to be planned anew") {
  using enum run_state;
  CHECK(may_become(waiting, probing));
  CHECK(may_become(probing, processing));
  CHECK(may_become(processing, succeeded));
  CHECK(may_become(probing, waiting));
  CHECK(may_become(processing, probing));
  CHECK(!may_become(waiting, processing));
  CHECK(!may_become(probing, succeeded));
  CHECK(allowed_changes<run_state>() == 11);
}

TEST_CASE("transitions: a job is published before it succeeds") {
  using enum job_state;
  CHECK(may_become(waiting, processing));
  CHECK(may_become(processing, publishing));
  CHECK(may_become(publishing, succeeded));
  CHECK(!may_become(processing, succeeded));
  CHECK(!may_become(waiting, publishing));
  CHECK(allowed_changes<job_state>() == 11);
}

TEST_CASE("transitions: a shard is leased again after a failed attempt") {
  using enum shard_state;
  CHECK(may_become(blocked, ready));
  CHECK(may_become(ready, leased));
  CHECK(may_become(leased, ready));
  CHECK(may_become(leased, done));
  CHECK(may_become(done, ready)); // its artifact was lost
  CHECK(!may_become(ready, done));
  CHECK(!may_become(blocked, leased));
  CHECK(!may_become(failed, ready));
  CHECK(allowed_changes<shard_state>() == 11);
}

TEST_CASE("run_key: what differs in any part differs") {
  auto base = object_of("b", "k");
  std::set<std::string> keys;
  keys.insert(run_key(base, {1}, 1));
  keys.insert(run_key(base, {2}, 1));
  keys.insert(run_key(base, {1}, 2));
  keys.insert(run_key(object_of("b", "k1"), {1}, 1));
  keys.insert(run_key(object_of("bk", ""), {1}, 1));
  for (int part = 0; part < 4; ++part) {
    auto o = base;
    (part == 0 ? o.generation.size : o.generation.inode) += part < 2 ? 1 : 0;
    o.generation.mtime_ns -= part == 2 ? 1 : 0;
    o.generation.etag += part == 3 ? "1" : "";
    keys.insert(run_key(o, {1}, 1));
  }

  CHECK(keys.size() == 9);
  CHECK(run_key(base, {1}, 1) == run_key(object_of("b", "k"), {1}, 1));
}

TEST_CASE("task_id: is MPS's form and comes back") {
  CHECK(to_task_id({255}) == "1250000000-WorkflowTask-000000000000000000000000000000fftt0");
  for (std::uint64_t n : {std::uint64_t{1}, std::uint64_t{1} << 53, ~std::uint64_t{0}})
    for (auto kind : {task_kind::workflow, task_kind::schedule, task_kind::edit_media})
      CHECK(run_of_task_id(to_task_id({n}, kind)).value() == run_id{n});
  CHECK(to_task_id({1}, task_kind::schedule).starts_with("1250000000-ScheduleTask-00"));
  CHECK(to_task_id({1}, task_kind::edit_media).starts_with("1250000000-EditMedia-00"));
  CHECK(run_of_task_id("42").value() == run_id{42});
}

TEST_CASE("task_id: anything else is malformed") {
  for (auto text : {"", "0", "-1", "+1", " 1", "1 ", "0x10", "1.0", "99999999999999999999",
                    "tt0", "1250000000-WorkflowTask-tt0",
                    "1250000000-WorkflowTask-00000000000000000000000000000000tt0",
                    "1250000000-WorkflowTask-000000000000000000000000000000FFtt0",
                    "1250000000-WorkflowTask-000000000000000100000000000000fftt0",
                    "1250000000-WorkflowTask-0000000000000000-0000000000000fftt0",
                    "1250000000-WorkflowTask-000000000000000000000000000000fftt1",
                    "1250000001-WorkflowTask-000000000000000000000000000000fftt0",
                    "1250000000-000000000000000000000000000000fftt0",
                    "1250000000-EditMediaTask-000000000000000000000000000000fftt0"}) {
    CAPTURE(text);
    auto r = run_of_task_id(text);
    REQUIRE(!r.has_value());
    CHECK(r.error().code == errc::malformed);
  }
}
