#include "cluster/data_hash.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace framemill::data {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87, prime2 = 0xC2B2AE3D27D4EB4F,
                        prime3 = 0x165667B19E3779F9, prime4 = 0x85EBCA77C2B2AE63,
                        prime5 = 0x27D4EB2F165667C5;

template <class T>
std::uint64_t take(const char*& from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  from += sizeof value;
  return value;
}

std::uint64_t round(std::uint64_t lane, std::uint64_t input) noexcept {
  return std::rotl(lane + input * prime2, 31) * prime1;
}

std::uint64_t merge(std::uint64_t h, std::uint64_t lane) noexcept {
  return (h ^ round(0, lane)) * prime1 + prime4;
}

/// The stripes of 32 bytes.
std::uint64_t stripes(const char*& at, const char* end) noexcept {
  std::array<std::uint64_t, 4> lanes{prime1 + prime2, prime2, 0, 0 - prime1};
  while (end - at >= 32)
    for (auto& lane : lanes)
      lane = round(lane, take<std::uint64_t>(at));
  auto h = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12)
           + std::rotl(lanes[3], 18);
  for (auto lane : lanes)
    h = merge(h, lane);
  return h;
}

std::string hex(const unsigned char* bytes, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i)
    fmt::format_to(std::back_inserter(out), "{:02x}", bytes[i]);
  return out;
}

} // namespace

std::uint64_t xxh64(std::string_view bytes) noexcept {
  const char *at = bytes.data(), *end = at + bytes.size();
  auto h = bytes.size() >= 32 ? stripes(at, end) : prime5;
  h += bytes.size();
  while (end - at >= 8)
    h = std::rotl(h ^ round(0, take<std::uint64_t>(at)), 27) * prime1 + prime4;
  if (end - at >= 4)
    h = std::rotl(h ^ take<std::uint32_t>(at) * prime1, 23) * prime2 + prime3;
  while (at != end)
    h = std::rotl(h ^ take<std::uint8_t>(at) * prime5, 11) * prime1;
  h = (h ^ h >> 33) * prime2;
  h = (h ^ h >> 29) * prime3;
  return h ^ h >> 32;
}

result<std::string> sha256_of_file(int fd, std::string_view what) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{EVP_MD_CTX_new(),
                                                                    EVP_MD_CTX_free};
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return fail(errc::no_memory, "no memory to hash {}", what);
  std::vector<char> buffer(256u << 10);
  for (off_t at = 0;;) {
    auto n = ::pread(fd, buffer.data(), buffer.size(), at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail_errno(errno, what);
    if (n == 0)
      break;
    if (EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(n)) != 1)
      return fail(errc::internal, "{} cannot be hashed", what);
    at += n;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context.get(), digest.data(), &size) != 1)
    return fail(errc::internal, "{} cannot be hashed", what);
  return hex(digest.data(), size);
}

bool is_sha256(std::string_view text) noexcept {
  return text.size() == 64
         && std::all_of(text.begin(), text.end(), [](char c) {
              return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            });
}

} // namespace framemill::data
