#include "actors/fail_points.hpp"

#include "storage/file_handle.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

namespace framemill {

namespace {

using enum fail_point_kind;

constexpr auto places = std::to_array<fail_point_place>({
    {"run.probing.written", transition, "a run is being probed"},
    {"run.planned.written", transition, "a run's plan is in the books"},
    {"shard.leased.written", transition, "a shard was given to a worker"},
    {"shard.done.written", transition, "a shard is done"},
    {"shard.retry.written", transition, "a shard failed and will be tried again"},
    {"job.publishing.written", transition, "a job's outputs are to be published"},
    {"job.done.written", transition, "a job has ended"},
    {"run.finished.written", transition, "a run has ended"},
    {"run.cancelled.written", transition, "a run was cancelled"},
    {"before.commit", transition, "a run's step is decided and not yet written"},
    {"ingest.before", transition, "settled objects are about to be booked"},
    {"ingest.booked", transition, "settled objects and their runs are booked"},
    {"publish.staged", transition, "an output lies under a temporary name"},
    {"publish.booked", transition, "outputs are in the ledger, not yet renamed"},
    {"publish.renamed", transition, "an output has its final name"},
    {"workflow.created", transition, "a workflow was created"},
    {"workflow.enabled", transition, "a workflow was enabled"},
    {"store.commit", door, "a batch goes to the store"},
    {"bucket.open", door, "a source is opened where its bucket is mounted"},
    {"bucket.stage", door, "an output is copied into its bucket"},
    {"bucket.publish", door, "an output gets its final name"},
    {"artifact.adopt", door, "a result goes to this node's own artifact store"},
    {"child.spawn", door, "an attempt's child is about to be started"},
    {"data.open", door, "a source is opened over the data plane"},
    {"data.fetch", door, "an artifact comes over the data plane"},
    {"data.deliver", door, "a result goes over the data plane"},
    {"link.send", door, "a frame to the coordinator; error loses it"},
    {"link.receive", door, "a frame of the coordinator; error loses it"},
    {"child.crash", effect, "a child that was just started crashes (SIGSEGV)"},
    {"child.hang", effect, "it stands still (SIGSTOP) until it is found hung"},
    {"child.killed", effect, "it is killed (SIGKILL)"},
    {"scratch.full", effect, "there is no space for an attempt's scratch"},
    {"artifact.corrupt", effect, "a bit of a result flips before delivery"},
});

constexpr auto is_transition = [](const auto& p) { return p.kind == transition; };
constexpr auto names = [] { // they stand first
  std::array<std::string_view, std::ranges::count_if(places, is_transition)> out;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = places[i].name;
  return out;
}();

const fail_point_place* find_place(std::string_view name) {
  auto p = std::find_if(places.begin(), places.end(),
                        [&](const auto& x) { return x.name == name; });
  return p == places.end() ? nullptr : &*p;
}

/// What is armed, by point. One for the process: a fault does not ask which
/// object a thread is in.
class fault_board {
public:
  void arm(fault what) {
    std::lock_guard lock{mutex_};
    auto point = what.point;
    armed_.insert_or_assign(std::move(point), entry{std::move(what), ++last_serial_, 0, 0});
    changed();
  }

  void disarm(std::string_view point) {
    std::lock_guard lock{mutex_};
    if (auto e = armed_.find(point); e != armed_.end())
      armed_.erase(e);
    changed();
  }

  void disarm_all() {
    std::lock_guard lock{mutex_};
    armed_.clear();
    changed();
  }

  /// The fault that this pass meets; waits out a hang.
  [[nodiscard]] std::optional<fault> meet(std::string_view point) {
    std::unique_lock lock{mutex_};
    auto e = armed_.find(point);
    if (e == armed_.end())
      return std::nullopt;
    const auto pass = ++e->second.passes;
    if (pass < e->second.what.first || pass > e->second.what.last)
      return std::nullopt;
    ++e->second.failed;
    auto met = e->second.what;
    if (met.action == fault_action::hang)
      stand_still(lock, std::string{point}, e->second.serial);
    return met;
  }

  [[nodiscard]] std::vector<fault_state> states() const {
    std::lock_guard lock{mutex_};
    std::vector<fault_state> out;
    for (const auto& p : places) {
      auto e = armed_.find(p.name);
      if (e == armed_.end())
        out.push_back({p, {}, 0, 0});
      else
        out.push_back({p, e->second.what, e->second.passes, e->second.failed});
    }
    return out;
  }

private:
  struct entry {
    fault what;
    std::uint64_t serial = 0; ///< of this arming
    std::uint64_t passes = 0, failed = 0;
  };

  void changed() {
    detail::faults_armed = static_cast<int>(armed_.size());
    wake_.notify_all();
  }

