#include "core/run.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace framemill {

namespace {

// One row per state: the set of states that may follow it.

template <class State>
constexpr std::uint32_t one_of(std::initializer_list<State> states) {
  std::uint32_t set = 0;
  for (auto s : states)
    set |= 1u << static_cast<unsigned>(s);
  return set;
}
template <class State>
using transition_table = std::array<std::uint32_t, enum_names<State>::names.size()>;

constexpr transition_table<run_state> run_next = [] {
  using enum run_state;
  return transition_table<run_state>{
      /* waiting    */ one_of({probing, failed, cancelled}),
      /* probing    */ one_of({waiting, processing, failed, cancelled}),
      /* processing */ one_of({probing, succeeded, failed, cancelled}), // probing: plan anew
      /* succeeded  */ 0,
      /* failed     */ 0,
      /* cancelled  */ 0};
}();

constexpr transition_table<job_state> job_next = [] {
  using enum job_state;
  return transition_table<job_state>{
      /* waiting    */ one_of({processing, failed, cancelled}),
      /* processing */ one_of({waiting, publishing, failed, cancelled}),   // waiting: plan anew
      /* publishing */ one_of({processing, succeeded, failed, cancelled}), // artifact lost
      /* succeeded  */ 0,
      /* failed     */ 0,
      /* cancelled  */ 0};
}();

constexpr transition_table<shard_state> shard_next = [] {
  using enum shard_state;
  return transition_table<shard_state>{
      /* blocked    */ one_of({ready, failed, cancelled}),
      /* ready      */ one_of({leased, failed, cancelled}),
      /* leased     */ one_of({ready, done, failed, cancelled}), // ready: tried again
      /* done       */ one_of({ready}),                          // its artifact was lost
      /* failed     */ 0,
      /* cancelled  */ 0};
}();

template <class State>
bool allows(const transition_table<State>& next, State from, State to) noexcept {
  auto row = static_cast<std::size_t>(from);
  return row < next.size() && (next[row] >> static_cast<unsigned>(to) & 1u) != 0;
}

// 1250000000-WorkflowTask-<32 hex digits>tt0
constexpr std::string_view task_id_account = "1250000000-";
constexpr std::string_view task_id_suffix = "tt0";
constexpr std::string_view task_id_kinds[] = {"WorkflowTask-", "ScheduleTask-", "EditMedia-"};
constexpr std::string_view task_id_padding = "0000000000000000";
constexpr std::size_t task_id_digits = 32;

/// All of `text` as a number that is not 0, in its one spelling.
std::optional<std::uint64_t> whole_number(std::string_view text, int base) {
  std::uint64_t n = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n, base);
  if (ec != std::errc{} || end != text.data() + text.size() || n == 0)
    return std::nullopt;
  return n;
}

bool takes(std::string_view& text, std::string_view prefix) {
  const bool there = text.starts_with(prefix);
  if (there)
    text.remove_prefix(prefix.size());
  return there;
}

bool takes_kind(std::string_view& text) {
  return std::any_of(std::begin(task_id_kinds), std::end(task_id_kinds),
                     [&](auto kind) { return takes(text, kind); });
}

std::optional<std::uint64_t> number_in_task_id(std::string_view text) {
  if (!takes(text, task_id_account) || !takes_kind(text) || !text.ends_with(task_id_suffix)
      || text.size() != task_id_digits + task_id_suffix.size())
    return std::nullopt;
  text.remove_suffix(task_id_suffix.size());
  if (text.find_first_not_of("0123456789abcdef") != text.npos || !takes(text, task_id_padding))
    return std::nullopt;
  return whole_number(text, 16);
}

} // namespace

bool may_become(run_state from, run_state to) noexcept { return allows(run_next, from, to); }
bool may_become(job_state from, job_state to) noexcept { return allows(job_next, from, to); }
bool may_become(shard_state from, shard_state to) noexcept {
  return allows(shard_next, from, to);
}

bool is_terminal(run_state s) noexcept { return s >= run_state::succeeded; }
bool is_terminal(job_state s) noexcept { return s >= job_state::succeeded; }
bool is_terminal(shard_state s) noexcept { return s >= shard_state::done; }

std::string run_key(const object_ref& object, workflow_id workflow, std::uint32_t revision) {
  // Keys hold no NUL (normalize_key), numbers no '.', and the ETag comes last:
  // no two different tuples give the same string.
  const auto& g = object.generation;
  std::string out = object.bucket;
  out.push_back('\0');
  out += object.key;
  out.push_back('\0');
  out += fmt::format("{:016x}.{:08x}.{:x}.{:x}.{:x}.", workflow.value, revision, g.size,
                     static_cast<std::uint64_t>(g.mtime_ns), g.inode);
  return out + g.etag;
}

std::string to_task_id(run_id id, task_kind kind) {
  return fmt::format("{}{}{}{:016x}{}", task_id_account,
                     task_id_kinds[static_cast<std::size_t>(kind)], task_id_padding, id.value,
                     task_id_suffix);
}

std::string task_id_of(const run_record& run) { return to_task_id(run.id, run.spec.kind); }

result<run_id> run_of_task_id(std::string_view text) {
  if (auto n = whole_number(text, 10))
    return run_id{*n};
  if (auto n = number_in_task_id(text))
    return run_id{*n};
  return fail(errc::malformed, "not a task id: expected a number or {}{}<{} hex digits>{}",
              task_id_account, task_id_kinds[0], task_id_digits, task_id_suffix);
}

} // namespace framemill
