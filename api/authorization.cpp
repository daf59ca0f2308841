#include "api/authorization.hpp"

#include <algorithm>
#include <cctype>

namespace framemill {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
    s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
    s.remove_suffix(1);
  return s;
}

std::string lower(std::string_view s) {
  std::string out{s};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::vector<std::string_view> split(std::string_view s, char at) {
  std::vector<std::string_view> out;
  for (;;) {
    auto i = s.find(at);
    out.push_back(s.substr(0, i));
    if (i == std::string_view::npos)
      return out;
    s.remove_prefix(i + 1);
  }
}

bool authorization::signs(std::string_view header) const {
  return std::find(signed_headers.begin(), signed_headers.end(), header) != signed_headers.end();
}

std::optional<authorization> parse_authorization(std::string_view text,
                                                 std::string_view scheme) {
  if (!text.starts_with(scheme))
    return std::nullopt;
  authorization a;
  for (auto part : split(text.substr(scheme.size()), ',')) {
    part = trim(part);
    auto equals = part.find('=');
    if (equals == std::string_view::npos)
      return std::nullopt;
    auto name = part.substr(0, equals);
    auto value = part.substr(equals + 1);
    if (name == "Credential")
      a.credential = value;
    else if (name == "SignedHeaders")
      for (auto h : split(value, ';'))
        a.signed_headers.push_back(lower(trim(h)));
    else if (name == "Signature")
      a.signature = value;
  }
  if (a.credential.empty() || a.signed_headers.empty() || a.signature.empty())
    return std::nullopt;
  return a;
}

} // namespace framemill
