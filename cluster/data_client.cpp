#include "cluster/data_files.hpp"
#include "cluster/data_hash.hpp"
#include "cluster/data_plane.hpp"
#include "cluster/data_window.hpp"
#include "cluster/zmq_support.hpp"
#include "core/codec.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace framemill {
namespace {

using namespace data;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds redial_pause{50};
constexpr milliseconds nudge_every{1000};

/// What is said next in a call, and what is made of the answers.
class transfer {
public:
  struct words {
    decltype(request::body) body;
    zmq::message_t bytes;
  };
  virtual ~transfer() = default;
  [[nodiscard]] virtual bool is_done() const = 0;
  [[nodiscard]] virtual result<std::optional<words>> next(std::uint64_t id) = 0;
  [[nodiscard]] virtual result<void> on_reply(const reply& r, std::string_view bytes) = 0;
  /// What was under way will not be answered.
  virtual void lost() = 0;
  /// The other side has been silent for a while.
  virtual void nudge() {}
};

/// Reads a range of something into a place.
class reading final : public transfer {
public:
  using ask_fn = std::function<decltype(request::body)(const chunk&)>;
  using sink_fn = std::function<result<void>(std::uint64_t offset, std::string_view bytes)>;
  reading(read_window window, ask_fn ask, sink_fn sink,
          std::atomic<std::uint64_t>& repeated)
      : window_(std::move(window)), ask_(std::move(ask)), sink_(std::move(sink)),
        repeated_(repeated) {}

  [[nodiscard]] bool is_done() const override { return window_.is_done(); }
  [[nodiscard]] result<std::optional<words>> next(std::uint64_t id) override {
    if (auto c = window_.next(id))
      return words{ask_(*c), {}};
    return std::nullopt;
  }
  [[nodiscard]] result<void> on_reply(const reply& r, std::string_view bytes) override {
    auto c = window_.take(r.id);
    if (!c)
      return {};
    if (r.failure)
      return failure{*r.failure};
    window_.ends_at(r.total);
    const auto expected = c->offset < r.total ? std::min(c->size, r.total - c->offset) : 0;
    if (bytes.size() == expected && xxh64(bytes) == r.hash)
      return sink_(c->offset, bytes);
    ++repeated_;
    return window_.again(*c);
  }
  void lost() override { window_.lost(); }

private:
  read_window window_;
  ask_fn ask_;
  sink_fn sink_;
  std::atomic<std::uint64_t>& repeated_;
};

/// Puts a file.
class putting final : public transfer {
public:
  putting(put_window window, int fd, put_artifact what)
      : window_(std::move(window)), fd_(fd), what_(std::move(what)) {}

  [[nodiscard]] bool is_done() const override { return window_.is_done(); }
  [[nodiscard]] result<std::optional<words>> next(std::uint64_t id) override {
    auto c = window_.next(id);
    if (!c)
      return std::nullopt;
    zmq::message_t bytes{c->size};
    auto to = static_cast<char*>(bytes.data());
    FM_TRY(auto n, read_at(fd_, to, bytes.size(), c->offset, what_.sha256));
    if (n < bytes.size())
      return fail(errc::corrupt, "the file of artifact {} ended at {}", what_.sha256,
                  c->offset + n);
    what_.offset = c->offset;
    what_.hash = xxh64(bytes.to_string_view());
    return words{what_, std::move(bytes)};
  }
  [[nodiscard]] result<void> on_reply(const reply& r, std::string_view) override {
    if (!window_.awaits(r.id))
      return {};
    if (r.failure)
      return failure{*r.failure};
    if (!r.delivery)
      return fail(errc::malformed, "an answer without the state of the delivery");
    return window_.on_reply(r.id, *r.delivery);
  }
  void lost() override { window_.lost(); }
  void nudge() override { window_.nudge(); }
  [[nodiscard]] std::uint64_t refused() const { return window_.refused(); }

private:
  put_window window_;
  int fd_;
  put_artifact what_;
};

/// A connection, and the news of it: what the monitor of its socket says.
class connection {
public:
  connection(zmq::context_t& context, const data_client::options& o, std::uint64_t number)
      : socket_(context, zmq::socket_type::dealer), news_(context, zmq::socket_type::pair) {
    wire::harden(socket_, chunk_bytes_max + header_bytes_max, credit_max);
    wire::dial_curve(socket_, o.server_key, o.keys);
    socket_.set(zmq::sockopt::immediate, 1); // nothing is kept for a dead end
    const auto place = fmt::format("inproc://data-news-{}", number);
    if (::zmq_socket_monitor(socket_.handle(), place.c_str(), events) != 0)
      throw zmq::error_t{};
    news_.set(zmq::sockopt::linger, 0);
    news_.connect(place);
    wire::dial(socket_, o.host, o.port);
  }
  ~connection() { ::zmq_socket_monitor(socket_.handle(), nullptr, 0); }

