#include "tools/framemill/json_path.hpp"

#include <cmath>

namespace framemill::cli {

namespace {
const json nothing;
const json no_items = json::array();
} // namespace

const json& at(const json& in, std::string_view path) {
  const json* here = &in;
  while (!path.empty()) {
    auto dot = path.find('.');
    auto name = path.substr(0, dot);
    auto found = here->is_object() ? here->find(name) : here->end();
    if (found == here->end())
      return nothing;
    here = &*found;
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
  }
  return *here;
}

std::string text_at(const json& in, std::string_view path) {
  const auto& value = at(in, path);
  if (value.is_string())
    return value.get<std::string>();
  return value.is_number() || value.is_boolean() ? value.dump() : "";
}

double number_at(const json& in, std::string_view path) {
  const auto& value = at(in, path);
  return value.is_number() ? value.get<double>() : 0;
}

std::int64_t integer_at(const json& in, std::string_view path) {
  const auto& value = at(in, path);
  if (value.is_number_integer())
    return value.get<std::int64_t>();
  auto x = number_at(in, path);
  return std::abs(x) < 9e15 ? static_cast<std::int64_t>(x) : 0;
}

const json& list_at(const json& in, std::string_view path) {
  const auto& value = at(in, path);
  return value.is_array() ? value : no_items;
}

std::string joined(const json& list) {
  std::string out;
  for (const auto& item : list)
    out += (out.empty() ? "" : ", ") + text_at(item, "");
  return out;
}

std::string pairs_text(const json& object) {
  std::string out;
  if (object.is_object())
    for (const auto& [key, value] : object.items())
      out += (out.empty() ? "" : " ") + key + "=" + text_at(value, "");
  return out;
}

std::string dump(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

} // namespace framemill::cli
