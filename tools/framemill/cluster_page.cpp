#include "tools/framemill/cluster_page.hpp"

#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/node_page.hpp"
#include "tools/framemill/text.hpp"

namespace framemill::cli {

namespace {

// Of GET /metrics, which DescribeMetrics repeats.
constexpr std::string_view frames_counter = "framemill_frames_encoded_total";
constexpr std::string_view bytes_counter = "framemill_bytes_published_total";

std::string nodes_text(const json& c) {
  return fmt::format("{} up, {} away, {} of those up take no new work", text_at(c, "NodesUp"),
                     text_at(c, "NodesAway"), text_at(c, "NodesCordoned"));
}

std::string fingerprints_text(const json& fingerprints) {
  std::string out;
  if (fingerprints.is_object())
    for (const auto& [print, nodes] : fingerprints.items())
      out += fmt::format("  encoders  {}: {}\n", printable(print), printable(joined(nodes)));
  return out;
}

/// Over all labels; nothing when no metric has the name.
std::optional<double> total(const json& metrics, std::string_view name) {
  std::optional<double> sum;
  for (const auto& m : metrics)
    if (text_at(m, "Name") == name)
      sum = sum.value_or(0) + number_at(m, "Value");
  return sum;
}

std::optional<double> rate(const top_sample& before, const top_sample& now,
                           std::string_view name) {
  auto from = total(before.metrics, name), to = total(now.metrics, name);
  auto seconds = std::chrono::duration<double>(now.taken - before.taken).count();
  if (!from || !to || *to < *from || seconds <= 0)
    return std::nullopt;
  return (*to - *from) / seconds;
}

std::string rate_text(const std::optional<double>& per_second, const char* unit) {
  return per_second ? fmt::format("{:.1f} {}", *per_second, unit) : fmt::format("– {}", unit);
}

} // namespace

std::string cluster_page(const json& c) {
  auto out = render_facts(
      {{"cluster", text_at(c, "Id")},
       {"coordinator",
        fmt::format("{} (term {})", text_at(c, "Coordinator"), text_at(c, "Term"))},
       {"control", text_at(c, "ControlEndpoint")},
       {"enrolment", text_at(c, "EnrolmentEndpoint")},
       {"data", text_at(c, "DataEndpoint")},
       {"nodes", nodes_text(c)},
       {"slots", fmt::format("{} of {} busy", text_at(c, "SlotsBusy"), text_at(c, "Slots"))},
       {"shards ready", text_at(c, "ShardsReady")},
       {"runs",
        fmt::format("{} live, {} queued", text_at(c, "RunsLive"), text_at(c, "RunsQueued"))},
       {"faults", text_at(c, "FaultsAllowed") == "true" ? "may be injected" : ""}});
  out += fingerprints_text(at(c, "Fingerprints"));
  for (const auto& warning : list_at(c, "Warnings"))
    out += "  warning: " + printable(text_at(warning, "")) + "\n";
  return out;
}

throughput throughput_between(const top_sample& before, const top_sample& now) {
  return {rate(before, now, frames_counter), rate(before, now, bytes_counter)};
}

std::string top_line(const top_sample& s, const throughput& t) {
  const auto& c = s.cluster;
  auto megabytes = t.bytes;
  if (megabytes)
    *megabytes /= 1e6;
  return fmt::format(
      "nodes {} up {} away  slots {}/{}  queue {}  runs {} live {} queued  {}  {}",
      text_at(c, "NodesUp"), text_at(c, "NodesAway"), text_at(c, "SlotsBusy"),
      text_at(c, "Slots"), text_at(c, "ShardsReady"), text_at(c, "RunsLive"),
      text_at(c, "RunsQueued"), rate_text(t.frames, "frames/s"), rate_text(megabytes, "MB/s"));
}

std::string top_page(const top_sample& s, const throughput& t, std::size_t columns,
                     std::size_t rows) {
  table nodes{{{"NODE"}, {"STATE"}, {"SLOTS", align::right}, {"DOING"}}};
  for (const auto& n : s.nodes)
    nodes.row({text_at(n, "Name"), node_state(n),
               text_at(n, "SlotsBusy") + "/" + text_at(n, "Facts.Slots"), running_text(n)});
  auto line = top_line(s, t);
  auto page = (columns > 0 ? shorten(line, columns) : line) + "\n\n" + nodes.render(columns);
  std::size_t end = 0;
  for (std::size_t lines = 0; lines + 1 < rows && end < page.size(); ++lines)
    end = page.find('\n', end) + 1;
  return rows > 0 ? page.substr(0, end) : page;
}

} // namespace framemill::cli
