#include "cluster/zmq_hub.hpp"

#include "cluster/protocol.hpp"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace framemill {

namespace wire {

namespace {

using namespace std::chrono_literals;

constexpr int pipe_frames = 1000;      // ZeroMQ's own queue per peer, each way
constexpr int frames_per_turn = 256;   // then the others have their turn
constexpr auto full_pipe_retry = 2ms;  // ROUTER cannot say when a pipe has room again
constexpr auto farewell_linger = 200ms; // for the last frames to leave before a cut
constexpr auto idle_turn = 1000ms;
constexpr auto weigh_every = 100ms;

/// User-Id of a connection: serial, space, public key.
struct caller {
  std::uint64_t serial = 0;
  std::string public_key;
};
std::string to_user_id(const caller& c) { return fmt::format("{} {}", c.serial, c.public_key); }
caller parse_user_id(const std::string& id) {
  caller c;
  const auto [end, ec] = std::from_chars(id.data(), id.data() + id.size(), c.serial);
  if (ec == std::errc{} && end != id.data() + id.size())
    c.public_key.assign(end + 1, id.data() + id.size());
  return c;
}

/// Of a TCP connection since it was made; 0 when `fd` is none.
std::uint64_t bytes_received(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  const int rc = ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
  return rc == 0 ? info.tcpi_bytes_received : 0;
}

} // namespace

// ---- outboxes ------------------------------------------------------------------------

void outboxes::open(connection_key c) {
  std::lock_guard lock{mutex_};
  boxes_.try_emplace(c);
}

void outboxes::close(connection_key c) {
  std::lock_guard lock{mutex_};
  boxes_.erase(c);
  ready_.erase(c);
}

void outboxes::put(connection_key c, std::string frame) {
  std::lock_guard lock{mutex_};
  auto it = boxes_.find(c);
  if (it == boxes_.end() || it->second.is_ended)
    return;
  auto& box = it->second;
  ready_.insert(c);
  if (box.frames.size() >= frames_max_ || box.bytes + frame.size() > bytes_max_) {
    box.is_overflown = true;
    return;
  }
  box.bytes += frame.size();
  box.frames.push_back(std::move(frame));
}

void outboxes::put_end(connection_key c) {
  std::lock_guard lock{mutex_};
  if (auto it = boxes_.find(c); it != boxes_.end()) {
    it->second.is_ended = true;
    ready_.insert(c);
  }
}

outboxes::item outboxes::take(connection_key c) {
  std::lock_guard lock{mutex_};
  auto it = boxes_.find(c);
  if (it == boxes_.end())
    return {};
  auto& box = it->second;
  if (box.is_overflown)
    return {state::overflown, {}};
  if (box.frames.empty())
    return {box.is_ended ? state::ended : state::empty, {}};
  item taken{state::frame, std::move(box.frames.front())};
  box.frames.pop_front();
  box.bytes -= taken.frame.size();
  return taken;
}

void outboxes::put_back(connection_key c, std::string frame) {
  std::lock_guard lock{mutex_};
  if (auto it = boxes_.find(c); it != boxes_.end()) {
    it->second.bytes += frame.size();
    it->second.frames.push_front(std::move(frame));
    ready_.insert(c);
  }
}

std::set<connection_key> outboxes::take_ready() {
  std::lock_guard lock{mutex_};
  return std::exchange(ready_, {});
}

// ---- zmq_hub: life -------------------------------------------------------------------

struct zmq_hub::heard_frame {
  std::string routing_id;
  int fd = -1;
  caller from;
  bool is_well_formed = false;
  std::string body;
};

zmq_hub::zmq_hub(options o, listener l, door_limits limits)
    : options_{std::move(o)}, listener_{std::move(l)}, limits_{limits},
      doorkeeper_{context_, [this](const std::string& key) { return judge(key); }},
      router_{context_, zmq::socket_type::router},
      monitor_{context_, router_, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED},
      outboxes_{options_.queue_frames_max, limits.queue_bytes_max} {
  harden(router_, limits_.frame_bytes_max, pipe_frames);
  serve_curve(router_, options_.keys);
  router_.set(zmq::sockopt::router_mandatory, 1);
}

result<void> zmq_hub::start() {
  FM_TRY(port_, listen(router_, options_.host, options_.port));
  thread_ = std::thread{[this] { run(); }};
  return {};
}

zmq_hub::~zmq_hub() {
  is_stopping_ = true;
  waker_.wake();
  if (thread_.joinable())
    thread_.join();
}

void zmq_hub::send(connection_key to, std::string frame) {
  outboxes_.put(to, std::move(frame));
  waker_.wake();
}

void zmq_hub::drop(connection_key c) {
  outboxes_.put_end(c);
  waker_.wake();
}

void zmq_hub::run() {
  zmq::pollitem_t items[] = {{router_.handle(), 0, ZMQ_POLLIN, 0},
                             {monitor_.socket().handle(), 0, ZMQ_POLLIN, 0},
                             {doorkeeper_.socket().handle(), 0, ZMQ_POLLIN, 0},
                             {nullptr, waker_.fd(), ZMQ_POLLIN, 0}};
  // To ask a socket that has nothing costs a system call.
  const auto& [frames, events, knocks, woken] = items;
  while (!is_stopping_) {
    wait(items, std::size(items), patience());
    if (woken.revents != 0)
      waker_.settle();
    if (knocks.revents != 0)
      doorkeeper_.answer_all();
    if (frames.revents != 0 || events.revents != 0)
      receive_some(); // before the events: a peer's last frames before its end
    if (events.revents != 0)
      note_events();
    flush();
    weigh_peers();
    cut_expired();
  }
}

std::chrono::milliseconds zmq_hub::patience() const {
  if (has_backlog_)
    return full_pipe_retry;
  if (peers_.empty())
    return idle_turn;
  const auto next = cuts_.empty() ? weigh_at_ : std::min(weigh_at_, cuts_.begin()->first);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - clock::now());
  return std::clamp<std::chrono::milliseconds>(left, 0ms, idle_turn);
}

