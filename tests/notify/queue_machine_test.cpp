#include "core/limits.hpp"
#include "notify/push.hpp"
#include "tests/notify/queue_desk.hpp"

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

using texts = std::vector<std::string>;

queue_settings with_dead_letters(std::int64_t receives) {
  queue_settings s;
  s.dead_letter_queue = "dead";
  s.receives_max = receives;
  return s;
}

/// Receives one message `times` times, and lets it lapse each time.
void fail_to_handle(queue_desk& d, const std::string& queue, int times) {
  for (int i = 0; i < times; ++i) {
    REQUIRE(d.receive(queue, 1, 10).size() == 1);
    d.pass(10s);
  }
}

/// Topic `t`, and what befell its subscribers' messages.
struct mishap_desk : queue_desk {
  mishap_desk() { REQUIRE(write_step(machine.create_topic(now, "t"))); }

  result<void> write_step(result<queue_machine::step> made) {
    FM_CHECK(made);
    mishaps = made->mishaps;
    write(std::move(*made));
    return {};
  }
  void subscribe(const std::string& name, const std::string& endpoint,
                 const std::string& dead_letters = "") {
    subscription_record s;
    s.topic = "t";
    s.name = name;
    s.endpoint = endpoint;
    auto made = write_step(machine.subscribe(now, s, dead_letters));
    REQUIRE_MESSAGE(made.has_value(), made.error().message);
  }
  result<std::size_t> publish(const std::string& body) {
    auto made = machine.publish(now, "t", {body, {}, {}, {}}, "me");
    FM_CHECK(made);
    const auto copies = made->each.size();
    FM_CHECK(write_step(std::move(made->made)));
    return copies;
  }
  result<std::string> give_up(const std::string& queue, const std::string& receipt) {
    auto made = machine.give_up(now, queue, {receipt});
    FM_CHECK(made);
    FM_CHECK(write_step(std::move(made->made)));
    return made->each.at(0);
  }
  void tick() { (void)write_step(machine.tick(now)); }

  std::vector<queue_machine::mishap> mishaps; ///< of the last step
};

queue_settings small(std::int64_t messages) {
  queue_settings s;
  s.messages_max = messages;
  return s;
}

} // namespace

TEST_CASE("queue_machine: messages come in the order they were sent") {
  queue_desk d;
  d.create("q");
  for (const auto* body : {"a", "b", "c"})
    d.send("q", body);

  CHECK(d.bodies("q", 2) == texts{"a", "b"});
  CHECK(d.bodies("q") == texts{"c"});
  CHECK(d.bodies("q").empty());
}

TEST_CASE("queue_machine: a received message is hidden for the visibility time, then comes back") {
  queue_desk d;
  d.create("q");
  d.send("q", "a");
  auto first = d.receive("q", 1, 10).at(0);

  d.pass(9999ms);
  CHECK(d.receive("q").empty());
  d.pass(1ms);
  auto second = d.receive("q").at(0);

  CHECK(second.id == first.id);
  CHECK(second.receives == 2);
  CHECK(second.first_received == first.first_received);
  CHECK(receipt_of(second) != receipt_of(first));
}

TEST_CASE("queue_machine: a receive settles what is due without waiting for a tick") {
  queue_desk d;
  d.create("q");
  d.send("q", "a");
  (void)d.receive("q", 1, 10);

  d.now = d.now + 10s;

  CHECK(d.receive("q").size() == 1);
}

TEST_CASE("queue_machine: a message that comes back is before those that came after it") {
  queue_desk d;
  d.create("q");
  d.send("q", "a");
  (void)d.receive("q", 1, 5);
  d.send("q", "b");
  d.pass(5s);

  CHECK(d.bodies("q") == texts{"a", "b"});
}

TEST_CASE("queue_machine: a deleted message stays deleted, and deleting it again is no error") {
  queue_desk d;
  d.create("q");
  d.send("q", "a");
  auto receipt = receipt_of(d.receive("q", 1, 1).at(0));

  CHECK(d.erase("q", receipt));
  CHECK(d.erase("q", receipt));
  d.pass(10s);
  CHECK(d.receive("q").empty());
  CHECK(d.books.messages.empty());
  CHECK(d.books.states.empty());
  d.restart();
  CHECK(d.erase("q", receipt));
}

