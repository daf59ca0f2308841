#pragma once

#include "core/time.hpp"
#include "tests/support/cluster_process.hpp"
#include "tests/system/fixture.hpp"

#include <optional>
#include <set>

namespace framemill::test {

/// A coordinator with workers of one slot each, whose decoding takes as long as
/// the object's name says (bench/paced_media.cpp), and how to trouble them.
struct cluster_fixture : node_fixture {
  cluster_process cluster;

  explicit cluster_fixture(int workers = 4, cluster_links links = cluster_links::cables,
                           const std::string& worker_config = {});

  /// Drops the source of these seconds into the bucket.
  void put(const std::string& key, int seconds = 24) const;
  /// The same; answers its run once `leased` of its shards are being worked on: all
  /// decode, but one that has the audio.
  [[nodiscard]] std::uint64_t begin(const std::string& key, int seconds = 24, int leased = 3);
  /// A worker that decodes now, with its shard.
  struct holder {
    std::string node;
    std::uint32_t shard = 0;
  };
  [[nodiscard]] std::vector<holder> holders(std::uint64_t run) const;
  [[nodiscard]] holder await_holder(std::uint64_t run) const;

  [[nodiscard]] json described(std::uint64_t run) const; ///< without the CLI: quick
};

/// Keys whose decoding takes that much for each planned second.
inline const std::string quick_key = "in/pace-0.02.mp4", paced_key = "in/pace-0.2.mp4";

/// What one undisturbed node makes of the source: key → SHA-256. Cut as for four
/// slots.
[[nodiscard]] const std::map<std::string, std::string>& undisturbed(const std::string& key,
                                                                    int seconds = 24);

/// Every attempt of a run's shards.
struct attempt {
  std::uint32_t shard = 0;
  std::string role, node;
  std::uint32_t epoch = 0;
  timestamp started;
  std::string failure; ///< its code; "" = none
  bool is_hedge = false;
};
[[nodiscard]] std::vector<attempt> attempts_of(const json& described_run);
/// Those that failed; not those that were stopped because a hedge was first.
[[nodiscard]] std::size_t failures_of(const json& described_run);
/// The nodes that decoded for it.
[[nodiscard]] std::set<std::string> decoding_nodes(const json& described_run);
/// When the shard was first started on another node after `fault`.
[[nodiscard]] std::optional<microseconds>
moved_after(const json& described_run, const cluster_fixture::holder& victim, timestamp fault);
/// Long before any lease or patience of minutes would have ended; how fast it
/// really is, bench/recovery.py measures on a machine that does nothing else.
inline constexpr std::chrono::seconds moved_within{20};
/// It was, and within the limit; says how long it took.
void check_moved(const json& described_run, const cluster_fixture::holder& victim,
                 timestamp fault, std::chrono::milliseconds limit);
[[nodiscard]] timestamp now();

/// When each packet of each stream is shown, from the container: equal for two
/// encodes of one source, however it was cut.
[[nodiscard]] std::string times_of(const std::string& path);
/// The run succeeds, with the outputs of an undisturbed one; answers it.
json check_undisturbed(const cluster_fixture& f, const std::string& key, int seconds = 24);
/// Books, events and coordinator as `check_quiet`, every invariant of a drill
/// (docs/faults.md), and on every worker that runs no scratch and no process left.
void check_quiet(cluster_fixture& f);

} // namespace framemill::test
