#pragma once

#include "core/json.hpp"

#include <string>
#include <string_view>

// Reading answers of a server that may be of another version than we are:
// what is absent or of another type reads as empty, and nothing throws.

namespace framemill::cli {

/// The value under a dotted path (`Object.Generation.Size`); null when absent.
[[nodiscard]] const json& at(const json& in, std::string_view path);
/// Text as it is, numbers and booleans as text, else "".
[[nodiscard]] std::string text_at(const json& in, std::string_view path);
[[nodiscard]] double number_at(const json& in, std::string_view path);
[[nodiscard]] std::int64_t integer_at(const json& in, std::string_view path);
/// The array under a path; an empty one when there is none.
[[nodiscard]] const json& list_at(const json& in, std::string_view path);
/// `a, b, c` of an array of texts and numbers.
[[nodiscard]] std::string joined(const json& list);
/// `a=1 b=2` of an object of texts and numbers.
[[nodiscard]] std::string pairs_text(const json& object);

/// For people and pipes: bytes that are not UTF-8 are replaced.
[[nodiscard]] std::string dump(const json& value, int indent = 2);

} // namespace framemill::cli
