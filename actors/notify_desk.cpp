#include "actors/notify_desk.hpp"

#include "actors/delivery_desk.hpp"
#include "core/codec.hpp"
#include "notify/settlement.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

void answer(placer_state& s, const std::string& node, const service_word& word,
            const notify_answer& what) {
  s.answer(node, word, encode(what));
}

/// It is said again, and then it may be otherwise.
void complain(const service_word& word, const error& why) {
  spdlog::error("PLACER: {} {}: {}", word.service.kind, word.service.name, why.message);
}

// ---- News ------------------------------------------------------------------------------

void tell_news(placer_state& s) {
  for (auto i = s.listening.begin(); i != s.listening.end();) {
    const auto& [share, crew] = *i;
    auto news = s.services->notices.board.news(share, crew.behind);
    if (news.sinks.empty() && news.life == crew.behind.life) {
      ++i;
      continue;
    }
    answer(s, crew.node, crew.word, std::move(news));
    i = s.listening.erase(i);
  }
}

void hear(placer_state& s, const std::string& node, service_word word, const notify_wait& m) {
  word.payload.clear();
  const auto share = word.service;
  s.listening.insert_or_assign(share, placer_state::crew{node, std::move(word), m});
  tell_news(s);
}

// ---- What is pending -----------------------------------------------------------------------

void hear(placer_state& s, const std::string& node, const service_word& word,
          const notify_pending& m) {
  auto page = read_pending(*s.services->store, m.sink, m.after);
  if (!page)
    return complain(word, page.error());
  const auto now = s.services->clock.now();
  notify_page out;
  out.is_last = page->is_last;
  for (auto& d : page->deliveries)
    out.pending.push_back(
        {d.event, d.run, std::move(d.lane), now - d.since, d.next_try - now, d.attempts});
  answer(s, node, word, std::move(out));
}

/// Writes an outcome once, and answers when it is in the books.
void book(placer_state& s, const std::string& node, const service_word& word,
          delivery_record tried, delivery_outcome outcome, notify_answer then) {
  auto done = [me = caf::actor_cast<caf::actor>(s.self), node, word, what = outcome.what,
               key = std::pair{tried.sink, tried.event},
               then = std::move(then)](const result<void>& written) {
    auto call = [=](placer_state& again) {
      again.settling.erase(key);
      if (!written)
        return complain(word, written.error());
      pass_outcome(what);
      answer(again, node, word, then);
    };
    caf::anon_send(me, placer_call{std::make_shared<std::function<void(placer_state&)>>(call)});
  };
  s.settling.emplace(tried.sink, tried.event);
  book_outcome(*s.services, std::move(tried), std::move(outcome), std::move(done));
}

/// What is too long to travel is a dead letter: no host could ever tell it.
void bury(placer_state& s, const std::string& node, const service_word& word,
          delivery_record d) {
  delivery_outcome outcome{d.event, delivery_end::dead, d.attempts + 1, {}, {}};
  outcome.why = fmt::format("its {} bytes do not travel to other nodes, which tell this sink: "
                            "at most {} do ([events] notifiers)",
                            d.body.size(), told_body_bytes_max);
  spdlog::warn("PLACER: event {} to {} is given up: {}", d.event.value, d.sink, outcome.why);
  book(s, node, word, std::move(d), std::move(outcome), notify_delivery{});
}

void hear(placer_state& s, const std::string& node, const service_word& word,
          const notify_fetch& m) {
  if (s.settling.contains({m.sink, m.event}))
    return;
  auto d = find_pending(*s.services->store, m.sink, m.event);
  if (!d)
    return complain(word, d.error());
  if (*d && (*d)->body.size() > told_body_bytes_max)
    return bury(s, node, word, std::move(**d));
  answer(s, node, word, notify_delivery{std::move(*d), s.services->notices.keys.all()});
}

// ---- What became of it ---------------------------------------------------------------------

delivery_outcome outcome_of(const notify_outcome& m, timestamp now) {
  delivery_outcome out{m.event, m.what, m.tried, {}, m.why};
  if (m.what != delivery_end::delivered)
    ++out.attempts;
  if (m.what == delivery_end::again)
    out.next_try = now + m.wait;
  return out;
}

/// A copy of one that is being written is answered with it.
void hear(placer_state& s, const std::string& node, const service_word& word,
          const notify_outcome& m) {
  if (s.settling.contains({m.sink, m.event}))
    return;
  auto booked = find_pending(*s.services->store, m.sink, m.event);
  if (!booked)
    return complain(word, booked.error());
  auto outcome = outcome_of(m, s.services->clock.now());
  const auto state = settlement_of(*booked, m.since, outcome);
  if (state != settlement::due)
    return answer(s, node, word, notify_booked{state == settlement::known});
  book(s, node, word, std::move(**booked), std::move(outcome), notify_booked{true});
}

/// Of a word about one sink, which.
std::string sink_in(const notify_wait&) { return {}; }
template <class Word>
std::string sink_in(const Word& m) {
  return m.sink;
}

} // namespace

std::vector<service_spec> wanted_crews(const node_services& services) {
  std::vector<service_spec> out;
  const auto& events = services.config.events;
  auto wish = parse_wish(events.notifiers).value_or(service_wish{}); // checked by `validate`
  if (wish.where == service_wish::place::coordinator)
    return out;
  for (std::uint64_t share = 1; share <= notifier_shares; ++share)
    out.push_back({{notifier_kind, std::to_string(share)},
                   encode(notify_order{events.retry_window}),
                   {},
                   wish});
  return out;
}

void hear_crew(placer_state& s, const std::string& node, service_word word) {
  auto said = decode<notify_word>(word.payload);
  if (!said)
    return complain(word, said.error());
  const auto sink = std::visit([](const auto& m) { return sink_in(m); }, *said);
  if (!sink.empty() && notifier_of(sink) != word.service)
    return spdlog::error("PLACER: node {}, {} {} speaks of {}, which is of another share", node,
                         word.service.kind, word.service.name, sink);
  std::visit([&](const auto& m) { hear(s, node, word, m); }, *said);
}

void open_notify_desk(placer_state& s) {
  s.services->notices.board.follow([me = caf::actor_cast<caf::actor>(s.self)] {
    caf::anon_send(
        me, placer_call{std::make_shared<std::function<void(placer_state&)>>(tell_news)});
  });
}

std::vector<sink_status> describe_sinks(const placer_state& s) {
  std::map<service_id, std::string> hosts;
  for (const auto& v : s.core->services())
    hosts[v.spec.id] = v.record.host;
  auto out = s.services->notices.board.all();
  for (auto& status : out)
    status.node = is_told_by_crew(*s.services, status.sink) ? hosts[notifier_of(status.sink)]
                                                            : s.services->config.name;
  return out;
}

} // namespace framemill
