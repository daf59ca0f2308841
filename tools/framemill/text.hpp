#pragma once

#include <string>
#include <string_view>

// Text for terminals: what it looks like is not what it is made of.

namespace framemill::cli {

/// Safe to show: control characters, and bytes that are not UTF-8, become
/// escapes (`\n`, `\x1b`). Object names are other people's text.
[[nodiscard]] std::string printable(std::string_view text);

/// Terminal columns of UTF-8 text: 2 for a wide character, 0 for a combining one.
[[nodiscard]] std::size_t display_width(std::string_view text);

/// Text of at most `columns`; what was cut is shown as `…`.
[[nodiscard]] std::string shorten(std::string_view text, std::size_t columns);

/// Width of the terminal on stdout; 0 when stdout is not a terminal.
[[nodiscard]] std::size_t terminal_columns();
/// Its height; 0 likewise.
[[nodiscard]] std::size_t terminal_rows();

} // namespace framemill::cli
