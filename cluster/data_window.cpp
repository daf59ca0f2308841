#include "cluster/data_window.hpp"

#include <algorithm>

namespace framemill::data {

// ---- read_window ---------------------------------------------------------------

read_window::read_window(std::uint64_t begin, std::uint64_t end, std::uint64_t chunk_bytes,
                         int credit)
    : next_(begin), end_(end), chunk_bytes_(chunk_bytes),
      credit_(static_cast<std::size_t>(credit)) {}

std::optional<chunk> read_window::next(std::uint64_t id) {
  if (under_way_.size() >= credit_)
    return {};
  chunk c;
  if (!repeat_.empty()) {
    c = repeat_.front();
    repeat_.pop_front();
  } else if (next_ < end_ && (end_known_ || under_way_.empty())) {
    c = {next_, std::min(chunk_bytes_, end_ - next_)};
    next_ += c.size;
  } else {
    return {};
  }
  under_way_[id] = c;
  return c;
}

std::optional<chunk> read_window::take(std::uint64_t id) {
  auto found = under_way_.extract(id);
  if (!found)
    return {};
  return found.mapped();
}

void read_window::ends_at(std::uint64_t total) {
  end_ = std::min(end_, total);
  end_known_ = true;
}

result<void> read_window::again(chunk c) {
  if (++c.corrupt >= corrupt_chunks_max)
    return fail(errc::corrupt, "{} bytes at {} came damaged {} times", c.size, c.offset,
                c.corrupt);
  repeat_.push_back(c);
  return {};
}

void read_window::lost() {
  for (const auto& [id, c] : under_way_)
    repeat_.push_back(c);
  under_way_.clear();
}

bool read_window::is_done() const {
  return next_ >= end_ && under_way_.empty() && repeat_.empty() && end_known_;
}

// ---- put_window ----------------------------------------------------------------

put_window::put_window(std::uint64_t size, std::uint64_t chunk_bytes, int credit)
    : size_(size), chunk_bytes_(chunk_bytes), credit_(static_cast<std::size_t>(credit)) {}

std::optional<chunk> put_window::next(std::uint64_t id) {
  if (done_)
    return {};
  chunk c{next_, 0};
  if (question_)
    question_ = false;
  else if (known_ && next_ < size_ && under_way_.size() < credit_)
    c.size = std::min(chunk_bytes_, size_ - next_);
  else
    return {};
  next_ += c.size;
  under_way_[id] = c;
  return c;
}

result<void> put_window::on_reply(std::uint64_t id, const delivery_state& state) {
  auto found = under_way_.extract(id);
  if (!found)
    return {};
  const auto& c = found.mapped();
  known_ = true;
  if (state.stage == delivery_stage::stored)
    done_ = true;
  else if (state.stage == delivery_stage::receiving && state.have < c.offset + c.size)
    return go_back_to(state.have);
  else
    next_ = std::max(next_, std::min(state.have, size_)); // somebody else puts it too
  return {};
}

/// The receiver has less than was told to it: bytes were damaged on the way, or
/// it lost them.
result<void> put_window::go_back_to(std::uint64_t have) {
  under_way_.clear();
  next_ = have;
  ++refused_;
  refused_here_ = have == refused_at_ ? refused_here_ + 1 : 1;
  refused_at_ = have;
  if (refused_here_ >= corrupt_chunks_max)
    return fail(errc::corrupt, "the bytes at {} were refused {} times", have, refused_here_);
  return {};
}

void put_window::nudge() { question_ = true; }

void put_window::lost() {
  under_way_.clear();
  next_ = 0;
  known_ = false;
  question_ = true;
}

} // namespace framemill::data
