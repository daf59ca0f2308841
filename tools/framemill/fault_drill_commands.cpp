#include "storage/digest.hpp"
#include "tools/framemill/context.hpp"
#include "tools/framemill/fault_drill.hpp"
#include "tools/framemill/fault_verdict.hpp"
#include "tools/framemill/fault_words.hpp"
#include "tools/framemill/interrupt.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <limits>
#include <memory>
#include <set>
#include <sstream>

namespace framemill::cli {

namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
constexpr auto look_pause = 500ms;
constexpr auto scratch_patience = 15s; ///< it goes just after the outcome is told
constexpr auto node_patience = 30s;    ///< until a node that was cut off is back
constexpr auto order_patience = 5s;    ///< for answers, which a fault may have lost
constexpr auto told_calm = 2s;         ///< a notification is made just after its event
constexpr int dead_pages_max = 10;
constexpr std::size_t page_items = 100;
constexpr std::size_t events_page = 1000;
constexpr std::size_t dead_page = 1000;

struct drill_options {
  std::string file;
  std::uint64_t seed = 1;
};

failure interrupted() { return fail(errc::cancelled, "interrupted"); }

result<std::string> read_text(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::stringstream text;
  text << in.rdbuf();
  if (!in)
    return fail(errc::io_failed, "cannot read {}", path);
  return text.str();
}

/// "" when there is no such file.
std::string md5_of_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return {};
  digest d{digest::kind::md5};
  std::string block(1 << 16, '\0');
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0)
    d.update({block.data(), static_cast<std::size_t>(in.gcount())});
  return d.hex();
}

/// The trigger sees it whole or not at all.
result<void> drop(const std::string& file, const std::string& directory,
                  const std::string& key) {
  std::error_code ec;
  const auto target = fs::path{directory} / key;
  const auto part = target.parent_path() / ("." + target.filename().string() + ".part");
  fs::create_directories(target.parent_path(), ec);
  if (!ec)
    fs::copy_file(file, part, fs::copy_options::overwrite_existing, ec);
  if (!ec)
    fs::rename(part, target, ec);
  return ec ? result<void>{fail_errno(ec.value(), "drop " + target.string())} : result<void>{};
}

/// One drill on a live cluster. Talks only to the gateway, which may be away for
/// a while: that is what is drilled.
class drill {
public:
  drill(const context& ctx, client server, drill_scenario scenario, std::uint64_t seed)
      : ctx_(ctx), server_(std::move(server)), scenario_(std::move(scenario)), seed_(seed) {}

  result<void> prepare() {
    FM_TRY(workflow_, find_workflow());
    FM_TRY(auto nodes, ask("DescribeNodes", json::object()));
    FM_TRY(auto cluster, ask("DescribeCluster", json::object()));
    coordinator_ = text_at(cluster, "Cluster.Coordinator");
    std::vector<std::string> workers;
    for (const auto& n : list_at(nodes, "Nodes"))
      if (auto name = text_at(n, "Name");
          text_at(n, "Presence") == "up" && name != coordinator_)
        workers.push_back(name);
    if (workers.empty())
      workers.push_back(coordinator_); // a node with all roles
    plan_ = plan_drill(scenario_, workflow_, seed_, workers);
    nodes_.insert(workers.begin(), workers.end());
    nodes_.insert(coordinator_);
    if (auto sinks = ask("DescribeSinks", json::object()))
      facts_.sinks_before = list_at(*sinks, "Sinks");
    return check_leave();
  }

  /// Heals whatever happens.
  result<void> disturb() {
    auto played = play();
    forget_interrupt();
    heal();
    return played;
  }

  result<std::vector<verdict>> find_out() {
    say("waiting until it is quiet");
    FM_TRY(facts_.disturbed, await_runs(submitted_));
    see_faults();
    see_published();
    ask_scratch();
    audit();
    say("the same without faults");
    FM_TRY(auto again, submit_all());
    FM_TRY(facts_.undisturbed, await_runs(again));
    see_deliveries();
    see_dead_letters();
    return judge(facts_);
  }

