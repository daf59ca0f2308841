#include "core/error.hpp"

#include <cerrno>
#include <cstring>

namespace framemill {

namespace {

struct row {
  errc code;
  std::string_view name;
  retry_class retry;
  failure_class kind;
};

using enum retry_class;
using enum failure_class;

constexpr row table[] = {
    {errc::invalid_argument, "invalid_argument", never, config},
    {errc::missing_argument, "missing_argument", never, config},
    {errc::unknown_argument, "unknown_argument", never, config},
    {errc::malformed, "malformed", never, config},
    {errc::not_found, "not_found", never, config},
    {errc::already_exists, "already_exists", never, config},
    {errc::in_use, "in_use", never, config},
    {errc::unsupported, "unsupported", never, config},
    {errc::too_large, "too_large", never, config},
    {errc::unauthorized, "unauthorized", never, config},
    {errc::conflict, "conflict", never, config},
    {errc::input_unreadable, "input_unreadable", never, input},
    {errc::input_not_media, "input_not_media", never, input},
    {errc::input_incomplete, "input_incomplete", never, input},
    {errc::input_no_video, "input_no_video", never, input},
    {errc::input_no_audio, "input_no_audio", never, input},
    {errc::input_damaged, "input_damaged", never, input},
    {errc::input_refused, "input_refused", never, input},
    {errc::input_changed, "input_changed", never, input},
    {errc::input_quarantined, "input_quarantined", never, input},
    {errc::no_space, "no_space", elsewhere, resource},
    {errc::no_memory, "no_memory", elsewhere, resource},
    {errc::no_watches, "no_watches", here, resource},
    {errc::no_slot, "no_slot", never, resource},
    {errc::busy, "busy", here, resource},
    {errc::io_failed, "io_failed", elsewhere, transient},
    {errc::worker_crashed, "worker_crashed", elsewhere, transient},
    {errc::worker_hung, "worker_hung", elsewhere, transient},
    {errc::worker_killed, "worker_killed", elsewhere, transient},
    {errc::lease_lost, "lease_lost", elsewhere, transient},
    {errc::unavailable, "unavailable", here, transient},
    {errc::timed_out, "timed_out", elsewhere, transient},
    {errc::cancelled, "cancelled", never, transient},
    {errc::internal, "internal", never, bug},
    {errc::contract_broken, "contract_broken", elsewhere, bug},
    {errc::corrupt, "corrupt", elsewhere, resource},
    {errc::schema_newer, "schema_newer", never, config},
    {errc::artifact_lost, "artifact_lost", here, transient},
};

const row& row_of(errc code) noexcept {
  for (const auto& r : table)
    if (r.code == code)
      return r;
  static constexpr row unknown{errc::internal, "internal", never, bug};
  return unknown;
}

} // namespace

std::string_view to_string(errc code) noexcept { return row_of(code).name; }
retry_class retry_of(errc code) noexcept { return row_of(code).retry; }
failure_class class_of(errc code) noexcept { return row_of(code).kind; }

std::string_view to_string(retry_class r) noexcept {
  switch (r) {
    case here: return "here";
    case elsewhere: return "elsewhere";
    case never: return "never";
  }
  return "never";
}

std::string_view to_string(failure_class c) noexcept {
  switch (c) {
    case transient: return "transient";
    case resource: return "resource";
    case input: return "input";
    case config: return "config";
    case bug: return "bug";
  }
  return "bug";
}

errc errc_of_errno(int number, errc fallback) noexcept {
  switch (number) {
    case ENOSPC:
    case EDQUOT: return errc::no_space;
    case ENOMEM: return errc::no_memory;
    case ENOENT:
    case ENOTDIR: return errc::not_found;
    case EEXIST: return errc::already_exists;
    case EACCES:
    case EPERM:
    case EROFS: return errc::unauthorized;
    case ENAMETOOLONG: return errc::too_large;
    case EMFILE:
    case ENFILE:
    case EAGAIN: return errc::busy;
    default: return fallback;
  }
}

result<errc> errc_of_name(std::string_view name) {
  for (const auto& r : table)
    if (r.name == name)
      return r.code;
  return fail(errc::malformed, "`{}` is not the name of an error code", name);
}

failure fail_errno(int number, std::string_view what) {
  return failure{error{errc_of_errno(number),
                       fmt::format("{}: {}", what, std::strerror(number)),
                       {}}};
}

} // namespace framemill
