#include "tools/framemill/table.hpp"

#include "tools/framemill/text.hpp"

#include <algorithm>
#include <numeric>

namespace framemill::cli {

namespace {

constexpr std::size_t gap_columns = 2;
constexpr std::size_t cell_columns_min = 8;

std::string pad(const std::string& cell, std::size_t width, align side) {
  std::string space(width - std::min(width, display_width(cell)), ' ');
  return side == align::right ? space + cell : cell + space;
}

void trim_end(std::string& line) { line.erase(line.find_last_not_of(' ') + 1); }

} // namespace

void table::row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (auto& cell : cells)
    cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::vector<std::size_t> table::widths(std::size_t width_max) const {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    auto width = display_width(columns_[i].title);
    for (const auto& row : rows_)
      width = std::max(width, display_width(row[i]));
    out.push_back(width);
  }
  auto total = [&] {
    return std::accumulate(out.begin(), out.end(), gap_columns * (out.size() - 1));
  };
  while (width_max > 0 && total() > width_max) {
    auto widest = std::max_element(out.begin(), out.end());
    if (*widest <= cell_columns_min)
      break;
    --*widest;
  }
  return out;
}

std::string table::render(std::size_t width_max) const {
  auto width = widths(width_max);
  std::string out;
  auto line = [&](auto cell_of) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      text += i == 0 ? "" : std::string(gap_columns, ' ');
      text += pad(shorten(cell_of(i), width[i]), width[i], columns_[i].side);
    }
    trim_end(text);
    out += text + "\n";
  };
  line([&](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_)
    line([&](std::size_t i) { return row[i]; });
  return out;
}

std::string render_facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::size_t width = 0;
  for (const auto& [name, value] : facts)
    width = value.empty() ? width : std::max(width, display_width(name));
  std::string out;
  for (const auto& [name, value] : facts)
    if (!value.empty())
      out += "  " + pad(name, width, align::left) + "  " + printable(value) + "\n";
  return out;
}

} // namespace framemill::cli
