#include "tests/sim/schedule.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <string_view>

// simulate --seeds N [--seed S] [--break RULE] [--trace] [--all]
//   --all goes on after a finding, and lists the kinds of what it found
//   exit 0: nothing was found; 1: something was; 2: wrong arguments

using namespace framemill;
using namespace framemill::sim;

namespace {

struct arguments {
  std::uint64_t first = 1, count = 1000;
  rule broken = rule::none;
  bool traces = false, all = false;
};

std::optional<rule> rule_named(std::string_view name) {
  for (std::size_t i = 0; i < enum_names<rule>::names.size(); ++i)
    if (enum_names<rule>::names[i] == name)
      return static_cast<rule>(i);
  return std::nullopt;
}

std::optional<std::uint64_t> number(const char* text) {
  char* end = nullptr;
  auto n = std::strtoull(text, &end, 10);
  return *text != '\0' && *end == '\0' ? std::optional<std::uint64_t>{n} : std::nullopt;
}

std::optional<arguments> parse(int argc, char** argv) {
  arguments out;
  bool is_one = false, is_many = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view name = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--trace" || name == "--all") {
      (name == "--all" ? out.all : out.traces) = true;
      continue;
    }
    ++i;
    if (name == "--break") {
      auto r = rule_named(value);
      if (!r)
        return std::nullopt;
      out.broken = *r;
      continue;
    }
    auto n = number(value);
    if (!n || (name != "--seed" && name != "--seeds"))
      return std::nullopt;
    (name == "--seed" ? out.first : out.count) = *n;
    (name == "--seed" ? is_one : is_many) = true;
  }
  if (is_one && !is_many)
    out.count = 1;
  return out;
}

int usage() {
  std::cerr << "usage: simulate [--seeds N] [--seed FIRST] [--break RULE] [--trace] [--all]\n"
               "rules:";
  for (auto name : enum_names<rule>::names)
    std::cerr << ' ' << name;
  std::cerr << '\n';
  return 2;
}

void print_trace(std::uint64_t seed, rule broken, std::size_t lines_max) {
  auto trace = trace_of(seed, broken);
  auto from = trace.size() > lines_max ? trace.size() - lines_max : 0;
  for (auto i = from; i < trace.size(); ++i)
    std::cout << trace[i] << '\n';
}

std::string replay_line(std::uint64_t seed, rule broken) {
  auto out = fmt::format("tools/simulate --seed {}", seed);
  if (broken != rule::none)
    out += fmt::format(" --break {}", to_string(broken));
  return out + " --trace";
}

void print_sights(const schedule::sights& s, std::uint64_t seeds, double seconds) {
  std::cout << fmt::format(
      "{} schedules in {:.1f} s: {:.0f} per second, {:.0f} events each, {} s of cluster time\n"
      "{} faults; {} runs: {} succeeded, {} failed ({} by their faults), {} cancelled\n"
      "{} attempts: {} failed, {} leases lost, {} late outcomes refused, {} hedged, "
      "{} adopted\n{} inputs quarantined, {} runs encoded anew; the watcher moved {} times, "
      "{} reports from elsewhere\n",
      seeds, seconds, static_cast<double>(seeds) / seconds,
      static_cast<double>(s.steps) / static_cast<double>(seeds), s.seconds, s.faults, s.runs,
      s.succeeded, s.failed, s.excused, s.cancelled, s.facts.attempts, s.facts.retried,
      s.facts.broken, s.facts.refused, s.facts.hedged, s.facts.adopted, s.facts.quarantined,
      s.facts.rebuilt, s.facts.moved, s.facts.found_elsewhere);
}

/// A finding without its numbers.
std::string kind_of(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }, '#');
  for (auto at = text.find("##"); at != text.npos; at = text.find("##"))
    text.erase(at, 1);
  return text;
}

/// Prints them; answers whether there were any.
bool list_findings(const arguments& a, schedule::sights& seen) {
  struct finding {
    std::uint64_t seed = 0, count = 0;
  };
  std::map<std::string, finding> found;
  for (std::uint64_t i = 0; i < a.count; ++i)
    if (auto wrong = try_seed(a.first + i, a.broken, seen); !wrong.empty()) {
      auto& f = found[kind_of(wrong)];
      f.seed = f.count++ == 0 ? a.first + i : f.seed;
    }
  for (const auto& [kind, f] : found)
    std::cout << fmt::format("{} times, first by seed {}: {}\n", f.count, f.seed, kind);
  return !found.empty();
}

/// Goes up to the first finding, and tells of it.
bool stop_at_finding(const arguments& a, schedule::sights& seen) {
  for (std::uint64_t i = 0; i < a.count; ++i) {
    auto seed = a.first + i;
    auto wrong = try_seed(seed, a.broken, seen);
    if (wrong.empty())
      continue;
    print_trace(seed, a.broken, a.traces ? static_cast<std::size_t>(-1) : 60);
    std::cout << fmt::format("found after {} schedules: {}\nreplay: {}\n", i + 1, wrong,
                             replay_line(seed, a.broken));
    return true;
  }
  return false;
}

} // namespace

int main(int argc, char** argv) {
  auto a = parse(argc, argv);
  if (!a)
    return usage();
  auto begin = std::chrono::steady_clock::now();
  schedule::sights seen;
  if (a->all ? list_findings(*a, seen) : stop_at_finding(*a, seen))
    return 1;
  if (a->traces && a->count == 1)
    print_trace(a->first, a->broken, static_cast<std::size_t>(-1));
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  print_sights(seen, a->count, took.count());
  return 0;
}
