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
    {"shard.delivered", transition, "a shard's result is delivered, and nobody knows yet"},
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
    {"outbox.before", transition, "notifications are made and not yet written"},
    {"outbox.written", transition, "notifications are in the books"},
    {"delivery.before", transition, "a notification is about to go out"},
    {"delivery.answered", transition, "it was answered, which is not yet written"},
    {"delivery.delivered.written", transition, "a delivered notification is off the books"},
    {"delivery.retry.written", transition, "a notification will be tried again"},
    {"delivery.dead.written", transition, "a notification is a dead letter"},
    {"delivery.redriven.written", transition, "dead letters or past events are pending again"},
    {"store.commit", door, "a batch goes to the store"},
    {"bucket.open", door, "a source is opened where its bucket is mounted"},
    {"bucket.stage", door, "an output is copied into its bucket"},
    {"bucket.publish", door, "an output gets its final name"},
    {"artifact.adopt", door, "a result goes to this node's own artifact store"},
    {"child.spawn", door, "an attempt's child is about to be started"},
    {"data.open", door, "a source is opened over the data plane"},
    {"data.fetch", door, "an artifact comes over the data plane"},
    {"data.deliver", door, "a result goes over the data plane"},
    {"delivery.send", door, "a notification goes to its sink"},
    {"link.send", frames, "a frame to the coordinator"},
    {"link.receive", frames, "a frame of the coordinator"},
    {"clock.now", clock, "the wall clock is read"},
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
constexpr std::uint64_t skew_ms_max = 86'400'000;

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

/// The actions that a kind of point takes, for people.
std::string_view actions_of(fail_point_kind k) {
  switch (k) {
    case transition: return "kill, hang or delay=MS: it cannot be refused";
    case door: return "kill, hang, delay=MS or error";
    case frames: return "kill, hang, delay=MS, error, duplicate or reorder";
    case effect: return "none: it does what its name says";
    case clock: return "skew=MS";
  }
  return "";
}

bool takes(fail_point_kind k, fault_action a) {
  switch (a) {
    case fault_action::kill:
    case fault_action::hang:
    case fault_action::delay: return k == transition || k == door || k == frames;
    case fault_action::error: return k == door || k == frames;
    case fault_action::duplicate:
    case fault_action::reorder: return k == frames;
    case fault_action::effect: return k == effect;
    case fault_action::skew: return k == clock;
  }
  return false;
}

result<void> read_delay(std::string_view ms, fault& out) {
  const auto n = read_number(ms, 1, delay_ms_max);
  if (!n)
    return fail_field(errc::invalid_argument, "Action",
                      "`delay={}`: a delay is 1 to {} milliseconds", ms, delay_ms_max);
  out.action = fault_action::delay;
  out.delay = std::chrono::milliseconds{*n};
  return {};
}

result<void> read_skew(std::string_view ms, fault& out) {
  const bool back = ms.starts_with('-');
  const auto n = read_number(back ? ms.substr(1) : ms, 1, skew_ms_max);
  if (!n)
    return fail_field(errc::invalid_argument, "Action",
                      "`skew={}`: a clock is wrong by 1 to {} milliseconds, or as many back",
                      ms, skew_ms_max);
  out.action = fault_action::skew;
  out.delay = std::chrono::milliseconds{*n} * (back ? -1 : 1);
  return {};
}

result<void> read_word(std::string_view text, const fail_point_place& place, fault& out) {
  static constexpr std::array plain{fault_action::kill, fault_action::hang, fault_action::error,
                                    fault_action::duplicate, fault_action::reorder};
  const auto value = text.substr(std::min(text.find('=') + 1, text.size()));
  if (text.starts_with("delay="))
    return read_delay(value, out);
  if (text.starts_with("skew="))
    return read_skew(value, out);
  if (text.empty() && place.kind != clock) {
    out.action = place.kind == effect ? fault_action::effect : fault_action::kill;
    return {};
  }
  for (auto action : plain)
    if (text == to_string(action)) {
      out.action = action;
      return {};
    }
  return fail_field(errc::invalid_argument, "Action", "`{}` is no action of {}, which takes {}",
                    text, place.name, actions_of(place.kind));
}

result<void> read_action(std::string_view text, const fail_point_place& place, fault& out) {
  FM_CHECK(read_word(text, place, out));
  if (!takes(place.kind, out.action))
    return fail_field(errc::unsupported, "Action", "{} does not take `{}` but {}", place.name,
                      text, actions_of(place.kind));
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

/// Dies or waits, if that is armed; what else is armed for this pass is the
/// caller's to do.
std::optional<fault_action> suffer(std::string_view name) {
  const auto met = board().meet(name);
  if (!met)
    return std::nullopt;
  if (met->action == fault_action::kill)
    die();
  if (met->action == fault_action::delay)
    std::this_thread::sleep_for(met->delay);
  return met->action;
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
  if (suffer(name) == fault_action::error)
    return fail(error_of(name), "fail point {}: an error on purpose", name);
  return {};
}

bool takes_effect(std::string_view name) { return board().meet(name).has_value(); }

frame_fate fate_of_frame(std::string_view name) {
  const auto action = suffer(name);
  return action == fault_action::error       ? frame_fate::lost
         : action == fault_action::duplicate ? frame_fate::twice
         : action == fault_action::reorder   ? frame_fate::late
                                             : frame_fate::passes;
}

std::chrono::milliseconds clock_error(std::string_view name) {
  const auto met = board().meet(name);
  return met ? met->delay : std::chrono::milliseconds{0};
}

} // namespace detail

} // namespace framemill