// ---- zmq_hub: knocking ---------------------------------------------------------------

admission zmq_hub::judge(const std::string& public_key) {
  note_events(); // the `ACCEPTED` of this handshake is among those told by now
  return {options_.admit(public_key), to_user_id({++last_serial_, public_key})};
}

void zmq_hub::note_events() {
  while (auto e = monitor_.next()) {
    const auto fd = static_cast<int>(e->value);
    if (e->kind == ZMQ_EVENT_ACCEPTED)
      note_accepted(fd);
    else if (e->kind == ZMQ_EVENT_DISCONNECTED)
      note_disconnected(fd);
  }
}

void zmq_hub::note_accepted(int fd) {
  note_disconnected(fd); // had it not been told
  peers_[fd] = peer{.accepted = ++last_serial_};
  if (limits_.connection_time_max > 0ms)
    cuts_.emplace(clock::now() + limits_.connection_time_max,
                  peer_name{fd, last_serial_});
  if (peers_.size() > limits_.connections_max)
    make_room(fd);
}

/// Strangers who only hold connections open must not keep others out, nor may
/// they push those out who speak.
void zmq_hub::make_room(int newcomer) {
  auto victim = peers_.find(newcomer);
  for (auto it = peers_.begin(); it != peers_.end(); ++it)
    if (it->second.key == 0 && !it->second.is_ignored &&
        it->second.accepted < victim->second.accepted)
      victim = it;
  end(victim->first, 0ms);
}

void zmq_hub::note_disconnected(int fd) {
  auto it = peers_.find(fd);
  if (it == peers_.end())
    return;
  const auto gone = std::move(it->second);
  peers_.erase(it);
  if (!gone.is_ignored)
    forget(gone);
}

// ---- zmq_hub: frames in --------------------------------------------------------------

void zmq_hub::receive_some() {
  for (int i = 0; i < frames_per_turn; ++i) {
    auto frame = receive();
    if (!frame)
      return;
    hear(std::move(*frame));
  }
}

std::optional<zmq_hub::heard_frame> zmq_hub::receive() {
  zmq::message_t id, body;
  if (!router_.recv(id, zmq::recv_flags::dontwait))
    return std::nullopt;
  heard_frame frame{.routing_id = id.to_string()};
  int parts = 0;
  for (bool more = id.more(); more; more = body.more(), ++parts)
    (void)router_.recv(body, zmq::recv_flags::none); // the parts of a message are all there
  frame.is_well_formed = parts == 1;
  frame.fd = ::zmq_msg_get(body.handle(), ZMQ_SRCFD);
  frame.from = parse_user_id(user_id_of(body));
  frame.body = body.to_string();
  return frame;
}

