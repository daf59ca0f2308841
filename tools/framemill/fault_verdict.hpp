#pragma once

#include "tools/framemill/fault_record.hpp"

#include <map>
#include <string>
#include <vector>

// The invariants of a drill, judged from what the API told of it: pure.

namespace framemill::cli {

/// A run as it ended.
struct drill_run {
  std::string object;
  json told;   ///< the answer of DescribeRun; null: there is none
  json events; ///< all of its events, in order
};

/// What a drill found out, after everything was healed and quiet.
struct drill_facts {
  std::vector<fault_record> faults;
  std::vector<drill_run> disturbed;
  std::vector<drill_run> undisturbed; ///< of the same objects, in the same order, once healed
  std::map<std::string, json> audits; ///< object → the audit of its key
  std::vector<std::string> unaudited; ///< objects of which there is none
  std::map<std::string, std::vector<std::string>> scratch; ///< node → what lies there
  std::vector<std::string> silent;    ///< nodes that could not be asked for their scratch
  json sinks_before = json::array();  ///< as before the drill
  json sinks; ///< as DescribeSinks told them last; null: they could not be asked
  json dead_letters = json::array(); ///< those that are known of these runs
  /// "bucket/key" → MD5 of what the disturbed runs left there, "" for nothing;
  /// no entries when the bucket cannot be seen.
  std::map<std::string, std::string> published;
  /// The clock that attempts are timed by was wrong meanwhile: leases are judged
  /// by their epochs alone.
  bool is_clock_wrong = false;
};

enum class finding : unsigned char { holds, broken, not_checked };
[[nodiscard]] std::string_view to_string(finding f) noexcept;

struct verdict {
  std::string invariant;
  finding found = finding::holds;
  std::vector<std::string> details; ///< what is broken, or why it was not checked
};
/// What of these runs' events, or perhaps theirs, is not yet told: a line a sink.
[[nodiscard]] std::vector<std::string> undelivered(const drill_facts& facts);

/// One per invariant, in the order of docs/faults.md.
[[nodiscard]] std::vector<verdict> judge(const drill_facts& facts);
[[nodiscard]] bool all_hold(const std::vector<verdict>& verdicts) noexcept;

} // namespace framemill::cli
