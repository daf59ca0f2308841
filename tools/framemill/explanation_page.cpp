#include "tools/framemill/explanation_page.hpp"

#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

#include <algorithm>
#include <set>

namespace framemill::cli {

namespace {

std::string place_text(const json& shard) {
  auto position = integer_at(shard, "QueuePosition");
  if (position <= 0)
    return "";
  auto start = text_at(shard, "ExpectedStart");
  return fmt::format("place {} in the queue, expected to start {}", position,
                     start.empty() ? "nobody knows when" : "at " + format_time(start));
}

std::string shard_text(const json& s) {
  auto out = fmt::format("shard {} ({}): {}", text_at(s, "Shard"), text_at(s, "Role"),
                         text_at(s, "State"));
  if (auto node = text_at(s, "Node"); !node.empty())
    out += " on " + node;
  for (const auto& more : {text_at(s, "Why"), place_text(s)})
    if (!more.empty())
      out += "; " + more;
  out = printable(out) + "\n";
  table verdicts{{{"  NODE"}, {"TAKES IT"}, {"BECAUSE"}}};
  for (const auto& v : list_at(s, "Nodes"))
    verdicts.row({"  " + text_at(v, "Node"), text_at(v, "Eligible") == "true" ? "yes" : "no",
                  text_at(v, "Sentence")});
  return out + (verdicts.empty() ? "" : verdicts.render());
}

std::string critical_path_text(const json& path) {
  if (path.empty())
    return "";
  double total = 0;
  for (const auto& step : path)
    total += number_at(step, "Seconds");
  table t{{{"BEGAN"}, {"TOOK", align::right}, {"SHARE", align::right}, {"WHAT"}, {"NODE"}}};
  for (const auto& step : path) {
    auto seconds = number_at(step, "Seconds");
    t.row({format_time_ms(text_at(step, "Begin")), format_duration(seconds),
           fmt::format("{:.0f}%", total > 0 ? seconds / total * 100 : 0), text_at(step, "What"),
           text_at(step, "Node")});
  }
  return "\ncritical path, " + format_duration(total) + ":\n" + t.render();
}

/// What a cell shows of a value that is not plain.
std::string cell_text(const json& value) {
  return value.is_structured() ? dump(value, -1) : text_at(value, "");
}

/// A column per name that any of the objects has.
std::string objects_table(const json& list) {
  std::set<std::string> names;
  for (const auto& item : list)
    if (item.is_object())
      for (const auto& [name, value] : item.items())
        names.insert(name);
  std::vector<column> columns;
  for (const auto& name : names)
    columns.push_back({printable(name)});
  table t{std::move(columns)};
  for (const auto& item : list) {
    std::vector<std::string> row;
    for (const auto& name : names)
      row.push_back(item.is_object() && item.contains(name) ? cell_text(item[name]) : "");
    t.row(std::move(row));
  }
  return t.render();
}

bool is_table(const json& value) {
  return value.is_array() && !value.empty() && value.front().is_object();
}

} // namespace

std::string explanation_page(const json& e) {
  auto out = fmt::format("run {} is {}", text_at(e, "Run"), text_at(e, "State"));
  if (auto why = text_at(e, "Why"); !why.empty())
    out += ": " + printable(why);
  out += "\n";
  for (const auto& shard : list_at(e, "Shards"))
    out += shard_text(shard);
  return out + critical_path_text(list_at(e, "CriticalPath"));
}

std::string certificate_page(const json& certificate) {
  if (!certificate.is_object())
    return printable(dump(certificate, -1)) + "\n";
  std::vector<std::pair<std::string, std::string>> facts;
  std::string tables;
  for (const auto& [name, value] : certificate.items())
    if (is_table(value))
      tables += "\n" + printable(name) + "\n" + objects_table(value);
    else
      facts.emplace_back(printable(name), cell_text(value));
  return render_facts(facts) + tables;
}

} // namespace framemill::cli
