#include "api/http_message.hpp"

#include <algorithm>

namespace framemill {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

} // namespace

bool equal_names(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view http_request::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (equal_names(key, name))
      return value;
  return {};
}

bool http_request::has_header(std::string_view name) const {
  return std::any_of(headers.begin(), headers.end(),
                     [&](const auto& h) { return equal_names(h.first, name); });
}

} // namespace framemill
