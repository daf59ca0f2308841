#include "api/sqs/sqs_server.hpp"

#include "api/reply.hpp"
#include "api/sqs/aws_signature.hpp"
#include "api/sqs/sqs_action.hpp"
#include "core/limits.hpp"

#include <spdlog/spdlog.h>

namespace framemill {

namespace {

constexpr std::string_view target_prefix = "AmazonSQS.";
constexpr std::size_t audit_bytes_max = 300;

const sqs_action_table& actions() {
  static const auto table = [] {
    sqs_action_table t;
    add_sqs_queue_actions(t);
    add_sqs_message_actions(t);
    return t;
  }();
  return table;
}

std::string_view action_name(const http_request& r) {
  return r.header("X-Amz-Target").substr(target_prefix.size());
}

tl::expected<json, sqs_error> parameters_of(const http_request& r) {
  if (r.too_large)
    return refuse_sqs("RequestTooLarge", fmt::format("the request is larger than {} bytes",
                                                     limits::request_body_bytes_max));
  if (r.body.empty())
    return json::object();
  auto parsed = parse_json(r.body);
  if (!parsed)
    return refuse_sqs("SerializationException", parsed.error().message);
  return std::move(*parsed);
}

/// Answers, and writes the audit line of a change.
struct sqs_responder {
  std::shared_ptr<http_call> exchange;
  std::string request_id = make_request_id();
  std::string audit = {}; ///< "" = not a change of definitions

  void operator()(const sqs_result& answer) const {
    if (!audit.empty())
      spdlog::info("audit: {} request {}: {}", audit, request_id,
                   answer ? "done" : answer.error().type);
    exchange->respond(sqs_response(answer, request_id));
  }

  void limit(std::chrono::milliseconds limit) const {
    exchange->answer_within(limit, [id = request_id] {
      return sqs_response(refuse_sqs("ServiceUnavailable", "there is no answer in time", 503), id);
    });
  }
};

} // namespace

bool is_sqs_call(const http_request& r) {
  return r.method == "POST" && r.header("X-Amz-Target").starts_with(target_prefix);
}

void answer_sqs(gateway& system, const credential_map& credentials, timestamp now,
                const http_request& request, std::shared_ptr<http_call> exchange,
                std::chrono::milliseconds limit) {
  sqs_responder respond{std::move(exchange)};
  const auto who = authenticate_sqs(request, credentials, now);
  if (!who)
    return respond(tl::unexpected<sqs_error>{who.error()});
  const auto name = action_name(request);
  const auto found = actions().find(name);
  if (found == actions().end())
    return respond(refuse_sqs("UnsupportedOperation",
                              fmt::format("the queues of this server have no action {}", name)));
  auto* queues = system.queues();
  if (queues == nullptr)
    return respond(refuse_sqs("UnsupportedOperation", "this node has no queues"));
  const auto parameters = parameters_of(request);
  if (!parameters)
    return respond(tl::unexpected<sqs_error>{parameters.error()});
  if (found->second.changes)
    respond.audit = fmt::format("AmazonSQS.{} by {} {}", name, *who,
                                to_text(*parameters).substr(0, audit_bytes_max));
  const auto base = fmt::format("http://{}/{}/", request.header("Host"), sqs_account);
  respond.limit(limit);
  found->second.run({*queues, base, *who}, *parameters, respond);
}

} // namespace framemill
