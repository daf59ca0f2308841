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

std::string done_text(const json& a) {
  const auto frames = integer_at(a, "Frames"), planned = integer_at(a, "FramesPlanned");
  if (planned > 0)
    return fmt::format("{}/{} frames", frames, planned);
  if (auto fraction = number_at(a, "Fraction"); fraction > 0)
    return fmt::format("{:.0f}%", fraction * 100);
  return frames > 0 ? fmt::format("{} frames", frames) : "-";
}

std::string speed_text(const json& a) {
  if (auto speed = number_at(a, "Speed"); speed > 0)
    return fmt::format("{:.1f}x real time", speed);
  if (auto frames = number_at(a, "FramesPerSecond"); frames > 0)
    return fmt::format("{:.1f} frames/s", frames);
  return "-";
}

/// How long nothing of it has moved; what has ended does not move.
std::string moved_text(const json& a) {
  if (text_at(a, "Standing") != "at-work")
    return "-";
  if (text_at(a, "Moved").empty())
    return "not yet";
  return format_duration(number_at(a, "StillSeconds")) + " ago";
}

std::string failure_text(const json& a) {
  auto code = text_at(a, "Failure.Code"), why = text_at(a, "Failure.Message");
  return code.empty() ? "" : code + ": " + why;
}

/// Each try of a shard. BY MEDIAN: how many times as fast as its stage's.
std::string attempts_table(const json& s) {
  table t{{{"  ATTEMPT", align::right},
           {"NODE"},
           {"IS"},
           {"FOR", align::right},
           {"DONE", align::right},
           {"SPEED", align::right},
           {"MOVED", align::right},
           {"BY MEDIAN", align::right},
           {"BECAUSE"}}};
  for (const auto& a : list_at(s, "Attempts")) {
    const auto pace = number_at(a, "Pace");
    t.row({"  " + text_at(a, "Epoch") + (text_at(a, "Hedge") == "true" ? " (hedge)" : ""),
           text_at(a, "Node"), text_at(a, "Standing"), format_duration(number_at(a, "Seconds")),
           done_text(a), speed_text(a), moved_text(a),
           pace > 0 ? fmt::format("{:.2f}x", pace) : "-", failure_text(a)});
  }
  return t.empty() ? "" : t.render();
}

/// In what time it would be done, were it like the others.
std::string stage_text(const json& s) {
  const auto seconds = number_at(s, "StageSeconds");
  if (seconds <= 0 || list_at(s, "Attempts").empty())
    return "";
  return fmt::format("  by the median of {} other{} of its stage it takes {}\n",
                     integer_at(s, "StageShards"), integer_at(s, "StageShards") == 1 ? "" : "s",
                     format_duration(seconds));
}

std::string shard_text(const json& s) {
  auto out = fmt::format("shard {} ({}): {}", text_at(s, "Shard"), text_at(s, "Role"),
                         text_at(s, "State"));
  if (auto node = text_at(s, "Node"); !node.empty())
    out += " to " + node;
  auto needs = text_at(s, "Needs");
  for (const auto& more :
       {text_at(s, "Why"), place_text(s), needs.empty() ? needs : "needs " + needs})
    if (!more.empty())
      out += "; " + more;
  out = printable(out) + "\n" + attempts_table(s) + stage_text(s);
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
