#pragma once

#include "core/json.hpp"
#include "tests/support/cabled_network.hpp"
#include "tests/support/chaos_proxy.hpp"
#include "tests/support/daemon_process.hpp"

#include <memory>
#include <string>
#include <vector>

namespace framemill::test {

/// How workers reach the coordinator: each on a cable of its own (where this
/// machine does not allow that, through proxies), or through proxies, which know
/// connections and bytes, on loopback.
enum class cluster_links : std::uint8_t { cables, proxies };

struct cluster_options {
  std::string directory; ///< of the workers' data directories
  std::string config;    ///< lines of TOML for each worker
  cluster_links links = cluster_links::cables;
};

/// A real worker node. After its first start it needs no token any more.
class worker_process {
public:
  worker_process(std::string name, daemon_options daemon);
  ~worker_process(); ///< wakes it first when it is frozen

  void kill9() { daemon.kill9(); }
  void freeze();
  void thaw();
  /// Signals it without waiting for its end.
  void signal(int number);

  std::string name;
  std::unique_ptr<chaos_proxy> control, data; ///< null: it is on a cable
  daemon_process daemon;                      ///< ends while its network is there
};

/// The cluster around a coordinator: its ports over all its lives, and workers
/// that join it, each with one slot. The coordinator's process is the owner's.
class cluster_process {
public:
  cluster_process(daemon_process& coordinator, cluster_options o);

  // ---- the coordinator -----------------------------------------------------------
  /// Starts a life of it on the ports of the first one, without slots if not by `role`.
  void start_coordinator(std::vector<std::string> arguments = {},
                         const std::string& role = "coordinator,gateway");
  [[nodiscard]] std::string endpoint(const std::string& plane) const; ///< HOST:PORT
  /// One of Framemill's own actions; an empty object when nobody answers.
  [[nodiscard]] json call(const std::string& action, const json& body = json::object()) const;
  [[nodiscard]] std::string join_token(int uses = 1) const;

  // ---- workers ---------------------------------------------------------------------
  /// A worker that has not been started.
  worker_process& add(const std::string& name);
  /// Starts it; the first time with a token, later with nothing.
  void start(worker_process& w);
  /// Adds, starts, and waits for w1 … wN.
  void grow_to(int workers);
  [[nodiscard]] std::vector<std::string> join_arguments(const worker_process& w,
                                                        const std::string& token) const;
  [[nodiscard]] worker_process& worker(const std::string& name);
  [[nodiscard]] std::vector<std::unique_ptr<worker_process>>& workers() { return workers_; }

  // ---- the network between -----------------------------------------------------------
  /// Nothing gets away from the worker (`forward`), to it (`backward`), or both.
  void part(const std::string& worker, flow f = flow::both);
  void heal(); ///< all that was parted, or done to a proxy
  [[nodiscard]] bool has_cables() const { return network_ != nullptr; }

  // ---- what the coordinator knows of them ------------------------------------------
  [[nodiscard]] std::vector<json> nodes() const;
  [[nodiscard]] json node(const std::string& name) const;            ///< null: unknown
  [[nodiscard]] std::string presence(const std::string& name) const; ///< "" = unknown
  /// Failed assertions when they do not come.
  void await_up(const std::string& name) const;
  void await_away(const std::string& name) const;

private:
  daemon_process& coordinator_;
  cluster_options options_;
  std::unique_ptr<cabled_network> network_; ///< null: all are on loopback
  std::string host_;
  std::uint16_t control_port_;
  std::vector<std::unique_ptr<worker_process>> workers_;
};

} // namespace framemill::test
