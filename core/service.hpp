#pragma once

#include "core/fields.hpp"
#include "core/time.hpp"

#include <compare>
#include <cstdint>
#include <string>

namespace framemill {

/// Work that goes on for ever on one node at a time, wherever that is: a BUCKET
/// WATCHER per bucket, a CREW of NOTIFIERs per share of the sinks. `kind` names who
/// can do it, `name` what it is done for.
struct service_id {
  std::string kind; ///< without `/`
  std::string name;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Kind", s.kind);
    v("Name", s.name);
  }
  auto operator<=>(const service_id&) const = default;
};

/// A service as its host tells of it, in each beat.
struct hosted_service {
  service_id service;
  std::uint64_t epoch = 0;
  std::string problem; ///< why it cannot be done there; "" = it is being done
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Service", s.service);
    v("Epoch", s.epoch);
    v("Problem", s.problem);
  }
  bool operator==(const hosted_service&) const = default;
};

/// Where a service was placed last: family `meta`, key = "service/KIND/NAME".
/// Its epoch grows with each placement; words of an older one are refused.
struct service_record {
  service_id service;
  std::string host; ///< "" = nowhere
  std::uint64_t epoch = 0;
  timestamp since;
  std::string reason; ///< why there, or why nowhere
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Service", s.service);
    v("Host", s.host);
    v("Epoch", s.epoch);
    v("Since", s.since);
    v("Reason", s.reason);
  }
  bool operator==(const service_record&) const = default;
};

inline constexpr const char* bucket_watcher_kind = "bucket-watcher";
inline constexpr const char* notifier_kind = "notifier"; ///< named by the share's number

} // namespace framemill
