#include "core/base64.hpp"

#include <cstdint>

namespace framemill {

namespace {

int value_of(char c) {
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

} // namespace

result<std::string> decode_base64(std::string_view text) {
  if (auto comma = text.find(";base64,"); text.starts_with("data:") && comma != text.npos)
    text.remove_prefix(comma + 8);
  std::string out;
  std::uint32_t bits = 0;
  int count = 0, padding = 0;
  for (char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
      continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    auto v = value_of(c);
    if (v < 0 || padding > 0)
      return fail(errc::malformed, "not base64");
    bits = bits << 6 | static_cast<std::uint32_t>(v);
    if (++count % 4 == 0) {
      out.push_back(static_cast<char>(bits >> 16));
      out.push_back(static_cast<char>(bits >> 8));
      out.push_back(static_cast<char>(bits));
      bits = 0;
    }
  }
  auto rest = count % 4;
  if (rest == 1 || padding > 2)
    return fail(errc::malformed, "base64 is truncated");
  if (rest >= 2)
    out.push_back(static_cast<char>(bits >> (rest == 2 ? 4 : 10)));
  if (rest == 3)
    out.push_back(static_cast<char>(bits >> 2));
  return out;
}

std::string encode_base64(std::string_view bytes) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      out.push_back(i + k <= bytes.size() ? alphabet[bits >> (18 - 6 * k) & 63] : '=');
  }
  return out;
}

} // namespace framemill
