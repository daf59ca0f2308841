#pragma once

#include "actors/gateway.hpp"
#include "api/reply.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

// An action is a row: a name, a typed request, a function. The row reads the
// request; the function asks the gateway or the store, and answers once.

namespace framemill {

/// What actions work with. Outlives them.
struct action_context {
  gateway& system;
  const framemill::clock& time;
};

enum class effect : std::uint8_t { reads, changes };

struct action {
  effect what = effect::reads; ///< changes are written to the audit log
  std::function<void(const action_context&, const json& parameters, api_reply done)> run;
  /// Its answer may take so long; without it http_server_options::answer_timeout.
  std::optional<std::chrono::milliseconds> answer_timeout = {};
};

using action_table = std::map<std::string, action, std::less<>>;

/// MPS, version 2019-06-12: api/mps/.
[[nodiscard]] action_table mps_actions();
/// Our own, version 2026-11-01: docs/cluster-api.md.
[[nodiscard]] action_table cluster_actions();

// One per file of api/mps/.
void add_workflow_actions(action_table& table);
void add_schedule_actions(action_table& table);
void add_task_actions(action_table& table);
void add_template_actions(action_table& table);
void add_notification_actions(action_table& table);
// The parts of cluster_actions that have files of their own.
void add_node_actions(action_table& table);
void add_queue_actions(action_table& table);
void add_event_actions(action_table& table);
void add_function_actions(action_table& table);

[[nodiscard]] inline tl::unexpected<api_error> refuse(const error& e,
                                                      std::span<const code_rule> rules = {}) {
  return tl::unexpected<api_error>{to_api_error(e, rules)};
}

/// A row whose parameters are read as a `Request` before `run` sees them.
template <class Request>
action make_action(effect what, void (*run)(const action_context&, Request, api_reply)) {
  return {what, [run](const action_context& context, const json& parameters, api_reply done) {
            auto request = from_json_value<Request>(parameters);
            if (!request)
              return done(refuse(request.error()));
            run(context, std::move(*request), std::move(done));
          }};
}

/// A gateway reply that answers with what `make` makes of the value, or with
/// the failure by `rules` (which must be static).
template <class T, class Make>
gateway::reply<T> answer_with(api_reply done, std::span<const code_rule> rules, Make make) {
  return [done = std::move(done), rules, make = std::move(make)](result<T> r) mutable {
    if (!r)
      return done(refuse(r.error(), rules));
    if constexpr (std::is_void_v<T>)
      done(make());
    else
      done(make(std::move(*r)));
  };
}

/// As above, for calls whose success has nothing to say.
inline gateway::reply<void> answer_empty(api_reply done,
                                         std::span<const code_rule> rules = {}) {
  return answer_with<void>(std::move(done), rules, [] { return json::object(); });
}

/// With what was found, or with why not.
inline void answer(const api_reply& done, result<json> found,
                   std::span<const code_rule> rules = {}) {
  done(found ? api_result{std::move(*found)} : refuse(found.error(), rules));
}

/// A reply whose failures are said in the caller's terms first.
template <class T, class Terms>
gateway::reply<T> in_terms(Terms terms, gateway::reply<T> next) {
  return [terms = std::move(terms), next = std::move(next)](result<T> r) {
    if (!r)
      return next(failure{terms(r.error())});
    next(std::move(r));
  };
}

/// A request without parameters.
struct empty_request {
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

/// Offset and Limit, as every Describe… has them.
struct page {
  std::int64_t offset = 0;
  std::int64_t limit = 10;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Offset", s.offset);
    v("Limit", s.limit);
  }
};
[[nodiscard]] result<void> check(const page& p, std::int64_t limit_max);

/// The window [offset, offset + limit) of `items`.
template <class T>
[[nodiscard]] std::vector<T> window(std::vector<T> items, const page& p) {
  auto first = std::min<std::size_t>(static_cast<std::size_t>(p.offset), items.size());
  auto count = std::min<std::size_t>(static_cast<std::size_t>(p.limit), items.size() - first);
  return {std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(first)),
          std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(first + count))};
}

} // namespace framemill
