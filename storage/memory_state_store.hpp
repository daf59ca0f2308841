#pragma once

#include "storage/state_store.hpp"

#include <deque>
#include <map>
#include <memory>
#include <mutex>

namespace framemill {

/// A store in memory with the same contract, for tests and simulations. With
/// `manual` set, batches wait until `sync()`: `crash()` then loses the
/// un-synced ones, as a machine that dies does. Faults are set by hand.
class memory_state_store final : public state_store {
public:
  explicit memory_state_store(bool manual = false) : manual_(manual) {}

  void commit(write_batch batch, done_fn done) override;
  [[nodiscard]] result<std::optional<std::string>> find(family f,
                                                        std::string_view key) const override;
  [[nodiscard]] result<void> scan(family f, std::string_view from, std::string_view until,
                                  const visit_fn& visit) const override;
  [[nodiscard]] result<void> scan_back(family f, std::string_view from, std::string_view until,
                                       const visit_fn& visit) const override;

  /// Makes the oldest `n` waiting batches durable and answers them.
  void sync(std::size_t n = static_cast<std::size_t>(-1));
  /// Drops all waiting batches without an answer.
  void crash();
  [[nodiscard]] std::size_t waiting() const;
  /// The next `n` commits fail with `e`.
  void fail_next(std::size_t n, error e);

private:
  [[nodiscard]] result<void> write(const write_batch& batch);

  bool manual_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> records_[family_count];
  std::deque<std::pair<write_batch, done_fn>> queue_;
  std::size_t failures_ = 0;
  error failure_;
};

/// Wraps a store and injects faults at its door: delays are not simulated, but
/// every n-th commit can fail, and a named commit can kill the process.
class faulty_state_store final : public state_store {
public:
  using hook_fn = std::function<std::optional<error>(const write_batch&)>;
  faulty_state_store(std::unique_ptr<state_store> inner, hook_fn before)
      : inner_(std::move(inner)), before_(std::move(before)) {}

  void commit(write_batch batch, done_fn done) override;
  [[nodiscard]] result<std::optional<std::string>> find(family f,
                                                        std::string_view key) const override;
  [[nodiscard]] result<void> scan(family f, std::string_view from, std::string_view until,
                                  const visit_fn& visit) const override;
  [[nodiscard]] result<void> scan_back(family f, std::string_view from, std::string_view until,
                                       const visit_fn& visit) const override;

private:
  std::unique_ptr<state_store> inner_;
  hook_fn before_;
};

} // namespace framemill
