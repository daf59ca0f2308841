#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// `SCHEME Credential=…, SignedHeaders=a;b, Signature=…`: the Authorization header
/// of TC3 and of AWS alike.
struct authorization {
  std::string credential;
  std::vector<std::string> signed_headers; ///< lower case
  std::string signature;

  [[nodiscard]] bool signs(std::string_view header) const;
};

/// Nothing when it is of another scheme, or lacks one of the three.
[[nodiscard]] std::optional<authorization> parse_authorization(std::string_view text,
                                                               std::string_view scheme);

/// Without blanks and tabs at both ends.
[[nodiscard]] std::string_view trim(std::string_view s);
[[nodiscard]] std::string lower(std::string_view s);
[[nodiscard]] std::vector<std::string_view> split(std::string_view s, char at);

} // namespace framemill
