#include "actors/fail_points.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>

namespace framemill {

namespace {

using namespace std::string_view_literals;

/// Every durable transition, before and after; docs/operations.md lists them.
constexpr std::array names{
    "run.probing.written"sv,   "run.planned.written"sv,   "shard.leased.written"sv,
    "shard.done.written"sv,    "shard.retry.written"sv,   "job.publishing.written"sv,
    "job.done.written"sv,      "run.finished.written"sv,  "run.cancelled.written"sv,
    "before.commit"sv,         "ingest.before"sv,         "ingest.booked"sv,
    "publish.staged"sv,        "publish.booked"sv,        "publish.renamed"sv,
    "workflow.created"sv,      "workflow.enabled"sv,
};

// Armed once, before any thread starts.
std::string armed;
std::atomic<int> passes_left{0};

} // namespace

std::span<const std::string_view> fail_point_names() { return names; }

void arm_fail_point(std::string_view name_and_count) {
  auto colon = name_and_count.rfind(':');
  armed = name_and_count.substr(0, colon);
  passes_left = colon == name_and_count.npos
                    ? 1
                    : std::max(1, std::atoi(std::string{name_and_count.substr(colon + 1)}.c_str()));
}

void fail_point(std::string_view name) {
  if (armed.empty() || name != armed)
    return;
  if (--passes_left == 0)
    ::kill(::getpid(), SIGKILL);
}

} // namespace framemill