  [[nodiscard]] const json& diary() const { return diary_; }
  [[nodiscard]] const std::vector<fault_record>& faults() const { return facts_.faults; }

private:
  using run_ids = std::map<std::string, std::uint64_t>; ///< object → run; 0: the trigger's

  result<json> ask(std::string_view action, const json& body) {
    return server_.own(action, body);
  }

  void say(const std::string& line) {
    const auto at = std::chrono::duration<double>(steady::now() - begin_).count();
    diary_.push_back({{"At", at}, {"What", line}});
    if (!ctx_.wants_json())
      print(fmt::format("{:7.1f} s  {}\n", at, printable(line)));
  }

  // ---- Before --------------------------------------------------------------------------

  result<std::uint64_t> find_workflow() {
    const auto& wanted = scenario_.workload.workflow;
    for (std::size_t offset = 0;; offset += page_items) {
      FM_TRY(auto page,
             server_.mps("DescribeWorkflows", {{"Offset", offset}, {"Limit", page_items}}));
      const auto& set = list_at(page, "WorkflowInfoSet");
      for (const auto& w : set)
        if (text_at(w, "WorkflowId") == wanted || text_at(w, "WorkflowName") == wanted)
          return static_cast<std::uint64_t>(integer_at(w, "WorkflowId"));
      if (set.size() < page_items)
        return fail_field(errc::not_found, "Workload.Workflow", "there is no workflow `{}`",
                          wanted);
    }
  }

  /// Every node that will be harmed has to allow it, and to have such points, before
  /// anything is begun.
  result<void> check_leave() {
    std::set<std::string> harmed;
    for (const auto& step : plan_)
      if (step.action == "OrderNode")
        harmed.insert(text_at(step.body, "Name"));
    facts_.is_clock_wrong = sets_clock_of(plan_, coordinator_);
    for (const auto& node : harmed) {
      FM_TRY(points_, fault_points(server_, node));
      FM_CHECK(check_faults(scenario_, points_));
    }
    nodes_.merge(harmed);
    return {};
  }

  // ---- The faults ------------------------------------------------------------------------

  result<void> play() {
    begin_ = steady::now();
    for (const auto& step : plan_) {
      auto due = begin_ + std::chrono::duration_cast<steady::duration>(
                              std::chrono::duration<double>(step.at));
      while (steady::now() < due)
        if (!pause_for(std::min<std::chrono::milliseconds>(
                100ms, std::chrono::ceil<std::chrono::milliseconds>(due - steady::now()))))
          return interrupted();
      FM_CHECK(take(step));
    }
    return wait_for_the_last();
  }

  /// What was armed without an end gets as long to do harm as the plan took.
  result<void> wait_for_the_last() {
    double end = 0;
    for (const auto& t : scenario_.faults)
      end = std::max(end, t.to + t.lasts);
    while (steady::now() - begin_ < std::chrono::duration<double>(end))
      if (!pause_for(100ms))
        return interrupted();
    return {};
  }

  /// A fault that cannot be had (its node was killed) is noted; work has to come.
  result<void> take(const drill_step& step) {
    if (!step.object.empty())
      submitted_.emplace(step.object, 0);
    if (step.action.empty()) {
      earlier_[step.object] = find_run(step.object);
      say(describe(step));
      return drop(scenario_.workload.drop_file, scenario_.workload.directory, step.object);
    }
    if (step.action == "SubmitRun")
      return submit(step.object, submitted_);
    if (step.action == "SetNodeMode")
      moded_.insert(text_at(step.body, "Name"));
    say(describe(step));
    // On a thread of its own: its answer may be lost, and the plan goes on.
    ordered_.push_back(
        {step, std::async(std::launch::async, [step = as_json(step), to = server_] {
           return to.own(step.action, step.body);
         })});
    return {};
  }

  /// A node tells programs of what it disarms or replaces.
  static drill_step as_json(drill_step step) {
    if (step.action == "OrderNode") {
      auto& arguments = step.body["Arguments"];
      arguments.insert(arguments.begin(), "json");
    }
    return step;
  }

