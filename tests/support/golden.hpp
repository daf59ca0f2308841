#pragma once

#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

// Bytes as they always were: a file of lines `name hex`.

namespace framemill::testing {

using goldens = std::map<std::string, std::string, std::less<>>;

inline std::string to_hex(std::string_view bytes) {
  std::string out;
  for (unsigned char c : bytes)
    out += fmt::format("{:02x}", c);
  return out;
}

inline std::string from_hex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(std::string{text.substr(i, 2)}, nullptr, 16)));
  return out;
}

inline goldens read_goldens(const std::string& path) {
  goldens all;
  std::ifstream in(path);
  std::string name, bytes;
  while (in >> name >> bytes)
    all[name] = from_hex(bytes);
  return all;
}

/// Is all of `old` still said, in the same way, by `now`? Maps may have grown, and lists
/// at their end (with a new kind of their items).
inline bool is_kept(const json& old, const json& now) {
  if (old.is_object() && now.is_object())
    return std::all_of(old.items().begin(), old.items().end(), [&](const auto& entry) {
      return now.contains(entry.key()) && is_kept(entry.value(), now[entry.key()]);
    });
  if (old.is_array() && now.is_array() && old.size() <= now.size())
    return std::equal(old.begin(), old.end(), now.begin(), is_kept);
  return old == now;
}

} // namespace framemill::testing
