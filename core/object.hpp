#pragma once

#include "core/fields.hpp"

#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// What tells one content of a key from another: size, mtime and inode for a
/// local bucket, ETag for S3.
struct generation {
  std::uint64_t size = 0;     ///< bytes
  std::int64_t mtime_ns = 0;
  std::uint64_t inode = 0;
  std::string etag;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Size", s.size);
    v("MtimeNs", s.mtime_ns);
    v("Inode", s.inode);
    v("ETag", s.etag);
  }
  bool operator==(const generation&) const = default;
  auto operator<=>(const generation&) const = default;
};

struct object_ref {
  std::string bucket;
  std::string key; ///< normalised: see core/object_path.hpp
  framemill::generation generation;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.bucket);
    v("Key", s.key);
    v("Generation", s.generation);
  }
  bool operator==(const object_ref&) const = default;
};

enum class object_state : std::uint8_t {
  settling, ///< seen, still changing or too young; not yet acted on
  settled,  ///< acted on: `runs` were made for it
  ignored,  ///< will not run; `reason` says why
  vanished, ///< was there once, the bucket no longer has it
};

/// Which run made this object, and through which workflows: never triggers one
/// of them again.
struct object_origin {
  run_id run;
  std::vector<std::uint64_t> workflows; ///< the chain, oldest first

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Run", s.run);
    v("Workflows", s.workflows);
  }
  bool operator==(const object_origin&) const = default;
};

/// One line of the ingest ledger: family `objects`, key = bucket '\0' key.
struct object_record {
  object_ref object;
  object_state state = object_state::settling;
  std::string reason;               ///< of `ignored`
  std::vector<std::string> evidence; ///< why it counts as settled
  timestamp first_seen;
  timestamp last_change;
  timestamp settled;
  std::vector<run_id> runs;
  std::optional<object_origin> origin;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Object", s.object);
    v("State", s.state);
    v("Reason", s.reason);
    v("Evidence", s.evidence);
    v("FirstSeen", s.first_seen);
    v("LastChange", s.last_change);
    v("Settled", s.settled);
    v("Runs", s.runs);
    v("Origin", s.origin);
  }
  bool operator==(const object_record&) const = default;
};

} // namespace framemill

FM_ENUM_NAMES(framemill::object_state, "settling", "settled", "ignored", "vanished")