  void see_faults() {
    std::vector<told_step> told;
    for (auto& o : std::exchange(ordered_, {})) {
      told.push_back({std::move(o.step), o.answer.get()});
      if (const auto& t = told.back(); !t.answer)
        say(fmt::format("{}: {}", describe(t.step), t.answer.error().message));
    }
    facts_.faults = follow_faults(told, healing_, coordinator_, points_);
  }

  result<void> submit(const std::string& key, run_ids& into) {
    const auto until = steady::now() + patience();
    for (;;) {
      auto answer = ask("SubmitRun", {{"Bucket", scenario_.workload.bucket},
                                      {"Key", key},
                                      {"WorkflowId", workflow_}});
      if (answer) {
        into[key] = static_cast<std::uint64_t>(integer_at(*answer, "RunId"));
        say(fmt::format("submit {}: run {}", key, into[key]));
        return {};
      }
      if (!is_away(answer.error()) || steady::now() >= until)
        return failure{answer.error()};
      if (!pause_for(look_pause))
        return interrupted();
    }
  }

  result<run_ids> submit_all() {
    run_ids out;
    for (const auto& key : scenario_.workload.objects)
      FM_CHECK(submit(key, out));
    return out;
  }

  static bool is_away(const error& e) {
    return e.code == errc::unavailable || e.code == errc::timed_out;
  }

  // ---- Healing ---------------------------------------------------------------------------

  /// What would be armed only after the healing would stay so.
  void await_orders() const {
    const auto until = steady::now() + order_patience;
    for (const auto& o : ordered_)
      o.answer.wait_until(until);
  }

  void heal() {
    await_orders();
    say("healing");
    const auto until = steady::now() + node_patience;
    for (const auto& node : nodes_)
      disarm(node, until);
    for (const auto& node : moded_)
      if (auto r = ask("SetNodeMode", {{"Name", node}, {"Mode", "active"}}); !r)
        say(fmt::format("{}: not active again: {}", node, r.error().message));
  }

  void disarm(const std::string& node, steady::time_point until) {
    drill_step step{0,
                    "OrderNode",
                    {{"Name", node}, {"What", "fault disarm"}, {"Arguments", json::array()}},
                    {}};
    auto answer = ask_when_here(as_json(step), until);
    if (!answer)
      say(fmt::format("{}: not disarmed: {}", node, answer.error().message));
    healing_.push_back({std::move(step), std::move(answer)});
  }

  /// A node that was cut off comes back; one that was killed may not.
  result<json> ask_when_here(const drill_step& step, steady::time_point until) {
    auto answer = ask(step.action, step.body);
    while (!answer && is_away(answer.error()) && steady::now() < until && pause_for(look_pause))
      answer = ask(step.action, step.body);
    return answer;
  }

  // ---- Afterwards ------------------------------------------------------------------------

  [[nodiscard]] steady::duration patience() const {
    return std::chrono::duration_cast<steady::duration>(
        std::chrono::duration<double>(scenario_.quiesce));
  }

  /// What is known of the runs when all have ended, or patience has.
  result<std::vector<drill_run>> await_runs(run_ids ids) {
    const auto until = steady::now() + patience();
    std::vector<drill_run> out;
    for (const auto& key : scenario_.workload.objects) {
      drill_run run{key, nullptr, json::array()};
      while (!look_at(run, ids[key]) && steady::now() < until)
        if (!pause_for(look_pause))
          return interrupted();
      if (ids[key] != 0)
        read_events(run, ids[key]);
      out.push_back(std::move(run));
    }
    return out;
  }

  /// True when it has ended.
  bool look_at(drill_run& run, std::uint64_t& id) {
    if (id == 0)
      id = find_run(run.object);
    if (id == 0)
      return false;
    auto told = ask("DescribeRun", {{"RunId", id}});
    if (told)
      run.told = std::move(*told);
    const auto state = text_at(run.told, "Run.State");
    return state == "succeeded" || state == "failed" || state == "cancelled";
  }

