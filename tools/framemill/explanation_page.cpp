#include "tools/framemill/explanation_page.hpp"

#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

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
  auto needs = text_at(s, "Needs");
  for (const auto& more :
       {text_at(s, "Why"), place_text(s), needs.empty() ? needs : "needs " + needs})
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

} // namespace framemill::cli
