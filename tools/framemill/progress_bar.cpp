#include "tools/framemill/progress_bar.hpp"

#include "tools/framemill/format.hpp"
#include "tools/framemill/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace framemill::cli {

namespace {

constexpr std::size_t bar_columns_max = 30;
constexpr std::size_t bar_columns_min = 8;

double fraction_of(const run_progress& p) {
  return std::isfinite(p.fraction) ? std::clamp(p.fraction, 0.0, 1.0) : 0.0;
}

std::string bar(double fraction, std::size_t columns) {
  constexpr auto eighths =
      std::to_array<std::string_view>({"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"});
  auto filled = static_cast<std::size_t>(fraction * static_cast<double>(columns * 8));
  std::string out;
  for (std::size_t i = 0; i < filled / 8; ++i)
    out += "█";
  out += eighths[filled % 8];
  auto used = filled / 8 + (filled % 8 != 0 ? 1 : 0);
  return "[" + out + std::string(columns - used, ' ') + "]";
}

std::string frames_text(const run_progress& p) {
  if (p.frames_planned > 0)
    return fmt::format("  {}/{} frames", p.frames_encoded, p.frames_planned);
  return p.frames_encoded > 0 ? fmt::format("  {} frames", p.frames_encoded) : "";
}

std::string details(const run_progress& p) {
  auto text = frames_text(p);
  if (p.speed > 0)
    text += fmt::format("  {:.1f}x", p.speed);
  if (!is_terminal(p.state))
    text += "  ETA " + format_interval(p.eta_low, p.eta_high);
  return text;
}

std::string phase_of(const run_progress& p) {
  return printable(is_terminal(p.state) || p.phase.empty() ? std::string{to_string(p.state)}
                                                           : p.phase);
}

} // namespace

std::string progress_line(const run_progress& p, std::size_t width) {
  auto fraction = fraction_of(p);
  auto head = fmt::format("{:<10} {:3}% ", phase_of(p), static_cast<int>(fraction * 100));
  auto tail = details(p);
  auto used = display_width(head) + display_width(tail) + 2;
  if (used + bar_columns_min > width)
    return shorten(head + tail.substr(std::min<std::size_t>(1, tail.size())), width);
  return head + bar(fraction, std::min(bar_columns_max, width - used)) + tail;
}

void progress_display::show(const run_progress& p) {
  if (columns_ > 0) {
    // One column stays free: writing into the last one wraps on some terminals.
    line_ = progress_line(p, columns_ - 1);
    std::fputs(("\r" + line_ + "\x1b[K").c_str(), out_);
  } else {
    auto tenth = static_cast<int>(fraction_of(p) * 10);
    if (p.phase == phase_ && tenth == tenth_)
      return;
    phase_ = p.phase;
    tenth_ = tenth;
    std::fputs((fmt::format("{} {}%{}", phase_of(p), static_cast<int>(fraction_of(p) * 100),
                            details(p)) +
                "\n")
                   .c_str(),
               out_);
  }
  std::fflush(out_);
}

void progress_display::note(const std::string& line) {
  if (columns_ > 0)
    std::fputs(("\r\x1b[K" + line + "\n" + line_).c_str(), out_);
  else
    std::fputs((line + "\n").c_str(), out_);
  std::fflush(out_);
}

void progress_display::finish() {
  if (!line_.empty())
    std::fputs("\n", out_);
  line_.clear();
  std::fflush(out_);
}

} // namespace framemill::cli
