#include "tools/framemill/fault_record.hpp"

#include "tools/framemill/fault_words.hpp"
#include "tools/framemill/json_path.hpp"

#include <algorithm>
#include <map>

namespace framemill::cli {

namespace {

bool is_order(const drill_step& s, std::string_view what) {
  return s.action == "OrderNode" && text_at(s.body, "What") == what;
}

bool is_mode(const drill_step& s) {
  return s.action == "SetNodeMode" && text_at(s.body, "Mode") != "active";
}

std::string node_of(const drill_step& s) { return text_at(s.body, "Name"); }

std::string argument(const drill_step& s, std::size_t index) {
  const auto& all = list_at(s.body, "Arguments");
  return index < all.size() && all[index].is_string() ? all[index].get<std::string>() : "";
}

std::string place_of(const drill_step& s) { return point_of(argument(s, 0)); }

bool is_away(const error& e) {
  return e.code == errc::unavailable || e.code == errc::timed_out;
}

const json* find_point(const json& points, const std::string& name) {
  auto found =
      std::ranges::find_if(points, [&](const json& p) { return text_at(p, "Name") == name; });
  return found == points.end() ? nullptr : &*found;
}

bool kills(const drill_step& s, const json& points) {
  const auto word = word_of(argument(s, 1));
  const auto* point = find_point(points, place_of(s));
  return word == "kill" || (word.empty() && !(point && text_at(*point, "Kind") == "effect"));
}

/// May nobody hear or answer at that node after this?
bool cuts_off(const drill_step& s, const json& points) {
  return is_order(s, "fault arm")
         && (kills(s, points) || argument(s, 1) == "hang" || place_of(s).starts_with("link."));
}

/// By the step itself, too: a node may die before it answers.
bool is_cut_off(const std::vector<told_step>& plan, std::size_t index,
                const std::string& coordinator, const json& points) {
  const auto node = node_of(plan[index].step);
  return std::any_of(plan.begin(), plan.begin() + static_cast<std::ptrdiff_t>(index) + 1,
                     [&](const told_step& t) {
                       const auto hit = node_of(t.step);
                       return (hit == node || hit == coordinator)
                              && (t.answer || is_away(t.answer.error()))
                              && cuts_off(t.step, points);
                     });
}

/// What later orders to its node told of a fault.
struct later_word {
  bool is_told = false; ///< somebody answered who could have told
  std::optional<json> counts;
};

/// True when it told of the point.
bool hear(later_word& word, const told_step& t, const std::string& point) {
  if (!t.answer)
    return false;
  auto points = read_fault_points(node_of(t.step), text_at(*t.answer, "Text"));
  if (!points)
    return false;
  word.is_told = true;
  if (const auto* p = find_point(*points, point))
    word.counts = *p;
  return word.counts.has_value();
}

later_word listen(const std::vector<told_step>& plan, std::size_t index,
                  const std::vector<told_step>& healing) {
  later_word out;
  const auto node = node_of(plan[index].step), point = place_of(plan[index].step);
  for (auto i = index + 1; i < plan.size(); ++i) {
    const auto& step = plan[i].step;
    if (node_of(step) != node || place_of(step) != point)
      continue;
    const bool is_replaced = is_order(step, "fault arm");
    if ((is_replaced || is_order(step, "fault disarm")) && hear(out, plan[i], point))
      return out;
    if (is_replaced)
      return out; // from here on it is told of that one
  }
  for (const auto& t : healing)
    if (node_of(t.step) == node && hear(out, t, point))
      return out;
  return out;
}

void count(fault_record& r, const json& point) {
  r.passes = integer_at(point, "Passes");
  r.failed = integer_at(point, "Failed");
  r.fate = *r.failed > 0 ? fault_fate::came : fault_fate::never_came;
  r.why.clear(); // whatever became of the answer, it was armed
  r.is_excused = false;
}

constexpr auto forgotten = "its node's process has ended since";

fault_record follow(const std::vector<told_step>& plan, std::size_t index,
                    const std::vector<told_step>& healing) {
  const auto& t = plan[index];
  fault_record r{node_of(t.step), describe(t.step)};
  if (!t.answer) {
    r.fate = fault_fate::not_armed;
    r.why = t.answer.error().message;
  } else if (is_mode(t.step)) {
    r.fate = fault_fate::came;
  }
  if (!is_order(t.step, "fault arm"))
    return r;
  const auto word = listen(plan, index, healing);
  if (word.counts)
    count(r, *word.counts);
  else if (t.answer)
    r.why = word.is_told ? forgotten : "its node could not be asked";
  return r;
}

} // namespace

std::string_view to_string(fault_fate f) noexcept {
  switch (f) {
    case fault_fate::not_armed: return "not armed";
    case fault_fate::came: return "came";
    case fault_fate::never_came: return "never came";
    case fault_fate::not_known: return "not known";
  }
  return "";
}

std::vector<fault_record> follow_faults(const std::vector<told_step>& plan,
                                        const std::vector<told_step>& healing,
                                        const std::string& coordinator, const json& points) {
  std::vector<fault_record> out;
  std::map<std::string, std::vector<std::size_t>> fatal; // node → kills that may have been
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const auto& t = plan[i];
    if (!is_mode(t.step) && !is_order(t.step, "fault arm"))
      continue;
    auto r = follow(plan, i, healing);
    if (r.fate == fault_fate::not_armed)
      r.is_excused = is_away(t.answer.error()) && is_cut_off(plan, i, coordinator, points);
    if (r.why == forgotten && is_order(t.step, "fault arm") && kills(t.step, points))
      fatal[r.node].push_back(out.size());
    out.push_back(std::move(r));
  }
  for (const auto& [node, kills] : fatal)
    if (kills.size() == 1) { // of several, one did it
      out[kills[0]].fate = fault_fate::came;
      out[kills[0]].why.clear();
    }
  return out;
}

} // namespace framemill::cli
