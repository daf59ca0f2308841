#pragma once

#include "core/run.hpp"

#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// Frames [first, last) of one output, as one shard was asked to make them.
struct certified_window {
  std::string file;                 ///< packet file that holds them
  std::int64_t first = 0;
  std::optional<std::int64_t> last; ///< none = to the end, which the plan did not know
  std::optional<std::int64_t> begin, end; ///< PTS decoded, both inclusive; with a plan only
  rational time_base;               ///< of `begin` and `end`
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("File", s.file);
    v("First", s.first);
    v("Last", s.last);
    v("BeginPts", s.begin);
    v("EndPts", s.end);
    v("TimeBase", s.time_base);
  }
  bool operator==(const certified_window&) const = default;
};

/// An artifact, known by its hash.
struct certified_file {
  std::string name;
  std::int64_t size = 0;
  std::string sha256;
  std::optional<std::int64_t> frames;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Size", s.size);
    v("Sha256", s.sha256);
    v("Frames", s.frames);
  }
  bool operator==(const certified_file&) const = default;
};

/// What one shard put into the job's outputs, and who made it.
struct certified_shard {
  std::uint32_t shard = 0;
  shard_role role = shard_role::decode;
  std::uint32_t epoch = 0;          ///< of the attempt whose files these are
  std::string node;
  std::string fingerprint;
  std::uint32_t attempts = 0;       ///< all that were made
  std::vector<certified_window> windows;
  std::vector<certified_file> files; ///< that the job reads or publishes
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Shard", s.shard);
    v("Role", s.role);
    v("Epoch", s.epoch);
    v("Node", s.node);
    v("Fingerprint", s.fingerprint);
    v("Attempts", s.attempts);
    v("Windows", s.windows);
    v("Files", s.files);
  }
  bool operator==(const certified_shard&) const = default;
};

/// A published object and the artifact it is a copy of.
struct certified_output {
  object_ref object;
  std::string role;
  std::int64_t size = 0;
  std::string md5;
  std::string sha256; ///< "" = no artifact has these bytes; a check tells
  std::optional<std::int64_t> frames;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Object", s.object);
    v("Role", s.role);
    v("Size", s.size);
    v("Md5", s.md5);
    v("Sha256", s.sha256);
    v("Frames", s.frames);
  }
  bool operator==(const certified_output&) const = default;
};

/// A frame beside a seam of an output, as its join measured it.
struct certified_seam {
  std::string file; ///< the joined artifact
  seam_frame frame;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("File", s.file);
    seam_frame::fields(s.frame, v);
  }
  bool operator==(const certified_seam&) const = default;
};

/// One thing that was compared, in a sentence.
struct certified_check {
  std::string what;
  bool passed = false;
  std::string found;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("What", s.what);
    v("Passed", s.passed);
    v("Found", s.found);
  }
  bool operator==(const certified_check&) const = default;
};

/// How the outputs of one job came to be: enough to make each part again
/// elsewhere and compare.
struct join_certificate {
  run_id run;
  std::uint32_t job = 0;
  object_ref source;          ///< with its generation
  std::string fingerprint;    ///< of all that was encoded
  std::uint32_t plan_revision = 0;
  timestamp finished;
  std::vector<certified_shard> shards; ///< in planning order, without the probe
  std::vector<certified_output> outputs;
  std::vector<certified_check> checks;
  bool passed = false;        ///< all checks
  std::vector<certified_seam> seams; ///< in order, of each joined artifact
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Run", s.run);
    v("Job", s.job);
    v("Source", s.source);
    v("Fingerprint", s.fingerprint);
    v("PlanRevision", s.plan_revision);
    v("Finished", s.finished);
    v("Shards", s.shards);
    v("Outputs", s.outputs);
    v("Checks", s.checks);
    v("Passed", s.passed);
    v("Seams", s.seams);
  }
  bool operator==(const join_certificate&) const = default;
};

/// From the books alone; pure. not_found: the job has published nothing.
/// `shards` are all of the run's, by index.
[[nodiscard]] result<join_certificate> certify(const run_record& run, const job_record& job,
                                               const std::vector<shard_record>& shards);

} // namespace framemill
