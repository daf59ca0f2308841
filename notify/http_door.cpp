#include "notify/http_door.hpp"

#include "core/url.hpp"

#include <curl/curl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace framemill {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t excerpt_bytes_max = 200; ///< of an answer, in what is told of it

std::optional<ip_address> address_of(const sockaddr* a) {
  auto bytes = [](const auto& field) {
    return std::span{reinterpret_cast<const std::uint8_t*>(&field), sizeof field};
  };
  if (a != nullptr && a->sa_family == AF_INET)
    return ip_address::of_bytes(bytes(reinterpret_cast<const sockaddr_in*>(a)->sin_addr));
  if (a != nullptr && a->sa_family == AF_INET6)
    return ip_address::of_bytes(bytes(reinterpret_cast<const sockaddr_in6*>(a)->sin6_addr));
  return std::nullopt;
}

std::vector<ip_address> own_addresses() {
  std::vector<ip_address> out;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0)
    return out;
  for (auto* i = all; i != nullptr; i = i->ifa_next)
    if (auto a = address_of(i->ifa_addr))
      out.push_back(*a);
  ::freeifaddrs(all);
  return out;
}

struct header_list {
  header_list() = default;
  header_list(const header_list&) = delete;
  header_list& operator=(const header_list&) = delete;
  ~header_list() { curl_slist_free_all(list); }
  void add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }
  curl_slist* list = nullptr;
};

/// One request, from its start until it is answered.
struct transfer {
  std::string url;
  http_door::content_fn make;
  http_door::done_fn done;
  std::size_t answer_bytes_max = 0;
  std::function<std::string(const sockaddr&)> refusal; ///< why not to there; "" = it may
  http_content content;
  header_list headers;
  char problem[CURL_ERROR_SIZE] = {};
  std::string refused;        ///< why the last address may not be connected to
  bool tried_address = false; ///< one that may
  std::size_t header_bytes = 0;
  bool has_header = false; ///< all of it
  std::string body;

  [[nodiscard]] http_answer answer(CURLcode result, CURL* easy) const;
};

std::size_t on_header(char* data, std::size_t, std::size_t count, void* to) {
  auto& t = *static_cast<transfer*>(to);
  const std::string_view line{data, count};
  const bool is_end = line == "\r\n" || line == "\n";
  t.has_header = is_end || (t.has_header && !line.starts_with("HTTP/")); // trailers come here too
  t.header_bytes += count;
  return t.header_bytes > t.answer_bytes_max ? 0 : count;
}

std::size_t on_body(char* data, std::size_t, std::size_t count, void* to) {
  auto& t = *static_cast<transfer*>(to);
  t.body.append(data, std::min(count, t.answer_bytes_max - t.body.size()));
  return t.body.size() < t.answer_bytes_max ? count : 0;
}

http_answer transfer::answer(CURLcode result, CURL* easy) const {
  http_answer out;
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (has_header && status >= 200) { // whatever became of the rest of the answer
    out.status = status;
    out.body = body;
    curl_off_t seconds = 0;
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
    if (seconds > 0)
      out.retry_after = std::chrono::seconds{seconds};
    return out;
  }
  const bool is_forbidden = !refused.empty() && !tried_address;
  out.problem = is_forbidden ? refused
                             : printable(problem[0] != 0 ? problem : curl_easy_strerror(result));
  out.is_hopeless = is_forbidden || result == CURLE_URL_MALFORMAT;
  return out;
}

} // namespace

class http_door::impl {
public:
  explicit impl(http_door_options o) : options_(std::move(o)) {
    static const auto once = curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)once;
    multi_ = curl_multi_init();
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 128L);
    thread_ = std::thread{[this] { run(); }};
  }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  ~impl() {
    stopping_ = true;
    curl_multi_wakeup(multi_);
    thread_.join();
    curl_multi_cleanup(multi_);
  }

  void post(std::string url, content_fn content, done_fn done) {
    auto t = std::make_unique<transfer>();
    t->url = std::move(url);
    t->make = std::move(content);
    t->done = std::move(done);
    t->answer_bytes_max = options_.answer_bytes_max;
    t->refusal = [this](const sockaddr& to) {
      auto address = address_of(&to);
      return address ? options_.egress.refusal(*address, own()) : "not an IP address";
    };
    {
      std::lock_guard lock{mutex_};
      waiting_.push_back(std::move(t));
    }
    curl_multi_wakeup(multi_);
  }

