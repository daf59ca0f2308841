#include "api/http_server.hpp"

#include <utility> // before Asio 1.74, whose coroutines use std::exchange without it

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace framemill {

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = net::ip::tcp;
using error_code = boost::system::error_code;
using net::awaitable;

auto into(error_code& ec) { return net::redirect_error(net::use_awaitable, ec); }

std::string_view view(beast::string_view s) { return {s.data(), s.size()}; }

class connection;

/// The live connections, so that `stop` can reach them. Thread-safe.
class registry {
public:
  void add(const std::shared_ptr<connection>& c) {
    std::lock_guard lock{mutex_};
    live_.emplace(c.get(), c);
  }
  void remove(connection* c) {
    std::lock_guard lock{mutex_};
    live_.erase(c);
    changed_.notify_all();
  }
  [[nodiscard]] std::size_t size() const {
    std::lock_guard lock{mutex_};
    return live_.size();
  }
  [[nodiscard]] std::vector<std::shared_ptr<connection>> all() const {
    std::lock_guard lock{mutex_};
    std::vector<std::shared_ptr<connection>> out;
    for (const auto& [key, weak] : live_)
      if (auto c = weak.lock())
        out.push_back(std::move(c));
    return out;
  }
  bool wait_empty(std::chrono::milliseconds grace) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, grace, [&] { return live_.empty(); });
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<connection*, std::weak_ptr<connection>> live_;
};

/// The queue between whoever writes to a stream and its connection.
class stream_queue final : public http_stream {
public:
  stream_queue(std::weak_ptr<connection> owner, std::size_t items_max, std::size_t bytes_max)
      : owner_(std::move(owner)), items_max_(items_max), bytes_max_(bytes_max) {}

  bool write(std::string bytes) override;
  void hold(std::shared_ptr<void> source) override;
  void when_drained(std::function<void()> more) override;
  /// The callback of `when_drained`, once; empty when there is none.
  [[nodiscard]] std::function<void()> take_more();
  /// Everything queued, up to `bytes_max`; "" when there is nothing.
  [[nodiscard]] std::string take(std::size_t bytes_max);
  [[nodiscard]] bool is_closed() const;
  void close();

private:
  std::weak_ptr<connection> owner_;
  const std::size_t items_max_;
  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::deque<std::string> items_;
  std::size_t bytes_ = 0;
  bool closed_ = false;
  std::shared_ptr<void> source_;
  std::function<void()> more_;
};

/// One client. Lives on its own strand; its coroutine `run` keeps it alive.
/// Others reach it through `post_…` only.
class connection : public std::enable_shared_from_this<connection> {
public:
  connection(std::shared_ptr<net::io_context> context, tcp::socket socket,
             const http_server_options& options, http_server::handler on_request,
             std::shared_ptr<registry> all)
      : context_(std::move(context)), strand_(socket.get_executor()),
        stream_(std::move(socket)), wake_(strand_), options_(options),
        on_request_(std::move(on_request)), all_(std::move(all)) {}

  void start();
  /// From any thread. `sequence` is that of the request it answers.
  void post_response(std::uint64_t sequence, http_response response);
  std::shared_ptr<http_stream> post_stream(std::uint64_t sequence, http_response head);
  void post_limit(std::uint64_t sequence, std::chrono::milliseconds limit,
                  http_call::late_fn late);
  void post_wake();
  void post_stop();
  void post_abort();

private:
  enum class after : std::uint8_t { keep, close };

  awaitable<void> run();
  awaitable<bool> wait_for_request();
  awaitable<std::optional<http_request>> read_request();
  awaitable<void> continue_if_expected(const http::request<http::string_body>& head);
  [[nodiscard]] http_response take_response(); ///< or that it is too late
  awaitable<after> answer(http_request request);
  awaitable<after> write(http_response response, bool is_head);
  awaitable<void> refuse(http::status status, std::string text);
  awaitable<void> feed(http_response head);
  awaitable<void> watch_for_close();
  awaitable<void> drain();
  void close();

  template <class F>
  void post(F&& f) {
    net::post(strand_, [weak = weak_from_this(), f = std::forward<F>(f)]() mutable {
      if (auto self = weak.lock())
        f(*self);
    });
  }

