#include "tools/framemill/text.hpp"

#include "core/utf8.hpp"

#include <fmt/format.h>

#include <clocale>
#include <cwchar>
#include <optional>

#include <sys/ioctl.h>
#include <unistd.h>

namespace framemill::cli {

namespace {

/// The character at the front of `text`, which is not empty: its bytes, and its
/// code point when they are UTF-8.
struct character {
  std::string_view bytes;
  std::optional<char32_t> code;
};

character front(std::string_view text) {
  auto rest = text;
  if (auto code = take_code_point(rest))
    return {text.substr(0, text.size() - rest.size()), code};
  return {text.substr(0, 1), std::nullopt};
}

/// wcwidth asks the locale of the thread: ours is always UTF-8.
std::size_t columns_of(const character& c) {
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (!c.code || !utf8)
    return 1;
  auto before = uselocale(utf8);
  int n = wcwidth(static_cast<wchar_t>(*c.code));
  uselocale(before);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

/// Marks that reorder the text around them: a name could pose as another.
bool is_reordering(char32_t code) {
  return (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

std::string escape(char32_t code) {
  switch (code) {
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default:
      return code < 0x100 ? fmt::format("\\x{:02x}", static_cast<unsigned>(code))
                          : fmt::format("\\u{:04x}", static_cast<unsigned>(code));
  }
}

winsize window() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size : winsize{};
}

std::size_t or_else(std::size_t told, std::size_t usual) { return told != 0 ? told : usual; }

} // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    auto c = front(text);
    if (!c.code)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    else if (is_control(*c.code) || is_reordering(*c.code))
      out += escape(*c.code);
    else
      out += c.bytes;
    text.remove_prefix(c.bytes.size());
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    auto c = front(text);
    columns += columns_of(c);
    text.remove_prefix(c.bytes.size());
  }
  return columns;
}

std::string shorten(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns)
    return std::string{text};
  if (columns == 0)
    return {};
  std::string out;
  for (std::size_t used = 0; !text.empty();) {
    auto c = front(text);
    used += columns_of(c);
    if (used > columns - 1) // the last one is for the mark
      break;
    out += c.bytes;
    text.remove_prefix(c.bytes.size());
  }
  return out + "…";
}

std::size_t terminal_columns() {
  return isatty(STDOUT_FILENO) == 0 ? 0 : or_else(window().ws_col, 80);
}

std::size_t terminal_rows() {
  return isatty(STDOUT_FILENO) == 0 ? 0 : or_else(window().ws_row, 24);
}

} // namespace framemill::cli
