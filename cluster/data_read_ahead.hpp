#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

namespace framemill::data {

/// Which chunks to bring for a reader, and before it asks: one by one where it
/// jumps, in runs that double while it goes straight on. Pure.
class read_ahead {
public:
  struct run {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    [[nodiscard]] bool contains(std::uint64_t chunk) const {
      return chunk >= first && chunk - first < count;
    }
    bool operator==(const run&) const = default;
  };
  /// Is that chunk here, or being brought?
  using has_fn = std::function<bool(std::uint64_t chunk)>;

  read_ahead(std::uint64_t chunks, std::uint64_t run_chunks_max)
      : chunks_(chunks), run_max_(run_chunks_max) {}

  /// The reader reads in chunk `i` (< chunks): what to bring now.
  [[nodiscard]] std::optional<run> touch(std::uint64_t i, const has_fn& has);

private:
  [[nodiscard]] run run_from(std::uint64_t first) const;
  std::uint64_t chunks_, run_max_;
  std::uint64_t run_ = 1;                ///< chunks brought at once
  std::uint64_t last_ = UINT64_MAX - 1;  ///< touched; at first, neighbour of none
};

/// The last few chunks. Not thread-safe.
class chunk_cache {
public:
  using bytes = std::shared_ptr<const std::string>;
  explicit chunk_cache(std::size_t chunks_max) : chunks_max_(chunks_max) {}
  [[nodiscard]] bool has(std::uint64_t chunk) const;
  /// Null when it is not here.
  [[nodiscard]] bytes find(std::uint64_t chunk);
  void keep(std::uint64_t chunk, std::string content);

private:
  std::size_t chunks_max_;
  std::list<std::pair<std::uint64_t, bytes>> chunks_; ///< last used first
};

} // namespace framemill::data
