#include "actors/node_orders.hpp"

#include "actors/fail_points.hpp"
#include "actors/self_test.hpp"
#include "core/json.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <mutex>
#include <thread>

namespace framemill {

namespace {

constexpr auto no_end = std::numeric_limits<std::uint64_t>::max();

std::string passes_of(const fault& f) {
  if (f.first == f.last)
    return fmt::format("pass {}", f.first);
  if (f.last == no_end)
    return fmt::format("pass {} on", f.first);
  return fmt::format("passes {} to {}", f.first, f.last);
}

std::string describe(const fault& f) {
  const auto at = passes_of(f);
  switch (f.action) {
    case fault_action::effect: return "at " + at;
    case fault_action::delay:
    case fault_action::skew:
      return fmt::format("{} of {} ms at {}", to_string(f.action), f.delay.count(), at);
    default: return fmt::format("{} at {}", to_string(f.action), at);
  }
}

// ---- Of faults, for programs -------------------------------------------------------

/// The words that a point takes, "" where it has an action of its own: asked of who
/// reads them.
json actions_of(std::string_view point) {
  auto out = json::array();
  for (std::string_view word :
       {"", "kill", "hang", "delay=1", "error", "duplicate", "reorder", "skew=1"})
    if (parse_fault(point, word))
      out.push_back(word.substr(0, word.find('=')));
  return out;
}

json to_json(const fault& f) {
  json out{{"Action", to_string(f.action)},
           {"First", f.first},
           {"Last", f.last == no_end ? json{} : json(f.last)}};
  if (f.action == fault_action::delay || f.action == fault_action::skew)
    out["Milliseconds"] = f.delay.count();
  return out;
}

json to_json(const fault_state& s) {
  return {{"Name", s.place.name},
          {"Kind", to_string(s.place.kind)},
          {"Meaning", s.place.meaning},
          {"Actions", actions_of(s.place.name)},
          {"Armed", s.armed ? to_json(*s.armed) : json{}},
          {"Passes", s.passes},
          {"Failed", s.failed}};
}

template <class Wanted>
std::string points_text(Wanted is_wanted) {
  auto points = json::array();
  for (const auto& s : fault_states())
    if (is_wanted(s))
      points.push_back(to_json(s));
  return json{{"Points", std::move(points)}}.dump();
}

/// Those of these points that are armed, as they are; of all when none is named. A
/// pass between this and what is done next is not counted.
std::string armed_text(const std::vector<std::string>& points) {
  return points_text([&](const fault_state& s) {
    return s.armed
           && (points.empty() || std::ranges::find(points, s.place.name) != points.end());
  });
}

/// An order whose first argument is `json` is answered so: {Points: […]}.
bool takes_json(std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] != "json")
    return false;
  arguments.erase(arguments.begin());
  return true;
}

// ---- Of faults, for people ---------------------------------------------------------

/// `POINT KIND MEANING`, and below it, when it is armed, with what.
std::string list_faults() {
  std::string out;
  for (const auto& s : fault_states()) {
    const auto& p = s.place;
    out += fmt::format("{:<22} {:<10} {}\n", p.name, to_string(p.kind), p.meaning);
    if (s.armed)
      out += fmt::format("  armed: {}; passed {}, failed {}\n", describe(*s.armed), s.passes,
                         s.failed);
  }
  return out;
}

// ---- The orders ----------------------------------------------------------------------

std::string list_as_told(std::vector<std::string> arguments) {
  return takes_json(arguments) ? points_text([](const fault_state&) { return true; })
                               : list_faults();
}

/// As JSON: what it replaces.
result<std::string> arm_as_told(std::vector<std::string> arguments) {
  const bool as_json = takes_json(arguments);
  if (arguments.empty() || arguments.size() > 2)
    return fail_field(errc::missing_argument, "Arguments", "POINT[:N] and perhaps an ACTION");
  auto action = arguments.size() > 1 ? arguments[1] : std::string{};
  FM_TRY(auto what, parse_fault(arguments[0], action));
  auto text = as_json ? armed_text({what.point})
                      : fmt::format("{} is armed: {}\n", what.point, describe(what));
  arm(std::move(what));
  return text;
}

/// As JSON: what was armed.
result<std::string> disarm_as_told(std::vector<std::string> points) {
  const bool as_json = takes_json(points);
  for (auto& point : points)
    point = point.substr(0, point.find(':'));
  auto text = as_json          ? armed_text(points)
              : points.empty() ? "nothing is armed\n"
                               : "disarmed\n";
  if (points.empty())
    disarm_all();
  for (const auto& point : points)
    FM_CHECK(disarm(point));
  return text;
}

constexpr std::size_t scratch_names_max = 1000;

/// What lies in scratch, a name a line: directories of attempts under way, and
/// after a drill nothing.
result<std::string> list_scratch(const node_services& services) {
  std::string out;
  std::error_code ec;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator i{services.scratch_root, ec}, end;
       !ec && i != end && count < scratch_names_max; i.increment(ec), ++count)
    out += i->path().filename().string() + "\n";
  if (ec)
    return fail_errno(ec.value(), services.scratch_root);
  return out;
}

/// One self-test at a time: who asks while it runs gets the same answer.
class test_desk {
public:
  void ask(node_services& services, order_answer done) {
    std::lock_guard lock{mutex_};
    waiting_.push_back(std::move(done));
    if (waiting_.size() == 1)
      std::thread{[this, &services] { answer(judge(self_test(services))); }}.detach();
  }

private:
  static result<std::string> judge(result<std::string> verdict) {
    if (!verdict)
      return fail(verdict.error().code, "the self-test could not be run: {}",
                  verdict.error().message);
    if (!verdict->empty())
      return fail(errc::contract_broken, "{}", *verdict);
    return "the golden clip was encoded right";
  }

  void answer(const result<std::string>& verdict) {
    std::vector<order_answer> told;
    {
      std::lock_guard lock{mutex_};
      told.swap(waiting_);
    }
    for (const auto& done : told)
      done(verdict);
  }

  std::mutex mutex_;
  std::vector<order_answer> waiting_;
};

result<std::string> carry_out_fault(const node_services& services, const node_order& order) {
  if (!services.config.allow_faults)
    return fail(errc::unauthorized, "node {} does not allow faults (allow_faults)",
                services.config.name);
  if (order.what == "fault list")
    return list_as_told(order.arguments);
  if (order.what == "fault arm")
    return arm_as_told(order.arguments);
  if (order.what == "fault disarm")
    return disarm_as_told(order.arguments);
  if (order.what == "fault scratch")
    return list_scratch(services);
  return fail_field(errc::unknown_argument, "What", "there is no order `{}`", order.what);
}

} // namespace

void carry_out(node_services& services, const node_order& order, order_answer done) {
  static auto& desk = *new test_desk; // a test may outlive main
  if (order.what == "self-test")
    return desk.ask(services, std::move(done));
  if (order.what.starts_with("fault "))
    return done(carry_out_fault(services, order));
  done(fail_field(errc::unknown_argument, "What", "there is no order `{}`", order.what));
}

} // namespace framemill
