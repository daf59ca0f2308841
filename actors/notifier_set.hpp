#pragma once

#include "actors/interfaces.hpp"

#include <caf/event_based_actor.hpp>

#include <functional>
#include <map>
#include <string>

namespace framemill {

/// The NOTIFIERs of an actor, one for each sink that has something pending: started
/// when it has, and again when they die. Owned and used by that actor, which passes on
/// `down_msg` and `start_notifier`.
class notifier_set {
public:
  /// `role`: the owner's, for the log. `spawn` makes the NOTIFIER of a sink.
  notifier_set(caf::event_based_actor* owner, const char* role,
               std::function<caf::actor(const std::string& sink)> spawn)
      : owner_(owner), role_(role), spawn_(std::move(spawn)) {}

  /// There are deliveries for this sink; `anew`: some older than what it knows.
  void wake(const std::string& sink, bool anew);
  /// One of them, perhaps, has nothing more to do, or died.
  void ended(const caf::down_msg& down);

private:
  struct entry {
    caf::actor actor;
    bool was_woken = false; ///< since it began: it may have ended before it heard that
  };
  caf::event_based_actor* owner_;
  const char* role_;
  std::function<caf::actor(const std::string&)> spawn_;
  std::map<std::string, entry> by_sink_;
  std::map<caf::actor_addr, std::string> sink_of_;
};

} // namespace framemill
