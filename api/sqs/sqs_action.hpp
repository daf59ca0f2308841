#pragma once

#include "actors/queue_service.hpp"
#include "api/sqs/sqs_error.hpp"

#include <map>
#include <string>
#include <string_view>

// An SQS action is a row: a name, a typed request, a function.

namespace framemill {

/// What one call works with.
struct sqs_context {
  queue_service& queues;
  std::string base_url; ///< of queue URLs: `http://HOST/000000000000/`
  std::string sender;   ///< SecretId
};

struct sqs_action {
  bool changes = false; ///< definitions: written to the audit log
  std::function<void(const sqs_context&, const json& parameters, sqs_reply done)> run;
};
using sqs_action_table = std::map<std::string, sqs_action, std::less<>>;

void add_sqs_queue_actions(sqs_action_table& table);
void add_sqs_message_actions(sqs_action_table& table);

inline constexpr std::string_view sqs_account = "000000000000";
[[nodiscard]] std::string queue_url(const sqs_context& context, std::string_view name);
/// Also of another address: the account and the name at its end are what counts.
[[nodiscard]] result<std::string> queue_of_url(const std::string& url);
[[nodiscard]] std::string arn_of(std::string_view queue);

[[nodiscard]] inline tl::unexpected<sqs_error> refuse_sqs(const error& e) {
  return tl::unexpected<sqs_error>{to_sqs_error(e)};
}

/// A request that names a queue by its URL.
struct by_queue_url {
  std::string url;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("QueueUrl", s.url, required);
  }
};

/// A row whose parameters are read as a `Request` before `run` sees them.
template <class Request>
sqs_action make_sqs_action(void (*run)(const sqs_context&, Request, sqs_reply),
                           bool changes = false) {
  return {changes, [run](const sqs_context& context, const json& parameters, sqs_reply done) {
            auto request = from_json_value<Request>(parameters);
            if (!request)
              return done(tl::unexpected<sqs_error>{to_request_error(request.error())});
            run(context, std::move(*request), std::move(done));
          }};
}

/// As above, for requests to one queue: `run` gets its name.
template <class Request>
sqs_action make_queue_action(void (*run)(const sqs_context&, std::string queue, Request,
                                         sqs_reply),
                             bool changes = false) {
  return {changes, [run](const sqs_context& context, const json& parameters, sqs_reply done) {
            auto request = from_json_value<Request>(parameters);
            if (!request)
              return done(tl::unexpected<sqs_error>{to_request_error(request.error())});
            auto queue = queue_of_url(request->url);
            if (!queue)
              return done(refuse_sqs(queue.error()));
            run(context, std::move(*queue), std::move(*request), std::move(done));
          }};
}

/// A reply of the queues that answers with what `make` makes of the value.
template <class T, class Make>
queue_service::reply<T> answer_sqs_with(sqs_reply done, Make make) {
  return [done = std::move(done), make = std::move(make)](result<T> r) mutable {
    if (!r)
      return done(refuse_sqs(r.error()));
    if constexpr (std::is_void_v<T>)
      done(make());
    else
      done(make(std::move(*r)));
  };
}

inline queue_service::reply<void> answer_sqs_empty(sqs_reply done) {
  return answer_sqs_with<void>(std::move(done), [] { return json::object(); });
}

} // namespace framemill
