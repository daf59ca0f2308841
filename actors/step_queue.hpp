#pragma once

#include <cstdint>
#include <deque>
#include <utility>

namespace framemill {

/// Steps on their way to disk, oldest first. What a step wants done waits for
/// its own commit and for those of all steps before it, so that actions happen
/// in the order of the decisions. Used by one actor.
template <class Actions>
class step_queue {
public:
  /// A step whose records are being committed, or that has none (`durable`).
  std::uint64_t add(Actions actions, bool durable) {
    steps_.push_back({++last_, durable, std::move(actions)});
    return last_;
  }
  void written(std::uint64_t token) {
    if (auto* s = step_of(token))
      s->durable = true;
  }
  /// The step and all before it, that were written together.
  void written_up_to(std::uint64_t token) {
    for (auto& s : steps_) {
      if (s.token > token)
        return;
      s.durable = true;
    }
  }
  /// Nothing when there is no such step.
  Actions* find(std::uint64_t token) {
    auto* s = step_of(token);
    return s == nullptr ? nullptr : &s->actions;
  }
  [[nodiscard]] bool is_empty() const { return steps_.empty(); }
  [[nodiscard]] bool ready() const { return !steps_.empty() && steps_.front().durable; }
  [[nodiscard]] Actions take() {
    auto out = std::move(steps_.front().actions);
    steps_.pop_front();
    return out;
  }

private:
  struct step {
    std::uint64_t token = 0;
    bool durable = false;
    Actions actions;
  };
  step* step_of(std::uint64_t token) {
    const auto first = last_ + 1 - steps_.size(); // tokens follow each other
    return token < first || token > last_ ? nullptr : &steps_[token - first];
  }

  std::deque<step> steps_;
  std::uint64_t last_ = 0;
};

} // namespace framemill
