#pragma once

#include "core/id.hpp"
#include "core/time.hpp"

#include <array>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

// A struct lists its fields once:
//
//   template <class Self, class Visitor>
//   static void fields(Self& self, Visitor& v) {
//     v("Bucket", self.bucket, required);
//     v("Dir", self.dir);
//     v.unsupported("BlindWatermark");
//   }
//
// MessagePack (core/codec.hpp) and JSON (core/json.hpp) derive from that list.
// Names are those of the MPS API where it has the thing. Records evolve by
// adding fields: absent ones keep their defaults, unknown ones are skipped in
// storage and on the wire, and refused in requests.

namespace framemill {

struct required_t {};
inline constexpr required_t required{}; ///< JSON requests must give it

namespace detail {
struct probe_visitor {
  template <class T>
  void operator()(std::string_view, T&) {}
  template <class T>
  void operator()(std::string_view, T&, required_t) {}
  void unsupported(std::string_view) {}
};
} // namespace detail

template <class T>
concept has_fields = requires(T& t, detail::probe_visitor& v) { T::fields(t, v); };

/// Enums that are stored, sent or shown specialise this with their names in
/// order of value from 0: `static constexpr std::array names{"a"sv, "b"sv};`
template <class E>
struct enum_names;

template <class E>
concept named_enum = std::is_enum_v<E> && requires { enum_names<E>::names; };

template <named_enum E>
[[nodiscard]] constexpr std::string_view to_string(E value) noexcept {
  auto i = static_cast<std::size_t>(value);
  return i < enum_names<E>::names.size() ? enum_names<E>::names[i] : "?";
}

template <named_enum E>
[[nodiscard]] constexpr std::optional<E> from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < enum_names<E>::names.size(); ++i)
    if (enum_names<E>::names[i] == name)
      return static_cast<E>(i);
  return std::nullopt;
}

} // namespace framemill

/// Declares the names of an enum: FM_ENUM_NAMES(framemill::job_state, "waiting", …)
/// at global scope.
#define FM_ENUM_NAMES(type, ...)                                               \
  template <>                                                                  \
  struct framemill::enum_names<type> {                                         \
    static constexpr auto names = std::to_array<std::string_view>({__VA_ARGS__}); \
  };