  [[nodiscard]] zmq::socket_t& socket() { return socket_; }
  [[nodiscard]] zmq::socket_t& news() { return news_; }
  [[nodiscard]] bool is_ready() {
    return (socket_.get(zmq::sockopt::events) & ZMQ_POLLOUT) != 0;
  }

  enum class state : std::uint8_t { fine, cut, refused };
  [[nodiscard]] state look() {
    auto now = state::fine;
    zmq::message_t event, address;
    while (news_.recv(event, zmq::recv_flags::dontwait)) {
      (void)news_.recv(address, zmq::recv_flags::none);
      std::uint16_t kind = 0;
      std::memcpy(&kind, event.data(), std::min(sizeof kind, event.size()));
      if (kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        return state::refused;
      now = state::cut;
    }
    return now;
  }

private:
  static constexpr int events = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
                                | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
                                | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
  zmq::socket_t socket_, news_;
};

/// A new file that is removed again unless it is kept.
class new_file {
public:
  [[nodiscard]] static result<new_file> create(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
      return fail_errno(errno, path);
    return new_file{path, fd};
  }
  new_file(new_file&&) = default;
  new_file& operator=(new_file&&) = delete;
  ~new_file() {
    if (file_ && !kept_)
      ::unlink(path_.c_str());
  }
  [[nodiscard]] int fd() const { return file_->fd(); }
  void keep() { kept_ = true; }

private:
  new_file(std::string path, int fd)
      : path_(std::move(path)), file_(std::make_unique<open_file>(fd)) {}
  std::string path_;
  std::unique_ptr<open_file> file_;
  bool kept_ = false;
};

class zmq_data_client final : public data_client {
public:
  explicit zmq_data_client(options o) : options_(std::move(o)) {}

  [[nodiscard]] result<std::string> read(const object_ref& object, std::uint64_t offset,
                                         std::uint64_t size) override {
    const auto total = object.generation.size;
    if (offset >= total || size == 0)
      return std::string{};
    const auto end = offset + std::min(size, total - offset);
    std::string out(end - offset, '\0');
    reading r{{offset, end, options_.chunk_bytes, options_.credit},
              [&](const chunk& c) {
                return read_object{object, c.offset, static_cast<std::uint32_t>(c.size)};
              },
              [&](std::uint64_t at, std::string_view bytes) -> result<void> {
                bytes.copy(out.data() + (at - offset), bytes.size());
                return {};
              },
              repeated_};
    FM_CHECK(run(r));
    return out;
  }

  [[nodiscard]] result<void> fetch(const std::string& sha256,
                                   const std::string& path) override {
    if (!is_sha256(sha256))
      return fail(errc::malformed, "an artifact is named by its SHA-256");
    FM_TRY(auto file, new_file::create(path));
    reading r{{0, UINT64_MAX, options_.chunk_bytes, options_.credit},
              [&](const chunk& c) {
                return read_artifact{sha256, c.offset, static_cast<std::uint32_t>(c.size)};
              },
              [&](std::uint64_t at, std::string_view bytes) {
                return write_at(file.fd(), bytes, at, path);
              },
              repeated_};
    FM_CHECK(run(r));
    FM_TRY(auto found, sha256_of_file(file.fd(), path));
    if (found != sha256)
      return fail(errc::corrupt, "artifact {} hashes to {} where it is stored", sha256, found);
    file.keep();
    return {};
  }

  [[nodiscard]] result<void> deliver(run_id wanted_by, const std::string& path,
                                     const std::string& sha256) override {
    const open_file file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.fd() < 0)
      return fail_errno(errno, path);
    auto done = put(wanted_by, file.fd(), path, sha256);
    // What an earlier delivery left there may have been damaged: it is gone now.
    if (!done && done.error().code == errc::corrupt)
      done = put(wanted_by, file.fd(), path, sha256);
    return done;
  }

  void cancel() override {
    cancelled_ = true;
    waker_.wake();
  }
  [[nodiscard]] std::uint64_t chunks_repeated() const override { return repeated_; }

private:
  result<void> put(run_id wanted_by, int fd, const std::string& path, const std::string& sha256) {
    struct stat s {};
    if (::fstat(fd, &s) != 0)
      return fail_errno(errno, path);
    const auto size = static_cast<std::uint64_t>(s.st_size);
    putting p{{size, options_.chunk_bytes, options_.credit},
              fd,
              {.sha256 = sha256, .size = size, .run = wanted_by}};
    auto done = run(p);
    repeated_ += p.refused();
    return done;
  }

  /// Until the transfer is done; goes on over cuts.
  result<void> run(transfer& t) {
    try {
      auto done = converse(t);
      if (!done)
        connection_.reset(); // nothing of this call is answered into the next
      return done;
    } catch (const zmq::error_t& e) {
      connection_.reset();
      return wire::fail_zmq(e, place());
    }
  }

