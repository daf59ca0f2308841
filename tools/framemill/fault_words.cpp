#include "tools/framemill/fault_words.hpp"

#include "tools/framemill/client.hpp"
#include "tools/framemill/json_path.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace framemill::cli {

namespace {

constexpr std::uint64_t passes_max = 1'000'000'000;
constexpr std::uint64_t delay_ms_max = 600'000;
constexpr std::uint64_t skew_ms_max = 86'400'000;

bool is_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t n = 0;
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, n);
  return read.ec == std::errc{} && read.ptr == end && n >= least && n <= most;
}

bool are_passes(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = text.substr(0, dash);
  if (!is_number(first, 1, passes_max))
    return false;
  if (dash == text.npos || dash + 1 == text.size())
    return true;
  return is_number(text.substr(dash + 1), std::stoull(std::string{first}), passes_max);
}

} // namespace

result<void> check_fault_action(std::string_view text) {
  static const std::set<std::string_view> plain{"kill", "hang", "error", "duplicate",
                                                "reorder"};
  const auto value = text.substr(std::min(text.find('=') + 1, text.size()));
  const auto back = value.starts_with('-') ? value.substr(1) : value;
  if (plain.contains(text) || (text.starts_with("delay=") && is_number(value, 1, delay_ms_max))
      || (text.starts_with("skew=") && is_number(back, 1, skew_ms_max)))
    return {};
  return fail(errc::invalid_argument,
              "`{}` is not one of: kill, hang, delay=MILLISECONDS (1 to {}), error, duplicate, "
              "reorder, skew=MILLISECONDS (1 to {}, or as many back)",
              text, delay_ms_max, skew_ms_max);
}

result<void> check_fault_place(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == text.npos || are_passes(text.substr(colon + 1)))
    return {};
  return fail(errc::invalid_argument, "`{}` is not a pass: N, N-M or N-, from 1",
              text.substr(colon + 1));
}

std::string point_of(std::string_view place) {
  return std::string{place.substr(0, place.find(':'))};
}

std::string word_of(std::string_view action) {
  return std::string{action.substr(0, action.find('='))};
}

result<std::string> order_node(const client& server, const std::string& node,
                               std::string_view what,
                               const std::vector<std::string>& arguments) {
  FM_TRY(auto answer,
         server.own("OrderNode", {{"Name", node}, {"What", what}, {"Arguments", arguments}}));
  return text_at(answer, "Text");
}

result<json> fault_points(const client& server, const std::string& node) {
  FM_TRY(auto text, order_node(server, node, "fault list", {"json"}));
  return read_fault_points(node, text);
}

result<json> read_fault_points(const std::string& node, const std::string& text) {
  auto told = parse_json(text);
  if (!told || !at(*told, "Points").is_array())
    return fail(errc::unsupported,
                "node {} does not tell its fail points as JSON; is it of an "
                "older version?",
                node);
  return at(*told, "Points");
}

} // namespace framemill::cli
