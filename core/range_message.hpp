#pragma once

#include <array>
#include <cstdint>

// How a child reads its source when fd 3 is a socket instead of a file
// (docs/protocol.md): strictly one question, one answer.
//
//   child  → daemon   offset:u64le  size:u32le
//   daemon → child    count:i32le  byte*count      ; fewer than asked is allowed,
//                                                  ; 0 = the end, −errno = failed
// Asking `source_size_ask` gives eight bytes: the size of the source, u64le.

namespace framemill {

struct range_ask {
  std::uint64_t offset = 0;
  std::uint32_t size = 0;
  bool operator==(const range_ask&) const = default;
};

inline constexpr range_ask source_size_ask{UINT64_MAX, 8};
inline constexpr std::size_t range_ask_bytes = 12;

template <std::size_t Bytes>
[[nodiscard]] constexpr std::uint64_t from_little_endian(const unsigned char* from) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = Bytes; i-- > 0;)
    value = value << 8 | from[i];
  return value;
}

template <std::size_t Bytes>
constexpr void to_little_endian(std::uint64_t value, unsigned char* to) noexcept {
  for (std::size_t i = 0; i < Bytes; ++i, value >>= 8)
    to[i] = static_cast<unsigned char>(value);
}

using range_ask_wire = std::array<unsigned char, range_ask_bytes>;

[[nodiscard]] constexpr range_ask_wire to_wire(range_ask a) noexcept {
  range_ask_wire out{};
  to_little_endian<8>(a.offset, out.data());
  to_little_endian<4>(a.size, out.data() + 8);
  return out;
}

[[nodiscard]] constexpr range_ask from_wire(const range_ask_wire& bytes) noexcept {
  return {from_little_endian<8>(bytes.data()),
          static_cast<std::uint32_t>(from_little_endian<4>(bytes.data() + 8))};
}

} // namespace framemill
