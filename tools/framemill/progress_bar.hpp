#pragma once

#include "core/run.hpp"

#include <cstdio>
#include <string>

namespace framemill::cli {

/// One line of progress, at most `width` columns:
/// `encoding   42% [████████▌           ] 1234/2900 frames  3.1x  ETA 8–12 s`.
/// 100 % only for a fraction of 1; the ETA is "unknown" until the server knows.
[[nodiscard]] std::string progress_line(const run_progress& p, std::size_t width);

/// Shows the progress of one run. On a terminal one line is rewritten in place;
/// elsewhere a line is written when the phase changes and at each tenth.
/// Never hides the cursor or changes the terminal's modes, so that dying at any
/// moment leaves it usable.
class progress_display {
public:
  /// `columns`: of the terminal on `out`; 0 = it is none.
  progress_display(std::FILE* out, std::size_t columns) : out_(out), columns_(columns) {}
  ~progress_display() { finish(); }
  progress_display(const progress_display&) = delete;
  progress_display& operator=(const progress_display&) = delete;

  void show(const run_progress& p);
  /// A line of its own above the progress.
  void note(const std::string& line);
  /// Leaves the last progress standing, with the cursor on a new line.
  void finish();

private:
  std::FILE* out_;
  std::size_t columns_;
  std::string line_;  ///< on the terminal now
  std::string phase_; ///< last one written, without a terminal
  int tenth_ = -1;
};

} // namespace framemill::cli
