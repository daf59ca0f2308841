#include "core/object_path.hpp"

#include "core/limits.hpp"
#include "core/utf8.hpp"

#include <array>

namespace framemill {

namespace {

result<void> check_characters(std::string_view text) {
  while (!text.empty()) {
    auto c = take_code_point(text);
    if (!c)
      return fail(errc::invalid_argument, "a name must be valid UTF-8");
    if (is_control(*c))
      return fail(errc::invalid_argument, "a name must not hold the control character {:#04x}",
                  static_cast<std::uint32_t>(*c));
  }
  return {};
}

result<void> check_component(std::string_view component, std::size_t bytes_max) {
  if (component.empty())
    return fail(errc::invalid_argument, "a path must not hold an empty component (`//`)");
  if (component == "." || component == "..")
    return fail(errc::invalid_argument, "a path must not hold the component `{}`", component);
  if (component.size() > bytes_max)
    return fail(errc::too_large, "a path component of {} bytes is longer than {}",
                component.size(), bytes_max);
  return {};
}

/// `path` without leading or trailing '/'.
result<void> check_components(std::string_view path, std::size_t bytes_max) {
  for (;;) {
    auto slash = path.find('/');
    FM_CHECK(check_component(path.substr(0, slash), bytes_max));
    if (slash == std::string_view::npos)
      return {};
    path.remove_prefix(slash + 1);
  }
}

constexpr std::array<std::pair<std::string_view, std::string path_variables::*>, 6> variables{{
    {"inputName", &path_variables::input_name},
    {"inputFormat", &path_variables::input_format},
    {"format", &path_variables::format},
    {"definition", &path_variables::definition},
    {"inputDir", &path_variables::input_dir},
    {"number", &path_variables::number},
}};

std::string path_variables::*member_of(std::string_view name) {
  for (const auto& [known, member] : variables)
    if (known == name)
      return member;
  return nullptr;
}

failure unknown_variable(std::string_view name) {
  std::string known;
  for (const auto& [n, member] : variables)
    known += fmt::format("{}{{{}}}", known.empty() ? "" : ", ", n);
  return fail(errc::invalid_argument, "unknown variable {{{}}} in the path; known are {}", name,
              known);
}

result<void> check_variables(std::string_view text) {
  while (!text.empty()) {
    auto brace = text.find_first_of("{}");
    if (brace == std::string_view::npos)
      return {};
    auto close = text.find_first_of("{}", brace + 1);
    if (text[brace] == '}' || close == std::string_view::npos || text[close] == '{')
      return fail(errc::invalid_argument, "unbalanced braces in the path");
    auto name = text.substr(brace + 1, close - brace - 1);
    if (member_of(name) == nullptr)
      return unknown_variable(name);
    text.remove_prefix(close + 1);
  }
  return {};
}

/// A value may end in '/', and text may go on with one.
std::string one_slash_each(std::string_view path) {
  std::string out;
  for (auto c : path)
    if (c != '/' || (!out.empty() && out.back() != '/'))
      out.push_back(c);
  return out;
}

std::string_view without_leading_slash(std::string_view path) {
  return path.starts_with('/') ? path.substr(1) : path;
}

std::string bucket_of(const std::optional<output_storage>& s) {
  return s && s->cos ? s->cos->bucket : std::string{};
}

bool is_absolute(std::string_view path_template) {
  return path_template.starts_with('/') || path_template.starts_with("{inputDir}");
}

} // namespace

result<std::string> normalize_key(std::string_view key) {
  key = without_leading_slash(key);
  if (key.empty())
    return fail(errc::invalid_argument, "an object key must not be empty");
  if (key.size() > limits::object_key_bytes_max)
    return fail(errc::too_large, "an object key of {} bytes is longer than {}", key.size(),
                limits::object_key_bytes_max);
  FM_CHECK(check_characters(key));
  FM_CHECK(check_components(key, limits::object_name_bytes_max));
  return std::string{key};
}

result<void> validate_directory(std::string_view dir) {
  if (dir.empty() || dir == "/")
    return {};
  if (!dir.ends_with('/'))
    return fail(errc::invalid_argument, "a directory must end in `/`");
  FM_TRY(auto key, normalize_key(dir.substr(0, dir.size() - 1)));
  return {};
}

key_parts split_key(std::string_view key) {
  auto slash = key.rfind('/');
  auto name_at = slash == std::string_view::npos ? 0 : slash + 1;
  auto name = key.substr(name_at);
  auto dot = name.rfind('.');
  if (dot == 0 || dot == std::string_view::npos)
    dot = name.size();
  return {std::string{key.substr(0, name_at)}, std::string{name.substr(0, dot)},
          std::string{dot == name.size() ? std::string_view{} : name.substr(dot + 1)}};
}

result<void> validate_path_template(std::string_view text) {
  if (text.size() > limits::object_key_bytes_max)
    return fail(errc::too_large, "a path of {} bytes is longer than {}", text.size(),
                limits::object_key_bytes_max);
  FM_CHECK(check_characters(text));
  FM_CHECK(check_variables(text));
  return check_components(without_leading_slash(text), limits::object_key_bytes_max);
}

std::string_view default_path_template(activity_kind kind) {
  switch (kind) {
    case activity_kind::transcode: return "{inputName}_transcode_{definition}.{format}";
    case activity_kind::animated_graphic:
      return "{inputName}_animatedGraphic_{definition}.{format}";
    case activity_kind::snapshot_by_time_offset:
      return "{inputName}_snapshotByTimeOffset_{definition}_{number}.{format}";
    case activity_kind::sample_snapshot:
      return "{inputName}_sampleSnapshot_{definition}_{number}.{format}";
    case activity_kind::image_sprite:
      return "{inputName}_imageSprite_{definition}_{number}.{format}";
  }
  return {};
}

std::string_view default_segment_template() {
  return "{inputName}_transcode_{definition}_{number}.{format}";
}
std::string_view default_vtt_template() {
  return "{inputName}_imageSprite_{definition}.{format}";
}

std::string render_path(std::string_view text, const path_variables& v) {
  // One pass: a value that looks like a variable is not rendered again.
  std::string out;
  while (!text.empty()) {
    auto open = text.find('{');
    auto close = text.find('}', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos)
      break;
    out += text.substr(0, open);
    if (auto member = member_of(text.substr(open + 1, close - open - 1)))
      out += v.*member;
    else
      out += text.substr(open, close - open + 1);
    text.remove_prefix(close + 1);
  }
  out += text;
  return one_slash_each(out);
}

std::string render_number(const number_format& f, std::int64_t ordinal) {
  auto digits = fmt::format("{}", f.initial_value + ordinal * f.increment);
  std::string padding;
  for (auto n = static_cast<std::int64_t>(digits.size()); n < f.min_length; ++n)
    padding += f.place_holder;
  return padding + digits;
}

output_place place_output(const activity& a,
                          const std::optional<output_storage>& default_storage,
                          std::string_view output_dir, std::string_view input_bucket,
                          std::string_view input_key) {
  output_place place;
  place.bucket = bucket_of(output_storage_of(a));
  if (place.bucket.empty())
    place.bucket = bucket_of(default_storage);
  if (place.bucket.empty())
    place.bucket = input_bucket;

  const auto& custom = output_object_path_of(a);
  place.path_template = custom.empty() ? std::string{default_path_template(a.kind)} : custom;
  if (is_absolute(place.path_template)) {
    place.path_template = without_leading_slash(place.path_template);
    return place;
  }
  if (output_dir.empty())
    place.directory = split_key(without_leading_slash(input_key)).directory;
  else
    place.directory = without_leading_slash(output_dir);
  if (!place.directory.empty() && !place.directory.ends_with('/'))
    place.directory.push_back('/');
  return place;
}

} // namespace framemill
