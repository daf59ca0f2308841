#pragma once

#include "core/limits.hpp"
#include "core/run.hpp"

#include <map>
#include <string>
#include <vector>

namespace framemill {

/// What the planner may count on.
struct plan_options {
  int slots = 2;                ///< shards that can run at once
  int cores = 2;                ///< of the widest node
  double shard_seconds_min = 8; ///< of source time
  double shard_seconds_max = 60;
  double shard_source_seconds_min = 20; ///< shorter sources are not cut
  /// A shard costs about 0.3 CPU seconds to start, and to decode up to its first
  /// frame: video that is predicted to cost less than this is not cut. 10 times
  /// as much is advised; 0: it is cut however cheap it is.
  double shard_cpu_seconds_min = 0;
  int shards_max = limits::run_shards_max;
  bool allow_sharding = true;           ///< false: each output in one piece
  bool trust_index = true;              ///< false after errc::input_damaged: plan as
                                        ///< if the index were not exact
  /// MPS font names (arial.ttf, simkai.ttf) to font files; a name that is not
  /// here goes to the child as it is.
  std::map<std::string, std::string> fonts = {
      {"arial.ttf", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"},
      {"simkai.ttf", "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"}};
};

/// An image that the plan's overlays want in `in/`.
struct plan_asset {
  std::string name;                  ///< below `in/`
  std::string base64;                ///< its bytes, or
  std::optional<media_input> object; ///< where it is
};

/// A stage for people: what `workflow explain` shows.
struct plan_stage {
  std::string name; ///< "decode", "audio", "join 100020", …
  std::vector<std::uint32_t> shards;
  std::vector<std::uint32_t> jobs; ///< that share it
  std::string note;                ///< "one decode for 3 outputs", "not sharded: ABR"
  double cost = 0;                 ///< predicted CPU seconds
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Shards", s.shards);
    v("Jobs", s.jobs);
    v("Note", s.note);
    v("Cost", s.cost);
  }
};

struct physical_plan {
  std::vector<shard_record> shards; ///< index 1…; shard 0 is the probe, done
  std::vector<job_record> jobs;     ///< one per activity; a job that cannot be
                                    ///< done has `failure` and state failed
  std::vector<plan_stage> stages;
  std::vector<std::string> warnings; ///< policies applied to this source
  double cost = 0;                   ///< predicted CPU seconds
  std::int64_t scratch_bytes = 0;    ///< predicted
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Shards", s.shards);
    v("Jobs", s.jobs);
    v("Stages", s.stages);
    v("Warnings", s.warnings);
    v("Cost", s.cost);
    v("ScratchBytes", s.scratch_bytes);
  }
};

/// Images to fetch and store before planning.
[[nodiscard]] std::vector<plan_asset> required_assets(const run_record& run,
                                                      const template_source& templates);

/// Pure: the same arguments give the same plan. `run.media` must be set;
/// `index` is nullptr for a source without video. `assets` maps asset names to
/// the SHA-256 under which they were stored.
///
/// Fails only when the whole run is impossible; a job that cannot be done
/// (an activity that needs video on a source without, an unknown Definition)
/// is in the plan with its failure, and the others go on.
[[nodiscard]] result<physical_plan> make_plan(const run_record& run, const packet_index* index,
                                              const template_source& templates,
                                              const std::map<std::string, std::string>& assets,
                                              const plan_options& options);

/// The same of an edit of several files (run_record::more_sources): each is encoded as a
/// clip with the first one's size and rate, and the clips are spliced. `indexes` are in
/// the order of the files.
[[nodiscard]] result<physical_plan>
make_edit_plan(const run_record& run, const std::vector<const packet_index*>& indexes,
               const template_source& templates,
               const std::map<std::string, std::string>& assets, const plan_options& options);

/// The plan as text: stages, shards, what shares a decode, predicted cost.
[[nodiscard]] std::string explain(const physical_plan& plan);

} // namespace framemill
