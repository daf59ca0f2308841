#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace framemill::test {

/// Which bytes a rule is for: those from the side that dials the proxy, those
/// from the side that the proxy dials, or both.
enum class flow : std::uint8_t { forward, backward, both };

/// A network between two programs that does what networks do. Stands between
/// those who connect to `endpoint()` and one target; its own thread carries the
/// bytes, and every verb takes hold of the connections there are and of all to
/// come. Thread-safe.
///
/// What TCP promises is kept: bytes arrive in order and once, or the connection
/// breaks. Reordering and duplicates cannot be seen from above TCP, so there are
/// no switches for them. Loss is `blackhole` (what is lost is sent again once the
/// network is well) or `cut`.
class chaos_proxy {
public:
  /// `target` is HOST:PORT, IPv4. The jitter of delays comes from `seed`.
  explicit chaos_proxy(std::string target, std::uint64_t seed = 1);
  ~chaos_proxy();
  chaos_proxy(const chaos_proxy&) = delete;
  chaos_proxy& operator=(const chaos_proxy&) = delete;

  /// HOST:PORT where it listens.
  [[nodiscard]] std::string endpoint() const;
  [[nodiscard]] std::uint16_t port() const;
  /// For connections to come.
  void retarget(std::string target);

  // ---- faults --------------------------------------------------------------------
  /// Takes back all rules, refusals too; what was held arrives.
  void heal();
  /// Each piece arrives `mean` ± `jitter` later, in order.
  void delay(std::chrono::milliseconds mean, std::chrono::milliseconds jitter = {},
             flow f = flow::both);
  void throttle(std::int64_t bytes_per_second, flow f = flow::both);
  /// Nothing arrives, not even the end of a connection: a partition, or with one
  /// direction a one-way partition. Connecting succeeds and nobody answers.
  void blackhole(flow f = flow::both);
  /// Resets all connections there are, on both sides; new ones are welcome.
  void cut();
  /// Resets each new connection at once; those there are stay.
  void refuse();
  /// Inverts one bit of the `offset`-th byte (from 0) to arrive from now on, once.
  void flip_byte(std::uint64_t offset, flow f);

  // ---- questions -----------------------------------------------------------------
  [[nodiscard]] std::size_t connections() const;   ///< now
  [[nodiscard]] std::size_t accepted() const;      ///< ever
  [[nodiscard]] std::uint64_t bytes(flow f) const; ///< that arrived
  [[nodiscard]] std::size_t flipped() const;       ///< bytes, ever

private:
  class carrier;
  std::unique_ptr<carrier> carrier_;
};

} // namespace framemill::test
