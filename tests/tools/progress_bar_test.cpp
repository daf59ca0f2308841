#include "tools/framemill/progress_bar.hpp"

#include "tools/framemill/text.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <memory>

using namespace framemill;
using namespace framemill::cli;

namespace {

run_progress encoding(double fraction) {
  run_progress p;
  p.state = run_state::processing;
  p.phase = "encoding";
  p.fraction = fraction;
  return p;
}

/// What a progress_display writes.
struct recorded {
  char* data = nullptr;
  std::size_t size = 0;
  std::FILE* file = open_memstream(&data, &size);
  ~recorded() {
    std::fclose(file);
    std::free(data);
  }
  std::string text() {
    std::fflush(file);
    return {data, size};
  }
};

} // namespace

TEST_CASE("progress_line: phase, percent, frames, speed and ETA") {
  auto p = encoding(0.425);
  p.frames_encoded = 1234;
  p.frames_planned = 2900;
  p.speed = 3.14;
  p.eta_low = 8;
  p.eta_high = 12;

  auto line = progress_line(p, 100);

  CHECK(line.starts_with("encoding    42% ["));
  CHECK(line.ends_with("]  1234/2900 frames  3.1x  ETA 8–12 s"));
  CHECK(display_width(line) <= 100);
}

TEST_CASE("progress_line: the ETA is unknown until something moves") {
  CHECK(progress_line(encoding(0), 80).ends_with("ETA unknown"));
}

TEST_CASE("progress_line: 100 % is shown for nothing less than all") {
  CHECK(progress_line(encoding(0.9999), 80).find(" 99%") != std::string::npos);
  CHECK(progress_line(encoding(1), 80).find("100%") != std::string::npos);
}

TEST_CASE("progress_line: the bar is full exactly at the end") {
  CHECK(progress_line(encoding(1), 80).find(" ]") == std::string::npos);
  CHECK(progress_line(encoding(0.99), 80).find("█]") == std::string::npos);
}

TEST_CASE("progress_line: a run that ended shows its state and no ETA") {
  auto p = encoding(0.4);
  p.state = run_state::failed;

  auto line = progress_line(p, 80);

  CHECK(line.starts_with("failed "));
  CHECK(line.find("ETA") == std::string::npos);
}

TEST_CASE("progress_line: it fits a terminal of any width") {
  auto p = encoding(0.5);
  p.frames_encoded = 100'000;
  p.frames_planned = 1'000'000;
  p.speed = 12.5;

  for (std::size_t width = 1; width < 120; ++width)
    CHECK(display_width(progress_line(p, width)) <= width);
}

TEST_CASE("progress_line: a fraction that makes no sense is kept within bounds") {
  CHECK(progress_line(encoding(7), 80).find("100%") != std::string::npos);
  CHECK(progress_line(encoding(-1), 80).find("  0%") != std::string::npos);
  CHECK(progress_line(encoding(std::nan("")), 80).find("  0%") != std::string::npos);
}

TEST_CASE("progress_display: without a terminal there are plain lines, one per tenth") {
  recorded out;
  {
    progress_display d{out.file, 0};
    for (double f : {0.01, 0.02, 0.03, 0.11, 0.12})
      d.show(encoding(f));
  }

  CHECK(out.text() == "encoding 1%  ETA unknown\nencoding 11%  ETA unknown\n");
}

TEST_CASE("progress_display: on a terminal the line is rewritten and left whole at the end") {
  recorded out;
  {
    progress_display d{out.file, 60};
    d.show(encoding(0.1));
    d.show(encoding(0.2));
  }

  auto text = out.text();
  CHECK(text.starts_with("\rencoding    10%"));
  CHECK(text.ends_with("\x1b[K\n"));
  CHECK(text.find("\x1b[?25l") == std::string::npos); // the cursor is never hidden
}

TEST_CASE("progress_display: a note stands above the progress") {
  recorded out;
  progress_display d{out.file, 60};
  d.show(encoding(0.1));

  d.note("shard 2 failed");

  CHECK(out.text().find("\r\x1b[Kshard 2 failed\nencoding") != std::string::npos);
}
