#pragma once

#include "cluster/data_message.hpp"

#include <deque>
#include <map>
#include <optional>

namespace framemill::data {

struct chunk {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  int corrupt = 0; ///< times it came with a wrong hash
  bool operator==(const chunk&) const = default;
};

/// A chunk that is wrong this often is wrong where it comes from.
inline constexpr int corrupt_chunks_max = 5;

/// Which chunks of a range to ask for next: at most `credit` under way, each
/// until it has come whole. Pure; one per transfer.
class read_window {
public:
  /// `end` may be beyond the object's: `ends_at` says where that is. Nothing
  /// but the first chunk is asked for before.
  read_window(std::uint64_t begin, std::uint64_t end, std::uint64_t chunk_bytes, int credit);

  /// To be asked for now, under this new id.
  [[nodiscard]] std::optional<chunk> next(std::uint64_t id);
  /// What was asked for under this id; nothing when it is not awaited (any more).
  [[nodiscard]] std::optional<chunk> take(std::uint64_t id);
  void ends_at(std::uint64_t total);
  /// It came damaged: ask again. errc::corrupt after too many times.
  [[nodiscard]] result<void> again(chunk c);
  /// The connection was cut: what was under way is asked for again.
  void lost();
  [[nodiscard]] bool is_done() const;

private:
  std::uint64_t next_, end_, chunk_bytes_;
  std::size_t credit_;
  bool end_known_ = false;
  std::map<std::uint64_t, chunk> under_way_; ///< by id
  std::deque<chunk> repeat_;
};

/// Which bytes of a file to put next. The receiver's `have` is the truth: after
/// a cut, or when it took something else than what was put, go on from there.
/// Pure; one per delivery.
///
///   asking ──have──▶ sending ──all sent──▶ waiting ──stored──▶ done
///      ▲────────────── lost, a gap ──────────┘
class put_window {
public:
  put_window(std::uint64_t size, std::uint64_t chunk_bytes, int credit);

  /// To be put now; one of no bytes is a question.
  [[nodiscard]] std::optional<chunk> next(std::uint64_t id);
  [[nodiscard]] bool awaits(std::uint64_t id) const { return under_way_.contains(id); }
  /// errc::corrupt when the receiver refuses the same bytes again and again.
  [[nodiscard]] result<void> on_reply(std::uint64_t id, const delivery_state& state);
  /// It was silent for a while: ask it how far it is.
  void nudge();
  void lost();
  [[nodiscard]] bool is_done() const { return done_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

private:
  [[nodiscard]] result<void> go_back_to(std::uint64_t have);
  std::uint64_t size_, chunk_bytes_;
  std::size_t credit_;
  std::uint64_t next_ = 0;
  bool question_ = true; ///< to be asked
  bool known_ = false;   ///< `next_` is the receiver's word
  bool done_ = false;
  std::map<std::uint64_t, chunk> under_way_;
  std::uint64_t refused_ = 0;
  int refused_here_ = 0;        ///< times in a row, at …
  std::uint64_t refused_at_ = 0; ///< … this offset
};

} // namespace framemill::data
