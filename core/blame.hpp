#pragma once

#include "core/error.hpp"
#include "core/id.hpp"
#include "core/object.hpp"

#include <optional>
#include <string>
#include <vector>

// What is remembered of failures (cluster/blame.hpp decides on it). Family
// `blame`; a record with nothing left in it is erased.

namespace framemill {

/// A failure that nothing has explained yet. Shard and epoch find its
/// attempt_record: exit, last log lines, last watermark.
struct strike {
  std::string node;
  shard_id shard;
  std::uint32_t epoch = 0;
  error failure;
  timestamp when;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Node", s.node);
    v("Shard", s.shard);
    v("Epoch", s.epoch);
    v("Failure", s.failure);
    v("When", s.when);
  }
  bool operator==(const strike&) const = default;
};

/// Key "input/" + the object and its generation.
struct input_blame {
  object_ref input;
  std::vector<strike> strikes; ///< oldest first
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Input", s.input);
    v("Strikes", s.strikes);
  }
  bool operator==(const input_blame&) const = default;
};

/// An input that failed on a node and succeeded on another.
struct failed_there {
  object_ref input;
  timestamp when; ///< of its last failure
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Input", s.input);
    v("When", s.when);
  }
  bool operator==(const failed_there&) const = default;
};

/// Key "node/" + its name.
struct node_blame {
  std::string node;
  std::vector<failed_there> counts;
  std::int32_t successes = 0;       ///< since the last pardon
  std::optional<timestamp> doubted; ///< since when it is in doubt
  std::vector<timestamp> cordons;   ///< oldest first
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Node", s.node);
    v("Counts", s.counts);
    v("Successes", s.successes);
    v("Doubted", s.doubted);
    v("Cordons", s.cordons);
  }
  bool operator==(const node_blame&) const = default;
  [[nodiscard]] bool is_blank() const {
    return counts.empty() && cordons.empty() && !doubted;
  }
};

} // namespace framemill
