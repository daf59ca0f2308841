#include "api/server.hpp"

#include "api/action.hpp"
#include "api/event_stream.hpp"
#include "api/metrics_text.hpp"
#include "api/query.hpp"
#include "api/sqs/sqs_server.hpp"

#include <spdlog/spdlog.h>

#include <atomic>
#include <charconv>

namespace framemill {

namespace {

constexpr std::string_view mps_version = "2019-06-12";
constexpr std::string_view cluster_version = "2026-11-01";
constexpr std::size_t query_bytes_max = 32 * 1024; ///< MPS: of a GET
constexpr std::size_t audit_bytes_max = 300;       ///< of a call's parameters

http_response plain(unsigned status, std::string text) {
  return {status, "text/plain; charset=utf-8", {}, std::move(text)};
}

/// The first of the headers that every call must have and this one has not.
std::string_view missing_header(const http_request& r) {
  for (std::string_view name : {"Action", "Version", "Timestamp"})
    if (!r.has_header(fmt::format("X-TC-{}", name)))
      return name;
  return r.has_header("Authorization") ? "" : "Authorization";
}

result<json> parameters_of(const http_request& r) {
  if (r.method == "GET") {
    FM_TRY(auto flat, parse_query(r.query));
    return unflatten(flat);
  }
  if (r.body.empty())
    return json::object();
  FM_TRY(auto value, parse_json(r.body));
  if (!value.is_object())
    return fail(errc::malformed, "the body must be a JSON object, but is {}",
                value.type_name());
  return value;
}

/// Parameters as one bounded line of a log, without secrets and code.
std::string brief(json parameters) {
  if (auto secrets = parameters.find("Secrets"); secrets != parameters.end())
    for (auto& value : *secrets)
      value = "***";
  if (auto files = parameters.find("Files"); files != parameters.end() && files->is_array())
    *files = fmt::format("{} files", files->size());
  auto text = parameters.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= audit_bytes_max ? text : text.substr(0, audit_bytes_max) + "…";
}

/// Where there is a logger of this name, it has a level of its own.
void write_audit(const std::string& line) {
  auto own = spdlog::get("audit");
  (own ? own.get() : spdlog::default_logger_raw())->info("audit: {}", line);
}

/// Answers one call in the envelope, and writes the audit line of a change.
struct responder {
  std::shared_ptr<http_call> exchange;
  std::string trace_id;
  std::string request_id = make_request_id();
  std::string audit; ///< "" = reads only

  void operator()(api_result answer) const {
    if (!audit.empty())
      write_audit(fmt::format("{} request {}: {}", audit, request_id,
                              answer ? "done" : answer.error().code));
    exchange->respond(response_of(std::move(answer), request_id, trace_id));
  }

  /// Past `limit` the caller is told; the action goes on, and its audit line
  /// comes when it is done.
  void limit(std::chrono::milliseconds limit, std::string_view action) const {
    exchange->answer_within(limit, [limit, id = request_id, trace = trace_id,
                                    action = std::string{action}] {
      auto late = fmt::format("{} has no answer within {} s; it may still be done.", action,
                              std::chrono::duration<double>{limit}.count());
      return response_of(refuse(std::string{common_code(errc::timed_out)}, std::move(late)), id,
                         trace);
    });
  }

private:
  [[nodiscard]] static http_response response_of(api_result answer, const std::string& request_id,
                                                 const std::string& trace_id) {
    auto response = envelope(std::move(answer), request_id);
    if (!trace_id.empty())
      response.headers.emplace_back("X-TC-TraceId", trace_id);
    return response;
  }
};

result<std::uint64_t> number_in(const std::map<std::string, std::string>& query,
                                const std::string& name) {
  auto found = query.find(name);
  if (found == query.end())
    return 0;
  std::uint64_t n = 0;
  const auto& text = found->second;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || end != text.data() + text.size() || n >> 53)
    return fail_field(errc::invalid_argument, name, "`{}` is not a number", text);
  return n;
}

result<event_stream_options> stream_options(const http_request& r) {
  FM_TRY(auto query, parse_query(r.query));
  if (auto last = r.header("Last-Event-ID"); !last.empty())
    query["after"] = last; // a client that comes back goes on where it was
  event_stream_options out;
  FM_TRY(out.after.value, number_in(query, "after"));
  FM_TRY(out.run.value, number_in(query, "run"));
  FM_TRY(auto progress, number_in(query, "progress"));
  out.with_progress = progress != 0;
  return out;
}

} // namespace

/// Shared with requests under way: they may outlive the server object, not the
/// gateway.
struct api_server::state : std::enable_shared_from_this<state> {
  state(api_options o, gateway& g, const clock& c)
      : options(std::move(o)), system(g), time(c), context{g, c} {}

  void route(http_request request, std::shared_ptr<http_call> exchange);
  void call(const http_request& request, std::shared_ptr<http_call> exchange) const;
  void metrics(const std::shared_ptr<http_exchange>& exchange) const;
  void events(const http_request& request, const std::shared_ptr<http_exchange>& exchange);
  /// Everything before the action itself; its order is that of the real service.
  tl::expected<const action*, api_error> admit(const http_request& r, std::string& who) const;

  const api_options options;
  gateway& system;
  const clock& time;
  const action_context context;
  const action_table mps = mps_actions();
  const action_table cluster = cluster_actions();
  std::atomic<std::size_t> subscribers{0};
};