TEST_CASE("queue_machine: a receipt holds after its time, until the message is received again") {
  queue_desk d;
  d.create("q");
  d.send("q", "a");
  d.send("q", "b");
  auto taken = d.receive("q", 2, 1);
  d.pass(2s);
  (void)d.receive("q", 1); // "a" again

  auto stale = d.erase("q", receipt_of(taken[0]));

  CHECK(stale.error().code == errc::conflict);
  CHECK(d.erase("q", receipt_of(taken[1])));
  CHECK(d.view("q").in_flight == 1);
}

TEST_CASE("queue_machine: what is no receipt of the queue is refused") {
  queue_desk d;
  d.create("q");
  d.create("other");
  d.send("q", "a");
  auto receipt = receipt_of(d.receive("q").at(0));

  for (const auto& text : {std::string{}, std::string{"x"}, receipt + "-1", receipt + "x",
                           "-" + receipt, std::string{"1-0-1"}, std::string{"1-ffff-1"},
                           std::string{"1-1-0"}, std::string(5000, '1')}) {
    CAPTURE(text);
    CHECK(d.erase("q", text).error().code == errc::malformed);
    CHECK(d.hide("q", text, 1).error().code == errc::malformed);
  }
  CHECK(d.erase("other", receipt).error().code == errc::malformed);
  CHECK(d.view("q").in_flight == 1);
}

TEST_CASE("queue_machine: visibility is prolonged, and given up with 0") {
  queue_desk d;
  d.create("q");
  d.send("q", "a");
  auto receipt = receipt_of(d.receive("q", 1, 5).at(0));

  CHECK(d.hide("q", receipt, 60));
  d.pass(59s);
  CHECK(d.receive("q").empty());
  CHECK(d.hide("q", receipt, 0));
  CHECK(d.receive("q").size() == 1);

  CHECK(d.hide("q", receipt, 5).error().code == errc::conflict); // received again since
}

TEST_CASE("queue_machine: what is not in flight cannot be hidden") {
  queue_desk d;
  d.create("q");
  d.send("q", "a");
  auto receipt = receipt_of(d.receive("q", 1, 5).at(0));

  CHECK(d.hide("q", receipt, limits::queue_visibility_seconds_max + 1).error().code
        == errc::invalid_argument);
  CHECK(d.hide("q", receipt, -1).error().code == errc::invalid_argument);
  d.pass(5s);
  CHECK(d.hide("q", receipt, 5).error().code == errc::in_use);
  CHECK(d.erase("q", receipt));
  CHECK(d.hide("q", receipt, 5).error().code == errc::in_use);
}

TEST_CASE("queue_machine: a delayed message is visible after its delay") {
  queue_desk d;
  queue_settings s;
  s.delay_seconds = 10;
  d.create("q", s);
  d.send("q", "late");
  REQUIRE(d.send("q", outgoing_message{"now", {}, {}, 0}));

  CHECK(d.view("q").delayed == 1);
  CHECK(d.view("q").visible == 1);
  CHECK(d.bodies("q") == texts{"now"});
  d.pass(9999ms);
  CHECK(d.receive("q").empty());
  d.pass(1ms);
  CHECK(d.view("q").delayed == 0);
  CHECK(d.bodies("q") == texts{"late"});
}