  std::shared_ptr<net::io_context> context_; ///< first: outlives the sockets and timers
  net::any_io_executor strand_;
  beast::tcp_stream stream_;
  net::steady_timer wake_;
  beast::flat_buffer buffer_;
  const http_server_options& options_; ///< the server's; it joins us before it goes
  http_server::handler on_request_;
  std::shared_ptr<registry> all_;
  std::uint64_t sequence_ = 0;
  std::optional<http_response> response_;
  http_call::late_fn late_; ///< when there is no response in time
  std::shared_ptr<stream_queue> feed_;
  bool keep_alive_ = true;
  bool busy_ = false;
  bool stopping_ = false;
};

/// The exchange a handler holds: an address, not an owner.
class exchange final : public http_call {
public:
  exchange(std::weak_ptr<connection> owner, std::uint64_t sequence)
      : owner_(std::move(owner)), sequence_(sequence) {}
  ~exchange() override {
    respond({500, "text/plain", {}, "the request was dropped without an answer\n"});
  }

  void respond(http_response response) override {
    if (answered_.test_and_set())
      return;
    if (auto c = owner_.lock())
      c->post_response(sequence_, std::move(response));
  }

  std::shared_ptr<http_stream> stream(http_response head) override {
    if (!answered_.test_and_set())
      if (auto c = owner_.lock())
        return c->post_stream(sequence_, std::move(head));
    auto gone = std::make_shared<stream_queue>(owner_, 0, 0);
    gone->close();
    return gone;
  }

  void answer_within(std::chrono::milliseconds limit, late_fn late) override {
    if (auto c = owner_.lock())
      c->post_limit(sequence_, limit, std::move(late));
  }

private:
  std::weak_ptr<connection> owner_;
  const std::uint64_t sequence_;
  std::atomic_flag answered_;
};

// ---- stream_queue ---------------------------------------------------------------

bool stream_queue::write(std::string bytes) {
  {
    std::lock_guard lock{mutex_};
    if (closed_)
      return false;
    bytes_ += bytes.size();
    items_.push_back(std::move(bytes));
    if (items_.size() > items_max_ || bytes_ > bytes_max_)
      closed_ = true; // too slow: cut off, the client resumes by its last id
  }
  auto c = owner_.lock();
  if (c)
    c->post_wake();
  return c && !is_closed();
}

void stream_queue::hold(std::shared_ptr<void> source) {
  std::lock_guard lock{mutex_};
  if (!closed_)
    source_.swap(source);
} // a refused source is dropped by the caller's copy, outside of the lock

void stream_queue::when_drained(std::function<void()> more) {
  {
    std::lock_guard lock{mutex_};
    if (closed_)
      return;
    more_ = std::move(more);
  }
  if (auto c = owner_.lock())
    c->post_wake();
}

std::function<void()> stream_queue::take_more() {
  std::lock_guard lock{mutex_};
  return std::exchange(more_, nullptr);
}

std::string stream_queue::take(std::size_t bytes_max) {
  std::lock_guard lock{mutex_};
  std::string out;
  while (!items_.empty() && out.size() < bytes_max) {
    bytes_ -= items_.front().size();
    out += items_.front();
    items_.pop_front();
  }
  return out;
}

bool stream_queue::is_closed() const {
  std::lock_guard lock{mutex_};
  return closed_;
}

void stream_queue::close() {
  std::shared_ptr<void> source; // both dropped outside of the lock: they may call back
  std::function<void()> more;
  std::lock_guard lock{mutex_};
  closed_ = true;
  more.swap(more_);
  items_.clear();
  bytes_ = 0;
  source.swap(source_);
}

// ---- connection: what others may do ------------------------------------------------

void connection::start() {
  all_->add(shared_from_this());
  net::co_spawn(
      strand_, [self = shared_from_this()]() -> awaitable<void> { co_await self->run(); },
      [self = shared_from_this()](std::exception_ptr thrown) {
        if (thrown)
          spdlog::error("api: a connection ended by an exception");
        self->close();
        self->all_->remove(self.get());
      });
}

void connection::post_response(std::uint64_t sequence, http_response response) {
  post([sequence, response = std::move(response)](connection& c) mutable {
    if (sequence != c.sequence_ || c.response_)
      return;
    c.response_ = std::move(response);
    c.wake_.cancel();
  });
}

