#include "cluster/blame.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

timestamp at(std::chrono::minutes since) { return timestamp{1'700'000'000'000'000} + since; }

object_ref input(int n) {
  object_ref o;
  o.bucket = "in";
  o.key = fmt::format("{}.mp4", n);
  o.generation.size = 1000;
  return o;
}

/// Input n is worked on by run n.
attempt_report success(int n, const std::string& node, std::uint32_t shard = 1) {
  return {input(n), {run_id{static_cast<std::uint64_t>(n)}, shard}, 1, node, std::nullopt};
}

attempt_report crash(int n, const std::string& node, std::uint32_t shard = 1,
                     errc code = errc::worker_crashed) {
  auto r = success(n, node, shard);
  r.failure = error{code, "signal 11", {}};
  return r;
}

void done(const blame_matrix::verdicts& v) { CHECK(v.empty()); }

/// Fails on `node`, succeeds on "good".
blame_matrix::verdicts fails_here_alone(blame_matrix& m, timestamp now, int n,
                                        const std::string& node) {
  done(m.ended(now, crash(n, node)));
  return m.ended(now, success(n, "good"));
}

blame_matrix::verdicts get_cordoned(blame_matrix& m, timestamp now, const std::string& node) {
  done(fails_here_alone(m, now, 1, node));
  done(fails_here_alone(m, now, 2, node));
  return fails_here_alone(m, now, 3, node);
}

template <class T>
const T* only(const blame_matrix::verdicts& v) {
  return v.size() == 1 ? std::get_if<T>(&v.front()) : nullptr;
}

} // namespace

TEST_CASE(
    "blame_matrix: an input that crashes on two nodes is quarantined, with both reports") {
  blame_matrix m{{}};

  done(m.ended(at(0min), crash(1, "n2", 3)));
  auto v = m.ended(at(1min), crash(1, "n1", 5, errc::worker_hung));

  const auto* q = only<quarantine_input>(v);
  REQUIRE(q);
  CHECK(q->input == input(1));
  REQUIRE(q->strikes.size() == 2);
  CHECK(q->strikes[0].node == "n1");
  CHECK(q->strikes[0].shard.index == 5);
  CHECK(q->strikes[1].node == "n2");
  CHECK(q->strikes[1].failure.code == errc::worker_crashed);
  CHECK(q->report.find("on n1") != std::string::npos);
  CHECK(q->report.find("on n2") != std::string::npos);
}

TEST_CASE("blame_matrix: one node can quarantine nothing, however often it fails") {
  blame_matrix m{{}};

  for (std::uint32_t shard = 0; shard < 100; ++shard)
    done(m.ended(at(0min), crash(1, "n1", shard % 7)));
}

TEST_CASE("blame_matrix: another generation is another input") {
  blame_matrix m{{}};
  auto newer = crash(1, "n2");
  newer.input.generation.size = 2000;

  done(m.ended(at(0min), crash(1, "n1")));
  done(m.ended(at(0min), newer));
}

TEST_CASE("blame_matrix: what is nobody's fault here is no strike") {
  for (auto code : {errc::input_damaged, errc::input_unreadable, errc::cancelled,
                    errc::worker_killed, errc::lease_lost, errc::unavailable, errc::timed_out,
                    errc::no_space, errc::busy, errc::not_found, errc::unsupported}) {
    CAPTURE(to_string(code));
    blame_matrix m{{}};

    done(m.ended(at(0min), crash(1, "n1", 1, code)));
    done(m.ended(at(0min), crash(1, "n2", 1, code)));
    CHECK(m.inputs() == 0);
  }
}

TEST_CASE("blame_matrix: a failing disk is no fault of the input") {
  blame_matrix m{{}};

  done(m.ended(at(0min), crash(1, "n1", 1, errc::io_failed)));
  done(m.ended(at(0min), crash(1, "n2", 1, errc::corrupt)));
  CHECK(only<quarantine_input>(m.ended(at(0min), crash(1, "n3"))) == nullptr);
}

TEST_CASE("blame_matrix: shards that were given too little memory each are no bad input") {
  blame_matrix m{{}};

  done(m.ended(at(0min), crash(1, "n1", 1, errc::no_memory)));
  done(m.ended(at(0min), crash(1, "n2", 2, errc::no_memory)));

  CHECK(only<quarantine_input>(m.ended(at(1min), crash(1, "n2", 1, errc::no_memory))));
}

TEST_CASE("blame_matrix: a success of the shard clears the input") {
  blame_matrix m{{}};
  done(m.ended(at(0min), crash(1, "n1")));
  done(m.ended(at(0min), success(1, "n2")));

  CHECK(m.inputs() == 0);
  done(m.ended(at(1min), crash(1, "n2", 2)));
}

TEST_CASE("blame_matrix: a success of another shard clears nothing") {
  blame_matrix m{{}};
  done(m.ended(at(0min), crash(1, "n1", 1)));
  done(m.ended(at(0min), success(1, "n2", 2)));

  CHECK(only<quarantine_input>(m.ended(at(1min), crash(1, "n2", 1))));
}

TEST_CASE("blame_matrix: a node that fails three inputs that others can do is cordoned") {
  for (auto code : {errc::worker_crashed, errc::io_failed}) {
    blame_matrix m{{}};
    for (int n = 1; n <= 2; ++n) {
      done(m.ended(at(0min), crash(n, "sick", 1, code)));
      done(m.ended(at(0min), success(n, "good")));
    }

    done(m.ended(at(1min), crash(3, "sick", 1, code)));
    auto v = m.ended(at(1min), success(3, "good"));

    const auto* c = only<cordon_node>(v);
    REQUIRE(c);
    CHECK(c->node == "sick");
    CHECK(c->reason.find("3 inputs failed here") == 0);
    CHECK(m.in_doubt("sick"));
    CHECK(!m.in_doubt("good"));
  }
}

TEST_CASE("blame_matrix: three failures of one input are one count") {
  blame_matrix m{{}};

  for (std::uint32_t shard = 1; shard <= 5; ++shard) {
    done(m.ended(at(0min), crash(1, "n1", shard)));
    done(m.ended(at(0min), success(1, "n2", shard)));
  }
}

TEST_CASE("blame_matrix: inputs that fail and succeed nowhere else cordon nobody") {
  blame_matrix m{{}};

  for (int n = 1; n <= 10; ++n)
    done(m.ended(at(0min), crash(n, "n1")));
  for (int n = 1; n <= 10; ++n)
    done(m.ended(at(0min), success(n, "n1"))); // flaky, but nobody did better
  CHECK(m.inputs() == 0);
}

TEST_CASE("blame_matrix: a node in doubt blames no input") {
  blame_matrix m{{}};
  done(m.ended(at(0min), crash(9, "sick"))); // before it was known
  CHECK(only<cordon_node>(get_cordoned(m, at(0min), "sick")));

  done(m.ended(at(1min), crash(9, "n2")));
  done(m.ended(at(1min), crash(8, "sick")));
  done(m.ended(at(1min), crash(8, "n2")));
}

TEST_CASE("blame_matrix: a node that works mostly is pardoned") {
  blame_matrix m{{}};

  for (int n = 1; n <= 30; ++n) {
    done(fails_here_alone(m, at(0min), n, "n1"));
    for (std::uint32_t shard = 10; shard < 20; ++shard)
      done(m.ended(at(0min), success(n, "n1", shard)));
  }
}

TEST_CASE("blame_matrix: what is older than the window is forgotten") {
  blame_matrix m{{}};
  done(m.ended(at(0min), crash(7, "n1")));
  done(fails_here_alone(m, at(0min), 1, "sick"));
  done(fails_here_alone(m, at(0min), 2, "sick"));

  done(m.ended(at(61min), crash(7, "n2")));
  done(fails_here_alone(m, at(61min), 3, "sick"));
}

TEST_CASE("blame_matrix: a passed self-test readmits, with nothing held against the node") {
  blame_matrix m{{}};
  CHECK(only<cordon_node>(get_cordoned(m, at(0min), "n1")));

  const auto v = m.self_test(at(1min), "n1", "");

  REQUIRE(only<readmit_node>(v));
  CHECK(only<readmit_node>(v)->node == "n1");
  CHECK(!m.in_doubt("n1"));
  done(fails_here_alone(m, at(2min), 4, "n1"));
  done(fails_here_alone(m, at(2min), 5, "n1"));
  CHECK(only<cordon_node>(fails_here_alone(m, at(2min), 6, "n1")));
}

TEST_CASE("blame_matrix: a failed self-test keeps the node cordoned, with the reason") {
  blame_matrix m{{}};
  CHECK(only<cordon_node>(get_cordoned(m, at(0min), "n1")));

  auto v = m.self_test(at(1min), "n1", "frame 3 differs");

  REQUIRE(only<keep_cordoned>(v));
  CHECK(only<keep_cordoned>(v)->reason == "self-test failed: frame 3 differs");
  CHECK(m.in_doubt("n1"));
  CHECK(only<readmit_node>(m.self_test(at(2min), "n1", ""))); // repaired
}

TEST_CASE("blame_matrix: a failed self-test that nobody asked for cordons") {
  blame_matrix m{{}};

  CHECK(only<cordon_node>(m.self_test(at(0min), "n1", "no encoder")));
  CHECK(only<readmit_node>(m.self_test(at(0min), "n2", "")));
}

TEST_CASE("blame_matrix: a node that passes its self-test and fails its work stays cordoned") {
  blame_matrix m{{}};
  for (int again = 0; again < 2; ++again) {
    CHECK(only<cordon_node>(get_cordoned(m, at(again * 5min), "n1")));
    CHECK(only<readmit_node>(m.self_test(at(again * 5min), "n1", "")));
  }

  CHECK(only<cordon_node>(get_cordoned(m, at(20min), "n1")));
  CHECK(only<keep_cordoned>(m.self_test(at(20min), "n1", "")));
  m.forget("n1"); // an operator's word
  CHECK(!m.in_doubt("n1"));
  CHECK(only<cordon_node>(get_cordoned(m, at(30min), "n1")));
  CHECK(only<readmit_node>(m.self_test(at(30min), "n1", "")));
}

TEST_CASE("blame_matrix: a released input has another chance") {
  blame_matrix m{{}};
  done(m.ended(at(0min), crash(1, "n1")));
  CHECK(only<quarantine_input>(m.ended(at(0min), crash(1, "n2"))));
  CHECK(only<quarantine_input>(m.ended(at(0min), crash(1, "n2", 2)))); // of another run, say

  m.release(input(1));

  done(m.ended(at(1min), crash(1, "n2")));
}

TEST_CASE("blame_matrix: memory is bounded, and the longest quiet is forgotten") {
  blame_matrix::options o;
  o.inputs_max = 10;
  o.strikes_per_input_max = 4;
  blame_matrix m{o};

  for (int n = 1; n <= 100; ++n)
    for (std::uint32_t shard = 0; shard < 9; ++shard)
      done(m.ended(at(std::chrono::minutes{n / 10}), crash(n, "n1", shard)));

  CHECK(m.inputs() == 10);
  done(m.ended(at(10min), crash(1, "n2")));
  CHECK(only<quarantine_input>(m.ended(at(10min), crash(100, "n2"))));
}

// ---- Over a restart ------------------------------------------------------------------

namespace {

/// The books as they are after each batch.
struct books {
  std::vector<input_blame> inputs;
  std::vector<node_blame> nodes;

  void write(const changes& c) {
    for (const auto& b : c.input_blames) {
      std::erase_if(inputs, [&](const auto& known) { return known.input == b.input; });
      if (!b.strikes.empty())
        inputs.push_back(b);
    }
    for (const auto& b : c.node_blames) {
      std::erase_if(nodes, [&](const auto& known) { return known.node == b.node; });
      if (!b.is_blank())
        nodes.push_back(b);
    }
  }
  [[nodiscard]] blame_matrix loaded(timestamp now) const { return {now, inputs, nodes, {}}; }
};

} // namespace

TEST_CASE("blame_matrix: a strike of a former life counts") {
  blame_matrix before{{}};
  books b;
  done(before.ended(at(0min), crash(1, "n1")));
  b.write(before.take_changes());

  auto after = b.loaded(at(1min));

  const auto v = after.ended(at(1min), crash(1, "n2"));
  REQUIRE(only<quarantine_input>(v));
  CHECK(only<quarantine_input>(v)->report.find("on n1") != std::string::npos);
}

TEST_CASE("blame_matrix: what counts against a node outlives a restart, and so does doubt") {
  blame_matrix before{{}};
  books b;
  done(fails_here_alone(before, at(0min), 1, "sick"));
  done(fails_here_alone(before, at(0min), 2, "sick"));
  b.write(before.take_changes());

  auto after = b.loaded(at(1min));

  CHECK(only<cordon_node>(fails_here_alone(after, at(1min), 3, "sick")));
  b.write(after.take_changes());
  auto later = b.loaded(at(2min));
  CHECK(later.in_doubt("sick"));
  CHECK(only<readmit_node>(later.self_test(at(2min), "sick", "")));
  b.write(later.take_changes());
  CHECK(!b.loaded(at(3min)).in_doubt("sick"));
}

TEST_CASE("blame_matrix: how often a node was cordoned is not forgotten with a restart") {
  books b;
  for (int again = 0; again < 2; ++again) {
    auto m = b.loaded(at(again * 5min));
    CHECK(only<cordon_node>(get_cordoned(m, at(again * 5min), "n1")));
    CHECK(only<readmit_node>(m.self_test(at(again * 5min), "n1", "")));
    b.write(m.take_changes());
  }

  auto third = b.loaded(at(20min));
  CHECK(only<cordon_node>(get_cordoned(third, at(20min), "n1")));
  CHECK(only<keep_cordoned>(third.self_test(at(20min), "n1", "")));
}

TEST_CASE("blame_matrix: what is explained, released or old is erased from the books") {
  blame_matrix m{{}};
  books b;
  done(m.ended(at(0min), crash(1, "n1")));
  done(m.ended(at(0min), crash(2, "n1")));
  done(m.ended(at(0min), crash(3, "n1")));
  b.write(m.take_changes());
  REQUIRE(b.inputs.size() == 3);

  done(m.ended(at(1min), success(1, "n1")));
  m.release(input(2));
  b.write(m.take_changes());
  CHECK(b.inputs.size() == 1);

  auto later = b.loaded(at(2h)); // the third is old by now
  CHECK(later.inputs() == 0);
  b.write(later.take_changes());
  CHECK(b.inputs.empty());
}

TEST_CASE("blame_matrix: the books hold no more than memory does") {
  blame_matrix::options o;
  o.inputs_max = 10;
  blame_matrix m{o};
  books b;

  for (int n = 1; n <= 100; ++n) {
    done(m.ended(at(std::chrono::minutes{n / 10}), crash(n, "n1")));
    b.write(m.take_changes());
  }

  CHECK(b.inputs.size() == 10);
  CHECK(m.take_changes().empty());
}

TEST_CASE("blame_matrix: what the store refused is written as it is by then") {
  blame_matrix m{{}};
  done(m.ended(at(0min), crash(1, "n1", 1)));
  auto refused = m.take_changes();
  done(m.ended(at(0min), crash(1, "n1", 2)));
  books b;
  b.write(m.take_changes());

  b.write(m.renewed(refused));

  REQUIRE(b.inputs.size() == 1);
  CHECK(b.inputs[0].strikes.size() == 2);
}