TEST_CASE("queue_machine: a receive that waits gets what is sent meanwhile") {
  queue_desk d;
  d.create("q");
  auto first = d.ask("q", 20);
  auto second = d.ask("q", 20);
  CHECK(d.served.empty());

  d.send("q", "a");

  CHECK(d.served.at(first).value().size() == 1);
  CHECK_FALSE(d.served.contains(second));
  d.pass(19'999ms);
  CHECK_FALSE(d.served.contains(second));
  d.pass(1ms);
  CHECK(d.served.at(second).value().empty());
}

TEST_CASE("queue_machine: a receive that waits gets what comes back, and what was delayed") {
  queue_desk d;
  d.create("q");
  d.send("q", "a");
  (void)d.receive("q", 1, 5);
  REQUIRE(d.send("q", outgoing_message{"b", {}, {}, 7}));
  auto first = d.ask("q", 30);
  auto second = d.ask("q", 30);

  d.pass(5s);
  CHECK(d.served.at(first).value().at(0).receives == 2);
  CHECK_FALSE(d.served.contains(second));
  d.pass(2s);
  CHECK(d.served.at(second).value().at(0).receives == 1);
}

TEST_CASE("queue_machine: the queue says how long a receive waits that does not") {
  queue_desk d;
  queue_settings s;
  s.wait_seconds = 3;
  d.create("q", s);
  REQUIRE(d.write(d.machine.receive(d.now, "q", {7, 1, {}, {}})));

  CHECK(d.served.empty());
  d.pass(3s);
  CHECK(d.served.at(7).value().empty());
}

TEST_CASE("queue_machine: no more receives wait than may, and those that do not wait go on") {
  queue_desk d;
  d.create("q");
  for (std::size_t i = 0; i < limits::queue_waiters_max; ++i)
    d.ask("q", 30);

  auto refused = d.machine.receive(d.now, "q", {99'999, 1, {}, 30});

  CHECK(refused.error().code == errc::busy);
  CHECK(d.receive("q").empty());
  d.pass(30s);
  CHECK(d.ask("q", 30) > 0);
}

TEST_CASE("queue_machine: removing a queue ends the receives that wait there") {
  queue_desk d;
  d.create("q");
  auto waiting = d.ask("q", 30);

  REQUIRE(d.write(d.machine.remove(d.now, "q")));

  CHECK(d.served.at(waiting).error().code == errc::not_found);
  CHECK(d.machine.is_idle());
}

TEST_CASE("queue_machine: a message is gone when its retention is over") {
  queue_desk d;
  queue_settings s;
  s.retention_seconds = 60;
  d.create("q", s);
  d.send("q", "never received");
  d.send("q", "came back");
  (void)d.receive("q", 2, 1);
  d.send("q", "in flight");
  d.pass(1s);
  (void)d.receive("q", 2, 1);
  d.pass(1s);
  auto held = d.receive("q", 3, 3600); // "never received" is not what it says any more
  REQUIRE(held.size() == 3);
  d.send("q", "fresh");

  d.pass(61s);

  CHECK(d.view("q").visible == 0);
  CHECK(d.view("q").in_flight == 3);
  CHECK(d.erase("q", receipt_of(held[2])));
  d.pass(3600s);
  CHECK(d.books.messages.empty());
  CHECK(d.machine.is_idle());
}

TEST_CASE("queue_machine: what is past its retention is not received while it is being erased") {
  queue_desk d;
  queue_settings s;
  s.retention_seconds = 60;
  d.create("q", s);
  for (int i = 0; i < 2500; ++i)
    d.send("q", "old");
  d.now = d.now + 60s;
  d.send("q", "new");

  CHECK(d.bodies("q").empty());
  for (int i = 0; i < 3; ++i)
    d.pass(100ms);

  CHECK(d.bodies("q") == texts{"new"});
  CHECK(d.books.messages.size() == 1);
}

TEST_CASE("queue_machine: a message received too often goes to the dead-letter queue") {
  queue_desk d;
  d.create("dead");
  d.create("q", with_dead_letters(3));
  auto id = d.send("q", "poison");
  d.send("q", "after");

  fail_to_handle(d, "q", 3);

  CHECK(d.bodies("q") == texts{"after"});
  auto letter = d.receive("dead").at(0);
  CHECK(letter.id == id);
  CHECK(letter.receives == 1);
  CHECK(d.machine.name_of(letter.source) == "q");
  CHECK(d.books.messages.at(id).body == "poison");
}

TEST_CASE("queue_machine: giving a message up counts, and dead letters wake who waits for them") {
  queue_desk d;
  d.create("dead");
  d.create("q", with_dead_letters(1));
  d.send("q", "poison");
  auto waiting = d.ask("dead", 30);
  auto receipt = receipt_of(d.receive("q", 1, 600).at(0));

  REQUIRE(d.hide("q", receipt, 0));

  CHECK(d.served.at(waiting).value().size() == 1);
  auto late = d.erase("q", receipt);
  CHECK(late.error().code == errc::conflict); // it did not go unhandled unnoticed
}

TEST_CASE("queue_machine: with no visibility time a message still dies after so many receives") {
  queue_desk d;
  d.create("dead");
  d.create("q", with_dead_letters(2));
  d.send("q", "a");

  CHECK(d.receive("q", 16, 0).size() == 1); // once, not sixteen times
  CHECK(d.receive("q", 16, 0).size() == 1);
  CHECK(d.receive("q", 16, 0).empty());
  CHECK(d.bodies("dead") == texts{"a"});
}

TEST_CASE("queue_machine: dead letters are kept in the order they died, for their own retention") {
  queue_desk d;
  queue_settings dead;
  dead.retention_seconds = 100;
  d.create("dead", dead);
  d.create("q", with_dead_letters(1));
  d.send("q", "first");
  d.send("q", "second");
  auto taken = d.receive("q", 2, 50);
  REQUIRE(d.hide("q", receipt_of(taken[1]), 20));
  d.pass(50s);
  d.restart();

  CHECK(d.view("dead").visible == 2);
  CHECK(d.bodies("dead", 1) == texts{"second"});
  d.pass(70s); // 100 after "second" died, but it is in flight
  CHECK(d.bodies("dead") == texts{"second", "first"});
}

TEST_CASE("queue_machine: a purge takes everything, also after a crash in the middle") {
  queue_desk d;
  d.create("q");
  for (int i = 0; i < 3000; ++i)
    d.send("q", "x");
  auto held = d.receive("q").at(0);
  REQUIRE(d.write(d.machine.purge(d.now, "q")));
  CHECK(d.view("q").visible + d.view("q").in_flight == 0);
  d.pass(100ms);
  REQUIRE(!d.books.messages.empty());

  d.restart();
  d.send("q", "after");
  CHECK(d.erase("q", receipt_of(held)));
  CHECK(d.bodies("q") == texts{"after"});
  for (int i = 0; i < 10; ++i)
    d.pass(100ms);

  CHECK(d.books.messages.size() == 1);
}

TEST_CASE("queue_machine: a dead letter that comes after a purge is not purged") {
  queue_desk d;
  d.create("dead");
  d.create("q", with_dead_letters(1));
  d.send("q", "older than the purge");
  (void)d.receive("q", 1, 10);
  REQUIRE(d.write(d.machine.purge(d.now, "dead")));
  d.pass(10s);

  d.restart();

  CHECK(d.bodies("dead") == texts{"older than the purge"});
}

TEST_CASE("queue_machine: a queue of the same name does not inherit the messages") {
  queue_desk d;
  d.create("q");
  d.send("q", "of the first");
  REQUIRE(d.write(d.machine.remove(d.now, "q")));
  CHECK(d.machine.send(d.now, "q", {}, "").error().code == errc::not_found);
  d.create("q");

  CHECK(d.receive("q").empty());
  d.restart();
  CHECK(d.receive("q").empty());
  d.pass(100ms);
  CHECK(d.books.messages.empty());
}

TEST_CASE("queue_machine: a queue that others rely on cannot be removed") {
  queue_desk d;
  d.create("dead");
  d.create("q", with_dead_letters(1));

  CHECK(d.machine.remove(d.now, "dead").error().code == errc::in_use);
  REQUIRE(d.write(d.machine.remove(d.now, "q")));
  CHECK(d.write(d.machine.remove(d.now, "dead")));
}

TEST_CASE("queue_machine: a full queue refuses, and takes again when there is room") {
  queue_desk d;
  queue_settings s;
  s.messages_max = 2;
  d.create("q", s);
  d.send("q", "a");
  d.send("q", "b");

  auto refused = d.send("q", outgoing_message{"c", {}, {}, {}});

  CHECK(refused.error().code == errc::busy);
  CHECK(d.erase("q", receipt_of(d.receive("q").at(0))));
  CHECK(d.send("q", outgoing_message{"c", {}, {}, {}}));
}

TEST_CASE("queue_machine: of a batch each message is taken or refused by itself") {
  queue_desk d;
  queue_settings s;
  s.message_bytes_max = 1024;
  d.create("q", s);

  auto sent = d.machine.send(d.now, "q",
                             {{"good", {}, {}, {}},
                              {std::string(1025, 'x'), {}, {}, {}},
                              {"bad \x01", {}, {}, {}},
                              {"", {}, {}, {}},
                              {"good too", {}, {}, {}}},
                             "me");
  d.write(std::move(sent->made));

  REQUIRE(sent->each.size() == 5);
  CHECK(sent->each[1].error().code == errc::too_large);
  CHECK(sent->each[2].error().code == errc::malformed);
  CHECK(sent->each[3].error().code == errc::missing_argument);
  CHECK(d.bodies("q") == texts{"good", "good too"});
}

TEST_CASE("queue_machine: only so many messages are in flight") {
  queue_desk d;
  d.create("q");
  for (std::size_t i = 0; i < limits::queue_in_flight_max + 10; ++i)
    d.send("q", "x");
  std::vector<message_state> last;
  while (d.view("q").in_flight < limits::queue_in_flight_max)
    last = d.receive("q", 16);

  auto refused = d.ask("q", 10);

  CHECK(d.served.at(refused).error().code == errc::busy);
  CHECK(d.erase("q", receipt_of(last.back())));
  CHECK(d.receive("q", 1).size() == 1);
}

TEST_CASE("queue_machine: numbers are not given out again after a restart") {
  queue_desk d;
  d.create("q");
  auto first = d.send("q", "a");
  REQUIRE(d.erase("q", receipt_of(d.receive("q").at(0))));
  REQUIRE(d.books.states.empty());

  d.restart();

  CHECK(d.send("q", "b") > first);
}

TEST_CASE("queue_machine: a number whose reservation was refused is not given out again either") {
  queue_desk d;
  d.create("q");
  auto refused = d.machine.send(d.now, "q", {{"refused", {}, {}, {}}}, "");
  REQUIRE(refused.has_value()); // never written, and the reservation with it
  auto written = d.send("q", "written");
  d.restart();
  REQUIRE(d.erase("q", receipt_of(d.receive("q").at(0))));

  d.restart();

  CHECK(d.send("q", "later") > written);
}

TEST_CASE("queue_machine: a restart keeps deadlines, receive counts and order") {
  queue_desk d;
  d.create("q");
  for (const auto* body : {"held", "came back", "waits"})
    d.send("q", body);
  auto taken = d.receive("q", 2, 100);
  REQUIRE(d.hide("q", receipt_of(taken[1]), 1));
  REQUIRE(d.send("q", outgoing_message{"delayed", {}, {}, 50}));
  d.pass(1s);

  d.restart();

  CHECK(d.bodies("q") == texts{"came back", "waits"});
  CHECK(d.view("q").delayed == 1);
  d.pass(48'999ms);
  CHECK(d.view("q").delayed == 1);
  d.pass(1s);
  CHECK(d.view("q").delayed == 0);
  d.pass(30s);
  CHECK(d.hide("q", receipt_of(taken[0]), 100)); // its holder did not notice
  d.pass(60s);
  CHECK(d.view("q").in_flight == 1);
  d.pass(40s);
  CHECK(d.receive("q", 1).at(0).receives == 2);
}

TEST_CASE("queue_machine: a message without a body is forgotten") {
  queue_desk d;
  d.create("q");
  auto id = d.send("q", "a");
  (void)d.receive("q");

  d.write(d.machine.forget(id, queue_id{1}));

  CHECK(d.books.states.empty());
  CHECK(d.view("q").in_flight == 0);
}

TEST_CASE("queue_machine: settings out of bounds are refused, with their names") {
  queue_desk d;
  auto refuses = [&](const char* field, auto change) {
    CAPTURE(field);
    queue_settings s;
    change(s);
    auto r = d.machine.create(d.now, "q", s);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().field == field);
  };

  refuses("VisibilitySeconds", [](auto& s) { s.visibility_seconds = 43'201; });
  refuses("VisibilitySeconds", [](auto& s) { s.visibility_seconds = -1; });
  refuses("DelaySeconds", [](auto& s) { s.delay_seconds = 3'601; });
  refuses("WaitSeconds", [](auto& s) { s.wait_seconds = 31; });
  refuses("RetentionSeconds", [](auto& s) { s.retention_seconds = 59; });
  refuses("MessageBytesMax", [](auto& s) { s.message_bytes_max = 1023; });
  refuses("MessagesMax", [](auto& s) { s.messages_max = 0; });
  refuses("ReceivesMax", [](auto& s) { s.receives_max = 1; });
  refuses("ReceivesMax", [](auto& s) { s.dead_letter_queue = "dead"; });
  refuses("DeadLetterQueue", [](auto& s) { s = with_dead_letters(1); }); // it is not there
  refuses("DeadLetterQueue", [](auto& s) {
    s.dead_letter_queue = "q";
    s.receives_max = 1;
  });
  for (const auto* name : {"", "a.fifo", "a/b", "a b"})
    CHECK(d.machine.create(d.now, name, {}).error().field == "Queue");
  d.create("q");
  CHECK(d.machine.create(d.now, "q", {}).error().code == errc::already_exists);
}

TEST_CASE("queue_machine: new settings hold from now on, and survive") {
  queue_desk d;
  d.create("q");
  d.send("q", "a");
  queue_settings s;
  s.retention_seconds = 60;
  s.visibility_seconds = 5;

  REQUIRE(d.write(d.machine.reset(d.now, "q", s)));
  d.restart();

  CHECK(d.view("q").record.settings == s);
  CHECK(d.receive("q").at(0).hidden_until == d.now + 5s);
  d.pass(60s);
  CHECK(d.books.messages.empty());
}

TEST_CASE("queue_machine: what is given up is a dead letter at once, however often received") {
  mishap_desk d;
  d.create("dead");
  d.create("q", with_dead_letters(100));
  auto id = d.send("q", "hopeless");
  auto waiting = d.ask("dead", 30);
  auto receipt = receipt_of(d.receive("q", 1, 600).at(0));

  CHECK(d.give_up("q", receipt) == "dead");

  CHECK(d.served.at(waiting).value().at(0).id == id);
  CHECK(d.view("q").in_flight == 0);
  CHECK(d.erase("q", receipt).error().code == errc::conflict);
  CHECK(d.give_up("q", receipt).error().code == errc::conflict);
  d.restart();
  CHECK(d.view("dead").in_flight == 1);
  CHECK(d.mishaps.empty()); // it was asked for
}

TEST_CASE("queue_machine: without a dead-letter queue what is given up is deleted") {
  mishap_desk d;
  d.create("q");
  d.send("q", "hopeless");
  auto receipt = receipt_of(d.receive("q", 1, 5).at(0));
  d.pass(5s); // visible again: its holder may still give it up

  CHECK(d.give_up("q", receipt) == "");

  CHECK(d.books.messages.empty());
  CHECK(d.view("q").visible == 0);
  CHECK(d.give_up("q", receipt).error().code == errc::in_use);
  CHECK(d.give_up("q", "x").error().code == errc::malformed);
  CHECK(d.give_up("none", receipt).error().code == errc::not_found);
}

TEST_CASE("queue_machine: what a subscriber's own queue kept too long is a dead letter") {
  mishap_desk d;
  d.create("dead");
  d.subscribe("web", "http://example.com/", "dead");
  CHECK(d.view("t/web").record.settings.retention_seconds == limits::queue_retention_seconds_max);
  auto old = d.view("t/web").record.settings;
  old.retention_seconds = 24 * 3600; // as subscriptions were made before
  REQUIRE(d.write_step(d.machine.reset(d.now, "t/web", old)));
  REQUIRE(d.publish("came back"));
  REQUIRE(d.receive("t/web", 1, 1).size() == 1);
  d.pass(1s);
  REQUIRE(d.publish("never tried"));
  d.restart();

  d.now = d.now + 24h;
  d.tick();

  REQUIRE(d.mishaps.size() == 1);
  CHECK(d.mishaps[0].subscription == "t/web");
  CHECK(d.mishaps[0].messages == 2);
  CHECK(d.mishaps[0].went_to == "dead");
  CHECK(d.view("t/web").visible == 0);
  CHECK(d.view("dead").visible == 2);
  d.restart();
  auto letters = d.receive("dead", 16);
  REQUIRE(letters.size() == 2);
  CHECK(d.machine.name_of(letters[0].source) == "t/web");
}

TEST_CASE("queue_machine: what a subscriber's queue must drop is told") {
  mishap_desk d;
  d.subscribe("web", "http://example.com/");
  REQUIRE(d.publish("x"));

  d.now = d.now + std::chrono::seconds{limits::queue_retention_seconds_max};
  d.tick();

  REQUIRE(d.mishaps.size() == 1);
  CHECK(d.mishaps[0].went_to.empty());
  CHECK(d.books.messages.empty());
}

TEST_CASE("queue_machine: retention makes dead letters of a subscription's own messages alone") {
  mishap_desk d;
  auto s = with_dead_letters(3);
  s.retention_seconds = 60;
  d.create("dead");
  d.create("q", s);
  d.send("q", "x");

  d.now = d.now + 60s;
  d.tick();

  CHECK(d.mishaps.empty());
  CHECK(d.view("dead").visible == 0);
  CHECK(d.books.messages.empty());
}

TEST_CASE("queue_machine: a message that lapsed too often in a subscriber's queue is told of") {
  mishap_desk d;
  d.create("dead");
  d.subscribe("web", "http://example.com/", "dead");
  auto s = d.view("t/web").record.settings;
  s.receives_max = 1;
  REQUIRE(d.write_step(d.machine.reset(d.now, "t/web", s)));
  REQUIRE(d.publish("x"));
  (void)d.receive("t/web", 1, 10);

  d.now = d.now + 10s;
  d.tick();

  REQUIRE(d.mishaps.size() == 1);
  CHECK(d.mishaps[0].went_to == "dead");
  CHECK(d.bodies("dead") == texts{"x"});
}

TEST_CASE("queue_machine: one full subscriber does not hold up the others of its topic") {
  mishap_desk d;
  d.create("a");
  d.create("b", small(1));
  d.subscribe("to-a", "queue/a");
  d.subscribe("to-b", "queue/b");
  CHECK(d.publish("fits") == 2);
  CHECK(d.mishaps.empty());

  CHECK(d.publish("does not") == 1);

  REQUIRE(d.mishaps.size() == 1);
  CHECK(d.mishaps[0].subscription == "t/to-b");
  CHECK(d.mishaps[0].went_to.empty());
  CHECK(d.mishaps[0].why.find("full") != std::string::npos);
  CHECK(d.bodies("a") == texts{"fits", "does not"});
  CHECK(d.bodies("b") == texts{"fits"});
}

TEST_CASE("queue_machine: what a subscriber has no room for is among its dead letters") {
  mishap_desk d;
  d.create("dead");
  d.create("wide");
  auto narrow = with_dead_letters(3);
  narrow.message_bytes_max = 1024;
  narrow.delay_seconds = 60;
  d.create("narrow", narrow);
  d.subscribe("1", "queue/narrow");
  d.subscribe("2", "queue/wide");
  const std::string large(2000, 'x');

  CHECK(d.publish(large) == 1);

  REQUIRE(d.mishaps.size() == 1);
  CHECK(d.mishaps[0].went_to == "dead");
  d.restart();
  CHECK(d.bodies("wide") == texts{large});
  auto letter = d.receive("dead").at(0);
  CHECK(d.books.messages.at(letter.id).body == large);
  CHECK(d.machine.name_of(letter.source) == "narrow");
}

TEST_CASE("queue_machine: full dead letters take no copy, and hold up nobody either") {
  mishap_desk d;
  d.create("dead", small(1));
  auto s = with_dead_letters(3);
  s.messages_max = 1;
  d.create("b", s);
  d.create("a");
  d.subscribe("to-a", "queue/a");
  d.subscribe("to-b", "queue/b");
  for (const auto* body : {"queued", "buried"})
    REQUIRE(d.publish(body));

  CHECK(d.publish("dropped") == 1);

  CHECK(d.mishaps.at(0).went_to.empty());
  CHECK(d.bodies("dead") == texts{"buried"});
  CHECK(d.bodies("a") == texts{"queued", "buried", "dropped"});
}

TEST_CASE("queue_machine: two subscriptions to one queue do not fill it beyond its bound") {
  mishap_desk d;
  d.create("q", small(1));
  d.subscribe("1", "queue/q");
  d.subscribe("2", "queue/q");

  CHECK(d.publish("x") == 1);

  CHECK(d.mishaps.at(0).subscription == "t/2");
  CHECK(d.view("q").visible == 1);
}

TEST_CASE("queue_machine: a message that no subscriber has room for is refused, and nowhere") {
  mishap_desk d;
  auto full = with_dead_letters(3);
  full.messages_max = 1;
  auto narrow = queue_settings{};
  narrow.message_bytes_max = 1024;
  d.create("dead");
  d.create("full", full);
  d.create("narrow", narrow);
  d.subscribe("1", "queue/narrow");
  d.subscribe("2", "queue/full");
  d.send("full", "x");

  auto refused = d.publish(std::string(2000, 'x'));

  CHECK(refused.error().code == errc::busy); // that may pass
  CHECK(d.view("dead").visible == 0);
  REQUIRE(d.erase("full", receipt_of(d.receive("full").at(0))));
  CHECK(d.publish(std::string(2000, 'x')) == 1);
}

TEST_CASE("push: a message is given up after so many tries, or a day") {
  using enum push_retry;

  CHECK_FALSE(is_last_push(exponential_decay, 175, 24h - 1s));
  CHECK(is_last_push(exponential_decay, 176, 23h));
  CHECK(is_last_push(exponential_decay, 1, 24h));
  CHECK_FALSE(is_last_push(backoff, 2, 1min));
  CHECK(is_last_push(backoff, 3, 1min));
}

TEST_CASE("subscription_troubles: the log has the first failure, and another one a minute later") {
  subscription_troubles t;
  const timestamp start{1'800'000'000'000'000};

  CHECK(t.failed(start, "t/s", "HTTP 404"));
  CHECK_FALSE(t.failed(start + 2min, "t/s", "HTTP 404"));
  CHECK(t.failed(start + 2min, "t/s", "HTTP 403"));
  CHECK_FALSE(t.failed(start + 2min + 59s, "t/s", "no connection"));
  CHECK(t.failed(start + 3min, "t/s", "no connection"));
  CHECK(t.failed(start, "t/other", "")); // of each its own, and also without a reason

  REQUIRE(t.of("t").size() == 2);
  CHECK(t.of("t")[1].name == "s");
  CHECK(t.of("t")[1].last_error == "no connection");
  CHECK(t.of("t")[1].since == start);
  CHECK(t.of("another").empty());
}

TEST_CASE("subscription_troubles: a delivery ends the failure, and the next is logged again") {
  subscription_troubles t;
  const timestamp start{1'800'000'000'000'000};
  CHECK(t.failed(start, "t/s", "HTTP 404"));

  t.delivered("t/s");

  CHECK(t.of("t").empty());
  CHECK_FALSE(t.failed(start + 1s, "t/s", "HTTP 404")); // not every second
  CHECK(t.failed(start + 1min, "t/s", "HTTP 404"));
  CHECK(t.of("t").at(0).since == start + 1s);
}

TEST_CASE("subscription_troubles: missed messages are logged at once, then counted for a minute") {
  subscription_troubles t;
  const timestamp start{1'800'000'000'000'000};
  auto logged = [&](timestamp now) {
    std::uint64_t n = 0;
    for (const auto& [who, m] : t.untold(now))
      n += m.messages;
    return n;
  };

  t.missed("t/s", {1, "full", ""});
  CHECK(logged(start) == 1);
  t.missed("t/s", {2, "full", ""});
  t.missed("t/s", {3, "too large", "dead"});
  CHECK(logged(start + 59s) == 0);
  CHECK(logged(start + 1min) == 5);
  CHECK(logged(start + 2min) == 0);

  CHECK(t.of("t").at(0).missed == 6);
  CHECK(t.of("t").at(0).missed_why == "too large");
  t.keep_only({});
  CHECK(t.of("t").empty());
}
