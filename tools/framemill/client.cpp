#include "tools/framemill/client.hpp"

#include "api/tc3.hpp"
#include "tools/framemill/exit_code.hpp"
#include "tools/framemill/interrupt.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/text.hpp"

#include <curl/curl.h>

#include <ctime>
#include <memory>

namespace framemill::cli {

namespace {

constexpr long connect_seconds_max = 5;
constexpr long keep_alive_seconds = 15; ///< a stream may be silent for hours, not dead
constexpr std::size_t answer_bytes_max = 256 << 20;

using easy_handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using header_handle = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;
using sink = std::function<bool(std::string_view bytes)>;

std::size_t on_bytes(char* data, std::size_t size, std::size_t count, void* to) {
  return (*static_cast<const sink*>(to))({data, size * count}) ? size * count : 0;
}

int on_tick(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return is_interrupted() ? 1 : 0;
}

header_handle header_list_of(const tc3::header_list& headers) {
  header_handle list{nullptr, curl_slist_free_all};
  for (const auto& [name, value] : headers) {
    auto* longer = curl_slist_append(list.get(), (name + ": " + value).c_str());
    if (!longer)
      break;
    (void)list.release();
    list.reset(longer);
  }
  return list;
}

failure transport_failure(CURLcode code, const std::string& endpoint, const char* detail) {
  if (is_interrupted())
    return fail(errc::cancelled, "interrupted");
  std::string why = *detail ? detail : curl_easy_strerror(code);
  if (code == CURLE_OPERATION_TIMEDOUT)
    return fail(errc::timed_out, "the server at {} does not answer: {}", endpoint, why);
  if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
    return fail(errc::unavailable,
                "no server at {}: {}; is framemilld running? --server or --data-dir say where",
                endpoint, why);
  return fail(errc::unavailable, "the connection to {} broke: {}", endpoint, why);
}

/// Sends the signed request and hands every byte of the answer to `take`. A call
/// (POST) ends after `limit`, a stream never.
result<long> exchange(const tc3::client_request& r, const connection& to,
                      std::chrono::seconds limit, const sink& take) {
  easy_handle easy{curl_easy_init(), curl_easy_cleanup};
  if (!easy)
    return fail(errc::internal, "libcurl does not start");
  auto headers = header_list_of(tc3::sign(r, {to.secret_id, to.secret_key}));
  auto url = "http://" + to.endpoint + r.path + (r.query.empty() ? "" : "?" + r.query);
  char detail[CURL_ERROR_SIZE] = "";
  auto* h = easy.get();
  bool is_stream = r.method == "GET";
  curl_easy_setopt(h, CURLOPT_URL, url.c_str());
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(h, CURLOPT_PROXY, ""); // a gateway is reached directly
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(h, CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, connect_seconds_max);
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, &take);
  curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_tick);
  if (is_stream) {
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPIDLE, keep_alive_seconds);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPINTVL, keep_alive_seconds);
  } else {
    curl_easy_setopt(h, CURLOPT_TIMEOUT, static_cast<long>(limit.count()));
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(r.body.size()));
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, r.body.c_str());
  }
  auto code = curl_easy_perform(h);
  long status = 0;
  curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK)
    return transport_failure(code, to.endpoint, detail);
  return status;
}

failure api_failure(const json& e) {
  auto code = text_at(e, "Code");
  return fail(errc_of_api_code(code), "{} ({})", text_at(e, "Message"), code);
}

/// The members of `Response`, or the failure that it holds.
result<json> open_envelope(const std::string& text, long status, const std::string& endpoint) {
  auto body = parse_json(text);
  if (!body || !at(*body, "Response").is_object())
    return fail(errc::internal,
                "{} answered HTTP {} with what is not a Framemill answer: {}; is it a gateway?",
                endpoint, status, shorten(printable(text), 200));
  if (const auto& e = at(*body, "Response.Error"); e.is_object())
    return api_failure(e);
  auto response = std::move((*body)["Response"]);
  return response;
}

tc3::client_request request_to(const connection& to) {
  tc3::client_request r;
  r.host = to.endpoint;
  r.timestamp = std::time(nullptr);
  return r;
}

} // namespace

result<json> client::call(std::string_view version, std::string_view action, const json& body,
                          std::chrono::seconds limit) const {
  auto r = request_to(to_);
  r.action = action;
  r.version = version;
  r.body = dump(body, -1);
  std::string answer;
  FM_TRY(auto status, exchange(r, to_, limit, [&](std::string_view bytes) {
           answer += bytes;
           return answer.size() <= answer_bytes_max;
         }));
  return open_envelope(answer, status, to_.endpoint);
}

result<json> client::mps(std::string_view action, const json& body) const {
  return call("2019-06-12", action, body, call_time_max);
}

result<json> client::own(std::string_view action, const json& body,
                         std::chrono::seconds limit) const {
  return call("2026-11-01", action, body, limit);
}

result<void> client::follow(const std::string& query, const event_fn& on_event) const {
  auto r = request_to(to_);
  r.method = "GET";
  r.path = "/events";
  r.query = query;
  r.content_type = "application/x-www-form-urlencoded";
  bool stopped = false;
  std::string head; // a refusal is a JSON envelope, not a stream
  sse_parser parser{[&](const sse_message& m) {
    if (!stopped)
      stopped = on_event(m) == next::stop;
  }};
  auto status = exchange(r, to_, {}, [&](std::string_view bytes) {
    if (head.size() < 65536)
      head += bytes;
    return parser.feed(bytes) && !stopped;
  });
  if (stopped)
    return {};
  if (!status)
    return failure{status.error()};
  if (head.starts_with('{') || *status != 200)
    FM_CHECK(open_envelope(head, *status, to_.endpoint));
  return fail(errc::unavailable, "{} ended the event stream", to_.endpoint);
}

} // namespace framemill::cli
