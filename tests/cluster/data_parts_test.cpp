#include "cluster/data_hash.hpp"
#include "cluster/data_read_ahead.hpp"
#include "cluster/data_strands.hpp"
#include "cluster/data_window.hpp"
#include "core/codec.hpp"

#include <doctest/doctest.h>

#include <future>
#include <set>

using namespace framemill;
using namespace framemill::data;

namespace {

using run = read_ahead::run;

/// All chunks that may be asked for now, under ids from `id` on.
template <class Window>
std::vector<chunk> ask_all(Window& w, std::uint64_t& id) {
  std::vector<chunk> out;
  while (auto c = w.next(id + 1)) {
    out.push_back(*c);
    ++id;
  }
  return out;
}

delivery_state receiving(std::uint64_t have) { return {delivery_stage::receiving, have}; }
delivery_state stored() { return {delivery_stage::stored, 0}; }

} // namespace

TEST_CASE("xxh64: gives the published values") {
  CHECK(xxh64("") == 0xEF46DB3751D8E999);
  CHECK(xxh64("a") == 0xD24EC4F1A98C6E5B);
  CHECK(xxh64("abc") == 0x44BC2CF5AD770999);
  CHECK(xxh64("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1);
}

TEST_CASE("data messages: survive the codec, and a damaged header is refused") {
  const request asked{.id = 7, .body = put_artifact{"ab", 10, 5, 99, {7}}};
  const reply answered{.id = 7,
                       .failure = error{errc::not_found, "gone", {}},
                       .delivery = delivery_state{delivery_stage::checking, 5}};

  CHECK(decode<request>(encode(asked)) == asked);
  CHECK(decode<reply>(encode(answered)) == answered);
  const auto bytes = encode(asked);
  for (std::size_t n = 0; n < bytes.size(); ++n)
    CHECK_FALSE(decode<request>(std::string_view{bytes}.substr(0, n)));
}

TEST_CASE("read_window: asks for one chunk, then, knowing the end, for its credit's worth") {
  read_window w{0, UINT64_MAX, 10, 3};
  std::uint64_t id = 0;

  CHECK(ask_all(w, id) == std::vector<chunk>{{0, 10}});
  REQUIRE(w.take(1));
  w.ends_at(45);

  CHECK(ask_all(w, id) == std::vector<chunk>{{10, 10}, {20, 10}, {30, 10}});
  REQUIRE(w.take(3));
  CHECK(ask_all(w, id) == std::vector<chunk>{{40, 5}});
  CHECK_FALSE(w.take(3));
  for (std::uint64_t left : {2, 4, 5})
    REQUIRE(w.take(left));
  CHECK(w.is_done());
}

TEST_CASE("read_window: what a cut took is asked for again, and late answers are strangers") {
  read_window w{0, 30, 10, 3};
  w.ends_at(30);
  std::uint64_t id = 0;
  ask_all(w, id);
  REQUIRE(w.take(2));

  w.lost();

  CHECK_FALSE(w.take(1));
  CHECK(ask_all(w, id) == std::vector<chunk>{{0, 10}, {20, 10}});
  CHECK_FALSE(w.is_done());
}

TEST_CASE("read_window: a chunk that stays damaged ends it as corrupt") {
  read_window w{0, 10, 10, 1};
  w.ends_at(10);
  std::uint64_t id = 0;

  for (int i = 1; i < corrupt_chunks_max; ++i) {
    REQUIRE(w.next(++id));
    REQUIRE(w.again(*w.take(id)));
  }
  REQUIRE(w.next(++id));

  CHECK(w.again(*w.take(id)).error().code == errc::corrupt);
}

TEST_CASE("put_window: goes on from what the receiver has, and ends when it is stored") {
  put_window w{45, 10, 3};
  std::uint64_t id = 0;

  CHECK(ask_all(w, id) == std::vector<chunk>{{0, 0}});
  REQUIRE(w.on_reply(1, receiving(20)));
  CHECK(ask_all(w, id) == std::vector<chunk>{{20, 10}, {30, 10}, {40, 5}});
  REQUIRE(w.on_reply(2, receiving(30)));
  REQUIRE(w.on_reply(3, receiving(40)));
  CHECK(ask_all(w, id).empty());
  CHECK_FALSE(w.is_done());
  REQUIRE(w.on_reply(4, stored()));

  CHECK(w.is_done());
}

TEST_CASE("put_window: what was not taken is put again, a cut begins with a question") {
  put_window w{40, 10, 2};
  std::uint64_t id = 0;
  ask_all(w, id);
  REQUIRE(w.on_reply(1, receiving(0)));
  ask_all(w, id); // 0 and 10, as 2 and 3

  SUBCASE("not taken") {
    REQUIRE(w.on_reply(2, receiving(0)));
    CHECK(ask_all(w, id) == std::vector<chunk>{{0, 10}, {10, 10}});
    REQUIRE(w.on_reply(3, receiving(0))); // late: no meaning any more
    CHECK(w.refused() == 1);
  }
  SUBCASE("a cut") {
    w.lost();
    CHECK(ask_all(w, id) == std::vector<chunk>{{0, 0}});
    REQUIRE(w.on_reply(id, receiving(10)));
    CHECK(ask_all(w, id) == std::vector<chunk>{{10, 10}, {20, 10}});
    CHECK(w.refused() == 0);
  }
  SUBCASE("somebody else puts it too") {
    REQUIRE(w.on_reply(2, receiving(30)));
    REQUIRE(w.on_reply(3, receiving(30)));
    CHECK(ask_all(w, id) == std::vector<chunk>{{30, 10}});
  }
  SUBCASE("a receiver that never takes it") {
    result<void> last;
    for (int i = 0; i < corrupt_chunks_max && last; ++i) {
      last = w.on_reply(id - 1, receiving(0));
      ask_all(w, id);
    }
    CHECK(last.error().code == errc::corrupt);
  }
}

TEST_CASE("put_window: asks again while the receiver verifies in silence") {
  put_window w{0, 10, 2};
  std::uint64_t id = 0;
  CHECK(ask_all(w, id) == std::vector<chunk>{{0, 0}});

  w.nudge();

  CHECK(ask_all(w, id) == std::vector<chunk>{{0, 0}});
  REQUIRE(w.on_reply(2, {delivery_stage::checking, 0}));
  CHECK_FALSE(w.is_done());
  REQUIRE(w.on_reply(1, stored()));
  CHECK(w.is_done());
}

TEST_CASE("read_ahead: single chunks where the reader jumps, doubling runs where it goes on") {
  read_ahead ahead{100, 8};
  std::set<std::uint64_t> here;
  auto touch = [&](std::uint64_t i) {
    auto r = ahead.touch(i, [&](std::uint64_t c) { return here.contains(c); });
    for (std::uint64_t c = r ? r->first : 0; r && r->contains(c); ++c)
      here.insert(c);
    return r;
  };

  CHECK(touch(50) == run{50, 1});
  CHECK(touch(50) == std::nullopt);
  CHECK(touch(10) == run{10, 1});
  CHECK(touch(11) == run{11, 2});
  CHECK(touch(12) == run{13, 4}); // begins before it is waited for
  CHECK(touch(13) == run{17, 8});
  CHECK(touch(14) == std::nullopt);
  CHECK(touch(98) == run{98, 1});
  CHECK(touch(99) == run{99, 1}); // never beyond the end
}

TEST_CASE("chunk_cache: keeps the chunks that were used last") {
  chunk_cache cache{2};
  cache.keep(1, "one");
  cache.keep(2, "two");
  REQUIRE(cache.find(1));

  cache.keep(3, "three");

  CHECK(cache.has(1));
  CHECK_FALSE(cache.find(2));
  CHECK(*cache.find(3) == "three");
}

TEST_CASE("strands: tasks of one key run in order, and one that hangs holds up no other key") {
  std::promise<void> gate, other_ran;
  std::promise<std::string> order;
  std::string seen;
  strands s{2};

  s.post("slow", [&] { gate.get_future().wait(); });
  for (char c : {'a', 'b', 'c'})
    s.post("slow", [&, c] { seen += c; });
  s.post("slow", [&] { order.set_value(seen); });
  s.post("other", [&] { other_ran.set_value(); });

  other_ran.get_future().wait();
  gate.set_value();
  CHECK(order.get_future().get() == "abc");
}
