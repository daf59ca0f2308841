#include "tools/framemill/bucket_page.hpp"

#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"

namespace framemill::cli {

namespace {

std::string watcher_text(const json& b) {
  auto node = text_at(b, "WatchedBy");
  return node.empty() ? "nobody" : node;
}

std::string place_text(const json& b) {
  auto node = text_at(b, "WatchedBy"), at = text_at(b, "WatchedAt");
  return node.empty() || at.empty() ? "" : node + ":" + at;
}

std::string time_at(const json& in, std::string_view path) {
  auto text = text_at(in, path);
  return text.empty() ? "" : format_time(text);
}

std::string hosts_table(const json& nodes) {
  if (nodes.empty())
    return "";
  table t{{{"NODE"}, {"COULD WATCH IT"}, {"WHY NOT"}}};
  for (const auto& n : nodes) {
    auto why_not = text_at(n, "WhyNot");
    t.row({text_at(n, "Node"), why_not.empty() ? "yes" : "no", why_not});
  }
  return "\n" + t.render();
}

} // namespace

table bucket_table(const json& buckets) {
  table t{{{"BUCKET"},
           {"LOCATION"},
           {"WATCHED BY"},
           {"HOW"},
           {"SETTLING", align::right},
           {"LAST SCAN"},
           {"PROBLEM"}}};
  for (const auto& b : buckets)
    t.row({text_at(b, "Name"), text_at(b, "Location"), watcher_text(b), text_at(b, "WatchMode"),
           text_at(b, "Settling"), format_time(text_at(b, "LastScan")), text_at(b, "Problem")});
  return t;
}

std::string bucket_page(const json& b) {
  auto out = render_facts({{"name", text_at(b, "Name")},
                           {"location", text_at(b, "Location")},
                           {"problem", text_at(b, "Problem")},
                           {"watched by", watcher_text(b)},
                           {"because", text_at(b, "Reason")},
                           {"since", time_at(b, "Since")},
                           {"wanted on", text_at(b, "Watch")},
                           {"there at", place_text(b)},
                           {"how", text_at(b, "WatchMode")},
                           {"settling", text_at(b, "Settling")},
                           {"last scan", time_at(b, "LastScan")},
                           {"epoch", text_at(b, "Epoch")}});
  return out + hosts_table(list_at(b, "Nodes"));
}

} // namespace framemill::cli
