#include "cluster/notify_words.hpp"
#include "cluster/protocol.hpp"
#include "cluster/watch_words.hpp"
#include "core/codec.hpp"
#include "tests/core/sample.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/mutated.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <set>

using namespace framemill;
using namespace framemill::testing;

namespace {

std::string golden_path() {
  return std::string{FRAMEMILL_SOURCE_DIR} + "/tests/cluster/protocol_golden.txt";
}

/// Calls `f.template operator()<T>("name")` for everything that nodes and the
/// coordinator say, and for the records of nodes.
template <class F>
void for_each_message(F&& f) {
#define FM_MESSAGE(type) f.template operator()<type>(#type)
  FM_MESSAGE(held_attempt);
  FM_MESSAGE(attempt_outcome);
  FM_MESSAGE(mounted_bucket);
  FM_MESSAGE(node_facts);
  FM_MESSAGE(node_record);
  FM_MESSAGE(join_token_record);
  FM_MESSAGE(node_hello);
  FM_MESSAGE(node_beat);
  FM_MESSAGE(node_outcome);
  FM_MESSAGE(node_leaving);
  FM_MESSAGE(node_report);
  FM_MESSAGE(node_welcome);
  FM_MESSAGE(node_refused);
  FM_MESSAGE(coordinator_beat);
  FM_MESSAGE(assign_attempt);
  FM_MESSAGE(stop_held);
  FM_MESSAGE(outcome_noted);
  FM_MESSAGE(node_order);
  FM_MESSAGE(service_id);
  FM_MESSAGE(hosted_service);
  FM_MESSAGE(service_record);
  FM_MESSAGE(service_word);
  FM_MESSAGE(host_service);
  FM_MESSAGE(end_service);
  FM_MESSAGE(service_answer);
  FM_MESSAGE(watch_order);
  FM_MESSAGE(watch_reports);
  FM_MESSAGE(watch_question);
  FM_MESSAGE(watch_status);
  FM_MESSAGE(watch_booked);
  FM_MESSAGE(watch_unbooked);
  FM_MESSAGE(watch_noted);
  FM_MESSAGE(notify_order);
  FM_MESSAGE(notify_wait);
  FM_MESSAGE(notify_pending);
  FM_MESSAGE(notify_fetch);
  FM_MESSAGE(notify_outcome);
  FM_MESSAGE(notify_news);
  FM_MESSAGE(notify_page);
  FM_MESSAGE(notify_delivery);
  FM_MESSAGE(notify_booked);
  FM_MESSAGE(envelope);
  FM_MESSAGE(enrol_request);
  FM_MESSAGE(enrol_reply);
#undef FM_MESSAGE
}

/// One envelope around each kind of message.
std::vector<envelope> sample_envelopes() {
  std::vector<cluster_message> bodies;
  fill_alternatives("body", bodies);
  std::vector<envelope> out;
  for (auto& body : bodies) {
    auto e = sample<envelope>();
    e.body = std::move(body);
    out.push_back(std::move(e));
  }
  return out;
}

template <class Variant, std::size_t... I>
std::vector<std::uint64_t> kinds_of(std::index_sequence<I...>) {
  return {std::variant_alternative_t<I, Variant>::kind...};
}
template <class Variant>
std::vector<std::uint64_t> kinds_of() {
  return kinds_of<Variant>(std::make_index_sequence<std::variant_size_v<Variant>>{});
}

} // namespace

TEST_CASE("protocol: every message comes back as it was, full and empty") {
  for_each_message([]<class T>(const char* name) {
    CAPTURE(name);
    auto full = decode<T>(encode(sample<T>()));
    auto empty = decode<T>(encode(T{}));

    REQUIRE_MESSAGE(full.has_value(), full.error().message);
    CHECK(*full == sample<T>());
    REQUIRE(empty.has_value());
    CHECK(*empty == T{});
  });
}

TEST_CASE("protocol: an envelope brings each kind of message") {
  for (const auto& e : sample_envelopes()) {
    CAPTURE(e.body.index());
    auto back = decode<envelope>(encode(e));

    REQUIRE_MESSAGE(back.has_value(), back.error().message);
    CHECK(*back == e);
  }
}

TEST_CASE("protocol: no prefix of a message decodes, and nothing may follow it") {
  for_each_message([]<class T>(const char* name) {
    CAPTURE(name);
    auto bytes = encode(sample<T>());
    auto step = 1 + bytes.size() / 1000;
    bool all_fail = true;
    for (std::size_t n = 0; n < bytes.size(); n += step)
      all_fail = all_fail && !decode<T>(std::string_view{bytes}.substr(0, n)).has_value();

    CHECK(all_fail);
    CHECK(!decode<T>(bytes + '\0').has_value());
  });
}

