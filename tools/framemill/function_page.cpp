#include "tools/framemill/function_page.hpp"

#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/text.hpp"

#include <algorithm>

namespace framemill::cli {

namespace {

/// Seconds below a second are told exactly: a function's calls are short.
std::string time_text(double seconds) {
  return seconds < 1 ? fmt::format("{:.1f} ms", seconds * 1000)
                     : fmt::format("{:.2f} s", seconds);
}

const json& newest(const json& function) {
  static const json none = json::object();
  const auto& versions = list_at(function, "Versions");
  return versions.empty() ? none : versions.back();
}

std::string bound_text(const json& triggers, const std::string& function) {
  std::string out;
  for (const auto& t : triggers)
    if (text_at(t, "Function") == function)
      out += (out.empty() ? "" : ", ") + text_at(t, "EventType")
             + (text_at(t, "Enabled") == "false" ? " (disabled)" : "");
  return out;
}

std::string variables_text(const json& environment) {
  std::string out;
  if (environment.is_object())
    for (const auto& [name, value] : environment.items())
      out += (out.empty() ? "" : " ") + name + "=" + text_at(value, "");
  return out;
}

std::string secrets_text(const json& names) {
  std::string out;
  for (const auto& name : names)
    out += (out.empty() ? "" : " ") + text_at(name, "") + "=***";
  return out;
}

std::string grants_text(const json& grants) {
  std::string out;
  for (const auto& g : grants)
    out += (out.empty() ? "" : ", ") + text_at(g, "Bucket") + ":" + text_at(g, "Dir");
  return out;
}

std::string versions_text(const json& versions) {
  table t{{{"VERSION", align::right},
           {"MADE"},
           {"FILES", align::right},
           {"BYTES", align::right},
           {"HANDLER"}}};
  for (const auto& v : versions) {
    std::int64_t bytes = 0;
    for (const auto& f : list_at(v, "Files"))
      bytes += integer_at(f, "Bytes");
    t.row({text_at(v, "Number"), format_time(text_at(v, "Created")),
           std::to_string(list_at(v, "Files").size()), format_size(bytes),
           text_at(v, "Handler")});
  }
  return t.render();
}

} // namespace

table function_table(const json& answer) {
  table t{{{"FUNCTION"},
           {"RUNTIME"},
           {"VERSION", align::right},
           {"STATE"},
           {"BOUND TO"},
           {"TEMPLATE"},
           {"CHANGED"}}};
  for (const auto& f : list_at(answer, "Functions")) {
    const auto& v = newest(f);
    auto name = text_at(f, "Name");
    t.row({name, text_at(v, "Runtime"), text_at(v, "Number"),
           text_at(f, "Enabled") == "false" ? "disabled" : "enabled",
           bound_text(list_at(answer, "Triggers"), name), text_at(v, "MadeFrom"),
           format_time(text_at(v, "Created"))});
  }
  return t;
}

table template_table(const json& templates) {
  table t{{{"TEMPLATE"}, {"SETTING"}, {"KIND"}, {"MEANS"}}};
  for (const auto& each : templates) {
    t.row({text_at(each, "Name"), "", "", text_at(each, "Description")});
    for (const auto& s : list_at(each, "Settings"))
      t.row({"", text_at(s, "Name"),
             std::string{text_at(s, "Secret") == "true" ? "secret" : "variable"}
                 + (text_at(s, "Required") == "true" ? ", required" : ""),
             text_at(s, "Meaning")});
  }
  return t;
}

std::string function_page(const json& answer) {
  const auto& f = at(answer, "Function");
  const auto& v = newest(f);
  auto name = text_at(f, "Name");
  return render_facts(
             {{"name", name},
              {"description", text_at(f, "Description")},
              {"state", text_at(f, "Enabled") == "false" ? "disabled" : "enabled"},
              {"bound to", bound_text(list_at(answer, "Triggers"), name)},
              {"runtime", text_at(v, "Runtime")},
              {"template", text_at(v, "MadeFrom")},
              {"handler", text_at(v, "Handler")},
              {"environment", variables_text(at(v, "Environment"))},
              {"secrets", secrets_text(list_at(f, "Secrets"))},
              {"timeout", time_text(number_at(v, "Timeout"))},
              {"memory", fmt::format("{} MiB", integer_at(v, "MemoryBytes") >> 20)},
              {"calls at once", text_at(v, "Concurrency")},
              {"output", fmt::format("at most {} KiB", integer_at(v, "OutputBytesMax") >> 10)},
              {"network", text_at(v, "Network") == "true" ? "the machine's" : "none"},
              {"may write", grants_text(list_at(v, "Buckets"))}})
         + "\n" + versions_text(list_at(f, "Versions"));
}

std::string invocation_text(const json& i) {
  auto error = text_at(i, "Error");
  auto event = text_at(i, "EventType");
  auto out = fmt::format(
      "{}  {}  v{}  {}{}  {}{}{}\n", format_time_ms(text_at(i, "Started")),
      text_at(i, "RequestId"), text_at(i, "Version"), time_text(number_at(i, "Duration")),
      number_at(i, "StartUp") > 0 ? " + " + time_text(number_at(i, "StartUp")) + " start" : "",
      format_size(integer_at(i, "MemoryPeakBytes")),
      event.empty()
          ? ""
          : fmt::format("  {} {} try {}", event, text_at(i, "Event"), text_at(i, "Attempt")),
      error.empty() ? "  ok" : "  failed: " + printable(error));
  auto printed = text_at(i, "Output");
  for (std::size_t from = 0; from < printed.size();) {
    auto end = std::min(printed.find('\n', from), printed.size());
    out += "    " + printable(printed.substr(from, end - from)) + "\n";
    from = end + 1;
  }
  return out;
}

} // namespace framemill::cli
