#pragma once

#include "core/fields.hpp"

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

// MessagePack for everything that lists its fields. Structs are maps by field
// name, so that they may grow; variants are [kind, body] with the append-only
// `kind` number of each alternative; enums with names are their names; times
// and durations are integers in microseconds.

namespace framemill {

/// Writes MessagePack tokens into a buffer.
class msgpack_writer {
public:
  msgpack_writer();
  ~msgpack_writer();
  msgpack_writer(const msgpack_writer&) = delete;
  msgpack_writer& operator=(const msgpack_writer&) = delete;

  void nil();
  void boolean(bool value);
  void integer(std::int64_t value);
  void unsigned_integer(std::uint64_t value);
  void real(double value);
  void text(std::string_view value);
  void map(std::uint32_t entries);
  void array(std::uint32_t items);

  [[nodiscard]] std::string take() &&;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// A node of a decoded MessagePack document; valid while its document lives.
class msgpack_node {
public:
  explicit msgpack_node(const void* object) noexcept : object_(object) {}

  [[nodiscard]] bool is_nil() const noexcept;
  [[nodiscard]] result<bool> boolean() const;
  [[nodiscard]] result<std::int64_t> integer() const;
  [[nodiscard]] result<std::uint64_t> unsigned_integer() const;
  [[nodiscard]] result<double> real() const;
  [[nodiscard]] result<std::string_view> text() const;
  /// Number of items of an array or entries of a map.
  [[nodiscard]] result<std::size_t> array_size() const;
  [[nodiscard]] result<std::size_t> map_size() const;
  [[nodiscard]] msgpack_node item(std::size_t i) const noexcept;
  [[nodiscard]] msgpack_node map_key(std::size_t i) const noexcept;
  [[nodiscard]] msgpack_node map_value(std::size_t i) const noexcept;
  /// The value under `key`, if there is one.
  [[nodiscard]] std::optional<msgpack_node> find(std::string_view key) const noexcept;

private:
  const void* object_;
};

/// Owns decoded bytes. Refuses trailing bytes, and documents past the bounds
/// in core/limits.hpp.
class msgpack_document {
public:
  [[nodiscard]] static result<msgpack_document> parse(std::string_view bytes);
  msgpack_document(msgpack_document&&) noexcept;
  ~msgpack_document();
  [[nodiscard]] msgpack_node root() const noexcept;

private:
  struct impl;
  explicit msgpack_document(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

namespace detail {

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};
template <class T>
struct is_variant : std::false_type {};
template <class... T>
struct is_variant<std::variant<T...>> : std::true_type {};
template <class T>
struct is_string_map : std::false_type {};
template <class T>
struct is_string_map<std::map<std::string, T>> : std::true_type {};
template <class T>
struct is_strong_id : std::false_type {};
template <class Tag>
struct is_strong_id<strong_id<Tag>> : std::true_type {};

struct field_counter {
  std::uint32_t count = 0;
  template <class T, class... R>
  void operator()(std::string_view, T&, R...) { ++count; }
  void unsupported(std::string_view) {}
};

template <class T>
void pack(msgpack_writer& out, const T& value);

struct pack_visitor {
  msgpack_writer& out;
  template <class T, class... R>
  void operator()(std::string_view name, const T& member, R...) {
    out.text(name);
    pack(out, member);
  }
  void unsupported(std::string_view) {}
};

template <class T>
void pack(msgpack_writer& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out.boolean(value);
  } else if constexpr (named_enum<T>) {
    out.text(to_string(value));
  } else if constexpr (std::is_enum_v<T>) {
    out.unsigned_integer(static_cast<std::uint64_t>(value));
  } else if constexpr (std::is_unsigned_v<T>) {
    out.unsigned_integer(value);
  } else if constexpr (std::is_integral_v<T>) {
    out.integer(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    out.real(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    out.text(value);
  } else if constexpr (std::is_same_v<T, timestamp>) {
    out.integer(value.us);
  } else if constexpr (std::is_same_v<T, microseconds>) {
    out.integer(value.count());
  } else if constexpr (is_strong_id<T>::value) {
    out.unsigned_integer(value.value);
  } else if constexpr (is_optional<T>::value) {
    if (value)
      pack(out, *value);
    else
      out.nil();
  } else if constexpr (is_vector<T>::value) {
    out.array(static_cast<std::uint32_t>(value.size()));
    for (const auto& x : value)
      pack(out, x);
  } else if constexpr (is_string_map<T>::value) {
    out.map(static_cast<std::uint32_t>(value.size()));
    for (const auto& [k, x] : value) {
      out.text(k);
      pack(out, x);
    }
  } else if constexpr (is_variant<T>::value) {
    out.array(2);
    std::visit(
        [&](const auto& x) {
          out.unsigned_integer(std::decay_t<decltype(x)>::kind);
          pack(out, x);
        },
        value);
  } else {
    static_assert(has_fields<T>, "type lists no fields");
    field_counter n;
    T::fields(value, n);
    out.map(n.count);
    pack_visitor v{out};
    T::fields(value, v);
  }
}

template <class T>
result<void> unpack(const msgpack_node& in, T& value);

struct unpack_visitor {
  const msgpack_node& in;
  result<void> status{};
  template <class T, class... R>
  void operator()(std::string_view name, T& member, R...) {
    if (!status)
      return;
    if (auto node = in.find(name)) {
      status = unpack(*node, member);
      if (!status) {
        auto& path = status.error().field;
        path = path.empty() ? std::string{name} : fmt::format("{}.{}", name, path);
      }
    }
  }
  void unsupported(std::string_view) {}
};

template <class T, class N>
result<void> assign(T& to, const result<N>& from) {
  if (!from)
    return failure{from.error()};
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
    if (!std::in_range<T>(*from))
      return fail(errc::malformed, "{} is out of range", *from);
  to = static_cast<T>(*from);
  return {};
}

template <class V, std::size_t I = 0>
result<void> unpack_alternative(std::uint64_t kind, const msgpack_node& in, V& value) {
  if constexpr (I == std::variant_size_v<V>) {
    return fail(errc::malformed, "unknown message kind {}", kind);
  } else {
    using alternative = std::variant_alternative_t<I, V>;
    if (kind != alternative::kind)
      return unpack_alternative<V, I + 1>(kind, in, value);
    alternative x;
    FM_CHECK(unpack(in, x));
    value = std::move(x);
    return {};
  }
}

template <class T>
result<void> unpack(const msgpack_node& in, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return assign(value, in.boolean());
  } else if constexpr (named_enum<T>) {
    FM_TRY(auto name, in.text());
    auto e = from_name<T>(name);
    if (!e)
      return fail(errc::malformed, "unknown name `{}`", name);
    value = *e;
    return {};
  } else if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> n{};
    FM_CHECK(assign(n, in.unsigned_integer()));
    value = static_cast<T>(n);
    return {};
  } else if constexpr (std::is_unsigned_v<T>) {
    return assign(value, in.unsigned_integer());
  } else if constexpr (std::is_integral_v<T>) {
    return assign(value, in.integer());
  } else if constexpr (std::is_floating_point_v<T>) {
    return assign(value, in.real());
  } else if constexpr (std::is_same_v<T, std::string>) {
    FM_TRY(auto text, in.text());
    value.assign(text);
    return {};
  } else if constexpr (std::is_same_v<T, timestamp>) {
    return assign(value.us, in.integer());
  } else if constexpr (std::is_same_v<T, microseconds>) {
    FM_TRY(auto n, in.integer());
    value = microseconds{n};
    return {};
  } else if constexpr (is_strong_id<T>::value) {
    return assign(value.value, in.unsigned_integer());
  } else if constexpr (is_optional<T>::value) {
    if (in.is_nil()) {
      value.reset();
      return {};
    }
    return unpack(in, value.emplace());
  } else if constexpr (is_vector<T>::value) {
    FM_TRY(auto n, in.array_size());
    value.clear();
    value.reserve(n);
    for (std::size_t i = 0; i < n; ++i) {
      typename T::value_type x{};
      FM_CHECK(unpack(in.item(i), x));
      value.push_back(std::move(x));
    }
    return {};
  } else if constexpr (is_string_map<T>::value) {
    FM_TRY(auto n, in.map_size());
    value.clear();
    for (std::size_t i = 0; i < n; ++i) {
      FM_TRY(auto key, in.map_key(i).text());
      FM_CHECK(unpack(in.map_value(i), value[std::string{key}]));
    }
    return {};
  } else if constexpr (is_variant<T>::value) {
    FM_TRY(auto n, in.array_size());
    if (n != 2)
      return fail(errc::malformed, "a message is [kind, body]");
    FM_TRY(auto kind, in.item(0).unsigned_integer());
    return unpack_alternative(kind, in.item(1), value);
  } else {
    static_assert(has_fields<T>, "type lists no fields");
    FM_CHECK(in.map_size());
    unpack_visitor v{in};
    T::fields(value, v);
    return v.status;
  }
}

} // namespace detail

/// The MessagePack bytes of a record or message.
template <class T>
[[nodiscard]] std::string encode(const T& value) {
  msgpack_writer out;
  detail::pack(out, value);
  return std::move(out).take();
}

/// Fails with errc::malformed, naming the path of the field, on bytes that are
/// truncated, out of bounds or of the wrong type.
template <class T>
[[nodiscard]] result<T> decode(std::string_view bytes) {
  FM_TRY(auto document, msgpack_document::parse(bytes));
  T value{};
  FM_CHECK(detail::unpack(document.root(), value));
  return value;
}

} // namespace framemill
