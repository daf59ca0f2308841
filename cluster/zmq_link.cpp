#include "cluster/back_off.hpp"
#include "cluster/protocol.hpp"
#include "cluster/zmq_support.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

namespace framemill {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr int pipe_frames = 1000; // ZeroMQ's own queue, each way
constexpr std::size_t queue_bytes_max = 4 * control_frame_bytes_max;
constexpr int frames_per_turn = 256; // then what is to be sent has its turn
constexpr auto connect_patience = 5s;
constexpr auto idle_turn = 1000ms;
constexpr int farewell_linger_ms = 100;
constexpr std::uint32_t zap_refused = 400;

/// How one connection, or the attempt to make one, ended.
struct connection_end {
  ending how = ending::broken;
  std::string why;
  steady::duration up_for{0}; ///< 0: it never was
};

/// The link on DEALER and CURVE. One thread owns the socket, which is a new one
/// for each connection: so each has a routing id of its own, nothing queued for
/// one reaches the next, and a refusal, after which ZeroMQ would never try
/// again, is no end.
class zmq_link final : public link {
public:
  zmq_link(options o, listener l); ///< throws zmq::error_t when a key is none
  ~zmq_link() override;
  bool send(std::string frame) override;
  void reconnect() override;

private:
  /// The sockets of one connection.
  struct connection {
    explicit connection(zmq_link& l);
    zmq::socket_t dealer;
    wire::monitor events;
    std::optional<steady::time_point> up_since;
    std::optional<connection_end> end;
  };

  void run();
  void pause(std::chrono::milliseconds duration);
  void tell_down(const connection_end& e);

  // ---- one connection ------------------------------------------------------------
  [[nodiscard]] connection_end connect();
  void serve(connection& c);
  void turn(connection& c, std::chrono::milliseconds at_most);
  void note_events(connection& c);
  void note_up(connection& c);
  void receive_some(connection& c);
  void send_some(connection& c);

  // ---- what waits to be sent -----------------------------------------------------
  void open_queue();
  void close_queue();
  [[nodiscard]] bool has_frames();
  [[nodiscard]] std::optional<std::string> take_frame();

  options options_;
  listener listener_;
  std::string where_;
  wire::waker waker_;
  zmq::context_t context_{1};
  back_off back_off_;
  std::minstd_rand random_{std::random_device{}()};
  std::string told_; ///< why it is down, so that the same is not told each second

