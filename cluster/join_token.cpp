#include "cluster/transport.hpp"

#include <fmt/ranges.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace framemill {

namespace {

constexpr std::string_view version_mark = "fmj1";
constexpr std::size_t part_chars_max = 128;
using raw_key = std::array<std::uint8_t, 32>;
constexpr std::size_t z85_chars = 40; // of a key

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         c == '-' || c == '_' || c == '~'; // the dot parts the parts
}

bool is_part(std::string_view text) {
  return !text.empty() && text.size() <= part_chars_max &&
         std::all_of(text.begin(), text.end(), is_unreserved);
}

/// Empty pieces too.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (auto dot = text.find('.'); dot != text.npos; dot = text.find('.')) {
    parts.push_back(text.substr(0, dot));
    text.remove_prefix(dot + 1);
  }
  parts.push_back(text);
  return parts;
}

// Z85 is full of what a shell takes for its own: in a token a key is hexadecimal.
std::string hex_of(const std::string& z85) {
  raw_key key{};
  if (z85.size() != z85_chars || ::zmq_z85_decode(key.data(), z85.c_str()) == nullptr)
    return {};
  return fmt::format("{:02x}", fmt::join(key, ""));
}

int value_of(char digit) {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

std::optional<std::string> z85_of(std::string_view hex) {
  raw_key key{};
  if (hex.size() != 2 * key.size())
    return std::nullopt;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const int high = value_of(hex[2 * i]), low = value_of(hex[2 * i + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    key[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  std::array<char, z85_chars + 1> text{};
  ::zmq_z85_encode(text.data(), key.data(), key.size());
  return std::string{text.data()};
}

} // namespace

std::string to_text(const join_token& t) {
  return fmt::format("{}.{}.{}.{}", version_mark, t.id, t.secret, hex_of(t.server_key));
}

result<join_token> parse_join_token(std::string_view text) {
  // The token is a secret: no sentence quotes it.
  const auto parts = split(text);
  if (parts[0] != version_mark)
    return fail_field(errc::malformed, "token", "a join token begins with \"{}.\"",
                      version_mark);
  const auto key = z85_of(parts.back());
  if (parts.size() != 4 || !is_part(parts[1]) || !is_part(parts[2]) || !key)
    return fail_field(errc::malformed, "token",
                      "the join token is damaged or cut short: copy all of it, "
                      "{}.<id>.<secret>.<key>", version_mark);
  return join_token{std::string{parts[1]}, std::string{parts[2]}, *key};
}

} // namespace framemill
