#include "actors/audit.hpp"

#include "core/limits.hpp"
#include "storage/records.hpp"

namespace framemill {

namespace {

constexpr std::size_t keys_listed_max = 1000;

void list_key(std::vector<std::string>& to, const std::string& key) {
  if (to.size() < keys_listed_max)
    to.push_back(key);
}

void count_runs(const state_store& store, const object_record& line, audit_report& out) {
  std::set<std::pair<std::uint64_t, std::uint32_t>> seen;
  run_state newest = run_state::succeeded;
  for (auto id : line.runs) {
    auto run = find_record<run_record>(store, family::runs, keys::of(id));
    if (!run || !*run) {
      list_key(out.missing, fmt::format("{}: run {} is not in the books", line.object.key, id.value));
      continue;
    }
    if (!seen.insert({(*run)->workflow.value, (*run)->revision}).second)
      list_key(out.duplicated, line.object.key);
    newest = (*run)->state;
    ++(newest == run_state::succeeded   ? out.runs_succeeded
       : newest == run_state::failed    ? out.runs_failed
       : newest == run_state::cancelled ? out.runs_cancelled
                                        : out.runs_live);
  }
  if (!line.runs.empty() && newest == run_state::failed)
    list_key(out.failed, line.object.key);
}

void count_line(const state_store& store, const object_record& line, audit_report& out) {
  if (line.origin)
    ++out.made_by_us;
  switch (line.state) {
    case object_state::settled:
      ++out.settled;
      if (line.runs.empty())
        list_key(out.missing, line.object.key + ": settled without a run");
      break;
    case object_state::ignored:
      ++out.ignored;
      ++out.ignored_by_reason[line.reason];
      break;
    case object_state::settling: ++out.settling; break;
    case object_state::vanished: break;
  }
  count_runs(store, line, out);
}

} // namespace

result<audit_report> audit_bucket(const state_store& store, const bucket& b,
                                  const std::string& prefix,
                                  const std::set<std::string>& settling) {
  audit_report out;
  out.bucket = b.name();
  out.prefix = prefix;
  std::set<std::string> present;
  result<void> status;
  auto compare = [&](const std::string& key, const generation* g) {
    ++out.seen;
    present.insert(key);
    auto line = find_record<object_record>(store, family::objects, keys::object(b.name(), key));
    if (!line) {
      status = failure{line.error()};
      return false;
    }
    auto known = *line && (g == nullptr || (*line)->object.generation == *g);
    if (known)
      count_line(store, **line, out);
    else if (settling.contains(key))
      ++out.settling;
    else
      list_key(out.missing, key + ": in the bucket, not in the books");
    return true;
  };
  FM_CHECK(b.list(
      prefix, [&](const bucket_entry& e) { return compare(e.key, &e.generation); },
      [&](const refused_entry& e) { compare(e.key, nullptr); }));
  FM_CHECK(status);
  auto from = keys::object(b.name(), prefix);
  FM_CHECK(scan_records<object_record>(store, family::objects, from, prefix_end(from),
                                       [&](const object_record& line) {
                                         if (!present.contains(line.object.key)) {
                                           ++out.vanished;
                                           count_runs(store, line, out);
                                         }
                                         return true;
                                       }));
  out.balanced = out.missing.empty() && out.duplicated.empty();
  return out;
}

} // namespace framemill
