#include "core/media_message.hpp"

#include "core/limits.hpp"

#include <algorithm>
#include <limits>

// An encoded index (docs/protocol.md): version byte, fields as zig-zag LEB128,
// times as differences, FNV-1a 64 of all that at the end.

namespace framemill {

namespace {

constexpr char index_version = 1;
constexpr std::size_t checksum_bytes = 8;

std::uint64_t fnv1a(std::string_view bytes) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (auto c : bytes)
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

constexpr std::uint64_t zigzag(std::int64_t n) noexcept {
  return (static_cast<std::uint64_t>(n) << 1) ^ static_cast<std::uint64_t>(n >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t n) noexcept {
  return static_cast<std::int64_t>((n >> 1) ^ (~(n & 1) + 1));
}
/// Differences wrap, so that every pair of values has one.
constexpr std::int64_t minus(std::int64_t a, std::int64_t b) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a)
                                   - static_cast<std::uint64_t>(b));
}
constexpr std::int64_t plus(std::int64_t a, std::int64_t b) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a)
                                   + static_cast<std::uint64_t>(b));
}

class index_writer {
public:
  explicit index_writer(std::size_t expected) {
    out_.reserve(expected);
    out_.push_back(index_version);
  }
  void natural(std::uint64_t n) {
    for (; n >= 0x80; n >>= 7)
      out_.push_back(static_cast<char>(n | 0x80));
    out_.push_back(static_cast<char>(n));
  }
  void number(std::int64_t n) { natural(zigzag(n)); }
  void text(std::string_view s) {
    natural(s.size());
    out_ += s;
  }
  std::string sealed() && {
    auto sum = fnv1a(out_);
    for (std::size_t i = 0; i < checksum_bytes; ++i)
      out_.push_back(static_cast<char>(sum >> (8 * i)));
    return std::move(out_);
  }

private:
  std::string out_;
};

/// Reads what index_writer wrote. After the first failure it answers zeros and
/// `ok` stays false, so that a caller may check once per list.
class index_reader {
public:
  explicit index_reader(std::string_view body) : rest_(body) {}

  std::uint64_t natural() {
    std::uint64_t n = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty())
        break;
      auto b = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if ((b == 0 && shift > 0) || (shift == 63 && b > 1))
        break; // overlong, or past 64 bits
      n |= static_cast<std::uint64_t>(b & 0x7f) << shift;
      if (b < 0x80)
        return n;
    }
    ok_ = false;
    return 0;
  }
  std::int64_t number() { return unzigzag(natural()); }
  /// A count of items of at least one byte each: never more than bytes are left.
  std::size_t count() {
    auto n = natural();
    ok_ = ok_ && n <= rest_.size() && n <= limits::source_packets_max;
    return ok_ ? static_cast<std::size_t>(n) : 0;
  }
  std::string text() {
    auto n = count();
    std::string out{rest_.substr(0, n)};
    rest_.remove_prefix(n);
    return out;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

private:
  std::string_view rest_;
  bool ok_ = true;
};

failure corrupt(std::string_view why) {
  return fail(errc::corrupt, "the packet index is corrupt: {}", why);
}

result<std::string_view> checked_body(std::string_view bytes) {
  if (bytes.size() <= checksum_bytes)
    return corrupt("too short");
  auto body = bytes.substr(0, bytes.size() - checksum_bytes);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < checksum_bytes; ++i)
    sum |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[body.size() + i]))
           << (8 * i);
  if (sum != fnv1a(body))
    return corrupt("its checksum does not match");
  if (body[0] != index_version)
    return corrupt("unknown version");
  return body.substr(1);
}

void read_times(index_reader& in, packet_index& to) {
  to.pts.resize(in.count());
  std::int64_t previous = 0;
  for (auto& t : to.pts)
    t = previous = plus(previous, in.number());
}

void read_access_points(index_reader& in, packet_index& to) {
  to.access_points.resize(in.count());
  access_point previous{0, 0};
  for (auto& p : to.access_points) {
    p.pts = plus(previous.pts, in.number());
    p.position = plus(previous.position, in.number());
    previous = p;
  }
}

/// Frames that share a time cannot be told apart: an exact index has none.
bool is_ascending(const packet_index& index) {
  bool points = std::is_sorted(index.access_points.begin(), index.access_points.end(),
                               [](const auto& a, const auto& b) { return a.pts < b.pts; });
  if (!index.exact)
    return points && std::is_sorted(index.pts.begin(), index.pts.end());
  return points
         && std::adjacent_find(index.pts.begin(), index.pts.end(), std::greater_equal<>{})
                == index.pts.end();
}

} // namespace

const stream_info* media_info::video() const {
  auto i = std::find_if(streams.begin(), streams.end(), [](const auto& s) {
    return s.kind == stream_kind::video && !s.attached_picture;
  });
  return i == streams.end() ? nullptr : &*i;
}

const stream_info* media_info::audio() const {
  auto i = std::find_if(streams.begin(), streams.end(),
                        [](const auto& s) { return s.kind == stream_kind::audio; });
  return i == streams.end() ? nullptr : &*i;
}

std::string encode_index(const packet_index& index) {
  index_writer out{64 + 3 * index.pts.size() + 8 * index.access_points.size()};
  out.natural(index.exact ? 1 : 0);
  out.number(index.stream);
  out.number(index.time_base.num);
  out.number(index.time_base.den);
  out.number(index.last_duration);
  out.text(index.reason);
  out.natural(index.pts.size());
  std::int64_t previous = 0;
  for (auto t : index.pts)
    out.number(minus(t, std::exchange(previous, t)));
  out.natural(index.access_points.size());
  access_point last{0, 0};
  for (const auto& p : index.access_points) {
    out.number(minus(p.pts, last.pts));
    out.number(minus(p.position, last.position));
    last = p;
  }
  return std::move(out).sealed();
}

result<packet_index> decode_index(std::string_view bytes) {
  FM_TRY(auto body, checked_body(bytes));
  index_reader in{body};
  packet_index index;
  auto exact = in.natural();
  auto stream = in.number();
  index.exact = exact == 1;
  index.stream = static_cast<std::int32_t>(stream);
  index.time_base.num = in.number();
  index.time_base.den = in.number();
  index.last_duration = in.number();
  index.reason = in.text();
  read_times(in, index);
  read_access_points(in, index);
  if (!in.ok() || !in.at_end() || exact > 1 || index.stream != stream)
    return corrupt("not the bytes of an index");
  if (index.time_base.num <= 0 || index.time_base.den <= 0)
    return corrupt("its time base is not positive");
  if (!is_ascending(index))
    return corrupt("its times do not ascend");
  return index;
}

} // namespace framemill
