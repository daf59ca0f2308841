#pragma once

#include "cluster/transport.hpp"
#include "tests/sim/world.hpp"

#include <deque>
#include <map>
#include <optional>

namespace framemill::sim {

enum class direction : std::uint8_t { to_hub, to_node };
/// What a message door does that keeps no order (fail points `link.*`).
enum class jumbling : std::uint8_t { none, duplicate, reorder };

/// Hears of connections. Called as the process that it belongs to.
class endpoint {
public:
  virtual ~endpoint() = default;
  virtual void on_up(connection_key) {}
  virtual void on_frame(connection_key c, const std::string& frame) = 0;
  virtual void on_gone(connection_key c) = 0;
};

/// Links of nodes to the one hub, as TCP and ZeroMQ make them: frames of one
/// connection keep their order, and arrive, or the connection breaks; what was
/// under way is lost then, and either end may learn of it late. A node may be
/// cut off in one direction or in both, without anybody being told.
class network {
public:
  using admit_fn = std::function<bool(const std::string& key)>;

  explicit network(world& w) : world_(w) {}

  // ---- the hub
  void open_hub(process& owner, endpoint& e, admit_fn admit);
  /// Its process died.
  void close_hub();
  void send_to_node(connection_key c, std::string frame);
  /// Lets what was sent leave, then breaks it.
  void drop(connection_key c);
  [[nodiscard]] std::string key_of(connection_key c) const;

  // ---- a node
  void open_link(const std::string& node, std::string key, process& owner, endpoint& e);
  void close_link(const std::string& node); ///< its process died, or stopped
  void send_to_hub(const std::string& node, std::string frame);
  void reconnect(const std::string& node);
  /// Does bulk data get through just now?
  [[nodiscard]] bool reaches(const std::string& node) const;
  /// Both ends have one connection, and nothing is in its way.
  [[nodiscard]] bool is_whole(const std::string& node) const;

  // ---- faults
  void block(const std::string& node, direction d);
  /// Every second frame, about, comes twice, or after the next one.
  void jumble(const std::string& node, direction d, jumbling how);
  void heal(const std::string& node); ///< of all but a cut
  void heal_all();
  void cut(const std::string& node); ///< its connection breaks
  void set_latency(microseconds most) { latency_max_ = most; }

private:
  struct pipe {
    std::deque<std::string> frames;
    std::optional<std::string> overtaken; ///< goes after the next one
    bool is_moving = false; ///< a delivery is scheduled
    bool ends = false;      ///< after its frames
  };
  struct connection {
    connection_key key = 0;
    std::string node;
    bool node_end = true, hub_end = true; ///< not yet known to be gone there
    bool is_cut = false;
    bool was_heard = false; ///< by the hub
    pipe to_node, to_hub;
  };
  struct link {
    std::string key;
    process* owner = nullptr;
    endpoint* listener = nullptr;
    connection_key current = 0;
    bool is_open = false;
    bool blocked[2] = {false, false};
    jumbling jumbled[2] = {jumbling::none, jumbling::none};
    std::uint64_t blocks = 0; ///< so many times it was cut off
    std::uint64_t dials = 0;
  };

  void dial_later(const std::string& node, microseconds delay);
  void dial(const std::string& node);
  void put(connection& c, direction d, std::string frame);
  void move(connection_key c, direction d);
  void deliver(connection_key c, direction d);
  /// Both ends are told, each in its own time.
  void sever(connection& c);
  void tell_hub(connection_key c, microseconds delay);
  void tell_node(connection_key c, microseconds delay);
  [[nodiscard]] connection* find(connection_key c);
  [[nodiscard]] microseconds latency();
  [[nodiscard]] bool is_blocked(const std::string& node, direction d) const;

  world& world_;
  process* hub_process_ = nullptr;
  endpoint* hub_ = nullptr;
  admit_fn admit_;
  std::map<std::string, link> links_;
  std::map<connection_key, connection> connections_;
  connection_key last_ = 0;
  microseconds latency_max_{800};
};

} // namespace framemill::sim
