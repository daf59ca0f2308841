#pragma once

#include "core/json.hpp"

#include <cstdint>
#include <string>
#include <vector>

// What a drill does, and when: pure, so that a seed says everything. Writing a
// scenario is explained in docs/faults.md.

namespace framemill::cli {

/// Objects through a workflow.
struct drill_workload {
  std::string bucket;
  std::string workflow;             ///< its id or its name
  std::vector<std::string> objects; ///< keys; `{seed}` in them stands for the seed
  std::string directory;            ///< the bucket as this machine sees it; "" = not at all
  std::string drop_file;            ///< copied to each key, for the trigger; "" = the objects
                                    ///< are there, and a run of each is submitted
  double within = 0;                ///< seconds over which they come
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.bucket, required);
    v("Workflow", s.workflow, required);
    v("Objects", s.objects, required);
    v("Directory", s.directory);
    v("DropFile", s.drop_file);
    v("Within", s.within);
  }
};

/// One trouble: a fail point to arm, or a mode to set. Times are seconds.
struct drill_trouble {
  std::string node = "*"; ///< "*": one that the seed picks, each time anew
  std::string point;      ///< POINT[:N…]
  std::string action;
  std::string mode;       ///< paused, cordoned, draining
  std::int32_t count = 1;
  double from = 0, to = 0; ///< comes at a time between
  double lasts = 0;        ///< then disarmed, or active again; 0 = until the end
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Node", s.node);
    v("Point", s.point);
    v("Action", s.action);
    v("Mode", s.mode);
    v("Count", s.count);
    v("From", s.from);
    v("To", s.to);
    v("For", s.lasts);
  }
};

struct drill_scenario {
  std::string name;
  drill_workload workload;
  std::vector<drill_trouble> faults;
  double quiesce = 300; ///< seconds: the longest wait for what was begun to end
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Workload", s.workload, required);
    v("Faults", s.faults);
    v("Quiesce", s.quiesce);
  }
};

/// Refuses what cannot be meant; `field` is the path in the file.
[[nodiscard]] result<drill_scenario> parse_scenario(std::string_view text, std::uint64_t seed);

/// Are its points and actions among those of a node, whose fail points these are?
/// invalid_argument; `field` likewise.
[[nodiscard]] result<void> check_faults(const drill_scenario& scenario, const json& points);

/// A call to the API at a time. An empty `action` drops the file under `object`.
struct drill_step {
  double at = 0; ///< seconds from the beginning
  std::string action;
  json body;
  std::string object; ///< of a workload's step: its key
};
/// In order of time. `nodes` are those that "*" may mean: at least one.
[[nodiscard]] std::vector<drill_step> plan_drill(const drill_scenario& scenario,
                                                 std::uint64_t workflow, std::uint64_t seed,
                                                 const std::vector<std::string>& nodes);

/// Is the clock of that node made wrong?
[[nodiscard]] bool sets_clock_of(const std::vector<drill_step>& plan, const std::string& node);

/// One line for people.
[[nodiscard]] std::string describe(const drill_step& step);

} // namespace framemill::cli
