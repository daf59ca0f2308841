#include "tools/framemill/node_page.hpp"

#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/text.hpp"

namespace framemill::cli {

namespace {

std::string buckets_text(const json& buckets) {
  std::string out;
  for (const auto& b : buckets)
    out += (out.empty() ? "" : ", ") + text_at(b, "Name");
  return out;
}

/// `gpu0=3`; one that does not say its sessions has one.
std::string devices_text(const json& facts) {
  auto sessions = at(facts, "DeviceSessions").is_object() ? at(facts, "DeviceSessions")
                                                          : json::object();
  for (const auto& device : list_at(facts, "Devices"))
    if (auto name = text_at(device, ""); !sessions.contains(name))
      sessions[name] = 1;
  return pairs_text(sessions);
}

std::string slots_text(const json& n) {
  return text_at(n, "SlotsBusy") + "/" + text_at(n, "Facts.Slots");
}

std::string size_at(const json& in, std::string_view path) {
  auto bytes = integer_at(in, path);
  return bytes > 0 ? format_size(bytes) : "";
}

std::string time_at(const json& in, std::string_view path) {
  auto text = text_at(in, path);
  return text.empty() ? "" : format_time(text);
}

std::string self_test_text(const json& n) {
  auto failed = text_at(n, "Facts.SelfTest");
  return failed.empty() ? "passed" : "failed: " + failed;
}

std::string running_table(const json& running) {
  if (running.empty())
    return "";
  table t{{{"RUN", align::right},
           {"SHARD", align::right},
           {"ROLE"},
           {"EPOCH", align::right},
           {"PHASE"},
           {"DONE", align::right}}};
  for (const auto& r : running)
    t.row({text_at(r, "Run"), text_at(r, "Shard"), text_at(r, "Role"), text_at(r, "Epoch"),
           text_at(r, "Phase"), fmt::format("{:.0f}%", number_at(r, "Fraction") * 100)});
  return "\n" + t.render();
}

} // namespace

std::string node_state(const json& node) {
  auto presence = text_at(node, "Presence"), mode = text_at(node, "Mode");
  if (mode == "draining" && text_at(node, "Drained") == "true")
    mode = "drained";
  if (mode.empty() || mode == "active")
    return presence;
  return presence == "up" ? mode : presence + ", " + mode;
}

std::string running_text(const json& node) {
  std::string out;
  for (const auto& r : list_at(node, "Running")) {
    out += fmt::format("{}{}/{} {}", out.empty() ? "" : ", ", text_at(r, "Run"),
                       text_at(r, "Shard"), text_at(r, "Role"));
    if (auto phase = text_at(r, "Phase"); !phase.empty())
      out += fmt::format(" {} {:.0f}%", phase, number_at(r, "Fraction") * 100);
  }
  return out;
}

std::string services_text(const json& services) {
  std::string out;
  for (const auto& s : services) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", text_at(s, "Service.Kind"),
                       text_at(s, "Service.Name"));
    if (auto problem = text_at(s, "Problem"); !problem.empty())
      out += " (" + problem + ")";
  }
  return out;
}

table node_table(const json& nodes) {
  table t{{{"NODE"},
           {"STATE"},
           {"SLOTS", align::right},
           {"CORES", align::right},
           {"MEMORY", align::right},
           {"LABELS"},
           {"LAST SEEN"},
           {"WHY"}}};
  for (const auto& n : nodes)
    t.row({text_at(n, "Name"), node_state(n), slots_text(n), text_at(n, "Facts.Cores"),
           size_at(n, "Facts.MemoryBytes"), pairs_text(at(n, "Labels")),
           format_time(text_at(n, text_at(n, "LastHeard").empty() ? "LastSeen" : "LastHeard")),
           text_at(n, "ModeReason")});
  return t;
}

std::string node_page(const json& node) {
  auto out = render_facts({{"name", text_at(node, "Name")},
                           {"state", node_state(node)},
                           {"because", text_at(node, "ModeReason")},
                           {"drain deadline", time_at(node, "DrainDeadline")},
                           {"slots", slots_text(node) + " busy"},
                           {"labels", pairs_text(at(node, "Labels"))},
                           {"version", text_at(node, "Facts.Version")},
                           {"cores", text_at(node, "Facts.Cores")},
                           {"memory", size_at(node, "Facts.MemoryBytes")},
                           {"scratch free", size_at(node, "Facts.ScratchBytes")},
                           {"scratch floor", size_at(node, "Facts.ScratchFloorBytes")},
                           {"media", text_at(node, "Facts.Fingerprint")},
                           {"cpu", text_at(node, "Facts.Cpu")},
                           {"encoders", joined(list_at(node, "Facts.Encoders"))},
                           {"devices", devices_text(at(node, "Facts"))},
                           {"buckets mounted", buckets_text(list_at(node, "Facts.Buckets"))},
                           {"services", services_text(list_at(node, "Services"))},
                           {"sandbox", text_at(node, "Facts.Sandbox")},
                           {"self-test", self_test_text(node)},
                           {"enrolled", time_at(node, "Enrolled")},
                           {"key", text_at(node, "PublicKey")},
                           {"last heard", time_at(node, "LastHeard")},
                           {"last seen", time_at(node, "LastSeen")}});
  for (const auto& warning : list_at(node, "Facts.Warnings"))
    out += "  warning: " + printable(text_at(warning, "")) + "\n";
  return out + running_table(list_at(node, "Running"));
}

} // namespace framemill::cli
