#pragma once

#include "core/change.hpp"
#include "core/function_request.hpp"

#include <map>
#include <string>
#include <string_view>

namespace framemill {

/// What an event may be of: one function each.
[[nodiscard]] result<void> check_event_type(std::string_view type);

/// The functions, their secrets, and which of them gets which events, with the
/// rules of changing all that. Pure, and a value: FUNCTIONS decides on a copy,
/// which takes the old one's place when it is durable.
class function_catalog {
public:
  // From the store, at start.
  void load(function_record f);
  void load(function_secrets s);
  void load(function_trigger t);

  /// Errors name the field: already_exists, missing_argument (Runtime, Files),
  /// invalid_argument, too_large.
  [[nodiscard]] result<changes> create(timestamp now, const std::string& name,
                                       const function_edit& edit);
  /// A new version, when more than description and `enabled` changes. Also
  /// errc::not_found: the function, or `from_version`.
  [[nodiscard]] result<changes> update(timestamp now, const std::string& name,
                                       const function_edit& edit);
  /// errc::in_use names what is bound to it.
  [[nodiscard]] result<changes> remove(const std::string& name);

  /// errc::already_exists names the function that is bound.
  [[nodiscard]] result<changes> bind(timestamp now, const std::string& event_type,
                                     const std::string& function);
  [[nodiscard]] result<changes> unbind(const std::string& event_type);
  [[nodiscard]] result<changes> set_trigger_enabled(const std::string& event_type, bool enabled);

  [[nodiscard]] const function_record* find(const std::string& name) const;
  /// Name → value; empty when it has none.
  [[nodiscard]] const std::map<std::string, std::string>& secrets(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, function_record>& all() const { return functions_; }

private:
  [[nodiscard]] result<changes> write(const std::string& name, function_record before,
                                      const function_edit& edit, timestamp now);
  /// Contents of `f` that are not kept for any function yet.
  void add_code(changes& to, const function_edit& edit) const;
  /// Contents of `was` that no function refers to any more.
  void drop_code(changes& to, const function_record& was) const;
  [[nodiscard]] bool is_used(const std::string& sha256) const;

  std::map<std::string, function_record> functions_;
  std::map<std::string, function_secrets> secrets_;
  std::map<std::string, function_trigger> triggers_; ///< by event type
};

} // namespace framemill
