#pragma once

#include "tests/support/cli.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"
#include "tests/support/media_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <map>
#include <string>
#include <vector>

namespace framemill::test {

/// A running node with one bucket, `media`, and what a user does with it.
struct node_fixture {
  temp_dir dir;
  std::string media = dir / "media"; ///< the bucket's directory
  daemon_process node;
  cli command;

  enum class begin { started, stopped };
  explicit node_fixture(daemon_options o = {}, begin b = begin::started);

  /// A command that has to succeed: its last document.
  [[nodiscard]] json ask(std::vector<std::string> words, std::string input = {}) const;
  /// Creates and enables a workflow; answers its id.
  std::uint64_t add_workflow(const json& specification) const;
  /// Copies a file into the bucket.
  void drop(const std::string& file, const std::string& key) const;
  /// Waits for the end of the newest run of an object: the answer of DescribeRun.
  [[nodiscard]] json finish(const std::string& key) const;
  [[nodiscard]] json finish_run(std::uint64_t run) const;
  [[nodiscard]] json show(std::uint64_t run) const;

  [[nodiscard]] std::vector<json> runs() const; ///< newest first
  [[nodiscard]] std::vector<json> events(std::uint64_t run) const;
  [[nodiscard]] json object(const std::string& key) const; ///< of the ledger; null = none
  [[nodiscard]] bool object_is(const std::string& key, const std::string& state) const;
  [[nodiscard]] json audit() const;
  /// key → SHA-256 of what is in the bucket below a prefix; hidden files too,
  /// but for the bucket's own sentinel.
  [[nodiscard]] std::map<std::string, std::string> content(const std::string& prefix) const;
  [[nodiscard]] mps_caller mps() const { return {node.data_dir(), node.endpoint()}; }
};

/// The specification of a workflow on `in/` of `media` that publishes in `out/`.
[[nodiscard]] json workflow(const std::string& name, json tasks);
/// Tasks: an H.264 MP4 that may be cut in shards, quick to make.
[[nodiscard]] json quick_mp4(const std::string& path = {});
/// The same with everything else that is cheap: HLS, pictures, sprite, GIF.
[[nodiscard]] json quick_everything();
/// One that takes some seconds of work.
[[nodiscard]] json slow_mp4();

[[nodiscard]] std::string state_of(const json& described_run);
[[nodiscard]] std::string failure_code(const json& described_run);
[[nodiscard]] std::string failure_message(const json& described_run);

/// The files of a daemon's artifact store.
[[nodiscard]] std::vector<std::string> artifacts(const daemon_process& d);
/// Changes a byte in the middle of each; answers how many.
std::size_t damage_artifacts(const daemon_process& d);

/// After any trouble: the audit balances, every run ended once, no scratch, no
/// process left.
void check_quiet(const node_fixture& f);
/// `check_quiet`, and exactly one run, which succeeded.
void check_one_success(const node_fixture& f);

} // namespace framemill::test
