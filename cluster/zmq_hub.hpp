#pragma once

#include "cluster/zmq_support.hpp"

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace framemill::wire {

/// Frames on their way to each peer, bounded. Any thread puts, the hub's takes.
class outboxes {
public:
  outboxes(std::size_t frames_max, std::size_t bytes_max)
      : frames_max_{frames_max}, bytes_max_{bytes_max} {}

  void open(connection_key c);
  void close(connection_key c);
  /// Past a maximum nothing more is taken, and the next `take` says `overflown`.
  void put(connection_key c, std::string frame);
  /// After what was put before.
  void put_end(connection_key c);

  enum class state : std::uint8_t { frame, empty, ended, overflown };
  struct item {
    state what = state::empty;
    std::string frame;
  };
  [[nodiscard]] item take(connection_key c);
  /// Undoes the last `take`: the socket had no room.
  void put_back(connection_key c, std::string frame);
  /// Who was put something since last asked, or was put back.
  [[nodiscard]] std::set<connection_key> take_ready();

private:
  struct box {
    std::deque<std::string> frames;
    std::size_t bytes = 0;
    bool is_ended = false;
    bool is_overflown = false;
  };
  std::mutex mutex_;
  std::map<connection_key, box> boxes_;
  std::set<connection_key> ready_;
  std::size_t frames_max_, bytes_max_;
};

/// What a server on the control plane does not put up with.
struct door_limits {
  std::size_t frame_bytes_max = 0;
  std::size_t queue_bytes_max = 0;   ///< per peer, outgoing
  std::size_t connections_max = 0;   ///< past it the oldest silent one is broken
  std::size_t frameless_bytes_max = 0; ///< received of a peer without a frame coming of it
  std::chrono::milliseconds connection_time_max{0}; ///< 0 = for ever
};

/// The hub on ROUTER, CURVE and ZAP. One thread (`run`) owns every socket and
/// all of the state below but the outboxes; it never blocks on a peer.
///
/// A connection's key is the *serial* the doorkeeper gave its handshake; it
/// comes back with each frame in User-Id, out of the peer's reach. ZeroMQ tells
/// of a broken connection by descriptor only, and descriptors are used again.
/// What ties both together: `ACCEPTED fd` is read before the handshake on fd is
/// judged, so of all connections that ever had fd, exactly those with a serial
/// above the one counted at `ACCEPTED` are the present one. Frames of earlier
/// ones, still in the pipe, are told apart and dropped.
///
/// ROUTER cannot close one connection, so `cut` shuts its descriptor down; see
/// there why it can hit no other.
class zmq_hub final : public hub {
public:
  zmq_hub(options o, listener l, door_limits limits); ///< throws zmq::error_t
  ~zmq_hub() override;
  [[nodiscard]] result<void> start();

  [[nodiscard]] std::uint16_t port() const override { return port_; }
  void send(connection_key to, std::string frame) override;
  void drop(connection_key c) override;

private:
  using clock = std::chrono::steady_clock;
  using serial = std::uint64_t;
  struct peer {
    serial accepted = 0;
    connection_key key = 0; ///< 0: not heard of
    bool is_ignored = false;
    bool has_spoken = true;          ///< since it was weighed
    std::uint64_t weight = 0;        ///< bytes received when it had last spoken
    std::string routing_id, public_key;
  };
  /// A peer as of one `ACCEPTED`: descriptors alone are used again.
  struct peer_name {
    int fd = -1;
    serial accepted = 0;
  };
  struct heard_frame;

  void run();
  [[nodiscard]] std::chrono::milliseconds patience() const;

  // ---- knocking ------------------------------------------------------------------
  admission judge(const std::string& public_key);
  void note_events();
  void note_accepted(int fd);
  void note_disconnected(int fd);
  void make_room(int newcomer);

  // ---- frames in -----------------------------------------------------------------
  void receive_some();
  [[nodiscard]] std::optional<heard_frame> receive();
  void hear(heard_frame f);
  [[nodiscard]] bool introduce(int fd, peer& p, const heard_frame& f);

  // ---- frames out ----------------------------------------------------------------
  void flush();
  void flush(connection_key c);
  enum class sent : std::uint8_t { yes, full, no_peer };
  sent send_now(const peer& p, const std::string& frame);

  // ---- ending --------------------------------------------------------------------
  /// Nothing of it is heard any more; its descriptor is cut after `linger`.
  void end(int fd, std::chrono::milliseconds linger);
  void forget(const peer& p);
  void weigh_peers();
  void cut_expired();
  void cut(peer_name who);
  [[nodiscard]] peer* find(peer_name who);

  options options_;
  listener listener_;
  door_limits limits_;
  std::uint16_t port_ = 0;

  zmq::context_t context_{1}; // one I/O thread: its events and frames are in order
  doorkeeper doorkeeper_;
  zmq::socket_t router_;
  monitor monitor_;
  waker waker_;

  outboxes outboxes_;
  serial last_serial_ = 0;
  std::map<int, peer> peers_; ///< by descriptor
  std::map<connection_key, int> fd_of_;
  std::multimap<clock::time_point, peer_name> cuts_;
  bool has_backlog_ = false; ///< some peer's pipe was full
  clock::time_point weigh_at_;

  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

} // namespace framemill::wire