std::shared_ptr<http_stream> connection::post_stream(std::uint64_t sequence,
                                                     http_response head) {
  auto queue = std::make_shared<stream_queue>(weak_from_this(), options_.backlog_items_max,
                                              options_.backlog_bytes_max);
  post([sequence, queue, head = std::move(head)](connection& c) mutable {
    if (sequence != c.sequence_ || c.response_ || c.stopping_)
      return queue->close();
    c.feed_ = queue;
    c.response_ = std::move(head);
    c.wake_.cancel();
  });
  return queue;
}

void connection::post_limit(std::uint64_t sequence, std::chrono::milliseconds limit,
                            http_call::late_fn late) {
  post([sequence, limit, late = std::move(late)](connection& c) mutable {
    if (sequence != c.sequence_ || c.response_)
      return;
    c.late_ = std::move(late);
    c.wake_.expires_after(limit); // who waits on it looks at the new time
  });
}

void connection::post_wake() {
  post([](connection& c) { c.wake_.cancel(); });
}

void connection::post_stop() {
  post([](connection& c) {
    c.stopping_ = true;
    if (c.feed_)
      c.feed_->close();
    if (c.feed_ || !c.busy_)
      c.close();
    c.wake_.cancel();
  });
}

void connection::post_abort() {
  post([](connection& c) {
    c.stopping_ = true;
    c.response_ = http_response{503, "text/plain", {}, "shutting down\n"};
    c.close();
    c.wake_.cancel();
  });
}

// ---- connection: its own coroutine ---------------------------------------------------

awaitable<void> connection::run() {
  while (!stopping_) {
    busy_ = false;
    if (!co_await wait_for_request())
      break;
    busy_ = true;
    auto request = co_await read_request();
    if (!request)
      break;
    bool was_read = !request->too_large;
    if (co_await answer(std::move(*request)) == after::close) {
      if (!was_read)
        co_await drain();
      break;
    }
  }
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

awaitable<bool> connection::wait_for_request() {
  if (buffer_.size() > 0)
    co_return true; // pipelined
  error_code ec;
  stream_.expires_after(options_.idle_timeout);
  auto n = co_await stream_.async_read_some(buffer_.prepare(8192), into(ec));
  buffer_.commit(n);
  co_return !ec;
}

bool is_malformed(const error_code& ec) {
  return ec.category() == http::make_error_code(http::error::bad_method).category();
}

http_request request_of(http::request<http::string_body>&& m) {
  http_request out;
  out.method = view(m.method_string());
  auto target = view(m.target());
  auto mark = target.find('?');
  out.path = target.substr(0, mark);
  out.query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  for (const auto& f : m)
    out.headers.emplace_back(view(f.name_string()), view(f.value()));
  out.body = std::move(m.body());
  return out;
}

awaitable<std::optional<http_request>> connection::read_request() {
  http::request_parser<http::string_body> parser;
  parser.header_limit(options_.header_bytes_max);
  parser.body_limit(options_.body_bytes_max);
  error_code ec;
  stream_.expires_after(options_.header_timeout);
  co_await http::async_read_header(stream_, buffer_, parser, into(ec));
  if (!ec) {
    co_await continue_if_expected(parser.get());
    stream_.expires_after(options_.body_timeout);
    co_await http::async_read(stream_, buffer_, parser, into(ec));
  }
  keep_alive_ = !ec && parser.get().keep_alive();
  bool too_large = ec == http::error::body_limit;
  if (ec && !too_large) { // at a timeout the stream has closed itself
    if (ec == http::error::header_limit)
      co_await refuse(http::status::request_header_fields_too_large, "the header is too large");
    else if (is_malformed(ec) && ec != http::error::end_of_stream &&
             ec != http::error::partial_message)
      co_await refuse(http::status::bad_request, "not an HTTP request: " + ec.message());
    co_return std::nullopt;
  }
  auto request = request_of(parser.release());
  request.too_large = too_large;
  if (too_large)
    request.body.clear();
  co_return request;
}

awaitable<void> connection::continue_if_expected(const http::request<http::string_body>& head) {
  if (!equal_names(view(head[http::field::expect]), "100-continue"))
    co_return;
  static constexpr std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
  error_code ec; // a client that is gone shows at the next read
  stream_.expires_after(options_.write_timeout);
  co_await net::async_write(stream_, net::buffer(text), into(ec));
}

http_response too_late() { return {503, "text/plain", {}, "no answer in time\n"}; }

/// No coroutine: GCC 12 destroys in those what only one branch of a condition makes.
http_response connection::take_response() {
  if (!response_)
    return late_();
  auto out = std::move(*response_);
  response_.reset();
  return out;
}

awaitable<connection::after> connection::answer(http_request request) {
  bool is_head = request.method == "HEAD";
  response_.reset();
  late_ = too_late;
  ++sequence_;
  wake_.expires_after(options_.answer_timeout);
  on_request_(std::move(request), std::make_shared<exchange>(weak_from_this(), sequence_));
  while (!response_ && wake_.expiry() > net::steady_timer::clock_type::now()) {
    error_code cancelled; // by post_response, post_limit
    co_await wake_.async_wait(into(cancelled));
  }
  auto response = take_response();
  ++sequence_; // what comes later is for nobody
  if (feed_) {
    co_await feed(std::move(response));
    co_return after::close;
  }
  co_return co_await write(std::move(response), is_head);
}

awaitable<connection::after> connection::write(http_response response, bool is_head) {
  bool keep = keep_alive_ && !stopping_;
  http::response<http::string_body> message{static_cast<http::status>(response.status), 11};
  message.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers)
    message.set(name, value);
  message.keep_alive(keep);
  message.body() = std::move(response.body);
  message.prepare_payload();
  if (is_head)
    message.body().clear(); // Content-Length stays that of the GET
  error_code ec;
  stream_.expires_after(options_.write_timeout);
  co_await http::async_write(stream_, message, into(ec));
  co_return ec || !keep ? after::close : after::keep;
}

