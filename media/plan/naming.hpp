#pragma once

#include "core/object_path.hpp"
#include "core/run.hpp"

namespace framemill {

/// Names the files of one activity by MPS's path templates. Every key is
/// normalised; a name that could not be a key fails.
class output_names {
public:
  output_names(const run_record& run, const activity& a);

  [[nodiscard]] const std::string& bucket() const { return place_.bucket; }
  /// OutputObjectPath for the file of this number (a rendered number, or "").
  [[nodiscard]] result<std::string> key(std::string_view format, std::string_view number) const;
  /// A name given relative to `beside`'s directory, or its default.
  [[nodiscard]] result<std::string> sibling(std::string_view beside, std::string_view custom,
                                            std::string_view fallback, std::string_view format,
                                            std::string_view number) const;

private:
  path_variables variables_;
  output_place place_;
};

/// How a file in `from`'s directory writes the way to `to`.
[[nodiscard]] std::string relative_key(std::string_view from, std::string_view to);

} // namespace framemill