  /// The newest that the trigger made of the object for this drill; 0: none yet.
  std::uint64_t find_run(const std::string& key) {
    auto found = ask("DescribeRuns", {{"Bucket", scenario_.workload.bucket},
                                      {"KeyPrefix", key},
                                      {"WorkflowId", workflow_},
                                      {"Limit", page_items}});
    if (found)
      for (const auto& r : list_at(*found, "Runs"))
        if (auto id = static_cast<std::uint64_t>(integer_at(r, "Id"));
            text_at(r, "Key") == key && text_at(r, "Cause") == "trigger")
          return id > earlier_[key] ? id : 0;
    return 0;
  }

  void read_events(drill_run& run, std::uint64_t id) {
    std::uint64_t after = 0;
    for (;;) {
      auto page =
          ask("DescribeEvents", {{"Run", id}, {"After", after}, {"Limit", events_page}});
      if (!page)
        return say(fmt::format("events of run {}: {}", id, page.error().message));
      const auto& events = list_at(*page, "Events");
      for (const auto& e : events)
        run.events.push_back(e);
      if (events.size() < events_page)
        return;
      after = static_cast<std::uint64_t>(integer_at(events.back(), "Id"));
    }
  }

  void audit() {
    for (const auto& key : scenario_.workload.objects)
      if (auto a = ask("AuditBucket", {{"Bucket", scenario_.workload.bucket}, {"Prefix", key}}))
        facts_.audits[key] = at(*a, "Audit");
      else
        facts_.unaudited.push_back(key + ": " + a.error().message);
  }

  void see_published() {
    const auto& w = scenario_.workload;
    if (w.directory.empty())
      return;
    for (const auto& run : facts_.disturbed)
      for (const auto& job : list_at(run.told, "Jobs"))
        for (const auto& o : list_at(job, "Outputs"))
          if (text_at(o, "Object.Bucket") == w.bucket) {
            const auto key = text_at(o, "Object.Key");
            facts_.published[w.bucket + "/" + key] =
                md5_of_file((fs::path{w.directory} / key).string());
          }
  }

  /// Asked again while something lies there: it goes just after the outcome.
  void ask_scratch() {
    const auto until = steady::now() + scratch_patience;
    for (const auto& node : nodes_) {
      const drill_step step{
          0,
          "OrderNode",
          {{"Name", node}, {"What", "fault scratch"}, {"Arguments", json::array()}},
          {}};
      auto answer = ask_when_here(step, until);
      while (answer && !text_at(*answer, "Text").empty() && steady::now() < until
             && pause_for(look_pause))
        answer = ask(step.action, step.body);
      if (!answer) {
        facts_.silent.push_back(node + ": " + answer.error().message);
        continue;
      }
      auto& names = facts_.scratch[node];
      std::istringstream lines{text_at(*answer, "Text")};
      for (std::string name; std::getline(lines, name);)
        names.push_back(name);
    }
  }

  /// Until nothing of these runs is pending, for a while, or patience ends.
  void see_deliveries() {
    say("waiting until the sinks are told");
    const auto until = steady::now() + patience();
    auto calm_since = steady::now();
    for (;;) {
      auto answer = ask("DescribeSinks", json::object());
      facts_.sinks = answer ? list_at(*answer, "Sinks") : json{};
      const auto now = steady::now();
      if (!answer || !undelivered(facts_).empty())
        calm_since = now;
      if (now - calm_since >= told_calm || now >= until || !pause_for(look_pause))
        return;
    }
  }

  /// For the reader: a dead letter is an end that is allowed.
  void see_dead_letters() {
    std::set<std::string> ours;
    for (const auto* runs : {&facts_.disturbed, &facts_.undisturbed})
      for (const auto& r : *runs)
        ours.insert(text_at(r.told, "Run.Id"));
    std::string after;
    for (int page = 0; page < dead_pages_max; ++page) {
      auto found = ask("DescribeDeadLetters", {{"Limit", dead_page}, {"After", after}});
      if (!found)
        return say("dead letters: " + found.error().message);
      for (const auto& d : list_at(*found, "DeadLetters"))
        if (ours.contains(text_at(d, "Run")))
          facts_.dead_letters.push_back(d);
      after = text_at(*found, "Next");
      if (after.empty())
        return;
    }
  }

