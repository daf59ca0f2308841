#include "notify/function_rules.hpp"

#include "core/limits.hpp"
#include "core/object_path.hpp"

#include <algorithm>
#include <set>

namespace framemill {

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// As shells take them. Ours begin with FRAMEMILL_.
result<void> check_variable(const char* field, const std::string& name) {
  auto is_sign = [](char c) { return is_letter(c) || is_digit(c) || c == '_'; };
  if (name.empty() || is_digit(name[0]) || !std::ranges::all_of(name, is_sign))
    return fail_field(errc::invalid_argument, field, "`{}` is not a name of a variable", name);
  if (name.starts_with("FRAMEMILL_"))
    return fail_field(errc::invalid_argument, field, "`{}`: names with FRAMEMILL_ are taken",
                      name);
  return {};
}

result<void> check_environment(const function_version& v,
                               const std::map<std::string, std::string>& secrets) {
  std::size_t bytes = 0;
  auto look = [&](const char* field, const auto& variables) -> result<void> {
    for (const auto& [name, value] : variables) {
      FM_CHECK(check_variable(field, name));
      if (value.find('\0') != std::string::npos)
        return fail_field(errc::invalid_argument, field, "the value of {} has a zero byte",
                          name);
      bytes += name.size() + value.size() + 2;
    }
    return {};
  };
  FM_CHECK(look("Environment", v.environment));
  FM_CHECK(look("Secrets", secrets));
  for (const auto& [name, value] : secrets)
    if (v.environment.contains(name))
      return fail_field(errc::invalid_argument, "Secrets", "`{}` is in Environment too", name);
  if (bytes > limits::function_environment_bytes_max)
    return fail_field(errc::too_large, "Environment", "{} bytes of variables are more than {}",
                      bytes, limits::function_environment_bytes_max);
  return {};
}

result<void> check_files(const std::vector<function_file>& files) {
  if (files.empty())
    return fail_field(errc::missing_argument, "Files", "a function needs code");
  if (files.size() > limits::function_files_max)
    return fail_field(errc::too_large, "Files", "{} files are more than {}", files.size(),
                      limits::function_files_max);
  std::set<std::string_view> names;
  std::uint64_t bytes = 0;
  for (const auto& f : files) {
    auto key = normalize_key(f.name);
    if (!key || *key != f.name)
      return fail_field(errc::invalid_argument, "Files", "`{}` is not a name of a file",
                        f.name);
    if (!names.insert(f.name).second)
      return fail_field(errc::invalid_argument, "Files", "`{}` is there twice", f.name);
    bytes += f.bytes;
  }
  for (auto name : names) // `lib` and `lib/a.js` cannot both be
    for (auto at = name.find('/'); at != name.npos; at = name.find('/', at + 1))
      if (names.contains(name.substr(0, at)))
        return fail_field(errc::invalid_argument, "Files", "`{}` is a file and a directory",
                          name.substr(0, at));
  if (bytes > limits::function_code_bytes_max)
    return fail_field(errc::too_large, "Files", "{} bytes of code are more than {}", bytes,
                      limits::function_code_bytes_max);
  return {};
}

result<void> check_handler(const function_version& v) {
  auto has = [&](std::string_view name) {
    return std::ranges::any_of(v.files, [&](const auto& f) { return f.name == name; });
  };
  if (v.runtime == function_runtime::executable) {
    if (has(v.handler))
      return {};
    return fail_field(errc::invalid_argument, "Handler", "`{}` is none of its files",
                      v.handler);
  }
  FM_TRY(auto handler, parse_node_handler(v.handler));
  for (auto ending : {".js", ".cjs", ".mjs"})
    if (has(handler.file + ending))
      return {};
  return fail_field(errc::invalid_argument, "Handler",
                    "none of its files is {}.js, .cjs or .mjs", handler.file);
}

template <class T>
result<void> check_within(const char* field, T value, T low, T high) {
  if (value >= low && value <= high)
    return {};
  return fail_field(errc::invalid_argument, field, "{} is not within {} and {}", value, low,
                    high);
}

result<void> check_grants(const std::vector<bucket_grant>& grants) {
  if (grants.size() > limits::function_grants_max)
    return fail_field(errc::too_large, "Buckets", "{} grants are more than {}", grants.size(),
                      limits::function_grants_max);
  for (const auto& g : grants) {
    if (g.bucket.empty())
      return fail_field(errc::missing_argument, "Buckets", "a grant names no bucket");
    if (g.dir.empty())
      continue;
    if (auto key = normalize_key(g.dir.substr(0, g.dir.size() - 1));
        !g.dir.ends_with('/') || !key || *key + '/' != g.dir)
      return fail_field(errc::invalid_argument, "Buckets",
                        "`{}` is not a directory like `backup/`", g.dir);
  }
  return {};
}

} // namespace

result<void> check_function_name(std::string_view name) {
  auto is_sign = [](char c) { return c == '-' || c == '_'; };
  auto is_allowed = [&](char c) { return is_letter(c) || is_digit(c) || is_sign(c); };
  if (name.empty() || name.size() > limits::function_name_chars_max || !is_letter(name.front())
      || is_sign(name.back()) || !std::ranges::all_of(name, is_allowed))
    return fail_field(
        errc::invalid_argument, "Name",
        "`{}` is not a function's name: up to {} letters, digits, - and _, with a "
        "letter first and none of the signs last",
        name, limits::function_name_chars_max);
  return {};
}

result<node_handler> parse_node_handler(std::string_view handler) {
  auto dot = handler.rfind('.');
  if (dot == handler.npos || dot == 0 || dot + 1 == handler.size())
    return fail_field(errc::invalid_argument, "Handler",
                      "`{}` is not FILE.NAME, as index.main_handler is", handler);
  return node_handler{std::string{handler.substr(0, dot)},
                      std::string{handler.substr(dot + 1)}};
}

result<void> validate(const function_version& v,
                      const std::map<std::string, std::string>& secrets) {
  FM_CHECK(check_files(v.files));
  FM_CHECK(check_handler(v));
  FM_CHECK(check_environment(v, secrets));
  FM_CHECK(check_grants(v.buckets));
  using seconds = std::chrono::duration<double>;
  FM_CHECK(check_within("Timeout", seconds{v.timeout}.count(), 0.001,
                        seconds{limits::function_timeout_max}.count()));
  FM_CHECK(check_within("MemoryBytes", v.memory_bytes, limits::function_memory_bytes_min,
                        limits::function_memory_bytes_max));
  FM_CHECK(check_within("Concurrency", v.concurrency, 1, limits::function_concurrency_max));
  return check_within("OutputBytesMax", v.output_bytes_max, std::int64_t{1024},
                      limits::function_output_bytes_max);
}

bool is_granted(const std::vector<bucket_grant>& grants, std::string_view bucket,
                std::string_view key) {
  return std::ranges::any_of(
      grants, [&](const auto& g) { return g.bucket == bucket && key.starts_with(g.dir); });
}

} // namespace framemill
