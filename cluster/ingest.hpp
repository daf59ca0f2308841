#pragma once

#include "cluster/catalog.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// An object that has stopped changing, as the BUCKET WATCHER reports it; or
/// one that can never run, with the reason.
struct settled_report {
  object_ref object;
  std::vector<std::string> evidence;
  timestamp first_seen;
  std::string refused; ///< not empty: not an object; why
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Object", s.object);
    v("Evidence", s.evidence);
    v("FirstSeen", s.first_seen);
    v("Refused", s.refused);
  }
  bool operator==(const settled_report&) const = default;
};

/// What one report means. Pure.
struct ingest_decision {
  changes record;                   ///< the object's line and its new runs
  std::vector<run_id> started;
  bool replaces = false;            ///< a newer generation: live runs of the older
                                    ///< one are to be cancelled
};

/// Every enabled workflow whose trigger takes the object gets one run of it,
/// once per (generation, workflow, revision). What a run published carries its
/// origin and never triggers a workflow of its own lineage. `known` is the
/// object's line so far; `has_run_key` asks the store.
[[nodiscard]] ingest_decision
decide_ingest(timestamp now, const settled_report& report,
              const std::optional<object_record>& known, catalog& definitions,
              const std::function<bool(const std::string& run_key)>& has_run_key);

/// A run of one workflow revision (or of a call's own specification).
[[nodiscard]] run_record make_run(timestamp now, run_id id, run_cause cause, workflow_id workflow,
                                  std::uint32_t revision, workflow_spec spec, object_ref object);
[[nodiscard]] event_record run_created_event(const run_record& run);

} // namespace framemill