awaitable<void> connection::refuse(http::status status, std::string text) {
  keep_alive_ = false;
  http_response response{static_cast<unsigned>(status), "text/plain", {}, text + "\n"};
  co_await write(std::move(response), false);
}

awaitable<void> connection::feed(http_response head) {
  auto queue = feed_;
  net::co_spawn(
      strand_,
      [self = shared_from_this()]() -> awaitable<void> { co_await self->watch_for_close(); },
      [](std::exception_ptr) {});
  auto out = fmt::format("HTTP/1.1 {} OK\r\nContent-Type: {}\r\nConnection: close\r\n",
                         head.status, head.content_type);
  for (const auto& [name, value] : head.headers)
    out += fmt::format("{}: {}\r\n", name, value);
  out += "\r\n";
  while (!queue->is_closed()) {
    error_code ec;
    stream_.expires_after(options_.write_timeout);
    co_await net::async_write(stream_, net::buffer(out), into(ec));
    if (ec)
      break;
    out = queue->take(256 * 1024);
    if (!out.empty() || queue->is_closed())
      continue;
    if (auto more = queue->take_more()) {
      more();
      continue;
    }
    wake_.expires_after(options_.heartbeat);
    co_await wake_.async_wait(into(ec));
    out = queue->take(256 * 1024);
    if (out.empty() && !ec)
      out = ": still here\n\n";
  }
  queue->close();
  close();
}

/// A client that follows says nothing more: reading ends when it is gone.
awaitable<void> connection::watch_for_close() {
  std::array<char, 256> scrap;
  error_code ec;
  for (int i = 0; i < 64 && !ec; ++i)
    co_await stream_.socket().async_read_some(net::buffer(scrap), into(ec));
  feed_->close();
  wake_.cancel();
}

/// Reads on for a while, so that a client that is still sending gets to see
/// the answer instead of a reset.
awaitable<void> connection::drain() {
  error_code ec;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ec);
  stream_.expires_after(std::chrono::seconds{5});
  std::vector<char> scrap(64 * 1024);
  for (std::size_t read = 0; !ec && read < 8 * options_.body_bytes_max;)
    read += co_await stream_.async_read_some(net::buffer(scrap), into(ec));
}

void connection::close() {
  error_code ignored;
  stream_.socket().close(ignored);
  if (feed_)
    feed_->close();
}

// ---- server ----------------------------------------------------------------------------

