#include "api/query.hpp"

#include <algorithm>
#include <charconv>

namespace framemill {

namespace {

constexpr std::size_t depth_max = 16;

int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

result<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      return fail(errc::malformed, "`{}` is not percent-encoded", text);
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

bool is_index(std::string_view part) {
  return !part.empty() && part.size() <= 6 &&
         std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Objects whose keys are 0…n−1 become arrays, from the leaves up.
result<json> with_arrays(json node, std::string_view path, std::size_t depth) {
  if (!node.is_object())
    return node;
  if (depth > depth_max)
    return fail(errc::malformed, "`{}` is nested too deeply", path);
  bool is_array = !node.empty();
  for (auto& [key, child] : node.items()) {
    FM_TRY(child, with_arrays(std::move(child), path, depth + 1));
    is_array = is_array && is_index(key);
  }
  if (!is_array)
    return node;
  auto out = json::array();
  for (std::size_t i = 0; i < node.size(); ++i) {
    auto item = node.find(std::to_string(i));
    if (item == node.end())
      return fail(errc::malformed, "the indexes of an array in `{}` have a gap", path);
    out.push_back(std::move(*item));
  }
  return out;
}

result<void> insert(json& root, std::string_view path, const std::string& value) {
  json* node = &root;
  for (std::size_t depth = 0;; ++depth) {
    auto dot = path.find('.');
    std::string part{path.substr(0, dot)};
    if (!node->is_object() || depth > depth_max)
      return fail(errc::malformed, "`{}` contradicts another parameter", part);
    if (dot == std::string_view::npos) {
      if (!node->emplace(part, value).second)
        return fail(errc::malformed, "`{}` contradicts another parameter", part);
      return {};
    }
    node = &node->emplace(part, json::object()).first.value();
    path.remove_prefix(dot + 1);
  }
}

} // namespace

result<std::map<std::string, std::string>> parse_query(std::string_view query) {
  std::map<std::string, std::string> out;
  while (!query.empty()) {
    auto end = query.find('&');
    auto pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    auto equals = pair.find('=');
    FM_TRY(auto key, percent_decode(pair.substr(0, equals)));
    FM_TRY(auto value,
           percent_decode(equals == std::string_view::npos ? std::string_view{}
                                                           : pair.substr(equals + 1)));
    if (!key.empty())
      out[key] = value;
  }
  return out;
}

result<json> unflatten(const std::map<std::string, std::string>& parameters) {
  auto root = json::object();
  for (const auto& [path, value] : parameters)
    FM_CHECK(insert(root, path, value));
  for (auto& [key, child] : root.items()) {
    FM_TRY(child, with_arrays(std::move(child), key, 1));
  }
  return root;
}

} // namespace framemill
