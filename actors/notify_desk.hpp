#pragma once

#include "actors/placer.hpp"

namespace framemill {

// What the PLACER knows of one kind of service: CREWs of NOTIFIERs.

/// One for each share of the sinks, as the configuration places them; none when the
/// OUTBOX tells all sinks itself.
[[nodiscard]] std::vector<service_spec> wanted_crews(const node_services& services);
/// A word of the present host of a share, about a sink of it: what is pending is
/// answered from the books, outcomes are written there.
void hear_crew(placer_state& s, const std::string& node, service_word word);
/// From now on CREWs that wait hear of what is announced.
void open_notify_desk(placer_state& s);

/// For people: every sink, and the node that tells it.
[[nodiscard]] std::vector<sink_status> describe_sinks(const placer_state& s);

} // namespace framemill
