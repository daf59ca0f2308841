#pragma once

#include <string>
#include <vector>

namespace framemill::cli {

enum class align : unsigned char { left, right };

struct column {
  std::string title;
  align side = align::left;
};

/// Rows of text under titles, aligned by what a terminal shows. Cells are made
/// printable here: callers pass names as they are.
class table {
public:
  explicit table(std::vector<column> columns) : columns_(std::move(columns)) {}

  /// One cell per column.
  void row(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }

  /// Ends in a newline. With `width_max` > 0 the widest columns are shortened
  /// until a line fits.
  [[nodiscard]] std::string render(std::size_t width_max = 0) const;

private:
  [[nodiscard]] std::vector<std::size_t> widths(std::size_t width_max) const;
  std::vector<column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// `name  value` lines, the values aligned; a line with an empty value is left out.
[[nodiscard]] std::string
render_facts(const std::vector<std::pair<std::string, std::string>>& facts);

} // namespace framemill::cli
