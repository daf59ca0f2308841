#pragma once

#include "core/function.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace framemill {

/// Which process runs which call, and how long one is kept warm.
///
///   (start) ──→ busy ──call ended, fit──→ idle ──give──→ busy
///                 │                        │
///                 └──unfit, worn, old──→ stopping ──gone──→ (forgotten)
///
/// A process serves one version and one call at a time. Calls of a function
/// wait in their order. Pure; owned by FUNCTIONS, which does what it says.
class function_pool {
public:
  using call_id = std::uint64_t;    ///< grows
  using process_id = std::uint64_t; ///< never used again

  struct options {
    int processes_max = 16; ///< of all functions
  };
  struct call {
    call_id id = 0;
    std::string function;
    std::uint64_t version = 0;
    int concurrency = 1;  ///< of its version
    bool is_warm = false; ///< its process may serve others after it
  };

  /// A new process, for this call first.
  struct start {
    process_id process = 0;
    call_id first = 0;
  };
  struct give {
    process_id process = 0;
    call_id call = 0;
  };
  struct stop {
    process_id process = 0;
  };
  struct refuse {
    call_id call = 0;
    std::string why;
  };
  using action = std::variant<start, give, stop, refuse>;
  using actions = std::vector<action>;

  explicit function_pool(options o) : options_(o) {}

  [[nodiscard]] actions on_call(timestamp now, call c);
  enum class fitness : std::uint8_t { fit, unfit };
  /// Its call is over; an unfit process may harm the next one.
  [[nodiscard]] actions on_call_ended(timestamp now, process_id process, fitness how);
  [[nodiscard]] actions on_gone(timestamp now, process_id process);
  /// From now on only this version is kept warm; 0: the function is no more.
  [[nodiscard]] actions on_version(timestamp now, const std::string& function,
                                   std::uint64_t version);
  [[nodiscard]] actions on_tick(timestamp now);
  /// When `on_tick` has something to do.
  [[nodiscard]] std::optional<timestamp> wake() const;

  [[nodiscard]] std::size_t processes() const { return processes_.size(); }
  [[nodiscard]] std::size_t idle() const;
  [[nodiscard]] std::size_t waiting() const;

private:
  enum class state : std::uint8_t { busy, idle, stopping };
  struct process {
    std::string function;
    std::uint64_t version = 0;
    bool is_warm = false;
    bool is_old = false; ///< of a version that is no longer the newest
    framemill::function_pool::state state = state::busy;
    std::uint32_t calls = 0;
    timestamp idle_since;
  };

  void dispatch(actions& out);
  /// False: it has to wait.
  bool place(const call& c, actions& out);
  void halt(process_id id, process& p, actions& out);
  [[nodiscard]] int busy(const std::string& function) const;
  [[nodiscard]] bool is_stopping_one() const;

  options options_;
  std::map<process_id, process> processes_;
  std::map<std::string, std::deque<call>> waiting_;       ///< no empty queues
  std::map<std::string, std::uint64_t> newest_;           ///< version
  process_id last_process_ = 0;
};

} // namespace framemill
