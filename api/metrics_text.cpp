#include "api/metrics_text.hpp"

#include <cmath>

namespace framemill {

namespace {

std::string escaped(std::string_view text, bool with_quotes) {
  std::string out;
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || (c == '"' && with_quotes))
      out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

std::string labels_text(const std::map<std::string, std::string>& labels) {
  std::string out;
  for (const auto& [name, value] : labels)
    out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : ",", name, escaped(value, true));
  return out.empty() ? out : "{" + out + "}";
}

std::string number_text(double x) {
  if (std::isnan(x))
    return "NaN";
  if (std::isinf(x))
    return x > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", x);
}

} // namespace

std::string metrics_text(const std::vector<metric>& metrics) {
  std::map<std::string, std::string> families;
  for (const auto& m : metrics) {
    auto& text = families[m.name];
    if (text.empty())
      text = fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", m.name, escaped(m.help, false),
                         m.counter ? "counter" : "gauge");
    text += fmt::format("{}{} {}\n", m.name, labels_text(m.labels), number_text(m.value));
  }
  std::string out;
  for (const auto& [name, text] : families)
    out += text;
  return out;
}

} // namespace framemill