  struct given_order {
    drill_step step;
    std::future<result<json>> answer;
  };

  const context& ctx_;
  client server_;
  drill_scenario scenario_;
  std::uint64_t seed_;
  std::uint64_t workflow_ = 0;
  std::string coordinator_;
  std::set<std::string> nodes_; ///< that may be harmed
  std::set<std::string> moded_;
  std::vector<drill_step> plan_;
  std::vector<given_order> ordered_;
  std::vector<told_step> healing_;
  json points_ = json::array(); ///< the fail points of a node that will be harmed
  run_ids submitted_;
  run_ids earlier_; ///< of the same keys, by another drill
  steady::time_point begin_ = steady::now();
  drill_facts facts_;
  json diary_ = json::array();
};

// ---- Telling ---------------------------------------------------------------------------

json to_json(const std::vector<verdict>& verdicts) {
  auto out = json::array();
  for (const auto& v : verdicts)
    out.push_back({{"Invariant", v.invariant},
                   {"Finding", to_string(v.found)},
                   {"Details", v.details}});
  return out;
}

json to_json(const std::vector<fault_record>& faults) {
  auto out = json::array();
  for (const auto& r : faults)
    out.push_back({{"Node", r.node},
                   {"What", r.what},
                   {"Fate", to_string(r.fate)},
                   {"Why", r.why},
                   {"Passes", r.passes ? json(*r.passes) : json{}},
                   {"Failed", r.failed ? json(*r.failed) : json{}}});
  return out;
}

std::string render(const std::vector<fault_record>& faults) {
  std::string out = faults.empty() ? "" : "\n";
  for (const auto& r : faults) {
    out += fmt::format("{:<12} {}", to_string(r.fate), printable(r.what));
    if (r.passes && r.failed)
      out += fmt::format(": {} of {} passes", *r.failed, *r.passes);
    out += "\n";
  }
  return out;
}

std::string render(const std::vector<verdict>& verdicts) {
  std::string out = "\n";
  for (const auto& v : verdicts) {
    out += fmt::format("{:<12} {}\n", to_string(v.found), v.invariant);
    for (const auto& d : v.details)
      out += "             " + printable(d) + "\n";
  }
  return out;
}

result<exit_code> run_drill(const context& ctx, const drill_options& o) {
  FM_TRY(auto text, read_text(o.file));
  FM_TRY(auto scenario, parse_scenario(text, o.seed));
  FM_TRY(auto server, ctx.connect());
  const auto replay =
      fmt::format("framemill fault drill --scenario {} --seed {}", o.file, o.seed);
  catch_interrupt();
  drill d{ctx, std::move(server), std::move(scenario), o.seed};
  FM_CHECK(d.prepare());
  FM_CHECK(d.disturb());
  FM_TRY(auto verdicts, d.find_out());
  if (ctx.wants_json())
    print_json({{"Verdicts", to_json(verdicts)},
                {"Faults", to_json(d.faults())},
                {"Diary", d.diary()},
                {"Replay", replay}});
  else
    print(render(d.faults()) + render(verdicts) + "\nreplay: " + printable(replay) + "\n");
  return all_hold(verdicts) ? exit_code::ok : exit_code::failed;
}

/// A sign, or more than there is room for, would be read as another seed.
std::string check_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, seed);
  if (read.ec == std::errc{} && read.ptr == end)
    return "";
  return fmt::format("`{}` is not a whole number from 0 to {}", text,
                     std::numeric_limits<std::uint64_t>::max());
}

} // namespace

void add_fault_drill(CLI::App& noun, context& ctx) {
  auto o = std::make_shared<drill_options>();
  auto* verb = noun.add_subcommand("drill", "Play a scenario of work and faults, and judge");
  verb->add_option("--scenario", o->file, "JSON file (docs/faults.md)")
      ->required()
      ->check(CLI::ExistingFile);
  verb->add_option("--seed", o->seed, "Says when and where; the same seed, the same plan")
      ->check(check_seed)
      ->capture_default_str();
  on_chosen(ctx, *verb, [&ctx, o] { return run_drill(ctx, *o); });
}

} // namespace framemill::cli
