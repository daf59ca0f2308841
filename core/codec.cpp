#include "core/codec.hpp"

#include "core/limits.hpp"

#define MSGPACK_NO_BOOST
#include <msgpack.hpp>

#include <algorithm>
#include <limits>

namespace framemill {

namespace {

/// Where the packer writes: grows as a string does, and is handed on without a copy.
struct string_buffer {
  std::string bytes;
  void write(const char* data, std::size_t size) { bytes.append(data, size); }
};

} // namespace

struct msgpack_writer::impl {
  string_buffer buffer;
  msgpack::packer<string_buffer> packer{buffer};
};

msgpack_writer::msgpack_writer() : impl_(std::make_unique<impl>()) {}
msgpack_writer::~msgpack_writer() = default;

void msgpack_writer::nil() { impl_->packer.pack_nil(); }
void msgpack_writer::boolean(bool value) {
  value ? impl_->packer.pack_true() : impl_->packer.pack_false();
}
void msgpack_writer::integer(std::int64_t value) { impl_->packer.pack_int64(value); }
void msgpack_writer::unsigned_integer(std::uint64_t value) {
  impl_->packer.pack_uint64(value);
}
void msgpack_writer::real(double value) { impl_->packer.pack_double(value); }
void msgpack_writer::text(std::string_view value) {
  auto n = static_cast<std::uint32_t>(value.size());
  impl_->packer.pack_str(n);
  impl_->packer.pack_str_body(value.data(), n);
}
void msgpack_writer::map(std::uint32_t entries) { impl_->packer.pack_map(entries); }
void msgpack_writer::array(std::uint32_t items) { impl_->packer.pack_array(items); }
std::string msgpack_writer::take() && {
  return std::move(impl_->buffer.bytes);
}

namespace {

const msgpack::object& object_of(const void* p) {
  return *static_cast<const msgpack::object*>(p);
}

failure wrong_type(std::string_view wanted) {
  return fail(errc::malformed, "expected {}", wanted);
}

} // namespace

bool msgpack_node::is_nil() const noexcept { return object_of(object_).is_nil(); }

result<bool> msgpack_node::boolean() const {
  const auto& o = object_of(object_);
  if (o.type != msgpack::type::BOOLEAN)
    return wrong_type("a boolean");
  return o.via.boolean;
}

result<std::int64_t> msgpack_node::integer() const {
  const auto& o = object_of(object_);
  if (o.type == msgpack::type::NEGATIVE_INTEGER)
    return o.via.i64;
  if (o.type == msgpack::type::POSITIVE_INTEGER
      && o.via.u64 <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return static_cast<std::int64_t>(o.via.u64);
  return wrong_type("an integer");
}

result<std::uint64_t> msgpack_node::unsigned_integer() const {
  const auto& o = object_of(object_);
  if (o.type != msgpack::type::POSITIVE_INTEGER)
    return wrong_type("an unsigned integer");
  return o.via.u64;
}

result<double> msgpack_node::real() const {
  const auto& o = object_of(object_);
  if (o.type == msgpack::type::FLOAT32 || o.type == msgpack::type::FLOAT64)
    return o.via.f64;
  if (o.type == msgpack::type::POSITIVE_INTEGER)
    return static_cast<double>(o.via.u64);
  if (o.type == msgpack::type::NEGATIVE_INTEGER)
    return static_cast<double>(o.via.i64);
  return wrong_type("a number");
}

result<std::string_view> msgpack_node::text() const {
  const auto& o = object_of(object_);
  if (o.type != msgpack::type::STR)
    return wrong_type("a string");
  return std::string_view{o.via.str.ptr, o.via.str.size};
}

result<std::size_t> msgpack_node::array_size() const {
  const auto& o = object_of(object_);
  if (o.type != msgpack::type::ARRAY)
    return wrong_type("an array");
  return std::size_t{o.via.array.size};
}

result<std::size_t> msgpack_node::map_size() const {
  const auto& o = object_of(object_);
  if (o.type != msgpack::type::MAP)
    return wrong_type("a map");
  return std::size_t{o.via.map.size};
}

msgpack_node msgpack_node::item(std::size_t i) const noexcept {
  return msgpack_node{&object_of(object_).via.array.ptr[i]};
}
msgpack_node msgpack_node::map_key(std::size_t i) const noexcept {
  return msgpack_node{&object_of(object_).via.map.ptr[i].key};
}
msgpack_node msgpack_node::map_value(std::size_t i) const noexcept {
  return msgpack_node{&object_of(object_).via.map.ptr[i].val};
}

std::optional<msgpack_node> msgpack_node::find(std::string_view key) const noexcept {
  const auto& o = object_of(object_);
  if (o.type != msgpack::type::MAP)
    return std::nullopt;
  for (std::uint32_t i = 0; i < o.via.map.size; ++i) {
    const auto& k = o.via.map.ptr[i].key;
    if (k.type == msgpack::type::STR
        && std::string_view{k.via.str.ptr, k.via.str.size} == key)
      return msgpack_node{&o.via.map.ptr[i].val};
  }
  return std::nullopt;
}

struct msgpack_document::impl {
  msgpack::object_handle handle;
};

msgpack_document::msgpack_document(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
msgpack_document::msgpack_document(msgpack_document&&) noexcept = default;
msgpack_document::~msgpack_document() = default;
msgpack_node msgpack_document::root() const noexcept {
  return msgpack_node{&impl_->handle.get()};
}

namespace {

/// Counts what a document claims to hold before memory is taken for it: a few
/// bytes can announce a million items, once per level of nesting.
struct claim_counter : msgpack::null_visitor {
  explicit claim_counter(std::size_t bytes)
    : items_left(std::min(bytes, limits::message_items_max)) {}

  bool start_array(std::uint32_t items) { return claim(items); }
  bool start_map(std::uint32_t entries) { return claim(2ull * entries); }
  bool end_array() { return leave(); }
  bool end_map() { return leave(); }
  void parse_error(std::size_t, std::size_t) {}
  void insufficient_bytes(std::size_t, std::size_t) {}

private:
  bool claim(std::uint64_t items) {
    if (items > items_left || ++depth > limits::message_depth_max)
      return false;
    items_left -= items;
    return true;
  }
  bool leave() {
    --depth;
    return true;
  }
  std::uint64_t items_left;
  std::size_t depth = 0;
};

bool is_within_bounds(std::string_view bytes) {
  claim_counter counter{bytes.size()};
  std::size_t offset = 0;
  return msgpack::parse(bytes.data(), bytes.size(), offset, counter);
}

} // namespace

result<msgpack_document> msgpack_document::parse(std::string_view bytes) {
  if (bytes.size() > limits::message_bytes_max)
    return fail(errc::too_large, "a message of {} bytes is larger than {}", bytes.size(),
                limits::message_bytes_max);
  try {
    if (!is_within_bounds(bytes))
      return fail(errc::malformed, "not a valid MessagePack document, or out of bounds");
    auto i = std::make_unique<impl>();
    std::size_t offset = 0;
    msgpack::unpack_limit limit(limits::message_items_max, limits::message_items_max,
                                limits::message_bytes_max, 0, 0,
                                limits::message_depth_max);
    msgpack::unpack(i->handle, bytes.data(), bytes.size(), offset, nullptr, nullptr,
                    limit);
    if (offset != bytes.size())
      return fail(errc::malformed, "{} bytes follow the message", bytes.size() - offset);
    return msgpack_document{std::move(i)};
  } catch (const std::exception& e) {
    return fail(errc::malformed, "not a valid MessagePack document: {}", e.what());
  }
}

} // namespace framemill