  std::mutex mutex_;
  bool is_open_ = false;
  std::deque<std::string> frames_;
  std::size_t bytes_ = 0;

  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> is_reconnecting_{false};
  std::thread thread_;
};

zmq_link::zmq_link(options o, listener l)
    : options_{std::move(o)}, listener_{std::move(l)},
      where_{wire::address_text(options_.host, options_.port)} {
  connection{*this};
  thread_ = std::thread{[this] { run(); }};
}

zmq_link::~zmq_link() {
  is_stopping_ = true;
  waker_.wake();
  thread_.join();
}

bool zmq_link::send(std::string frame) {
  {
    std::lock_guard lock{mutex_};
    if (!is_open_ || frame.size() > control_frame_bytes_max ||
        frames_.size() >= options_.queue_frames_max || bytes_ + frame.size() > queue_bytes_max)
      return false;
    bytes_ += frame.size();
    frames_.push_back(std::move(frame));
  }
  waker_.wake();
  return true;
}

void zmq_link::reconnect() {
  is_reconnecting_ = true;
  waker_.wake();
}

void zmq_link::run() {
  while (!is_stopping_) {
    const auto end = connect();
    if (is_stopping_)
      return;
    tell_down(end);
    pause(back_off_.after(end.how, end.up_for, std::generate_canonical<double, 32>(random_)));
  }
}

void zmq_link::pause(std::chrono::milliseconds duration) {
  const auto until = steady::now() + duration;
  zmq::pollitem_t woken{nullptr, waker_.fd(), ZMQ_POLLIN, 0};
  while (!is_stopping_ && steady::now() < until) {
    wire::wait(&woken, 1, std::chrono::ceil<std::chrono::milliseconds>(until - steady::now()));
    waker_.settle();
  }
  is_reconnecting_ = false; // it is about to be
}

void zmq_link::tell_down(const connection_end& e) {
  const bool was_up = e.up_for > 0s;
  if (was_up || e.why != told_)
    listener_.on_down(e.why);
  told_ = e.why;
}

// ---- one connection ------------------------------------------------------------------

zmq_link::connection::connection(zmq_link& l)
    : dealer{l.context_, zmq::socket_type::dealer},
      events{l.context_, dealer,
             ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                 ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED} {
  wire::harden(dealer, control_frame_bytes_max, pipe_frames);
  wire::dial_curve(dealer, l.options_.server_key, l.options_.keys);
  dealer.set(zmq::sockopt::immediate, 1);
  dealer.set(zmq::sockopt::reconnect_ivl, -1); // coming again is done here
}

connection_end zmq_link::connect() {
  connection c{*this};
  try {
    wire::dial(c.dealer, options_.host, options_.port);
  } catch (const zmq::error_t& e) {
    return {.why = fmt::format("cannot connect to {}: {}", where_, e.what())};
  }
  serve(c);
  close_queue();
  if (c.up_since)
    c.end->up_for = steady::now() - *c.up_since;
  return std::move(*c.end);
}

void zmq_link::serve(connection& c) {
  const auto deadline = steady::now() + connect_patience;
  while (!c.end) {
    turn(c, c.up_since ? idle_turn : 100ms);
    if (is_reconnecting_.exchange(false))
      c.end = {ending::asked_for, "a new connection is wanted"};
    else if (!c.up_since && steady::now() > deadline)
      c.end = {.why = fmt::format("no answer from {}", where_)};
    if (is_stopping_) {
      c.dealer.set(zmq::sockopt::linger, farewell_linger_ms); // for the last words
      c.end = {ending::asked_for, "stopping"};
    }
  }
}

void zmq_link::turn(connection& c, std::chrono::milliseconds at_most) {
  const short wanted = has_frames() ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN;
  zmq::pollitem_t items[] = {{c.dealer.handle(), 0, wanted, 0},
                             {c.events.socket().handle(), 0, ZMQ_POLLIN, 0},
                             {nullptr, waker_.fd(), ZMQ_POLLIN, 0}};
  wire::wait(items, std::size(items), at_most);
  // To ask a socket that has nothing costs a system call.
  const auto& [frames, events, woken] = items;
  if (woken.revents != 0)
    waker_.settle();
  if ((frames.revents & ZMQ_POLLIN) != 0 || events.revents != 0)
    receive_some(c); // before the events: the last frames before an end
  if (events.revents != 0)
    note_events(c);
  if (has_frames())
    send_some(c);
}

void zmq_link::note_events(connection& c) {
  while (auto e = c.events.next()) {
    if (e->kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
      note_up(c);
    else if (e->kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && e->value == zap_refused)
      c.end = {ending::refused,
               fmt::format("{} refuses this node's key: it was removed, or never enrolled there; "
                           "start it with --join and a new --token",
                           where_)};
    else if (e->kind == ZMQ_EVENT_CLOSED && !c.end)
      c.end = {.why = fmt::format("nobody answers at {}", where_)};
    else if (e->kind == ZMQ_EVENT_DISCONNECTED && !c.end)
      c.end = {.why = c.up_since ? fmt::format("the connection to {} broke", where_)
                                 : fmt::format("{} has another key, or does not know "
                                               "this node yet", where_)};
  }
}

void zmq_link::note_up(connection& c) {
  c.up_since = steady::now();
  told_.clear();
  open_queue();
  listener_.on_up();
}

void zmq_link::receive_some(connection& c) {
  for (int i = 0; i < frames_per_turn; ++i) {
    zmq::message_t frame;
    if (!c.dealer.recv(frame, zmq::recv_flags::dontwait))
      return;
    if (frame.more()) {
      c.end = {.why = fmt::format("{} does not speak as a coordinator does", where_)};
      return;
    }
    listener_.on_frame(frame.to_string());
  }
}

void zmq_link::send_some(connection& c) {
  // Readiness is asked of the socket, not tried: a try may miss a new pipe.
  while (!c.end && (c.dealer.get(zmq::sockopt::events) & ZMQ_POLLOUT) != 0) {
    const auto frame = take_frame();
    if (!frame)
      return;
    if (!c.dealer.send(zmq::buffer(*frame), zmq::send_flags::dontwait))
      c.end = {.why = fmt::format("{} takes no more frames", where_)};
  }
}

// ---- what waits to be sent -----------------------------------------------------------

void zmq_link::open_queue() {
  std::lock_guard lock{mutex_};
  is_open_ = true;
}

void zmq_link::close_queue() {
  std::lock_guard lock{mutex_};
  is_open_ = false;
  frames_.clear();
  bytes_ = 0;
}

bool zmq_link::has_frames() {
  std::lock_guard lock{mutex_};
  return !frames_.empty();
}

std::optional<std::string> zmq_link::take_frame() {
  std::lock_guard lock{mutex_};
  if (frames_.empty())
    return std::nullopt;
  std::string frame = std::move(frames_.front());
  frames_.pop_front();
  bytes_ -= frame.size();
  return frame;
}

/// What the asker waits for; told by the link's thread.
struct conversation {
  std::mutex mutex;
  std::condition_variable moved;
  bool is_up = false;
  std::optional<std::string> answer;
  std::string trouble;

  template <class Change>
  void tell(Change change) {
    std::lock_guard lock{mutex};
    change(*this);
    moved.notify_all();
  }
};

} // namespace

result<std::unique_ptr<link>> link::open(options o, listener l) {
  const auto where = wire::address_text(o.host, o.port);
  if (o.host.empty() || o.port == 0)
    return fail(errc::invalid_argument, "cannot connect to {}: no such address", where);
  try {
    return std::make_unique<zmq_link>(std::move(o), std::move(l));
  } catch (const zmq::error_t& e) {
    return wire::fail_zmq(e, "cannot connect to " + where);
  }
}

/// A link of one question; asked again on each new connection, since enrolling
/// twice is enrolling once.
result<std::string> ask_enrolment_desk(const link::options& where, std::string frame,
                                       std::chrono::milliseconds patience) {
  conversation c;
  FM_TRY(auto line,
         link::open(where,
                    {.on_up = [&] { c.tell([](auto& c) { c.is_up = true; }); },
                     .on_frame = [&](std::string f) {
                       c.tell([&](auto& c) { c.answer = std::move(f); });
                     },
                     .on_down = [&](std::string why) {
                       c.tell([&](auto& c) { c.trouble = std::move(why); });
                     }}));
  const auto deadline = steady::now() + patience;
  std::unique_lock lock{c.mutex};
  while (!c.answer && c.moved.wait_until(lock, deadline, [&] { return c.is_up || c.answer; }))
    if (std::exchange(c.is_up, false) && !c.answer)
      line->send(frame);
  lock.unlock();
  line.reset(); // before what it tells
  if (c.answer)
    return std::move(*c.answer);
  return fail(errc::unavailable,
              "{} did not answer as the coordinator of this token{}{}; check the address and "
              "port, and that the token is of this cluster",
              wire::address_text(where.host, where.port), c.trouble.empty() ? "" : ": ",
              c.trouble);
}

} // namespace framemill