void zmq_hub::hear(heard_frame f) {
  auto it = peers_.find(f.fd);
  if (it == peers_.end() || f.from.serial <= it->second.accepted)
    return; // of a connection that is gone
  auto& p = it->second;
  if (p.is_ignored)
    return;
  p.has_spoken = true;
  if (!f.is_well_formed || (p.key == 0 && !introduce(f.fd, p, f)))
    return end(f.fd, 0ms);
  listener_.on_frame(p.key, p.public_key, std::move(f.body));
}

/// False: its key was refused since the handshake.
bool zmq_hub::introduce(int fd, peer& p, const heard_frame& f) {
  if (options_.admit(f.from.public_key) != verdict::yes)
    return false;
  p.key = f.from.serial;
  p.routing_id = f.routing_id;
  p.public_key = f.from.public_key;
  fd_of_[p.key] = fd;
  outboxes_.open(p.key);
  return true;
}

// ---- zmq_hub: frames out -------------------------------------------------------------

void zmq_hub::flush() {
  has_backlog_ = false;
  for (auto c : outboxes_.take_ready())
    flush(c);
}

void zmq_hub::flush(connection_key c) {
  auto it = fd_of_.find(c);
  if (it == fd_of_.end())
    return;
  const int fd = it->second;
  for (;;) {
    auto next = outboxes_.take(c);
    switch (next.what) {
    case outboxes::state::empty:
      return;
    case outboxes::state::ended:
      return end(fd, farewell_linger);
    case outboxes::state::overflown:
      return end(fd, 0ms);
    case outboxes::state::frame:
      break;
    }
    if (send_now(peers_.at(fd), next.frame) == sent::full) {
      has_backlog_ = true;
      return outboxes_.put_back(c, std::move(next.frame));
    }
  }
}

zmq_hub::sent zmq_hub::send_now(const peer& p, const std::string& frame) {
  try {
    if (!router_.send(zmq::buffer(p.routing_id),
                      zmq::send_flags::sndmore | zmq::send_flags::dontwait))
      return sent::full;
    (void)router_.send(zmq::buffer(frame), zmq::send_flags::none); // all parts have room
    return sent::yes;
  } catch (const zmq::error_t& e) {
    if (e.num() != EHOSTUNREACH)
      throw;
    return sent::no_peer; // its `DISCONNECTED` is on its way
  }
}

// ---- zmq_hub: ending -----------------------------------------------------------------

void zmq_hub::end(int fd, std::chrono::milliseconds linger) {
  auto& p = peers_.at(fd);
  p.is_ignored = true;
  cuts_.emplace(clock::now() + linger, peer_name{fd, p.accepted});
  forget(p);
}

void zmq_hub::forget(const peer& p) {
  if (p.key == 0)
    return;
  const auto key = p.key;
  fd_of_.erase(key);
  outboxes_.close(key);
  listener_.on_gone(key);
}

/// ZeroMQ holds the parts of a message back until the last is there, however
/// many there are: a peer that never sends the last would fill our memory.
void zmq_hub::weigh_peers() {
  if (clock::now() < weigh_at_)
    return;
  weigh_at_ = clock::now() + weigh_every;
  for (auto& [fd, p] : peers_) {
    const auto weight = bytes_received(fd);
    if (std::exchange(p.has_spoken, false) || weight < p.weight)
      p.weight = weight;
    else if (weight - p.weight > limits_.frameless_bytes_max && !p.is_ignored)
      end(fd, 0ms);
  }
}

void zmq_hub::cut_expired() {
  while (!cuts_.empty() && cuts_.begin()->first <= clock::now()) {
    const auto who = cuts_.begin()->second;
    cuts_.erase(cuts_.begin());
    cut(who);
  }
}

/// ZeroMQ tells `DISCONNECTED` before it closes a descriptor. So when, after the
/// duplicate was made, that has not been told of this peer, the duplicate is of
/// its connection and of no other. ZeroMQ then reads the end of the stream, as
/// if the peer had closed.
void zmq_hub::cut(peer_name who) {
  const int duplicate = ::fcntl(who.fd, F_DUPFD_CLOEXEC, 0);
  note_events();
  if (auto* p = find(who)) {
    if (duplicate < 0) // out of descriptors
      cuts_.emplace(clock::now() + idle_turn, who);
    else
      ::shutdown(duplicate, SHUT_RDWR);
    if (!std::exchange(p->is_ignored, true)) // its time was over
      forget(*p);
  }
  if (duplicate >= 0)
    ::close(duplicate);
}