private:
  void run() {
    while (!stopping_) {
      int running = 0;
      curl_multi_perform(multi_, &running);
      end_finished();
      start_waiting();
      curl_multi_poll(multi_, nullptr, 0, 1000, nullptr);
    }
    for (auto& [easy, t] : active_) {
      curl_multi_remove_handle(multi_, easy);
      curl_easy_cleanup(easy);
      give_back(*t);
    }
    active_.clear();
    std::lock_guard lock{mutex_};
    for (auto& t : waiting_)
      give_back(*t);
    waiting_.clear();
  }

  static void give_back(const transfer& t) {
    t.done(unsent("this node was stopping"));
  }

  static http_answer unsent(std::string why) {
    http_answer out;
    out.problem = std::move(why);
    return out;
  }

  std::unique_ptr<transfer> take_waiting() {
    std::lock_guard lock{mutex_};
    if (waiting_.empty() || active_.size() >= options_.transfers_max)
      return nullptr;
    auto t = std::move(waiting_.front());
    waiting_.pop_front();
    return t;
  }

  void start_waiting() {
    while (auto t = take_waiting()) {
      if (auto url = parse_http_url(t->url); !url) {
        auto malformed = unsent(url.error().message);
        malformed.is_hopeless = true;
        t->done(malformed);
        continue;
      }
      auto content = t->make();
      if (!content) {
        t->done(unsent("it waited too long for its turn"));
        continue;
      }
      t->content = std::move(*content);
      auto* easy = prepare(*t);
      curl_multi_add_handle(multi_, easy);
      active_.emplace(easy, std::move(t));
    }
  }

  CURL* prepare(transfer& t) {
    t.headers.add("Expect:"); // no waiting for a 100
    for (const auto& line : t.content.headers)
      t.headers.add(line);
    auto* easy = curl_easy_init();
    auto set = [&](CURLoption option, auto value) { curl_easy_setopt(easy, option, value); };
    set(CURLOPT_URL, t.url.c_str());
    set(CURLOPT_HTTPHEADER, t.headers.list);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(t.content.body.size()));
    set(CURLOPT_POSTFIELDS, t.content.body.c_str());
    set(CURLOPT_USERAGENT, "framemill");
    set(CURLOPT_ERRORBUFFER, &t.problem[0]);
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_HEADERDATA, &t);
    set(CURLOPT_WRITEFUNCTION, on_body);
    set(CURLOPT_WRITEDATA, &t);
    restrain(easy, t);
    if (t.content.signer)
      sign(easy, *t.content.signer);
    return easy;
  }

  static void sign(CURL* easy, const aws_signer& by) {
    const auto scope = fmt::format("aws:amz:{}:{}", by.region, by.service);
    curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, scope.c_str());
    curl_easy_setopt(easy, CURLOPT_USERNAME, by.key_id.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, by.secret_key.c_str());
  }

  void restrain(CURL* easy, transfer& t) const {
    auto set = [&](CURLoption option, auto value) { curl_easy_setopt(easy, option, value); };
    set(CURLOPT_OPENSOCKETFUNCTION, &impl::open_socket);
    set(CURLOPT_OPENSOCKETDATA, &t);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PROXY, ""); // nor one that the environment names
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!options_.ca_file.empty())
      set(CURLOPT_CAINFO, options_.ca_file.c_str());
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_limit.count()));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(options_.whole_limit.count()));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L); // a name server that hangs holds nobody else up
  }

  static curl_socket_t open_socket(void* data, curlsocktype, curl_sockaddr* to) {
    auto& t = *static_cast<transfer*>(data);
    t.refused = t.refusal(to->addr);
    if (!t.refused.empty())
      return CURL_SOCKET_BAD;
    t.tried_address = true;
    return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  }

  /// They may change while we run.
  const std::vector<ip_address>& own() {
    auto now = std::chrono::steady_clock::now();
    if (own_.empty() || now - own_read_ > 10s) {
      own_ = own_addresses();
      own_read_ = now;
    }
    return own_;
  }

  void end_finished() {
    int left = 0;
    while (auto* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE)
        continue;
      auto* easy = message->easy_handle;
      auto t = std::move(active_.extract(easy).mapped());
      auto answer = t->answer(message->data.result, easy);
      curl_multi_remove_handle(multi_, easy);
      curl_easy_cleanup(easy);
      t->done(answer);
    }
  }

  const http_door_options options_;
  CURLM* multi_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::deque<std::unique_ptr<transfer>> waiting_;
  std::unordered_map<CURL*, std::unique_ptr<transfer>> active_; ///< the thread's own
  std::vector<ip_address> own_;                                 ///< the thread's own
  std::chrono::steady_clock::time_point own_read_;
  std::thread thread_;
};

http_door::http_door(http_door_options options)
    : impl_(std::make_unique<impl>(std::move(options))) {}

http_door::~http_door() = default;

void http_door::post(std::string url, content_fn content, done_fn done) {
  impl_->post(std::move(url), std::move(content), std::move(done));
}

std::string printable(std::string_view text) {
  std::string out{text.substr(0, excerpt_bytes_max)};
  for (auto& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e)
      c = ' ';
  return out;
}

} // namespace framemill
