#pragma once

#include "core/error.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// The kinds of durable records. The numbers are stored: append only.
enum class family : std::uint8_t {
  meta = 0,
  workflows,
  templates,
  objects,
  runs,
  jobs,
  shards,
  artifacts,
  events,
  cursors,
  functions,
  function_logs,
  nodes,
  audit,
  run_keys,  ///< run_key → run id; makes a trigger run once
  live_runs, ///< run ids that are not in a terminal state
  sessions,  ///< SessionId → run id
  deliveries,        ///< sink, event → a notification on its way, or dead
  queues,            ///< of the embedded queue: queues, topics, subscriptions
  messages,          ///< id → what a message says
  function_triggers, ///< event type → function
  blame,             ///< what failed where, until it is explained or old
  message_states,    ///< id → where a message is
};
inline constexpr std::size_t family_count = 23;
[[nodiscard]] std::string_view to_string(family f) noexcept;

/// One writer's batches, each of which builds on those before: once one of them
/// was refused, none that still waits is written. Thread-safe.
class commit_chain {
public:
  void break_off() { is_broken_ = true; }
  [[nodiscard]] bool is_broken() const { return is_broken_; }

private:
  std::atomic<bool> is_broken_{false};
};

/// Changes that become visible and durable together, or not at all.
class write_batch {
public:
  struct operation {
    framemill::family family;
    std::string key;
    std::optional<std::string> value; ///< empty: erase
  };

  void put(family f, std::string key, std::string value) {
    bytes_ += key.size() + value.size();
    operations_.push_back({f, std::move(key), std::move(value)});
  }
  void erase(family f, std::string key) {
    bytes_ += key.size();
    operations_.push_back({f, std::move(key), std::nullopt});
  }
  /// Makes it a link of the chain; whoever answers it tells the chain of a failure.
  void belong_to(std::shared_ptr<const commit_chain> c) { chain_ = std::move(c); }
  /// Asked when it would be written: errc::conflict when its chain is broken.
  [[nodiscard]] result<void> may_be_written() const;
  /// Appends another batch's operations after ours.
  void merge(write_batch other);
  [[nodiscard]] const std::vector<operation>& operations() const { return operations_; }
  [[nodiscard]] bool empty() const { return operations_.empty(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; } ///< of keys and values

private:
  std::vector<operation> operations_;
  std::size_t bytes_ = 0;
  std::shared_ptr<const commit_chain> chain_;
};

/// Durable, ordered records by family. Thread-safe.
///
/// Reads see every batch whose `done` was called with success. Batches become
/// durable in the order of the `commit` calls. All failures are error values:
/// io_failed, no_space, corrupt, schema_newer, busy (another process has it).
class state_store {
public:
  using done_fn = std::function<void(result<void>)>;

  virtual ~state_store() = default;

  /// Queues the batch. `done` runs on the store's own thread, or one that was lent
  /// to it, after the batch is on disk (fsync), or failed whole; it must not block.
  /// Concurrent commits share one fsync (group commit). After a failed batch the
  /// store answers later ones again, but for those of a broken chain
  /// (errc::conflict): nothing of the failed one is ever visible.
  virtual void commit(write_batch batch, done_fn done) = 0;

  /// For a thread that has nothing to do but to wait for what it commits. `enqueue` is
  /// `commit`, of one that lends itself next; `write_queued` writes what is queued,
  /// unless somebody is at it, and answers it before it returns. Saves the way to
  /// the store's thread and back, which costs half as much as a quick disk's fsync.
  virtual void enqueue(write_batch batch, done_fn done) {
    commit(std::move(batch), std::move(done));
  }
  virtual void write_queued() {}

  [[nodiscard]] virtual result<std::optional<std::string>> find(family f,
                                                                std::string_view key) const = 0;

  /// Visits records with `from` ≤ key < `until` ("" = no bound) in key order
  /// until `visit` returns false.
  using visit_fn = std::function<bool(std::string_view key, std::string_view value)>;
  [[nodiscard]] virtual result<void> scan(family f, std::string_view from,
                                          std::string_view until,
                                          const visit_fn& visit) const = 0;
  /// As `scan`, downwards from the last key < `until`.
  [[nodiscard]] virtual result<void> scan_back(family f, std::string_view from,
                                               std::string_view until,
                                               const visit_fn& visit) const = 0;

  /// A consistent copy, as of some moment during the call, into `directory`,
  /// which must not be there yet. Commits go on meanwhile. errc::unsupported
  /// for stores in memory.
  [[nodiscard]] virtual result<void> copy_to(const std::string& directory) const {
    return fail(errc::unsupported, "this store cannot be copied to {}", directory);
  }

  /// Waits for a commit of one's own; for start-up, tools and tests only.
  [[nodiscard]] result<void> commit_and_wait(write_batch batch);
};

/// Smallest key greater than every key that begins with `prefix`; "" = none.
[[nodiscard]] std::string prefix_end(std::string_view prefix);

/// Opens (creates) the RocksDB store in `directory`: one process at a time
/// (errc::busy names the holder), refuses a newer schema (schema_newer), brings an
/// older one up to date (storage/migrations.hpp).
struct rocks_options {
  std::string directory;
  bool read_only = false; ///< for `inspect`: needs no lock, sees a snapshot
  /// After each fsync, on the store's thread: how many batches shared it.
  std::function<void(std::size_t batches)> on_group = {};
};
[[nodiscard]] result<std::unique_ptr<state_store>>
open_rocks_state_store(const rocks_options& o);

/// The version this program writes; stored under `meta`.
inline constexpr std::uint32_t schema_version = 2;
inline constexpr std::string_view schema_key = "schema";

} // namespace framemill
