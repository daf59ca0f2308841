#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "actors/step_queue.hpp"
#include "cluster/notify_words.hpp"
#include "cluster/placement.hpp"
#include "cluster/watch_words.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace framemill {

/// PLACER: where services run. Decides by cluster/placement.hpp, tells the SERVICE
/// HOST here and, through MEMBERSHIP, those of other nodes; hears what services
/// say, refuses words of former hosts, and passes on the others to who knows their
/// kind (actors/watch_desk.hpp, actors/notify_desk.hpp). Owned by the COORDINATOR, and dies with it.
struct placer_state {
  static inline const char* name = "placer";

  caf::stateful_actor<placer_state>* self = nullptr;
  node_services* services = nullptr;
  caf::actor coordinator;
  caf::actor membership; ///< empty: this node is alone
  caf::actor host;       ///< the SERVICE HOST here
  std::optional<placement> core;

  struct action {
    std::vector<placement_action> of_core;
    changes record; ///< written again if the store refused it
  };
  step_queue<action> steps;

  /// A word that is being booked.
  struct word_in_hand {
    std::string node;
    service_word word; ///< without its payload
  };
  std::map<std::uint64_t, word_in_hand> booking; ///< by batch
  std::uint64_t last_batch = 0;
  struct watched {
    watch_status status;
    std::string unseen; ///< what its host saw and this machine does not
  };
  std::map<std::string, watched> buckets; ///< as their watchers told last
  /// Buckets that are not ours: who has them mounted.
  std::map<std::string, std::set<std::string>> foreign;

  /// A CREW that waits for news of its share.
  struct crew {
    std::string node;
    service_word word; ///< without its payload
    notify_wait behind;
  };
  std::map<service_id, crew> listening;
  std::set<std::pair<std::string, event_id>> settling; ///< sink, event: being written

  struct question {
    service_id service;
    std::string text;
    gateway::reply<std::string> done;
    timestamp until;
  };
  std::vector<question> questions; ///< to services that are beginning

  // Verbs, used by handlers and by the gateway's calls (on this actor only).
  void apply(placement::step step);
  void write(std::uint64_t token, changes record);
  void answer(const std::string& node, const service_word& word, std::string payload);
  /// A question to a service, wherever it is; one that is beginning is waited for.
  /// errc::unavailable: it is nowhere, or does not answer.
  void ask(const service_id& id, const std::string& question, gateway::reply<std::string> done);
  void put(question q);
  void put_again();
  /// What a node hosts, by the books.
  [[nodiscard]] std::vector<hosted_service> hosted_by(const std::string& node) const;
};

[[nodiscard]] caf::behavior placer_actor(caf::stateful_actor<placer_state>* self,
                                         node_services* services, caf::actor coordinator,
                                         caf::actor membership);

} // namespace framemill