zmq_hub::peer* zmq_hub::find(peer_name who) {
  auto it = peers_.find(who.fd);
  return it != peers_.end() && it->second.accepted == who.accepted ? &it->second : nullptr;
}

} // namespace wire

// ---- doors ---------------------------------------------------------------------------

namespace {

using namespace std::chrono_literals;

constexpr wire::door_limits hub_limits{.frame_bytes_max = control_frame_bytes_max,
                                       .queue_bytes_max = 4 * control_frame_bytes_max,
                                       .connections_max = 4096,
                                       .frameless_bytes_max = 4 * control_frame_bytes_max};
/// Strangers come here: little of everything.
constexpr wire::door_limits desk_limits{.frame_bytes_max = 64u << 10,
                                        .queue_bytes_max = 64u << 10,
                                        .connections_max = 256,
                                        .frameless_bytes_max = 128u << 10,
                                        .connection_time_max = 10s};

result<std::unique_ptr<wire::zmq_hub>> make_hub(hub::options o, hub::listener l,
                                                const wire::door_limits& limits) {
  const auto where = wire::address_text(o.host, o.port);
  try {
    return std::make_unique<wire::zmq_hub>(std::move(o), std::move(l), limits);
  } catch (const zmq::error_t& e) {
    return wire::fail_zmq(e, "cannot serve " + where);
  }
}

/// The desk is a hub that lets everybody in, and hears each connection once.
class zmq_enrolment_desk final : public enrolment_desk {
public:
  static result<std::unique_ptr<enrolment_desk>> open(options o, request_fn f) {
    auto desk = std::make_unique<zmq_enrolment_desk>(std::move(f));
    hub::options door{.host = o.host, .port = o.port, .keys = std::move(o.keys)};
    door.admit = [](std::string_view) { return wire::verdict::yes; };
    door.queue_frames_max = 1;
    FM_TRY(desk->hub_, make_hub(std::move(door), desk->ears(), desk_limits));
    desk->reply_->door = desk->hub_.get();
    FM_CHECK(desk->hub_->start());
    return desk;
  }
  explicit zmq_enrolment_desk(request_fn f) : on_request_{std::move(f)} {}
  ~zmq_enrolment_desk() override {
    std::lock_guard lock{reply_->mutex};
    reply_->door = nullptr;
  }
  [[nodiscard]] std::uint16_t port() const override { return hub_->port(); }

private:
  /// Answers may come when the desk is no more.
  struct reply_slot {
    std::mutex mutex;
    wire::zmq_hub* door = nullptr;
  };

  hub::listener ears() {
    return {.on_frame = [this](connection_key c, std::string key, std::string frame) {
              hear(c, std::move(key), std::move(frame));
            },
            .on_gone = [this](connection_key c) { heard_.erase(c); }};
  }
  void hear(connection_key c, std::string public_key, std::string frame) {
    if (!heard_.insert(c).second)
      return hub_->drop(c);
    on_request_(std::move(public_key), std::move(frame), answer_to(c));
  }
  answer answer_to(connection_key c) {
    auto is_answered = std::make_shared<std::atomic_flag>();
    return [c, is_answered, slot = reply_](std::string frame) {
      std::lock_guard lock{slot->mutex};
      if (slot->door != nullptr && !is_answered->test_and_set())
        slot->door->send(c, std::move(frame));
    };
  }

  request_fn on_request_;
  std::shared_ptr<reply_slot> reply_ = std::make_shared<reply_slot>();
  std::set<connection_key> heard_; ///< the hub's thread
  std::unique_ptr<wire::zmq_hub> hub_; ///< last: its thread uses the above
};

} // namespace

result<std::unique_ptr<hub>> hub::open(options o, listener l) {
  FM_TRY(auto made, make_hub(std::move(o), std::move(l), hub_limits));
  FM_CHECK(made->start());
  return made;
}

result<std::unique_ptr<enrolment_desk>> enrolment_desk::open(options o, request_fn f) {
  return zmq_enrolment_desk::open(std::move(o), std::move(f));
}

} // namespace framemill
