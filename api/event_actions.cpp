#include "api/action.hpp"
#include "core/notify.hpp"
#include "storage/records.hpp"

#include <algorithm>

// Our own actions about the log of events, and about who is told of them.
// docs/cluster-api.md is their contract.

namespace framemill {

namespace {

// ---- The log -----------------------------------------------------------------------

struct describe_events {
  event_id after;
  run_id run;
  std::int64_t limit = 100;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("After", s.after);
    v("Run", s.run);
    v("Limit", s.limit);
  }
};

result<json> list_events(const state_store& store, const describe_events& r) {
  FM_CHECK(framemill::check(page{0, r.limit}, 1000));
  std::vector<event_record> found;
  bool more = false;
  FM_CHECK(scan_records<event_record>(
      store, family::events, keys::of(event_id{r.after.value + 1}), "", [&](event_record e) {
        if (r.run && e.run != r.run)
          return true;
        more = found.size() == static_cast<std::size_t>(r.limit);
        if (!more)
          found.push_back(std::move(e));
        return !more;
      }));
  return json{{"Next", more ? found.back().id.value : 0}, {"Events", to_json_value(found)}};
}

void describe_events_action(const action_context& context, describe_events request,
                            api_reply done) {
  answer(done, list_events(context.system.store(), request));
}

// ---- Sinks -------------------------------------------------------------------------

void describe_sinks(const action_context& context, empty_request, api_reply done) {
  context.system.sinks(answer_with<std::vector<sink_status>>(
      std::move(done), {}, [](std::vector<sink_status> sinks) {
        return json{{"Sinks", to_json_value(sinks)}};
      }));
}

// ---- Dead letters --------------------------------------------------------------------

/// All of it but what a receiver could be deceived with.
json without_secrets(delivery_record d) {
  d.config = *without_secret_key(d.config);
  d.config.notify_key.clear();
  return to_json_value(d);
}

struct describe_dead_letters {
  std::string sink;
  std::int64_t limit = 100;
  std::string after; ///< the Next of the page before
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink);
    v("Limit", s.limit);
    v("After", s.after);
  }
};

/// A key as text: its zero byte as a space, which no sink's name holds.
std::string token_of(std::string key) {
  std::ranges::replace(key, '\0', ' ');
  return key;
}
std::string key_of(std::string token) {
  std::ranges::replace(token, ' ', '\0');
  return token;
}

result<json> list_dead(const state_store& store, const describe_dead_letters& r) {
  FM_CHECK(framemill::check(page{0, r.limit}, 1000));
  const auto prefix = r.sink.empty() ? keys::prefix(delivery_state::dead)
                                     : keys::prefix(delivery_state::dead, r.sink);
  auto from = r.after.empty() ? prefix : std::max(prefix, key_of(r.after) + '\0');
  json letters = json::array();
  std::string last;
  bool more = false;
  FM_CHECK(scan_records<delivery_record>(
      store, family::deliveries, from, prefix_end(prefix), [&](delivery_record d) {
        more = letters.size() == static_cast<std::size_t>(r.limit);
        if (more)
          return false;
        last = keys::delivery(delivery_state::dead, d.sink, d.event);
        d.body.clear(); // DescribeDeadLetter shows it
        letters.push_back(without_secrets(std::move(d)));
        return true;
      }));
  return json{{"DeadLetters", std::move(letters)}, {"Next", more ? token_of(last) : ""}};
}

void describe_dead_letters_action(const action_context& context, describe_dead_letters request,
                                  api_reply done) {
  answer(done, list_dead(context.system.store(), request));
}

struct one_dead_letter {
  std::string sink;
  event_id event;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink, required);
    v("Event", s.event, required);
  }
};

result<json> show_dead(const state_store& store, const one_dead_letter& r) {
  FM_TRY(auto letter, find_record<delivery_record>(
                          store, family::deliveries,
                          keys::delivery(delivery_state::dead, r.sink, r.event)));
  if (!letter)
    return fail_field(errc::not_found, "Event", "there is no dead letter of event {} to `{}`",
                      r.event.value, r.sink);
  return json{{"DeadLetter", without_secrets(std::move(*letter))}};
}

void describe_dead_letter(const action_context& context, one_dead_letter request,
                          api_reply done) {
  answer(done, show_dead(context.system.store(), request));
}

json counted(std::uint64_t count) { return {{"Count", count}}; }

struct redrive_dead_letters {
  std::string sink;
  event_id event;
  bool all = false;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink);
    v("Event", s.event);
    v("All", s.all);
  }
};

result<void> check(const redrive_dead_letters& r) {
  if (r.all && (r.event || !r.sink.empty()))
    return fail_field(errc::invalid_argument, "All", "All goes without Sink and Event");
  if (!r.all && r.sink.empty())
    return fail_field(errc::missing_argument, "Sink", "name a Sink, or say All");
  return {};
}

void redrive(const action_context& context, redrive_dead_letters request, api_reply done) {
  if (auto status = check(request); !status)
    return done(refuse(status.error()));
  context.system.redrive(std::move(request.sink), request.event,
                         answer_with<std::uint64_t>(std::move(done), {}, counted));
}

struct replay_events {
  event_id from;
  std::string to;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("From", s.from, required);
    v("To", s.to, required);
  }
};

void replay(const action_context& context, replay_events request, api_reply done) {
  context.system.replay(request.from, std::move(request.to),
                        answer_with<std::uint64_t>(std::move(done), {}, counted));
}

// ---- Signing keys ----------------------------------------------------------------------

struct describe_signing_keys {
  bool secrets = false;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Secrets", s.secrets);
  }
};

result<json> list_keys(const state_store& store, bool secrets) {
  std::vector<signing_key_record> all;
  const auto prefix = keys::signing_key("");
  FM_CHECK(scan_records<signing_key_record>(store, family::meta, prefix, prefix_end(prefix),
                                            [&](signing_key_record k) {
                                              if (!secrets)
                                                k.secret.clear();
                                              all.push_back(std::move(k));
                                              return true;
                                            }));
  std::ranges::sort(all, std::greater{}, &signing_key_record::created);
  return json{{"SigningKeys", to_json_value(all)}};
}

void describe_signing_keys_action(const action_context& context, describe_signing_keys request,
                                  api_reply done) {
  answer(done, list_keys(context.system.store(), request.secrets));
}

void rotate_signing_key(const action_context& context, empty_request, api_reply done) {
  context.system.rotate_signing_key(
      answer_with<signing_key_record>(std::move(done), {}, [](signing_key_record key) {
        return json{{"SigningKey", to_json_value(key)}};
      }));
}

} // namespace

void add_event_actions(action_table& table) {
  using enum effect;
  table["DescribeEvents"] = make_action(reads, describe_events_action);
  table["DescribeSinks"] = make_action(reads, describe_sinks);
  table["DescribeDeadLetters"] = make_action(reads, describe_dead_letters_action);
  table["DescribeDeadLetter"] = make_action(reads, describe_dead_letter);
  table["RedriveDeadLetters"] = make_action(changes, redrive);
  table["ReplayEvents"] = make_action(changes, replay);
  table["DescribeSigningKeys"] = make_action(reads, describe_signing_keys_action);
  table["RotateSigningKey"] = make_action(changes, rotate_signing_key);
}

} // namespace framemill