result<tcp::endpoint> endpoint_of(std::string_view listen) {
  auto bad = [&] {
    return fail_field(errc::invalid_argument, "listen",
                      "`{}` is not an address to listen on: write ADDRESS:PORT, as in "
                      "127.0.0.1:8700",
                      listen);
  };
  auto colon = listen.rfind(':');
  if (colon == std::string_view::npos)
    return bad();
  auto host = listen.substr(0, colon);
  auto digits = listen.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host == "localhost")
    host = "127.0.0.1";
  std::uint16_t port = 0;
  auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  error_code ec;
  auto address = net::ip::make_address(std::string{host}, ec);
  if (ec || digits.empty() || status != std::errc{} || end != digits.data() + digits.size())
    return bad();
  return tcp::endpoint{address, port};
}

class beast_server final : public http_server {
public:
  beast_server(http_server_options options, handler on_request)
      : options_(std::move(options)), on_request_(std::move(on_request)) {}
  ~beast_server() override { stop(); }

  result<void> listen();
  [[nodiscard]] std::uint16_t port() const override { return port_; }
  void stop() override;

private:
  awaitable<void> accept();
  void run_thread();

  const http_server_options options_;
  const handler on_request_;
  std::shared_ptr<net::io_context> context_ =
      std::make_shared<net::io_context>(static_cast<int>(options_.threads));
  net::executor_work_guard<net::io_context::executor_type> work_{context_->get_executor()};
  tcp::acceptor acceptor_{net::make_strand(*context_)};
  net::steady_timer pause_{acceptor_.get_executor()};
  std::shared_ptr<registry> all_ = std::make_shared<registry>();
  std::vector<std::thread> threads_;
  std::uint16_t port_ = 0;
};

result<void> beast_server::listen() {
  FM_TRY(auto endpoint, endpoint_of(options_.listen));
  error_code ec;
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec)
    acceptor_.set_option(net::socket_base::reuse_address(true), ec);
  if (!ec)
    acceptor_.bind(endpoint, ec);
  if (!ec)
    acceptor_.listen(net::socket_base::max_listen_connections, ec);
  if (ec == net::error::address_in_use)
    return fail_field(errc::in_use, "listen",
                      "cannot listen on {}: another program has this port; stop it or choose "
                      "another address",
                      options_.listen);
  if (ec)
    return fail_field(errc_of_errno(ec.value()), "listen", "cannot listen on {}: {}",
                      options_.listen, ec.message());
  port_ = acceptor_.local_endpoint().port();
  net::co_spawn(
      acceptor_.get_executor(), [this]() -> awaitable<void> { co_await accept(); },
      [](std::exception_ptr thrown) {
        if (thrown)
          spdlog::critical("api: accepting ended by an exception");
      });
  for (unsigned i = 0; i < options_.threads; ++i)
    threads_.emplace_back([this] { run_thread(); });
  return {};
}

awaitable<void> beast_server::accept() {
  while (acceptor_.is_open()) {
    tcp::socket socket{net::make_strand(*context_)};
    error_code ec;
    co_await acceptor_.async_accept(socket, into(ec));
    if (!ec && all_->size() < options_.connections_max) {
      socket.set_option(tcp::no_delay{true}, ec);
      std::make_shared<connection>(context_, std::move(socket), options_, on_request_, all_)
          ->start();
    } else if (ec && acceptor_.is_open()) { // out of descriptors: let some go first
      spdlog::warn("api: cannot accept a connection: {}", ec.message());
      pause_.expires_after(std::chrono::milliseconds{100});
      co_await pause_.async_wait(into(ec));
    }
  }
}

void beast_server::run_thread() {
  for (;;) {
    try {
      context_->run();
      return;
    } catch (const std::exception& e) {
      spdlog::error("api: a handler threw: {}", e.what());
    }
  }
}

void beast_server::stop() {
  if (threads_.empty())
    return;
  // On the acceptor's strand, so that no connection slips in behind the list.
  std::promise<void> told;
  net::post(acceptor_.get_executor(), [&] {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    for (const auto& c : all_->all())
      c->post_stop();
    told.set_value();
  });
  told.get_future().wait();
  if (!all_->wait_empty(options_.stop_grace))
    for (const auto& c : all_->all())
      c->post_abort();
  work_.reset();
  for (auto& t : threads_)
    t.join();
  threads_.clear();
}

} // namespace

result<std::unique_ptr<http_server>> http_server::start(http_server_options options,
                                                        handler on_request) {
  auto server = std::make_unique<beast_server>(std::move(options), std::move(on_request));
  FM_CHECK(server->listen());
  return std::unique_ptr<http_server>{std::move(server)};
}

} // namespace framemill
