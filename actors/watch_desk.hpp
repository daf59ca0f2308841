#pragma once

#include "actors/placer.hpp"

namespace framemill {

// What the PLACER knows of one kind of service: BUCKET WATCHERs.

/// One for each bucket of this machine, as the configuration places it.
[[nodiscard]] std::vector<service_spec> wanted_watchers(const node_services& services);
/// A word of the present host of a watcher: reports go to the COORDINATOR, what is
/// asked is answered from the books.
void hear_watcher(placer_state& s, const std::string& node, service_word word);
/// COORDINATOR's answer to reports.
void end_booking(placer_state& s, const batch_booked& m);

/// For people: buckets of this machine, and those that only other nodes have.
[[nodiscard]] std::vector<bucket_status> describe_buckets(const placer_state& s);
/// What a bucket's watcher waits for; nothing when nobody watches it.
void ask_settling(placer_state& s, const std::string& bucket,
                  gateway::reply<std::vector<std::string>> done);

} // namespace framemill
