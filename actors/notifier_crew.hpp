#pragma once

#include "actors/notifier_set.hpp"
#include "actors/service_line.hpp"
#include "actors/services.hpp"
#include "cluster/notify_words.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <optional>

namespace framemill {

/// CREW: the NOTIFIERs of one share of the sinks, on whichever node that is placed.
/// Hears from the coordinator which sinks have something new, and starts and wakes
/// theirs. Owned by the SERVICE HOST, which starts it again when it dies; its NOTIFIERs
/// end with it. Holds nothing that the coordinator would not tell again.
struct notifier_crew_state {
  static inline const char* name = "notifier-crew";

  service_line line;
  notify_order how;
  std::optional<notifier_set> notifiers;
  std::uint64_t life = 0; ///< of the news heard last, and
  std::uint64_t seen = 0; ///< their number
};

[[nodiscard]] caf::behavior notifier_crew(caf::stateful_actor<notifier_crew_state>* self,
                                          node_services* services, service_line line,
                                          notify_order how);

/// Coordinator, over the line → CREW.
struct news_heard {
  result<notify_news> news;
};
/// CREW → itself, after an answer that it did not understand.
struct listen_again {};

} // namespace framemill

FM_LOCAL_MESSAGE(news_heard)
FM_LOCAL_MESSAGE(listen_again)
