#pragma once

#include "cluster/ingest.hpp"
#include "core/object.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

// What a BUCKET WATCHER and the coordinator say to each other, on whichever node
// it is: payloads of `host_service`, `service_word` and `service_answer`
// (cluster/protocol.hpp). Kind numbers are append-only.

namespace framemill {

/// How to watch; payload of `host_service`. The bucket is the service's name.
struct watch_order {
  microseconds scan_interval{10'000'000};
  microseconds settle_quiet{2'000'000}; ///< without a close hint
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ScanInterval", s.scan_interval);
    v("SettleQuiet", s.settle_quiet);
  }
  bool operator==(const watch_order&) const = default;
};

// ---- watcher → coordinator ----------------------------------------------------------

/// These have settled, or can never be objects; at most limits::ingest_batch_max.
/// Told until they are booked or refused; the ledger takes each generation once.
struct watch_reports {
  static constexpr std::uint64_t kind = 1;
  std::vector<settled_report> reports;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Reports", s.reports);
  }
  bool operator==(const watch_reports&) const = default;
};

/// Which of these are not in the books? At most limits::ingest_batch_max.
struct watch_question {
  static constexpr std::uint64_t kind = 2;
  struct candidate {
    std::string key;
    framemill::generation generation;
    template <class Self, class V>
    static void fields(Self& s, V& v) {
      v("Key", s.key);
      v("Generation", s.generation);
    }
    bool operator==(const candidate&) const = default;
  };
  std::vector<candidate> found;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Found", s.found);
  }
  bool operator==(const watch_question&) const = default;
};

/// How the watcher fares, for people. A lost one is made up for by the next.
struct watch_status {
  static constexpr std::uint64_t kind = 3;
  std::string location;       ///< on its node
  std::string mode;           ///< "inotify", or "scan: why"
  std::string problem;        ///< why the bucket is not available; "" = it is
  std::uint64_t settling = 0; ///< objects
  timestamp last_scan;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Location", s.location);
    v("Mode", s.mode);
    v("Problem", s.problem);
    v("Settling", s.settling);
    v("LastScan", s.last_scan);
  }
  bool operator==(const watch_status&) const = default;
};
using watch_word = std::variant<watch_reports, watch_question, watch_status>;

// ---- coordinator → watcher ----------------------------------------------------------

/// Answer to `watch_reports`. Not booked: the scan will find them again.
struct watch_booked {
  static constexpr std::uint64_t kind = 1;
  bool is_booked = true;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("IsBooked", s.is_booked);
  }
  bool operator==(const watch_booked&) const = default;
};

/// Answer to `watch_question`: places in `found`.
struct watch_unbooked {
  static constexpr std::uint64_t kind = 2;
  std::vector<std::uint32_t> places;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Places", s.places);
  }
  bool operator==(const watch_unbooked&) const = default;
};

/// Answer to `watch_status`.
struct watch_noted {
  static constexpr std::uint64_t kind = 3;
  template <class Self, class V>
  static void fields(Self&, V&) {}
  bool operator==(const watch_noted&) const = default;
};
using watch_answer = std::variant<watch_booked, watch_unbooked, watch_noted>;

} // namespace framemill
