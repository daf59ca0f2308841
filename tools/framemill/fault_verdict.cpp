#include "tools/framemill/fault_verdict.hpp"

#include "tools/framemill/json_path.hpp"

#include <algorithm>
#include <set>

namespace framemill::cli {

namespace {

using details = std::vector<std::string>;

std::string run_state(const drill_run& r) { return text_at(r.told, "Run.State"); }
std::string run_id(const drill_run& r) { return text_at(r.told, "Run.Id"); }

bool is_end(std::string_view state) {
  return state == "succeeded" || state == "failed" || state == "cancelled";
}

verdict found(std::string invariant, details broken) {
  return {std::move(invariant), broken.empty() ? finding::holds : finding::broken,
          std::move(broken)};
}

/// What could not be looked at is never said to hold.
verdict unless_unseen(verdict v, const details& unseen) {
  if (v.found == finding::holds && !unseen.empty())
    v.found = finding::not_checked;
  for (const auto& what : unseen)
    v.details.push_back(what + ": could not be asked");
  return v;
}

template <class Judge>
verdict of_each(std::string invariant, const std::vector<drill_run>& runs, Judge judge_one) {
  details broken;
  for (const auto& r : runs)
    judge_one(r, broken);
  return found(std::move(invariant), std::move(broken));
}

// ---- One per invariant ------------------------------------------------------------------

/// Nothing else that holds says anything where no fault was.
verdict faults_armed(const drill_facts& f) {
  verdict out{"every fault was armed", finding::holds, {}};
  if (f.faults.empty())
    return {out.invariant, finding::not_checked, {"there was no fault to arm"}};
  for (const auto& r : f.faults) {
    if (r.fate != fault_fate::not_armed)
      continue;
    out.details.push_back(fmt::format("{}: {}", r.what, r.why));
    if (!r.is_excused)
      out.found = finding::broken;
    else if (out.found == finding::holds)
      out.found = finding::not_checked;
  }
  return out;
}

/// Chance may keep a fault from coming: then nothing is broken, and less was shown.
verdict faults_came(const drill_facts& f) {
  verdict out{"every fault came to pass", finding::holds, {}};
  for (const auto& r : f.faults)
    if (r.fate == fault_fate::never_came)
      out.details.push_back(
          fmt::format("{}: its pass never came; passed {} times", r.what, r.passes.value_or(0)));
    else if (r.fate == fault_fate::not_known)
      out.details.push_back(fmt::format("{}: is not known: {}", r.what, r.why));
    else if (r.fate == fault_fate::not_armed)
      out.details.push_back(r.what + ": was not armed");
  if (f.faults.empty())
    out.details.emplace_back("there was no fault");
  if (!out.details.empty())
    out.found = finding::not_checked;
  return out;
}

verdict settled_have_runs(const drill_facts& f) {
  details broken;
  for (const auto& [object, audit] : f.audits)
    for (const auto* list : {"Missing", "Duplicated"})
      for (const auto& key : list_at(audit, list))
        broken.push_back(fmt::format("{}: {}", list, joined(json::array({key}))));
  for (const auto& r : f.disturbed)
    if (r.told.is_null())
      broken.push_back(r.object + ": no run was made");
  return unless_unseen(found("no settled object without a run", std::move(broken)),
                       f.unaudited);
}

/// In order of epochs: a lease begins when the one before is over, unless it hedges.
void judge_shard(const drill_run& r, const json& shard, bool by_time, details& broken) {
  auto attempts = list_at(shard, "Attempts").get<std::vector<json>>();
  std::ranges::stable_sort(attempts, {}, [](const json& a) { return integer_at(a, "Epoch"); });
  std::string over; // times are all of one clock and format
  bool open = false;
  std::int64_t epoch = 0;
  for (const auto& a : attempts) {
    const auto start = text_at(a, "Started"), end = text_at(a, "Finished");
    const auto where = fmt::format("run {} shard {} epoch {}", run_id(r),
                                   text_at(shard, "Id.Index"), integer_at(a, "Epoch"));
    if (integer_at(a, "Epoch") <= epoch)
      broken.push_back(where + ": was given twice");
    if (at(a, "Hedge") != true && (open || (by_time && start < over)))
      broken.push_back(where + ": was leased while an earlier lease was live");
    epoch = integer_at(a, "Epoch");
    open = open || end.empty();
    over = std::max(over, end);
  }
}

verdict one_lease(const drill_facts& f) {
  return of_each("one live lease per shard", f.disturbed, [&](const drill_run& r, details& broken) {
    for (const auto& shard : list_at(r.told, "Shards"))
      judge_shard(r, shard, !f.is_clock_wrong, broken);
  });
}

void judge_publishing(const drill_run& r, details& broken) {
  std::set<std::string> seen;
  for (const auto& e : r.events)
    if (text_at(e, "Type") == "output.published" && !seen.insert(text_at(e, "Message")).second)
      broken.push_back(fmt::format("run {}: {}", run_id(r), text_at(e, "Message")));
}

std::string name_of(const json& output) {
  return text_at(output, "Object.Bucket") + "/" + text_at(output, "Object.Key");
}

verdict none_torn(const drill_facts& f) {
  const std::string invariant = "no output torn";
  if (f.published.empty())
    return {invariant, finding::not_checked, {"there was nothing to look at in a Directory"}};
  return of_each(invariant, f.disturbed, [&](const drill_run& r, details& broken) {
    for (const auto& job : list_at(r.told, "Jobs"))
      for (const auto& o : list_at(job, "Outputs"))
        if (auto there = f.published.find(name_of(o));
            there != f.published.end() && there->second != text_at(o, "Md5"))
          broken.push_back(name_of(o) + ": is not what was published");
  });
}

void judge_end(const drill_run& r, details& broken) {
  auto ends = std::ranges::count_if(r.events, [](const json& e) {
    return text_at(e, "Type") == "run.state" && is_end(text_at(e, "State"));
  });
  if (!is_end(run_state(r)))
    broken.push_back(fmt::format("{}: run {} is {}", r.object, run_id(r), run_state(r)));
  else if (ends != 1)
    broken.push_back(fmt::format("run {}: {} terminal events", run_id(r), ends));
}

/// "" when there is none. Times of one clock and format, unless it was wrong.
std::string last_event_time(const drill_facts& f) {
  std::string out;
  for (const auto* runs : {&f.disturbed, &f.undisturbed})
    for (const auto& r : *runs)
      for (const auto& e : r.events)
        out = std::max(out, text_at(e, "Time"));
  return out;
}

bool is_to_be_told(const drill_facts& f) {
  return std::ranges::any_of(f.disturbed, [](const drill_run& r) {
    return at(r.told, "Run.Spec.TaskNotifyConfig").is_object();
  });
}

bool had_pending_before(const drill_facts& f, const std::string& sink) {
  return std::ranges::any_of(f.sinks_before, [&](const json& s) {
    return text_at(s, "Sink") == sink && integer_at(s, "Pending") > 0;
  });
}

/// Of the sinks that had something to tell before the drill, or of the others. What
/// happened after the last event of these runs is not theirs.
details pending_at(const drill_facts& f, bool had_before) {
  details out;
  const auto last = f.is_clock_wrong ? "" : last_event_time(f);
  for (const auto& s : f.sinks) {
    const auto oldest = text_at(s, "Oldest");
    if (integer_at(s, "Pending") <= 0 || (!last.empty() && oldest > last)
        || had_pending_before(f, text_at(s, "Sink")) != had_before)
      continue;
    out.push_back(fmt::format("{}: {} pending since {} {}", text_at(s, "Sink"),
                              text_at(s, "Pending"), oldest, text_at(s, "LastError")));
  }
  return out;
}

verdict events_delivered(const drill_facts& f) {
  const std::string invariant = "events are delivered, or dead letters";
  if (!f.sinks.is_array())
    return {invariant, finding::not_checked, {"the sinks could not be asked"}};
  if (f.sinks.empty() && !is_to_be_told(f))
    return {invariant, finding::not_checked, {"nobody was to be told"}};
  auto out = found(invariant, undelivered(f));
  for (const auto& line : pending_at(f, true)) {
    out.found = out.found == finding::holds ? finding::not_checked : out.found;
    out.details.push_back(line + ": as before the drill, so whose they are is not known");
  }
  for (const auto& d : f.dead_letters)
    out.details.push_back(fmt::format("{}: event {} of run {} is a dead letter: {}",
                                      text_at(d, "Sink"), text_at(d, "Event"),
                                      text_at(d, "Run"), text_at(d, "LastError")));
  return out;
}

verdict scratch_is_empty(const drill_facts& f) {
  details broken;
  std::set<std::string> ours;
  for (const auto& r : f.disturbed)
    ours.insert(fmt::format("r{}-", run_id(r)));
  for (const auto& [node, names] : f.scratch)
    for (const auto& name : names)
      if (ours.contains(name.substr(0, name.find('-') + 1)))
        broken.push_back(fmt::format("{}: {}", node, name));
  auto out = found("scratch is empty", std::move(broken));
  if (out.found == finding::holds && f.scratch.empty())
    out.found = finding::not_checked;
  return unless_unseen(std::move(out), f.silent);
}

/// "" when it succeeded.
std::string trouble_of(const drill_run& r) {
  if (run_state(r) == "succeeded")
    return {};
  return fmt::format("{}: run {} is {}: {}", r.object, run_id(r), run_state(r),
                     text_at(r.told, "Run.Failure.Message"));
}

void judge_progress(const drill_run& r, details& broken) {
  if (auto trouble = trouble_of(r); !trouble.empty())
    broken.push_back(std::move(trouble));
}

using outputs = std::map<std::string, std::string>;

outputs outputs_of(const drill_run& r) {
  outputs out;
  for (const auto& job : list_at(r.told, "Jobs"))
    for (const auto& o : list_at(job, "Outputs"))
      out[name_of(o)] = text_at(o, "Size") + " bytes, MD5 " + text_at(o, "Md5");
  return out;
}

void compare(const drill_run& r, const outputs& got, const outputs& wanted, details& broken) {
  if (got.empty())
    broken.push_back(r.object + ": there is no output at all");
  for (const auto& [name, what] : wanted)
    if (auto there = got.find(name); there == got.end())
      broken.push_back(name + ": is missing");
    else if (there->second != what)
      broken.push_back(fmt::format("{}: {} instead of {}", name, there->second, what));
  for (const auto& [name, what] : got)
    if (!wanted.contains(name))
      broken.push_back(name + ": a run without faults does not make it");
}

verdict same_outputs(const drill_facts& f) {
  const std::string invariant = "outputs equal those of a run without faults";
  if (f.undisturbed.empty())
    return {invariant, finding::not_checked, {"there was no run without faults"}};
  details broken;
  for (std::size_t i = 0; i < f.disturbed.size(); ++i) {
    const auto& r = f.disturbed[i];
    if (auto trouble = trouble_of(r); !trouble.empty())
      broken.push_back(std::move(trouble));
    else if (i >= f.undisturbed.size() || !trouble_of(f.undisturbed[i]).empty())
      broken.push_back(r.object + ": there is no run without faults to compare with");
    else
      compare(r, outputs_of(r), outputs_of(f.undisturbed[i]), broken);
  }
  return found(invariant, std::move(broken));
}

} // namespace

std::string_view to_string(finding f) noexcept {
  switch (f) {
    case finding::holds: return "holds";
    case finding::broken: return "BROKEN";
    case finding::not_checked: return "not checked";
  }
  return "";
}

std::vector<std::string> undelivered(const drill_facts& f) {
  auto out = pending_at(f, false);
  if (f.sinks.is_array() && f.sinks.empty() && is_to_be_told(f))
    out.emplace_back("their workflow names somebody to be told, and nobody was");
  return out;
}

std::vector<verdict> judge(const drill_facts& f) {
  return {faults_armed(f),
          faults_came(f),
          settled_have_runs(f),
          one_lease(f),
          of_each("no output published twice", f.disturbed, judge_publishing),
          none_torn(f),
          of_each("every run ends, with one event", f.disturbed, judge_end),
          events_delivered(f),
          scratch_is_empty(f),
          of_each("progress once healed", f.undisturbed, judge_progress),
          same_outputs(f)};
}

bool all_hold(const std::vector<verdict>& verdicts) noexcept {
  return std::ranges::none_of(verdicts,
                              [](const auto& v) { return v.found == finding::broken; });
}

} // namespace framemill::cli
