#pragma once

#include "actors/interfaces.hpp"
#include "actors/service_line.hpp"
#include "cluster/watch_words.hpp"
#include "storage/state_store.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace framemill {

/// What the ingest ledger knows of a bucket, for its BUCKET WATCHER. Owned and
/// used by that alone; may block its thread.
class ledger_view {
public:
  using candidates = std::vector<watch_question::candidate>;

  virtual ~ledger_view() = default;
  /// Places in `found` of the generations that are not in the books. At most
  /// limits::ingest_batch_max are asked for at once. errc::unavailable: nobody
  /// answers in time.
  [[nodiscard]] virtual result<std::vector<std::uint32_t>>
  unbooked(const candidates& found) = 0;
};

/// The same, from the store.
[[nodiscard]] result<std::vector<std::uint32_t>>
find_unbooked(const state_store& store, const std::string& bucket,
              const ledger_view::candidates& found);
/// On the coordinator's machine.
[[nodiscard]] std::unique_ptr<ledger_view> make_store_ledger(const state_store& store,
                                                             std::string bucket);
/// How a ledger is asked that is elsewhere.
struct ledger_line {
  service_line to;
  /// The coordinator's term: with a new one, what was remembered is forgotten,
  /// since its books may be those of a backup.
  std::shared_ptr<const std::atomic<std::uint64_t>> term;
  std::chrono::milliseconds patience{10'000};
};
/// Elsewhere: asks, and remembers what is booked.
[[nodiscard]] std::unique_ptr<ledger_view> make_asked_ledger(ledger_line line);

} // namespace framemill
