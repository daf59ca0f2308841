#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace framemill {

/// Takes the first code point off `text`; nullopt when `text` is empty or does
/// not begin with well-formed UTF-8 (overlong forms and surrogates are not).
[[nodiscard]] std::optional<char32_t> take_code_point(std::string_view& text) noexcept;

/// Number of code points; nullopt when `text` is not UTF-8.
[[nodiscard]] std::optional<std::size_t> code_points(std::string_view text) noexcept;

/// C0, DEL or C1.
[[nodiscard]] constexpr bool is_control(char32_t c) noexcept {
  return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

} // namespace framemill
