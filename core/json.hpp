#pragma once

#include "core/codec.hpp"
#include "core/limits.hpp"

#include <nlohmann/json.hpp>

// JSON for everything that lists its fields, by the rules of the MPS API
// (docs/api.md): exact-case keys, null = absent, digits-only strings are
// numbers, unknown keys are errors; answers carry explicit nulls, [] and "".

namespace framemill {

using json = nlohmann::json;

enum class unknown_fields : std::uint8_t { refuse, ignore };

namespace detail {

json json_of_timestamp(timestamp t);
result<void> read_bool(const json& in, bool& to);
result<void> read_integer(const json& in, std::int64_t& to);
result<void> read_unsigned(const json& in, std::uint64_t& to);
result<void> read_real(const json& in, double& to);
result<void> read_text(const json& in, std::string& to);
failure below(std::string_view name, error e);

template <class T>
json json_of(const T& value);

struct json_writer {
  json& out;
  template <class T, class... R>
  void operator()(std::string_view name, const T& member, R...) {
    out[std::string{name}] = json_of(member);
  }
  /// Never set: an explicit null, as the real service writes it.
  void unsupported(std::string_view name) { out[std::string{name}] = nullptr; }
};

template <class T>
json json_of(const T& value) {
  if constexpr (std::is_same_v<T, json>) {
    return value;
  } else if constexpr (named_enum<T> || std::is_same_v<T, errc>) {
    return std::string{to_string(value)};
  } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (std::is_same_v<T, timestamp>) {
    return json_of_timestamp(value);
  } else if constexpr (std::is_same_v<T, microseconds>) {
    return static_cast<double>(value.count()) / 1e6;
  } else if constexpr (is_strong_id<T>::value) {
    return value.value;
  } else if constexpr (is_optional<T>::value) {
    return value ? json_of(*value) : json(nullptr);
  } else if constexpr (is_vector<T>::value) {
    auto out = json::array();
    for (const auto& x : value)
      out.push_back(json_of(x));
    return out;
  } else if constexpr (is_string_map<T>::value) {
    auto out = json::object();
    for (const auto& [k, x] : value)
      out[k] = json_of(x);
    return out;
  } else if constexpr (is_variant<T>::value) {
    // For people to read: the alternative's fields beside its kind number.
    return std::visit(
        [](const auto& x) {
          auto out = json_of(x);
          out["Kind"] = std::decay_t<decltype(x)>::kind;
          return out;
        },
        value);
  } else {
    static_assert(has_fields<T>, "type lists no fields");
    auto out = json::object();
    json_writer v{out};
    T::fields(value, v);
    return out;
  }
}

template <class T>
result<void> read_json(const json& in, T& value, unknown_fields policy);

/// Null, false, 0, "", [] and {}: what a field that is not used holds.
bool says_nothing(const json& in);

struct json_reader {
  const json& in;
  unknown_fields policy;
  std::size_t seen = 0;
  result<void> status{};

