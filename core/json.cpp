#include "core/json.hpp"

#include "core/limits.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace framemill {

namespace detail {

json json_of_timestamp(timestamp t) { return to_iso8601_us(t); }

namespace {

template <class T>
bool parse_whole(const std::string& text, T& to) {
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), to);
  return ec == std::errc{} && end == text.data() + text.size() && !text.empty();
}

failure type_error(std::string_view wanted, const json& in) {
  return fail(errc::malformed, "type must be {}, but is {}", wanted, in.type_name());
}

} // namespace

result<void> read_bool(const json& in, bool& to) {
  if (in.is_boolean()) {
    to = in.get<bool>();
    return {};
  }
  if (in == "true" || in == "false") {
    to = in == "true";
    return {};
  }
  return type_error("boolean", in);
}

result<void> read_integer(const json& in, std::int64_t& to) {
  if (in.is_number_unsigned()
      && in.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    return fail(errc::invalid_argument, "{} is too large", in.dump());
  if (in.is_number_integer()) {
    to = in.get<std::int64_t>();
    return {};
  }
  if (in.is_number_float()) {
    auto x = in.get<double>();
    if (std::trunc(x) == x && std::abs(x) < 9e15) {
      to = static_cast<std::int64_t>(x);
      return {};
    }
  }
  if (in.is_string() && parse_whole(in.get_ref<const std::string&>(), to))
    return {};
  return type_error("integer", in);
}

result<void> read_unsigned(const json& in, std::uint64_t& to) {
  std::int64_t n = 0;
  FM_CHECK(read_integer(in, n));
  if (n < 0)
    return fail(errc::invalid_argument, "{} must not be negative", n);
  to = static_cast<std::uint64_t>(n);
  return {};
}

result<void> read_real(const json& in, double& to) {
  if (in.is_number()) {
    to = in.get<double>();
    return {};
  }
  if (in.is_string()) {
    const auto& text = in.get_ref<const std::string&>();
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), to);
    if (ec == std::errc{} && end == text.data() + text.size() && !text.empty()
        && std::isfinite(to))
      return {};
  }
  return type_error("number", in);
}

result<void> read_text(const json& in, std::string& to) {
  if (!in.is_string())
    return type_error("string", in);
  to = in.get<std::string>();
  return {};
}

bool says_nothing(const json& in) {
  return in.is_null() || in == false || in == 0 || in == "" || in == json::array()
         || in == json::object();
}

failure below(std::string_view name, error e) {
  e.field = e.field.empty() ? std::string{name} : fmt::format("{}.{}", name, e.field);
  return failure{std::move(e)};
}

} // namespace detail

namespace {

/// nlohmann quotes the input, which may be long and need not be UTF-8.
std::string plain_sentence(std::string_view what) {
  constexpr std::size_t bytes_max = 200;
  std::string out{what.substr(0, bytes_max)};
  for (auto& c : out)
    if (auto b = static_cast<unsigned char>(c); b < 0x20 || b > 0x7e)
      c = '?';
  return out;
}

/// How deep the brackets outside of strings go. A document that deep would be
/// parsed, and then end the process when it is copied or written.
std::size_t depth_of(std::string_view text) {
  std::size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (in_string && c == '\\')
      ++i;
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && (c == '[' || c == '{'))
      deepest = std::max(deepest, ++depth);
    else if (!in_string && (c == ']' || c == '}') && depth > 0)
      --depth;
  }
  return deepest;
}

} // namespace

result<json> parse_json(std::string_view text) {
  if (depth_of(text) > limits::json_depth_max)
    return fail(errc::too_large, "the body is nested deeper than {} levels",
                limits::json_depth_max);
  try {
    return json::parse(text);
  } catch (const json::exception& e) {
    return fail(errc::malformed, "this is not JSON: {}", plain_sentence(e.what()));
  }
}

std::string to_text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace framemill
