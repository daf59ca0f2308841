#include "actors/node_orders.hpp"

#include "actors/fail_points.hpp"
#include "actors/self_test.hpp"

#include <filesystem>
#include <limits>
#include <mutex>
#include <thread>

namespace framemill {

namespace {

std::string_view name_of(fail_point_kind k) {
  switch (k) {
    case fail_point_kind::transition: return "transition";
    case fail_point_kind::door: return "door";
    case fail_point_kind::effect: return "effect";
    case fail_point_kind::frames: return "frames";
    case fail_point_kind::clock: return "clock";
  }
  return "";
}

std::string passes_of(const fault& f) {
  if (f.first == f.last)
    return fmt::format("pass {}", f.first);
  if (f.last == std::numeric_limits<std::uint64_t>::max())
    return fmt::format("pass {} on", f.first);
  return fmt::format("passes {} to {}", f.first, f.last);
}

std::string describe(const fault& f) {
  auto at = passes_of(f);
  switch (f.action) {
    case fault_action::kill: return "kill at " + at;
    case fault_action::hang: return "hang at " + at;
    case fault_action::delay: return fmt::format("delay of {} ms at {}", f.delay.count(), at);
    case fault_action::error: return "error at " + at;
    case fault_action::effect: return "at " + at;
    case fault_action::duplicate: return "duplicate at " + at;
    case fault_action::reorder: return "reorder at " + at;
    case fault_action::skew: return fmt::format("skew of {} ms at {}", f.delay.count(), at);
  }
  return at;
}

/// `POINT KIND MEANING`, and below it, when it is armed, with what.
std::string list_faults() {
  std::string out;
  for (const auto& s : fault_states()) {
    const auto& p = s.place;
    out += fmt::format("{:<22} {:<10} {}\n", p.name, name_of(p.kind), p.meaning);
    if (s.armed)
      out += fmt::format("  armed: {}; passed {}, failed {}\n", describe(*s.armed), s.passes,
                         s.failed);
  }
  return out;
}

result<std::string> arm_as_told(const node_order& order) {
  if (order.arguments.empty() || order.arguments.size() > 2)
    return fail_field(errc::missing_argument, "Arguments", "POINT[:N] and perhaps an ACTION");
  auto action = order.arguments.size() > 1 ? order.arguments[1] : std::string{};
  FM_TRY(auto what, parse_fault(order.arguments[0], action));
  auto text = fmt::format("{} is armed: {}\n", what.point, describe(what));
  arm(std::move(what));
  return text;
}

result<std::string> disarm_as_told(const node_order& order) {
  if (order.arguments.empty()) {
    disarm_all();
    return "nothing is armed\n";
  }
  for (const auto& point : order.arguments)
    FM_CHECK(disarm(point.substr(0, point.find(':'))));
  return "disarmed\n";
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
    return list_faults();
  if (order.what == "fault arm")
    return arm_as_told(order);
  if (order.what == "fault disarm")
    return disarm_as_told(order);
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
