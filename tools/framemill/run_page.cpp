#include "tools/framemill/run_page.hpp"

#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

namespace framemill::cli {

namespace {

constexpr std::size_t log_lines_max = 20;
constexpr std::size_t parameter_bytes_max = 2000;

std::string stream_text(const json& s) {
  auto out = text_at(s, "Codec");
  if (text_at(s, "Kind") == "video") {
    out += fmt::format(" {}x{}", text_at(s, "Width"), text_at(s, "Height"));
    auto den = number_at(s, "FrameRate.Den");
    if (den > 0 && number_at(s, "FrameRate.Num") > 0)
      out += fmt::format(" {:.4g} fps", number_at(s, "FrameRate.Num") / den);
  } else if (text_at(s, "Kind") == "audio") {
    out += fmt::format(" {} ch {} Hz", text_at(s, "Channels"), text_at(s, "SampleRate"));
  }
  return out;
}

std::string media_text(const json& media) {
  if (!media.is_object())
    return "";
  auto out = text_at(media, "Container");
  if (number_at(media, "Duration") > 0)
    out += ", " + format_duration(number_at(media, "Duration"));
  for (const auto& s : list_at(media, "Streams"))
    out += ", " + stream_text(s);
  return out;
}

std::string warnings_text(const json& list) {
  std::string out;
  for (const auto& warning : list)
    out += "  note  " + printable(text_at(warning, "")) + "\n";
  return out;
}

using fact_list = std::vector<std::pair<std::string, std::string>>;

/// Of the run's object, or of another that an edit reads.
void add_source(fact_list& to, const json& source) {
  to.emplace_back("object",
                  text_at(source, "Object.Bucket") + ":" + text_at(source, "Object.Key"));
  to.emplace_back("source", media_text(at(source, "Media")));
  to.emplace_back("size", format_size(integer_at(source, "Object.Generation.Size")));
}

std::string facts(const json& answer) {
  const auto& run = at(answer, "Run");
  auto workflow = text_at(run, "Workflow") == "0"
                      ? "none (a call of its own)"
                      : fmt::format("{} {} (revision {})", text_at(run, "Workflow"),
                                    text_at(run, "Spec.Name"), text_at(run, "Revision"));
  fact_list out{{"run", text_at(run, "Id")},
                {"task", text_at(answer, "TaskId")},
                {"state", text_at(run, "State")}};
  add_source(out, run);
  for (const auto& more : list_at(run, "MoreSources"))
    add_source(out, more);
  const fact_list rest{{"workflow", workflow},
                       {"cause", text_at(run, "Cause")},
                       {"priority", text_at(run, "Priority")},
                       {"created", format_time(text_at(run, "Created"))},
                       {"started", format_time(text_at(run, "Started"))},
                       {"finished", format_time(text_at(run, "Finished"))},
                       {"failure", failure_text(at(run, "Failure"))}};
  out.insert(out.end(), rest.begin(), rest.end());
  return render_facts(out);
}

std::string jobs_table(const json& answer) {
  const auto& activities = list_at(answer, "Run.Spec.Activities");
  table t{{{"JOB", align::right}, {"ACTIVITY"}, {"STATE"}, {"FILES", align::right}, {"WHY"}}};
  std::string notes;
  for (const auto& job : list_at(answer, "Jobs")) {
    auto i = static_cast<std::size_t>(integer_at(job, "Index"));
    t.row({text_at(job, "Index"), i < activities.size() ? text_at(activities[i], "Kind") : "?",
           text_at(job, "State"), std::to_string(list_at(job, "Outputs").size()),
           failure_text(at(job, "Failure"))});
    notes += warnings_text(list_at(job, "Warnings"));
  }
  return t.empty() ? "" : "\njobs\n" + t.render() + notes;
}

/// What an event is about: its message, or the job it tells of.
std::string event_text(const json& e) {
  auto message = text_at(e, "Message");
  return message.empty() && at(e, "Job").is_number() ? "job " + text_at(e, "Job") : message;
}

std::string timeline(const json& events) {
  table t{{{"TIME"}, {"EVENT"}, {"STATE"}, {"WHAT"}}};
  for (const auto& e : events)
    t.row({format_time_ms(text_at(e, "Time")), text_at(e, "Type"), text_at(e, "State"),
           event_text(e)});
  return t.empty() ? "" : "\ntimeline\n" + t.render();
}

std::string watermark_text(const json& w) {
  if (!w.is_object())
    return "none: it had not begun";
  return fmt::format("{} frames decoded, {} encoded, {} read, {} written",
                     text_at(w, "FramesDecoded"), text_at(w, "FramesEncoded"),
                     format_size(integer_at(w, "BytesIn")),
                     format_size(integer_at(w, "BytesOut")));
}

std::string log_text(const json& lines) {
  if (lines.empty())
    return "";
  std::string out = "  last lines of its log\n";
  auto first = lines.size() > log_lines_max ? lines.size() - log_lines_max : 0;
  for (auto i = first; i < lines.size(); ++i)
    out += "    " + printable(text_at(lines[i], "")) + "\n";
  return out;
}

std::string attempt_text(const json& shard, const json& attempt) {
  auto out = fmt::format("\nshard {} ({}), attempt {}\n", text_at(shard, "Id.Index"),
                         text_at(shard, "Role"), text_at(attempt, "Epoch"));
  out += render_facts({{"failure", failure_text(at(attempt, "Failure"))},
                       {"node", text_at(attempt, "Node")},
                       {"ended", text_at(attempt, "Exit")},
                       {"got as far as", watermark_text(at(attempt, "LastWatermark"))},
                       {"peak memory", format_size(integer_at(attempt, "PeakRssBytes"))}});
  return out + log_text(list_at(attempt, "Log"));
}

std::string reproduce_text(const json& answer, const std::string& shard) {
  for (const auto& r : list_at(answer, "Reproduce"))
    if (text_at(r, "Shard") == shard)
      return "  to do it again by hand\n    " + printable(text_at(r, "Command")) + "\n";
  return "";
}

std::string parameters_text(const json& request) {
  auto text = dump(request, -1);
  bool cut = text.size() > parameter_bytes_max;
  if (cut)
    text.resize(parameter_bytes_max);
  return "  parameters" + std::string{cut ? " (cut; --json has all)" : ""} + "\n    " +
         printable(text) + "\n";
}

std::string failed_attempts(const json& answer) {
  std::string out;
  for (const auto& shard : list_at(answer, "Shards")) {
    bool failed = false;
    for (const auto& attempt : list_at(shard, "Attempts"))
      if (at(attempt, "Failure").is_object()) {
        out += attempt_text(shard, attempt);
        failed = true;
      }
    if (failed)
      out += parameters_text(at(shard, "Request")) +
             reproduce_text(answer, text_at(shard, "Id.Index"));
  }
  return out;
}

std::string file_facts(const json& f) {
  if (auto media = media_text(at(f, "Media")); !media.empty())
    return media;
  return number_at(f, "Width") > 0
             ? fmt::format("{}x{}", text_at(f, "Width"), text_at(f, "Height"))
             : text_at(f, "Role");
}

} // namespace

std::string failure_text(const json& failure) {
  if (!failure.is_object())
    return "";
  auto code = errc_of_name(text_at(failure, "Code"));
  return fmt::format("{} ({}): {}", text_at(failure, "Code"),
                     code ? to_string(class_of(*code)) : "unknown",
                     text_at(failure, "Message"));
}

std::string outputs_text(const json& jobs) {
  table t{{{"OUTPUT"}, {"SIZE", align::right}, {"WHAT"}}};
  for (const auto& job : jobs)
    for (const auto& f : list_at(job, "Outputs"))
      t.row({text_at(f, "Object.Bucket") + ":" + text_at(f, "Object.Key"),
             format_size(integer_at(f, "Size")), file_facts(f)});
  return t.empty() ? "" : t.render();
}

std::string run_page(const json& answer, const json& events) {
  auto out =
      facts(answer) + warnings_text(list_at(answer, "Run.Warnings")) + jobs_table(answer);
  if (auto outputs = outputs_text(list_at(answer, "Jobs")); !outputs.empty())
    out += "\n" + outputs;
  return out + timeline(events) + failed_attempts(answer);
}

} // namespace framemill::cli