void api_server::state::route(http_request request, std::shared_ptr<http_call> exchange) {
  if (is_sqs_call(request))
    return answer_sqs(system, options.credentials, time.now(), request, std::move(exchange),
                      options.http.answer_timeout);
  bool is_get = request.method == "GET" || request.method == "HEAD";
  if (request.path == "/")
    return call(request, std::move(exchange));
  if (request.path == "/health" && is_get)
    return exchange->respond({200, "application/json", {}, R"({"Status":"ok"})"});
  if (request.path == "/metrics" && is_get)
    return metrics(exchange);
  if (request.path == "/events" && request.method == "GET")
    return events(request, exchange);
  exchange->respond(plain(404, "nothing here: the API is POST /\n"));
}

tl::expected<const action*, api_error> api_server::state::admit(const http_request& r,
                                                                std::string& who) const {
  if (r.method != "GET" && r.method != "POST")
    return refuse("UnsupportedProtocol", "The HTTP method must be POST or GET.");
  if (r.too_large || (r.method == "GET" && r.query.size() > query_bytes_max))
    return refuse(
        "RequestSizeLimitExceeded",
        fmt::format("The request is larger than {} bytes.",
                    r.method == "GET" ? query_bytes_max : limits::request_body_bytes_max));
  if (auto name = missing_header(r); !name.empty())
    return refuse("MissingParameter",
                  fmt::format("The request is missing a required parameter `{}`.", name));
  auto version = r.header("X-TC-Version");
  if (version != mps_version && version != cluster_version)
    return refuse("NoSuchVersion", fmt::format("The API has no version `{}`; it has {} and {}.",
                                               version, mps_version, cluster_version));
  auto secret_id = authenticate(r, options.credentials, time.now());
  if (!secret_id)
    return tl::unexpected<api_error>{secret_id.error()};
  who = std::move(*secret_id);
  const auto& table = version == mps_version ? mps : cluster;
  auto found = table.find(r.header("X-TC-Action"));
  if (found == table.end())
    return refuse("InvalidAction", fmt::format("The API has no action `{}` in version {}.",
                                               r.header("X-TC-Action"), version));
  return &found->second;
}

void api_server::state::call(const http_request& request,
                             std::shared_ptr<http_call> exchange) const {
  responder respond{std::move(exchange), std::string{request.header("X-TC-TraceId")}};
  std::string who;
  auto found = admit(request, who);
  if (!found)
    return respond(tl::unexpected<api_error>{found.error()});
  if ((*found)->what == effect::changes)
    respond.audit = fmt::format("{} by {}", request.header("X-TC-Action"), who);
  auto parameters = parameters_of(request);
  if (!parameters)
    return respond(refuse(parameters.error()));
  if (!respond.audit.empty() && request.header("X-TC-Version") == cluster_version)
    respond.audit += " " + brief(*parameters); // MPS's may hold keys
  respond.limit((*found)->answer_timeout.value_or(options.http.answer_timeout),
                request.header("X-TC-Action"));
  (*found)->run(context, *parameters, respond);
}

void api_server::state::metrics(const std::shared_ptr<http_exchange>& exchange) const {
  auto followers = static_cast<double>(subscribers.load());
  system.metrics([exchange, followers](result<std::vector<metric>> r) {
    if (!r)
      return exchange->respond(plain(503, r.error().message + "\n"));
    r->push_back(
        {"framemill_api_event_followers", "Clients that follow /events", false, {}, followers});
    exchange->respond({200, "text/plain; version=0.0.4; charset=utf-8", {}, metrics_text(*r)});
  });
}

void api_server::state::events(const http_request& request,
                               const std::shared_ptr<http_exchange>& exchange) {
  auto refused = [&](unsigned status, api_result why) {
    auto response = envelope(std::move(why), make_request_id());
    response.status = status; // no SDK calls this one: its clients go by the status
    exchange->respond(std::move(response));
  };
  auto secret_id = authenticate(request, options.credentials, time.now());
  if (!secret_id)
    return refused(401, tl::unexpected<api_error>{secret_id.error()});
  auto wanted = stream_options(request);
  if (!wanted)
    return refused(400, refuse(wanted.error()));
  std::shared_ptr<void> guard{nullptr,
                              [self = shared_from_this()](void*) { --self->subscribers; }};
  if (++subscribers > limits::event_subscribers_max)
    return refused(503, refuse("RequestLimitExceeded",
                               fmt::format("{} clients follow already; try again later.",
                                           limits::event_subscribers_max)));
  stream_events(system, *wanted, exchange, std::move(guard));
}

api_server::api_server(std::shared_ptr<state> s) : state_(std::move(s)) {}
api_server::~api_server() { stop(); }

result<std::unique_ptr<api_server>> api_server::start(api_options options, gateway& system,
                                                      const clock& time) {
  auto http = options.http;
  http.listen = options.listen;
  std::unique_ptr<api_server> server{
      new api_server{std::make_shared<state>(std::move(options), system, time)}};
  FM_TRY(server->http_,
         http_server::start(
             http, [s = server->state_](http_request r, std::shared_ptr<http_call> e) {
               s->route(std::move(r), std::move(e));
             }));
  return server;
}

std::uint16_t api_server::port() const { return http_->port(); }

void api_server::stop() {
  if (http_)
    http_->stop();
}

} // namespace framemill
