#pragma once

#include "actors/fail_points.hpp"
#include "actors/interfaces.hpp"
#include "actors/remote_supply.hpp"
#include "actors/services.hpp"
#include "cluster/attempt_book.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <future>
#include <map>

namespace framemill {

/// What a worker keeps on disk of its coordinator (DATA_DIR/coordinator.json).
struct known_coordinator {
  std::string cluster;
  std::string host;
  std::uint16_t control_port = 0;
  std::string server_key; ///< Z85
  std::string join;       ///< where the node enrolled last,
  std::string token_id;   ///< and with which token
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Cluster", s.cluster);
    v("Host", s.host);
    v("ControlPort", s.control_port);
    v("ServerKey", s.server_key);
    v("Join", s.join);
    v("TokenId", s.token_id);
  }
};

/// NODE AGENT: a worker node's ear and mouth. Owns the link and the attempt
/// book, supervises the TASK WORKERs, which take it for their SCHEDULER and
/// their WORKFLOW. Goes on working while the coordinator is away, and tells
/// what was done when it is back. Never decides about retries.
struct node_agent_state {
  static inline const char* name = "node-agent";

  caf::stateful_actor<node_agent_state>* self = nullptr;
  node_services* services = nullptr;
  known_coordinator place;
  key_pair keys;
  std::string boot;
  node_facts facts;
  std::unique_ptr<framemill::link> link;
  frame_door sending{"link.send"}, hearing{"link.receive"};
  std::shared_ptr<data_place> data = std::make_shared<data_place>();
  std::optional<attempt_book> book;
  struct slot {
    caf::actor worker;
    bool restarting = false;
  };
  std::vector<slot> slots;
  caf::actor service_host;
  std::vector<hosted_service> hosted; ///< by it
  std::uint64_t term = 0;      ///< the newest heard
  std::optional<std::string> timeline; ///< of the state that the coordinator goes by
  std::uint64_t sequence = 0;  ///< of this connection
  bool connected = false;
  bool welcome = false;        ///< on this connection
  timestamp heard;             ///< by the uptime
  bool leaving = false;
  std::shared_ptr<std::promise<void>> left;
};

/// NODE AGENT's owner → NODE AGENT: take no new work; `left` when nothing is
/// held any more.
struct leave_cluster {
  std::shared_ptr<std::promise<void>> left;
};

[[nodiscard]] caf::behavior node_agent(caf::stateful_actor<node_agent_state>* self,
                                       node_services* services, known_coordinator place,
                                       key_pair keys, node_facts facts);

} // namespace framemill

FM_LOCAL_MESSAGE(leave_cluster)