  result<void> converse(transfer& t) {
    heard_ = nudged_ = steady::now();
    while (!t.is_done()) {
      if (cancelled_)
        return fail(errc::cancelled, "the transfer was cancelled");
      FM_CHECK(stay_connected(t));
      FM_TRY(const bool blocked, speak(t));
      wait(blocked);
      FM_CHECK(listen(t));
      FM_CHECK(mind_silence(t));
    }
    return {};
  }

  /// A connection that was cut is made anew, and what was under way is said again.
  result<void> stay_connected(transfer& t) {
    const auto state = connection_ ? connection_->look() : connection::state::fine;
    if (state == connection::state::refused)
      return fail(errc::unauthorized, "{} refuses the key of this node", place());
    if (state == connection::state::cut) {
      connection_.reset();
      t.lost();
    }
    if (!connection_ && steady::now() >= redial_at_) {
      connection_.emplace(context_, options_, ++dialled_);
      redial_at_ = steady::now() + redial_pause;
    }
    return {};
  }

  /// Says all there is to say now; true when more could not be sent.
  result<bool> speak(transfer& t) {
    while (connection_) {
      if (!connection_->is_ready())
        return true;
      FM_TRY(auto words, t.next(last_id_ + 1));
      if (!words)
        return false;
      const auto head = encode(request{.id = ++last_id_, .body = std::move(words->body)});
      const bool has_bytes = words->bytes.size() > 0;
      auto& socket = connection_->socket();
      socket.send(zmq::buffer(head),
                  has_bytes ? zmq::send_flags::sndmore : zmq::send_flags::none);
      if (has_bytes)
        socket.send(words->bytes, zmq::send_flags::none);
    }
    return false;
  }

  void wait(bool blocked) {
    const short events = blocked ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN;
    std::array<zmq::pollitem_t, 3> items{zmq::pollitem_t{nullptr, waker_.fd(), ZMQ_POLLIN, 0}};
    if (!connection_) {
      const auto pause = std::chrono::ceil<milliseconds>(redial_at_ - steady::now());
      wire::wait(items.data(), 1, std::max(pause, 0ms));
      return;
    }
    items[1] = {connection_->socket().handle(), 0, events, 0};
    items[2] = {connection_->news().handle(), 0, ZMQ_POLLIN, 0};
    wire::wait(items.data(), items.size(), std::min(options_.patience / 4, nudge_every / 4));
  }

  result<void> listen(transfer& t) {
    zmq::message_t head, bytes;
    while (connection_ && connection_->socket().recv(head, zmq::recv_flags::dontwait)) {
      for (bool more = head.more(); more; more = bytes.more())
        (void)connection_->socket().recv(bytes, zmq::recv_flags::none);
      heard_ = nudged_ = steady::now();
      FM_TRY(auto r, decode<reply>(head.to_string_view()));
      if (r.id == 0)
        return failure{r.failure.value_or(error{errc::malformed, "an answer to nothing", {}})};
      FM_CHECK(t.on_reply(r, bytes.to_string_view()));
    }
    return {};
  }

  result<void> mind_silence(transfer& t) {
    const auto now = steady::now();
    if (options_.is_away && options_.is_away())
      heard_ = now;
    if (now - heard_ >= options_.patience)
      return fail(errc::unavailable, "{} has been silent for {} ms", place(),
                  options_.patience.count());
    if (now - nudged_ >= nudge_every) {
      nudged_ = now;
      t.nudge();
    }
    return {};
  }

  [[nodiscard]] std::string place() const {
    return "the data server " + wire::address_text(options_.host, options_.port);
  }

  const options options_;
  zmq::context_t context_{1};
  std::optional<connection> connection_;
  std::uint64_t dialled_ = 0;
  steady::time_point redial_at_{};

  std::uint64_t last_id_ = 0;
  steady::time_point heard_{}, nudged_{};
  std::atomic<std::uint64_t> repeated_{0};

  wire::waker waker_;
  std::atomic<bool> cancelled_{false};
};

result<void> check(const data_client::options& o) {
  if (o.credit < 1 || o.credit > credit_max)
    return fail_field(errc::invalid_argument, "credit", "1 to {} chunks on their way",
                      credit_max);
  if (o.chunk_bytes < 1 || o.chunk_bytes > chunk_bytes_max)
    return fail_field(errc::invalid_argument, "chunk_bytes", "1 to {} bytes", chunk_bytes_max);
  return {};
}

} // namespace

result<std::unique_ptr<data_client>> data_client::open(options o) {
  FM_CHECK(check(o));
  try {
    return std::make_unique<zmq_data_client>(std::move(o));
  } catch (const zmq::error_t& e) {
    return wire::fail_zmq(e, "the data client");
  }
}

} // namespace framemill
