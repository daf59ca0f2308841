#pragma once

#include <fmt/format.h>
#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace framemill {

/// Where a failed piece of work may be tried again. The scheduler decides on
/// this alone.
enum class retry_class : std::uint8_t {
  here,      ///< the same node may try again (after a back-off)
  elsewhere, ///< another node should try; the same one if there is no other
  never,     ///< trying again cannot help
};

/// Who has to act on a failure; shown to people beside the sentence.
enum class failure_class : std::uint8_t {
  transient, ///< nobody: a retry is expected to cure it
  resource,  ///< the operator: memory, disk, descriptors, watches
  input,     ///< whoever made the media file
  config,    ///< whoever wrote the workflow, the call or the configuration
  bug,       ///< us
};

/// The one error code of the project. Numbers are stable: they are stored and
/// travel between nodes; new ones are appended within their group.
enum class errc : std::uint16_t {
  // 1xx: the request or configuration is wrong
  invalid_argument = 100,  ///< a value is outside of what is allowed
  missing_argument = 101,  ///< a required value is absent
  unknown_argument = 102,  ///< a name is not in the model
  malformed = 103,         ///< wrong type, or not the format it claims to be
  not_found = 104,         ///< no such thing
  already_exists = 105,    ///< a thing of that name is there
  in_use = 106,            ///< refused while the thing is enabled or running
  unsupported = 107,       ///< a known feature that Framemill does not have
  too_large = 108,         ///< beyond a limit; the message names the limit
  unauthorized = 109,      ///< not authenticated, or not allowed
  conflict = 110,          ///< done already, or by somebody else
  // 2xx: the media is wrong
  input_unreadable = 200,  ///< the source cannot be opened or read
  input_not_media = 201,   ///< no demuxer takes it
  input_incomplete = 202,  ///< truncated: an index or the data is missing
  input_no_video = 203,    ///< the work needs video, the source has none
  input_no_audio = 204,    ///< the work needs audio, the source has none
  input_damaged = 205,     ///< decodes not to the frames that were planned
  input_refused = 206,     ///< beyond a safety limit, or a forbidden format
  input_changed = 207,     ///< not the generation that the run was made for
  input_quarantined = 208, ///< it brings down whatever works on it
  // 3xx: the machine is short of something
  no_space = 300,          ///< disk full
  no_memory = 301,         ///< memory limit reached
  no_watches = 302,        ///< the inotify limit is reached
  no_slot = 303,           ///< no node can ever run this
  busy = 304,              ///< a queue is full, or a lock is held
  // 4xx: may go away by itself
  io_failed = 400,         ///< a system call failed
  worker_crashed = 401,    ///< the child died by a signal or a bad exit
  worker_hung = 402,       ///< no watermark moved within the phase's budget
  worker_killed = 403,     ///< somebody sent SIGKILL to the child
  lease_lost = 404,        ///< the epoch is old; the result was refused
  unavailable = 405,       ///< shutting down or not yet up
  timed_out = 406,         ///< no answer in time
  cancelled = 407,         ///< stopped by request
  // 5xx: ours
  internal = 500,          ///< an invariant does not hold
  contract_broken = 501,   ///< an output is not what the plan promised
  corrupt = 502,           ///< stored bytes do not match their checksum
  schema_newer = 503,      ///< the data directory is of a newer version
  artifact_lost = 504,     ///< an intermediate result is gone or damaged: it is made again
};

[[nodiscard]] std::string_view to_string(errc code) noexcept;
[[nodiscard]] std::string_view to_string(retry_class r) noexcept;
[[nodiscard]] std::string_view to_string(failure_class c) noexcept;
[[nodiscard]] retry_class retry_of(errc code) noexcept;
[[nodiscard]] failure_class class_of(errc code) noexcept;
/// errno → errc; `fallback` for numbers without a meaning of their own.
[[nodiscard]] errc errc_of_errno(int number,
                                 errc fallback = errc::io_failed) noexcept;

/// A failure: a code, and one sentence for a person that says what, where and
/// what to do. `field` names the offending parameter when there is one.
struct error {
  errc code = errc::internal;
  std::string message;
  std::string field;

  template <class Self, class Visitor>
  static void fields(Self& self, Visitor& v) {
    v("Code", self.code);
    v("Message", self.message);
    v("Field", self.field);
  }
  bool operator==(const error&) const = default;
};

template <class T>
using result = tl::expected<T, error>;
using failure = tl::unexpected<error>;

/// The code of a name; malformed when there is none of it.
[[nodiscard]] result<errc> errc_of_name(std::string_view name);

/// `return fail(errc::not_found, "no bucket named {}", name);`
template <class... Args>
[[nodiscard]] failure fail(errc code, fmt::format_string<Args...> text,
                           Args&&... args) {
  return failure{error{code, fmt::format(text, std::forward<Args>(args)...), {}}};
}

/// As `fail`, naming the parameter at fault.
template <class... Args>
[[nodiscard]] failure fail_field(errc code, std::string field,
                                 fmt::format_string<Args...> text,
                                 Args&&... args) {
  return failure{error{code, fmt::format(text, std::forward<Args>(args)...),
                       std::move(field)}};
}

/// "what: strerror(number)" with the code that belongs to the number.
[[nodiscard]] failure fail_errno(int number, std::string_view what);

} // namespace framemill

/// Early return of a failed `result<…>`: `FM_TRY(auto x, f());`
#define FM_CONCAT_(a, b) a##b
#define FM_CONCAT(a, b) FM_CONCAT_(a, b)
#define FM_TRY_(tmp, decl, ...)                                                \
  auto tmp = (__VA_ARGS__);                                                    \
  if (!tmp)                                                                    \
    return ::framemill::failure{std::move(tmp).error()};                       \
  decl = std::move(*tmp)
#define FM_TRY(decl, ...) FM_TRY_(FM_CONCAT(fm_try_, __LINE__), decl, __VA_ARGS__)
/// As FM_TRY for `result<void>`.
#define FM_CHECK(...)                                                          \
  if (auto fm_check = (__VA_ARGS__); !fm_check)                                \
  return ::framemill::failure{std::move(fm_check).error()}
