#include "actors/watch_desk.hpp"

#include "actors/ledger_view.hpp"
#include "core/codec.hpp"
#include "core/limits.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

service_id watcher_of(const std::string& bucket) { return {bucket_watcher_kind, bucket}; }

// ---- Words -----------------------------------------------------------------------------

bool is_in_hand(const placer_state& s, const service_word& word) {
  for (const auto& [batch, w] : s.booking)
    if (w.word.service == word.service && w.word.epoch == word.epoch
        && w.word.number == word.number)
      return true;
  return false;
}

/// A copy of one that is being booked waits for the same answer.
void hear(placer_state& s, const std::string& node, service_word word, watch_reports m) {
  if (is_in_hand(s, word))
    return;
  settled_batch batch;
  batch.batch = ++s.last_batch;
  batch.reports = std::move(m.reports);
  batch.reply_to = caf::actor_cast<caf::actor>(s.self);
  batch.node = node == s.services->config.name ? "" : node;
  for (auto& r : batch.reports)
    r.object.bucket = word.service.name; // it speaks for no other
  word.payload.clear();
  s.booking[batch.batch] = {node, std::move(word)};
  s.self->send(s.coordinator, std::move(batch));
}

void hear(placer_state& s, const std::string& node, const service_word& word,
          const watch_question& m) {
  auto places = find_unbooked(*s.services->store, word.service.name, m.found);
  if (!places)
    return spdlog::error("PLACER: {}", places.error().message); // it asks again
  s.answer(node, word, encode(watch_answer{watch_unbooked{std::move(*places)}}));
}

void hear(placer_state& s, const std::string& node, const service_word& word,
          const watch_status& m) {
  auto& known = s.buckets[word.service.name];
  known.status = m;
  if (m.settling == 0)
    known.unseen.clear();
  s.answer(node, word, encode(watch_answer{watch_noted{}}));
}

// ---- For people ------------------------------------------------------------------------

bucket_status describe(const placer_state& s, const placement::view& v) {
  const auto& name = v.spec.bucket;
  auto known = s.buckets.find(name);
  auto told = known != s.buckets.end() ? known->second : placer_state::watched{};
  bucket_status out;
  out.name = name;
  out.location = s.services->buckets.at(name)->location();
  out.watch_mode = told.status.mode;
  out.problem = told.status.problem.empty() ? v.problem : told.status.problem;
  if (v.record.host.empty())
    out.problem = "nobody watches it: " + v.record.reason;
  out.available = out.problem.empty();
  if (out.available)
    out.problem = told.unseen;
  out.settling = told.status.settling;
  out.last_scan = told.status.last_scan;
  out.wish = to_text(v.spec.wish);
  out.watched_by = v.record.host;
  out.watched_at = told.status.location;
  out.reason = v.record.reason;
  out.since = v.record.since;
  out.epoch = v.record.epoch;
  for (const auto& [node, why_not] : s.core->verdicts(v.spec.id))
    out.nodes.push_back({node, why_not});
  return out;
}

bucket_status describe_foreign(const std::string& name, const std::set<std::string>& nodes) {
  bucket_status out;
  out.name = name;
  out.available = false;
  out.problem = foreign_bucket_sentence(name, nodes);
  return out;
}

void ask_page(placer_state& s, const service_id& id, const std::string& after,
              std::vector<std::string> keys, gateway::reply<std::vector<std::string>> done) {
  auto me = caf::actor_cast<caf::actor>(s.self);
  s.ask(id, "settling " + after,
        [me, id, keys = std::move(keys),
         done = std::move(done)](result<std::string> page) mutable {
          if (!page)
            return done(failure{page.error()});
          std::size_t count = 0;
          for (std::size_t at = 0; at < page->size(); ++count) {
            const auto end = std::min(page->find('\n', at), page->size());
            keys.push_back(page->substr(at, end - at));
            at = end + 1;
          }
          if (count < limits::settling_page_max)
            return done(std::move(keys));
          auto next = [id, after = keys.back(), keys = std::move(keys),
                       done = std::move(done)](placer_state& again) mutable {
            ask_page(again, id, after, std::move(keys), std::move(done));
          };
          caf::anon_send(me, placer_call{std::make_shared<std::function<void(placer_state&)>>(
                                 std::move(next))});
        });
}

} // namespace

std::vector<service_spec> wanted_watchers(const node_services& services) {
  std::vector<service_spec> out;
  for (const auto& [name, b] : services.buckets) {
    service_spec spec;
    spec.id = watcher_of(name);
    spec.bucket = name;
    spec.payload =
        encode(watch_order{services.config.scan_interval, services.config.settle_quiet});
    if (auto wish = services.config.watch.find(name); wish != services.config.watch.end())
      spec.wish = parse_wish(wish->second).value_or(service_wish{}); // checked by `validate`
    out.push_back(std::move(spec));
  }
  return out;
}

void hear_watcher(placer_state& s, const std::string& node, service_word word) {
  auto said = decode<watch_word>(word.payload);
  if (!said)
    return spdlog::error("PLACER: node {}, {} {}: {}", node, word.service.kind,
                         word.service.name, said.error().message);
  std::visit([&](auto& what) { hear(s, node, word, std::move(what)); }, *said);
}

void end_booking(placer_state& s, const batch_booked& m) {
  auto in_hand = s.booking.extract(m.batch);
  if (in_hand.empty())
    return;
  const auto& [node, word] = in_hand.mapped();
  if (!m.unseen.empty())
    spdlog::info("PLACER: {}", m.unseen);
  s.buckets[word.service.name].unseen = m.unseen;
  s.answer(node, word, encode(watch_answer{watch_booked{m.ok}}));
}

std::vector<bucket_status> describe_buckets(const placer_state& s) {
  std::vector<bucket_status> out;
  for (const auto& v : s.core->services())
    if (v.spec.id.kind == bucket_watcher_kind)
      out.push_back(describe(s, v));
  for (const auto& [name, nodes] : s.foreign)
    out.push_back(describe_foreign(name, nodes));
  return out;
}

void ask_settling(placer_state& s, const std::string& bucket,
                  gateway::reply<std::vector<std::string>> done) {
  for (const auto& v : s.core->services())
    if (v.spec.id == watcher_of(bucket) && !v.record.host.empty())
      return ask_page(s, v.spec.id, "", {}, std::move(done));
  done(std::vector<std::string>{});
}

} // namespace framemill
