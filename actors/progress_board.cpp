#include "actors/progress_board.hpp"

namespace framemill {

void progress_board::set(run_progress p, attempt_marks marks) {
  std::lock_guard lock{mutex_};
  for (auto i = followers_.begin(); i != followers_.end();) {
    if (auto f = i->lock()) {
      (*f)(p);
      ++i;
    } else {
      i = followers_.erase(i);
    }
  }
  auto run = p.run;
  latest_.insert_or_assign(run, entry{std::move(p), std::move(marks)});
}

void progress_board::erase(run_id run) {
  std::lock_guard lock{mutex_};
  latest_.erase(run);
}

std::optional<run_progress> progress_board::find(run_id run) const {
  std::lock_guard lock{mutex_};
  auto entry = latest_.find(run);
  return entry == latest_.end() ? std::nullopt : std::optional{entry->second.progress};
}

attempt_marks progress_board::marks_of(run_id run) const {
  std::lock_guard lock{mutex_};
  auto found = latest_.find(run);
  return found == latest_.end() ? attempt_marks{} : found->second.marks;
}

std::shared_ptr<void> progress_board::follow(progress_fn on_progress) {
  auto f = std::make_shared<progress_fn>(std::move(on_progress));
  std::lock_guard lock{mutex_};
  followers_.push_back(f);
  return f;
}

} // namespace framemill