  void stand_still(std::unique_lock<std::mutex>& lock, const std::string& point,
                   std::uint64_t serial) {
    wake_.wait(lock, [&] {
      auto e = armed_.find(point);
      return e == armed_.end() || e->second.serial != serial;
    });
  }

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, entry, std::less<>> armed_;
  std::uint64_t last_serial_ = 0;
};

/// Never destroyed: threads pass points until the process ends.
fault_board& board() {
  static auto& all = *new fault_board;
  return all;
}

// ---- Reading ---------------------------------------------------------------------------

constexpr std::uint64_t passes_max = 1'000'000'000;
constexpr std::uint64_t delay_ms_max = 600'000;

std::optional<std::uint64_t> read_number(std::string_view text, std::uint64_t least,
                                         std::uint64_t most) {
  std::uint64_t n = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || end != text.data() + text.size() || n < least || n > most)
    return std::nullopt;
  return n;
}

/// `N`, `N-M`, `N-`.
result<void> read_passes(std::string_view text, fault& out) {
  auto dash = text.find('-');
  auto first = read_number(text.substr(0, dash), 1, passes_max);
  auto last = first;
  if (dash != text.npos)
    last = dash + 1 == text.size()
               ? std::numeric_limits<std::uint64_t>::max()
               : read_number(text.substr(dash + 1), first.value_or(1), passes_max);
  if (!first || !last)
    return fail_field(errc::malformed, "Point", "`{}` is not a pass: N, N-M or N-, from 1",
                      text);
  out.first = *first;
  out.last = *last;
  return {};
}

result<void> read_action(std::string_view text, const fail_point_place& place, fault& out) {
  constexpr std::string_view delay = "delay=";
  if (place.kind == effect) {
    out.action = fault_action::effect;
    if (!text.empty())
      return fail_field(errc::unsupported, "Action",
                        "{} does what its name says and takes no action", place.name);
    return {};
  }
  if (text == "error" && place.kind == transition)
    return fail_field(errc::unsupported, "Action",
                      "{} is a transition, which cannot be refused: kill, hang or delay=MS",
                      place.name);
  if (text.starts_with(delay)) {
    auto ms = read_number(text.substr(delay.size()), 1, delay_ms_max);
    if (!ms)
      return fail_field(errc::invalid_argument, "Action",
                        "`{}`: a delay is 1 to {} milliseconds", text, delay_ms_max);
    out.action = fault_action::delay;
    out.delay = std::chrono::milliseconds{*ms};
  } else if (text.empty() || text == "kill") {
    out.action = fault_action::kill;
  } else if (text == "hang") {
    out.action = fault_action::hang;
  } else if (text == "error") {
    out.action = fault_action::error;
  } else {
    return fail_field(errc::invalid_argument, "Action",
                      "`{}` is not one of: kill, hang, delay=MS, error", text);
  }
  return {};
}

/// As the door itself would say it: a data plane that does not answer is not a
/// disk that cannot be read.
errc error_of(std::string_view door) {
  return door.starts_with("data.") ? errc::unavailable : errc::io_failed;
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;)
    ::pause();
}

} // namespace

std::span<const fail_point_place> fail_point_places() { return places; }
std::span<const std::string_view> fail_point_names() { return names; }

result<fault> parse_fault(std::string_view text, std::string_view action) {
  auto colon = text.find(':');
  auto name = text.substr(0, colon);
  const auto* place = find_place(name);
  if (!place)
    return fail_field(errc::not_found, "Point", "no fail point `{}`", name);
  fault out;
  out.point = name;
  if (colon != text.npos)
    FM_CHECK(read_passes(text.substr(colon + 1), out));
  FM_CHECK(read_action(action, *place, out));
  return out;
}

void arm(fault what) { board().arm(std::move(what)); }

result<void> arm_fail_point(std::string_view text) {
  auto equals = text.find('=');
  auto action = equals == text.npos ? std::string_view{} : text.substr(equals + 1);
  FM_TRY(auto what, parse_fault(text.substr(0, equals), action));
  arm(std::move(what));
  return {};
}

result<void> disarm(std::string_view point) {
  if (!find_place(point))
    return fail_field(errc::not_found, "Point", "no fail point `{}`", point);
  board().disarm(point);
  return {};
}

void disarm_all() { board().disarm_all(); }

result<void> flip_a_bit(const std::string& path) {
  file_handle file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
  const auto size = file ? ::lseek(file.get(), 0, SEEK_END) : -1;
  char byte = 0;
  if (size < 0 || ::pread(file.get(), &byte, 1, size / 2) < 0)
    return fail_errno(errno, path);
  byte = static_cast<char>(byte ^ 1); // of an empty file this is one byte too many
  if (::pwrite(file.get(), &byte, 1, size / 2) != 1)
    return fail_errno(errno, path);
  return {};
}

std::vector<fault_state> fault_states() { return board().states(); }

namespace detail {

std::atomic<int> faults_armed{0};

result<void> pass(std::string_view name) {
  auto met = board().meet(name);
  if (!met)
    return {};
  if (met->action == fault_action::kill)
    die();
  if (met->action == fault_action::delay)
    std::this_thread::sleep_for(met->delay);
  if (met->action == fault_action::error)
    return fail(error_of(name), "fail point {}: an error on purpose", name);
  return {};
}

bool takes_effect(std::string_view name) { return board().meet(name).has_value(); }

} // namespace detail

} // namespace framemill
