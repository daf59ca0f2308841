#include "core/utf8.hpp"

#include <cstdint>

namespace framemill {

namespace {

struct lead {
  std::size_t bytes; ///< of the whole sequence; 0 = not a lead byte
  char32_t bits;
  char32_t lowest; ///< smaller values are overlong
};

lead lead_of(std::uint8_t b) noexcept {
  if (b < 0x80)
    return {1, b, 0};
  if (b >= 0xc2 && b < 0xe0)
    return {2, b & 0x1fu, 0x80};
  if (b >= 0xe0 && b < 0xf0)
    return {3, b & 0x0fu, 0x800};
  if (b >= 0xf0 && b < 0xf5)
    return {4, b & 0x07u, 0x10000};
  return {0, 0, 0};
}

bool is_scalar(char32_t c) noexcept { return c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000); }

} // namespace

std::optional<char32_t> take_code_point(std::string_view& text) noexcept {
  if (text.empty())
    return std::nullopt;
  auto [bytes, c, lowest] = lead_of(static_cast<std::uint8_t>(text[0]));
  if (bytes == 0 || text.size() < bytes)
    return std::nullopt;
  for (std::size_t i = 1; i < bytes; ++i) {
    auto b = static_cast<std::uint8_t>(text[i]);
    if ((b & 0xc0) != 0x80)
      return std::nullopt;
    c = (c << 6) | (b & 0x3fu);
  }
  if (c < lowest || !is_scalar(c))
    return std::nullopt;
  text.remove_prefix(bytes);
  return c;
}

std::optional<std::size_t> code_points(std::string_view text) noexcept {
  std::size_t n = 0;
  for (; !text.empty(); ++n)
    if (!take_code_point(text))
      return std::nullopt;
  return n;
}

} // namespace framemill
