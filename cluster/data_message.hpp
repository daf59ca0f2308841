#pragma once

#include "core/object.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

// What a data client and a data server say to each other. A request is one
// MessagePack frame, and a frame of bytes after it when it puts; each is
// answered once, in the order in which its client asked, by a reply frame and a
// frame of bytes (empty but for reads). Any of them may be lost with its
// connection or repeated: reading has no effect, and `put_artifact` has none on
// bytes that are there. Kind numbers are append-only.

namespace framemill::data {

struct read_object {
  static constexpr std::uint64_t kind = 1;
  object_ref object;
  std::uint64_t offset = 0;
  std::uint32_t size = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Object", s.object);
    v("Offset", s.offset);
    v("Size", s.size);
  }
  bool operator==(const read_object&) const = default;
};

struct read_artifact {
  static constexpr std::uint64_t kind = 2;
  std::string sha256;
  std::uint64_t offset = 0;
  std::uint32_t size = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sha256", s.sha256);
    v("Offset", s.offset);
    v("Size", s.size);
  }
  bool operator==(const read_artifact&) const = default;
};

/// The next bytes of an artifact; without bytes it only asks how far it is.
/// What would leave a gap, or does not match `hash`, is not taken: the reply's
/// `have` says where to go on. When nothing is missing, the whole is verified
/// and adopted, and the reply comes after that.
struct put_artifact {
  static constexpr std::uint64_t kind = 3;
  std::string sha256;
  std::uint64_t size = 0; ///< of the whole
  std::uint64_t offset = 0;
  std::uint64_t hash = 0; ///< of the bytes in the next frame
  run_id run;             ///< that wants it: it is let go with this run, not before
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sha256", s.sha256);
    v("Size", s.size);
    v("Offset", s.offset);
    v("Hash", s.hash);
    v("Run", s.run);
  }
  bool operator==(const put_artifact&) const = default;
};

struct request {
  std::uint32_t version = 1;
  std::uint64_t id = 0; ///< from 1; the client's choice
  std::variant<read_object, read_artifact, put_artifact> body;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Version", s.version);
    v("Id", s.id);
    v("Body", s.body);
  }
  bool operator==(const request&) const = default;
};

enum class delivery_stage : std::uint8_t {
  receiving,
  checking, ///< all bytes are here and being verified; ask again
  stored,
};

struct delivery_state {
  delivery_stage stage = delivery_stage::receiving;
  std::uint64_t have = 0; ///< bytes without a gap, from 0
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Stage", s.stage);
    v("Have", s.have);
  }
  bool operator==(const delivery_state&) const = default;
};

struct reply {
  std::uint64_t id = 0; ///< 0 = to a request that could not be read
  std::optional<error> failure;
  std::uint64_t total = 0; ///< of a read: bytes of the whole object
  std::uint64_t hash = 0;  ///< of a read: of the bytes in the next frame
  std::optional<delivery_state> delivery; ///< of a put
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Failure", s.failure);
    v("Total", s.total);
    v("Hash", s.hash);
    v("Delivery", s.delivery);
  }
  bool operator==(const reply&) const = default;
};

inline constexpr std::size_t chunk_bytes_max = 1u << 20;
inline constexpr std::size_t header_bytes_max = 16u << 10;
/// Requests of one client that a server holds; more are answered `busy`.
inline constexpr int credit_max = 16;

} // namespace framemill::data

FM_ENUM_NAMES(framemill::data::delivery_stage, "receiving", "checking", "stored")
