#include "tools/framemill/text.hpp"

#include <fmt/format.h>

#include <clocale>
#include <cstdlib>
#include <cwchar>

#include <sys/ioctl.h>
#include <unistd.h>

namespace framemill::cli {

namespace {

struct character {
  std::size_t bytes = 0; ///< 0: not UTF-8
  char32_t code = 0;
};

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// The character at the front of `text`, which is not empty.
character front(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80)
    return {1, lead};
  std::size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (n == 0 || lead > 0xf4 || text.size() < n)
    return {};
  char32_t code = lead & (0xffU >> (n + 1));
  for (std::size_t i = 1; i < n; ++i) {
    if (!is_continuation(text[i]))
      return {};
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3fU);
  }
  return {n, code};
}

/// wcwidth asks the locale of the thread: ours is always UTF-8.
int columns_of(char32_t code) {
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (!utf8)
    return 1;
  auto before = uselocale(utf8);
  int n = wcwidth(static_cast<wchar_t>(code));
  uselocale(before);
  return n;
}

bool is_control(char32_t code) {
  bool reorders = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || reorders;
}

std::string escape(char32_t code) {
  switch (code) {
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: return code < 0x100 ? fmt::format("\\x{:02x}", static_cast<unsigned>(code))
                                 : fmt::format("\\u{:04x}", static_cast<unsigned>(code));
  }
}

} // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    auto c = front(text);
    if (c.bytes == 0)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    else if (is_control(c.code))
      out += escape(c.code);
    else
      out += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes == 0 ? 1 : c.bytes);
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    auto c = front(text);
    int n = c.bytes == 0 ? 1 : columns_of(c.code);
    columns += n > 0 ? static_cast<std::size_t>(n) : 0;
    text.remove_prefix(c.bytes == 0 ? 1 : c.bytes);
  }
  return columns;
}

std::string shorten(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns)
    return std::string{text};
  if (columns == 0)
    return {};
  std::size_t end = 0;
  while (end < text.size()) {
    auto n = std::max<std::size_t>(1, front(text.substr(end)).bytes);
    if (display_width(text.substr(0, end + n)) > columns - 1)
      break;
    end += n;
  }
  return std::string{text.substr(0, end)} + "…";
}

std::size_t terminal_columns() {
  winsize size{};
  if (isatty(STDOUT_FILENO) == 0)
    return 0;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return 80;
  return size.ws_col;
}

} // namespace framemill::cli
