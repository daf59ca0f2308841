#include "actors/ledger_view.hpp"
#include "core/codec.hpp"

#include <caf/all.hpp>
#include <doctest/doctest.h>

#include <mutex>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

/// Stands in for a SERVICE HOST: answers questions from a list of what is booked,
/// and counts what it was asked for.
struct answering {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::mutex mutex;
  std::set<std::string> booked;
  std::vector<std::string> asked;
  bool is_silent = false;
  std::shared_ptr<std::atomic<std::uint64_t>> term =
      std::make_shared<std::atomic<std::uint64_t>>(1);

  caf::actor host = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
    return {[this](const service_says& m) { answer(m); }};
  });
  std::unique_ptr<ledger_view> ledger =
      make_asked_ledger({{host, {bucket_watcher_kind, "in"}, 3}, term, 300ms});

  ~answering() { caf::anon_send_exit(host, caf::exit_reason::kill); }

  void answer(const service_says& m) {
    std::lock_guard lock{mutex};
    auto word = decode<watch_word>(m.payload);
    watch_unbooked out;
    const auto& found = std::get<watch_question>(*word).found;
    for (std::uint32_t i = 0; i < found.size(); ++i) {
      asked.push_back(found[i].key);
      if (!booked.contains(found[i].key))
        out.places.push_back(i);
    }
    if (!is_silent)
      m.answered(encode(watch_answer{out}));
  }
  std::vector<std::uint32_t> unbooked(const std::vector<std::string>& keys,
                                      std::uint64_t size = 1) {
    ledger_view::candidates all;
    for (const auto& k : keys) {
      all.push_back({k, {}});
      all.back().generation.size = size;
    }
    auto out = ledger->unbooked(all);
    REQUIRE_MESSAGE(out, out.error().message);
    return *out;
  }
  std::vector<std::string> take_asked() {
    std::lock_guard lock{mutex};
    return std::exchange(asked, {});
  }
};

using places = std::vector<std::uint32_t>;
using names = std::vector<std::string>;

} // namespace

TEST_CASE_FIXTURE(answering, "asked_ledger: what is booked is asked for once") {
  booked = {"a", "c"};
  CHECK(unbooked({"a", "b", "c", "d"}) == places{1, 3});
  CHECK(take_asked() == names{"a", "b", "c", "d"});

  CHECK(unbooked({"a", "b", "c", "d"}) == places{1, 3});
  CHECK(take_asked() == names{"b", "d"});
  CHECK(unbooked({"a", "c"}).empty());
  CHECK(take_asked().empty());
}

TEST_CASE_FIXTURE(answering, "asked_ledger: another generation is another question") {
  booked = {"a"};
  CHECK(unbooked({"a"}, 1).empty());
  CHECK(unbooked({"a"}, 2).empty());
  CHECK(take_asked() == names{"a", "a"});
}

TEST_CASE_FIXTURE(answering, "asked_ledger: the books of another term are asked anew") {
  booked = {"a"};
  CHECK(unbooked({"a"}).empty());
  booked.clear(); // a backup was restored
  *term = 2;

  CHECK(unbooked({"a"}) == places{0});
}

TEST_CASE_FIXTURE(answering, "asked_ledger: silence is an error, and nothing is remembered") {
  is_silent = true;
  auto r = ledger->unbooked({{"a", {}}});
  REQUIRE_FALSE(r);
  CHECK(r.error().code == errc::unavailable);

  is_silent = false;
  CHECK(unbooked({"a"}) == places{0});
}
