#include "media/plan/naming.hpp"

namespace framemill {

output_names::output_names(const run_record& run, const activity& a)
    : place_(place_output(a, run.spec.output_storage, run.spec.output_dir, run.object.bucket,
                          run.object.key)) {
  auto parts = split_key(run.object.key);
  variables_.input_name = parts.stem;
  variables_.input_format = parts.extension;
  variables_.definition = fmt::format("{}", definition_of(a));
  variables_.input_dir = run.spec.output_dir;
}

result<std::string> output_names::key(std::string_view format, std::string_view number) const {
  auto v = variables_;
  v.format = format;
  v.number = number;
  return normalize_key(place_.directory + render_path(place_.path_template, v));
}

result<std::string> output_names::sibling(std::string_view beside, std::string_view custom,
                                          std::string_view fallback, std::string_view format,
                                          std::string_view number) const {
  auto v = variables_;
  v.format = format;
  v.number = number;
  return normalize_key(split_key(beside).directory +
                       render_path(custom.empty() ? fallback : custom, v));
}

std::string relative_key(std::string_view from, std::string_view to) {
  auto directory = split_key(from).directory;
  std::string_view rest = directory;
  for (auto slash = rest.find('/'); slash != rest.npos; slash = rest.find('/')) {
    if (!to.starts_with(rest.substr(0, slash + 1)))
      break;
    to.remove_prefix(slash + 1);
    rest.remove_prefix(slash + 1);
  }
  std::string up;
  for (char c : rest)
    if (c == '/')
      up += "../";
  return up + std::string{to};
}

} // namespace framemill