  template <class T>
  void operator()(std::string_view name, T& member) {
    read(name, member, false);
  }
  template <class T>
  void operator()(std::string_view name, T& member, required_t) {
    read(name, member, true);
  }
  /// A field of the model that Framemill does not have: naming it with a
  /// value is an error, never a silent no-op.
  void unsupported(std::string_view name) {
    if (!status)
      return;
    auto i = in.find(name);
    if (i == in.end())
      return;
    ++seen;
    if (!says_nothing(*i))
      status = fail_field(errc::unsupported, std::string{name},
                          "`{}` is not supported by this server", name);
  }

private:
  template <class T>
  void read(std::string_view name, T& member, bool must) {
    if (!status)
      return;
    auto i = in.find(name);
    if (i != in.end())
      ++seen;
    if (i == in.end() || i->is_null()) {
      if (must)
        status = fail_field(errc::missing_argument, std::string{name},
                            "the request is missing a required parameter `{}`", name);
      return;
    }
    if (auto r = read_json(*i, member, policy); !r)
      status = below(name, std::move(r).error());
  }
};

/// Finds the first key of `in` that `T` does not list.
struct name_collector {
  const json& in;
  std::vector<std::string_view> names;
  template <class T, class... R>
  void operator()(std::string_view name, T&, R...) { names.push_back(name); }
  void unsupported(std::string_view name) { names.push_back(name); }
};

/// Reads the alternative whose kind number is `kind` from the object that
/// json_of wrote.
template <class V, std::size_t I = 0>
result<void> read_alternative(std::uint64_t kind, const json& in, V& value,
                              unknown_fields policy) {
  if constexpr (I == std::variant_size_v<V>) {
    return fail_field(errc::invalid_argument, "Kind", "unknown kind {}", kind);
  } else {
    using alternative = std::variant_alternative_t<I, V>;
    if (kind != alternative::kind)
      return read_alternative<V, I + 1>(kind, in, value, policy);
    alternative x;
    FM_CHECK(read_json(in, x, policy));
    value = std::move(x);
    return {};
  }
}

template <class T>
result<void> read_json(const json& in, T& value, unknown_fields policy) {
  if constexpr (std::is_same_v<T, json>) {
    value = in;
    return {};
  } else if constexpr (std::is_same_v<T, bool>) {
    return read_bool(in, value);
  } else if constexpr (std::is_same_v<T, errc>) {
    std::string name;
    FM_CHECK(read_text(in, name));
    FM_TRY(value, errc_of_name(name));
    return {};
  } else if constexpr (named_enum<T>) {
    std::string name;
    FM_CHECK(read_text(in, name));
    if (auto e = from_name<T>(name)) {
      value = *e;
      return {};
    }
    std::string allowed;
    for (auto n : enum_names<T>::names)
      allowed += (allowed.empty() ? "" : ", ") + std::string{n};
    return fail(errc::invalid_argument, "`{}` is not one of: {}", name, allowed);
  } else if constexpr (std::is_unsigned_v<T>) {
    std::uint64_t n = 0;
    FM_CHECK(read_unsigned(in, n));
    if (n > std::numeric_limits<T>::max())
      return fail(errc::invalid_argument, "{} is too large", n);
    value = static_cast<T>(n);
    return {};
  } else if constexpr (std::is_integral_v<T>) {
    std::int64_t n = 0;
    FM_CHECK(read_integer(in, n));
    if (n > std::numeric_limits<T>::max() || n < std::numeric_limits<T>::min())
      return fail(errc::invalid_argument, "{} is out of range", n);
    value = static_cast<T>(n);
    return {};
  } else if constexpr (std::is_floating_point_v<T>) {
    double x = 0;
    FM_CHECK(read_real(in, x));
    value = static_cast<T>(x);
    return {};
  } else if constexpr (std::is_same_v<T, std::string>) {
    return read_text(in, value);
  } else if constexpr (std::is_same_v<T, timestamp>) {
    std::string text;
    FM_CHECK(read_text(in, text));
    FM_TRY(value, from_iso8601(text));
    return {};
  } else if constexpr (std::is_same_v<T, microseconds>) {
    double seconds = 0;
    FM_CHECK(read_real(in, seconds));
    if (!(seconds > -1e12 && seconds < 1e12))
      return fail(errc::invalid_argument, "{} seconds are out of range", seconds);
    value = microseconds{static_cast<std::int64_t>(seconds * 1e6)};
    return {};
  } else if constexpr (is_strong_id<T>::value) {
    return read_unsigned(in, value.value);
  } else if constexpr (is_optional<T>::value) {
    if (in.is_null()) {
      value.reset();
      return {};
    }
    return read_json(in, value.emplace(), policy);
  } else if constexpr (is_vector<T>::value) {
    if (!in.is_array())
      return fail(errc::malformed, "type must be array, but is {}", in.type_name());
    if (policy == unknown_fields::refuse && in.size() > limits::request_items_max)
      return fail(errc::too_large, "{} items; at most {} are allowed", in.size(),
                  limits::request_items_max);
    value.clear();
    for (std::size_t i = 0; i < in.size(); ++i) {
      typename T::value_type x{};
      if (auto r = read_json(in[i], x, policy); !r)
        return below(std::to_string(i), std::move(r).error());
      value.push_back(std::move(x));
    }
    return {};
  } else if constexpr (is_string_map<T>::value) {
    if (!in.is_object())
      return fail(errc::malformed, "type must be object, but is {}", in.type_name());
    for (const auto& [k, x] : in.items())
      if (auto r = read_json(x, value[k], policy); !r)
        return below(k, std::move(r).error());
    return {};
  } else if constexpr (is_variant<T>::value) {
    std::uint64_t kind = 0;
    if (!in.is_object() || !in.contains("Kind"))
      return fail_field(errc::missing_argument, "Kind", "the kind number is missing");
    FM_CHECK(read_unsigned(in["Kind"], kind));
    auto body = in;
    body.erase("Kind");
    return read_alternative(kind, body, value, policy);
  } else {
    static_assert(has_fields<T>, "type lists no fields");
    if (!in.is_object())
      return fail(errc::malformed, "type must be object, but is {}", in.type_name());
    json_reader v{in, policy};
    T::fields(value, v);
    FM_CHECK(v.status);
    if (v.seen != in.size() && policy == unknown_fields::refuse) {
      name_collector c{in, {}};
      T::fields(value, c);
      for (const auto& [k, x] : in.items())
        if (std::find(c.names.begin(), c.names.end(), k) == c.names.end())
          return fail_field(errc::unknown_argument, k, "the parameter `{}` is not defined", k);
    }
    return {};
  }
}

} // namespace detail

template <class T>
[[nodiscard]] json to_json_value(const T& value) {
  return detail::json_of(value);
}

/// Fails with missing_argument, unknown_argument, malformed, invalid_argument
/// or unsupported; `field` is the dotted path (`Trigger.CosFileUploadTrigger.Dir`,
/// `MediaProcessTask.TranscodeTaskSet.0.Definition`).
template <class T>
[[nodiscard]] result<T> from_json_value(const json& in,
                                        unknown_fields policy = unknown_fields::refuse) {
  T value{};
  FM_CHECK(detail::read_json(in, value, policy));
  return value;
}

/// Parses text; refuses what is not JSON with line and column, and what is nested
/// deeper than limits::json_depth_max.
[[nodiscard]] result<json> parse_json(std::string_view text);

/// Compact text. Bytes that are not UTF-8 (names that a media file carries)
/// become U+FFFD.
[[nodiscard]] std::string to_text(const json& value);

} // namespace framemill