// Fields may be added; none may be renamed, dropped or change its encoding.
// FRAMEMILL_WRITE_GOLDEN=1 writes the file anew, after a deliberate change.
TEST_CASE("protocol: messages are encoded as they always were") {
  if (std::getenv("FRAMEMILL_WRITE_GOLDEN") != nullptr) {
    std::ofstream out(golden_path());
    for_each_message([&]<class T>(const char* name) {
      out << name << ' ' << to_hex(encode(sample<T>())) << '\n';
    });
  }
  auto old = read_goldens(golden_path());
  for_each_message([&]<class T>(const char* name) {
    CAPTURE(name);
    REQUIRE(old.contains(name));
    auto now = encode(sample<T>());

    CHECK(is_kept(json::from_msgpack(old[name]), json::from_msgpack(now)));
    CHECK(decode<T>(old[name]).has_value());
  });
}

TEST_CASE("protocol: the numbers of messages are for ever") {
  auto kinds = kinds_of<cluster_message>();

  std::set<std::uint64_t> unique{kinds.begin(), kinds.end()};
  CHECK(unique.size() == kinds.size());
  CHECK(kinds_of<watch_word>() == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(kinds_of<watch_answer>() == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(kinds_of<notify_word>() == std::vector<std::uint64_t>{1, 2, 3, 4});
  CHECK(kinds_of<notify_answer>() == std::vector<std::uint64_t>{1, 2, 3, 4});
  for (auto [is, was] : std::initializer_list<std::pair<std::uint64_t, std::uint64_t>>{
           {node_hello::kind, 1},
           {node_beat::kind, 2},
           {node_outcome::kind, 3},
           {node_leaving::kind, 4},
           {node_report::kind, 5},
           {service_word::kind, 6},
           {node_welcome::kind, 16},
           {node_refused::kind, 17},
           {coordinator_beat::kind, 18},
           {assign_attempt::kind, 19},
           {stop_held::kind, 20},
           {outcome_noted::kind, 21},
           {node_order::kind, 22},
           {host_service::kind, 23},
           {end_service::kind, 24},
           {service_answer::kind, 25}})
    CHECK(is == was);
}

TEST_CASE("protocol: a kind that is not known is refused") {
  auto e = json::from_msgpack(encode(sample<envelope>()));
  e["Body"][0] = 15;
  auto bytes = json::to_msgpack(e);

  auto r = decode<envelope>({reinterpret_cast<const char*>(bytes.data()), bytes.size()});

  REQUIRE(!r.has_value());
  CHECK(r.error().code == errc::malformed);
  CHECK(r.error().field == "Body");
}

TEST_CASE("protocol: an envelope is these bytes") {
  // {"Version": 1, "Sender": "", "Term": 3, "Sequence": 2,
  //  "Body": [21, {"Shard": {"Run": 7, "Index": 1}, "Epoch": 2}]}
  envelope e;
  e.term = 3;
  e.sequence = 2;
  e.body = outcome_noted{{run_id{7}, 1}, 2};

  CHECK(to_hex(encode(e))
        == "85"
           "a756657273696f6e"
           "01"
           "a653656e646572"
           "a0"
           "a45465726d"
           "03"
           "a853657175656e6365"
           "02"
           "a4426f6479"
           "92"
           "15"
           "82"
           "a55368617264"
           "82"
           "a352756e"
           "07"
           "a5496e646578"
           "01"
           "a545706f6368"
           "02");
}

TEST_CASE("protocol: what a service says is opaque on its way") {
  watch_word word = watch_question{{{"a.mp4", {}}}};
  envelope e;
  e.body = service_word{{bucket_watcher_kind, "media"}, 7, 1, encode(word) + '\0' + "\xff"};

  auto back = decode<envelope>(encode(e));

  REQUIRE(back.has_value());
  CHECK(*back == e);
}

TEST_CASE("protocol: damaged frames decode to an error or a value") {
  std::mt19937 random{20261102};
  bool stable = true;
  for (const auto& e : sample_envelopes()) {
    auto bytes = encode(e);
    for (int i = 0; i < 200; ++i) {
      auto value = decode<envelope>(mutated(bytes, random));
      stable = stable && (!value || decode<envelope>(encode(*value)).has_value());
    }
  }
  CHECK(stable);
}
