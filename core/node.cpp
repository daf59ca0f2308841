#include "core/node.hpp"

#include "core/limits.hpp"

#include <algorithm>

namespace framemill {

namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

} // namespace

bool is_plain_name(std::string_view text) {
  return !text.empty() && text.size() <= limits::node_name_chars_max
         && is_alphanumeric(text.front()) && std::all_of(text.begin(), text.end(), [](char c) {
              return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
            });
}

result<void> check_labels(const std::map<std::string, std::string>& labels) {
  if (labels.size() > limits::node_labels_max)
    return fail_field(errc::too_large, "Set", "there are more than {} labels",
                      limits::node_labels_max);
  for (const auto& [key, value] : labels) {
    if (!is_plain_name(key))
      return fail_field(errc::invalid_argument, "Set",
                        "`{}` is no name of a label: that is 1 to {} of letters, digits, `-`, "
                        "`_`, `.`",
                        key, limits::node_name_chars_max);
    if (value.size() > limits::label_value_bytes_max)
      return fail_field(errc::too_large, "Set", "label {} is longer than {} bytes", key,
                        limits::label_value_bytes_max);
  }
  return {};
}

} // namespace framemill
