#include "tools/framemill/run_watch.hpp"

#include "core/run.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/interrupt.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/progress_bar.hpp"
#include "tools/framemill/run_page.hpp"
#include "tools/framemill/text.hpp"

#include <chrono>
#include <thread>
#include <utility>

namespace framemill::cli {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr auto outage_max = 60s;
constexpr auto retry_pause = 500ms;

/// What the stream has told so far. Fed with messages, says when the run ended.
class watcher {
public:
  watcher(const context& ctx, std::uint64_t run)
      : ctx_(ctx), run_(run), display_(stdout, ctx.wants_json() ? 0 : terminal_columns()) {}

  /// Durable events from the run's first on: one that ended before we asked
  /// ends the watch at once.
  [[nodiscard]] std::string query() const {
    return fmt::format("after={}&run={}&progress=1", after_, run_);
  }

  client::next take(const sse_message& m) {
    last_heard_ = steady::now();
    is_lost_ = false;
    auto data = parse_json(m.data);
    if (!data)
      return client::next::go_on; // a newer server may say what we do not know
    if (ctx_.wants_json())
      print(dump({{m.event, *data}}, -1) + "\n");
    if (m.event == "progress")
      on_progress(*data);
    return m.event == "event" ? on_event(*data) : client::next::go_on;
  }

  void lost(const error& e) {
    if (!std::exchange(is_lost_, true) && !ctx_.wants_json())
      display_.note("… " + printable(e.message) + "; trying again");
  }

  [[nodiscard]] bool patient() const { return steady::now() - last_heard_ < outage_max; }
  void finish() { display_.finish(); }

private:
  void on_progress(const json& data) {
    auto p = from_json_value<run_progress>(data, unknown_fields::ignore);
    if (p && !ctx_.wants_json())
      display_.show(*p);
  }

  /// The end is a durable event: progress may run ahead of what is on disk.
  client::next on_event(const json& data) {
    after_ = std::max(after_, integer_at(data, "Id"));
    auto type = text_at(data, "Type");
    if (type == "shard.failed" && !ctx_.wants_json())
      display_.note("! " + printable(text_at(data, "Message")));
    auto state = from_name<run_state>(text_at(data, "State"));
    bool ended = type.starts_with("run.") && state && is_terminal(*state);
    return ended ? client::next::stop : client::next::go_on;
  }

  const context& ctx_;
  std::uint64_t run_;
  progress_display display_;
  std::int64_t after_ = 0;
  bool is_lost_ = false; ///< said so already
  steady::time_point last_heard_ = steady::now();
};

/// Connects anew after each loss: a node may come back on another port.
result<void> follow_to_the_end(const context& ctx, client& server, watcher& w) {
  for (;;) {
    auto r = server.follow(w.query(), [&](const sse_message& m) { return w.take(m); });
    if (r)
      return {};
    bool is_outage = exit_code_of(r.error().code) == exit_code::unreachable;
    if (!is_outage || !w.patient() || is_interrupted())
      return r;
    w.lost(r.error());
    std::this_thread::sleep_for(retry_pause); // asking a server again, not waiting for a thread
    if (auto again = ctx.connect())
      server = std::move(*again);
  }
}

std::string ending(const json& answer) {
  const auto& run = at(answer, "Run");
  auto state = text_at(run, "State");
  auto out = fmt::format("run {} {}", text_at(run, "Id"), state);
  auto begin = from_iso8601(text_at(run, "Created"));
  auto end = from_iso8601(text_at(run, "Finished"));
  if (begin && end && *end > *begin)
    out += " in " + format_duration(std::chrono::duration<double>(*end - *begin).count());
  out += "\n" + outputs_text(list_at(answer, "Jobs"));
  if (auto why = failure_text(at(run, "Failure")); !why.empty())
    out += printable(why) + "\n";
  for (const auto& job : list_at(answer, "Jobs"))
    if (auto why = failure_text(at(job, "Failure")); !why.empty())
      out += fmt::format("job {}: {}\n", text_at(job, "Index"), printable(why));
  if (state == "failed")
    out += fmt::format("all about it: framemill run show {}\n", text_at(run, "Id"));
  return out;
}

} // namespace

result<exit_code> watch_run(const context& ctx, client server, std::uint64_t run) {
  catch_interrupt();
  // Asked first: a run that does not exist has no events to wait for.
  FM_CHECK(server.own("DescribeRun", {{"RunId", run}}));
  watcher w{ctx, run};
  auto followed = follow_to_the_end(ctx, server, w);
  w.finish();
  FM_CHECK(followed);
  FM_TRY(auto answer, server.own("DescribeRun", {{"RunId", run}}));
  if (ctx.wants_json())
    print(dump({{"run", answer}}, -1) + "\n");
  else
    print(ending(answer));
  return text_at(answer, "Run.State") == "succeeded" ? exit_code::ok : exit_code::failed;
}

} // namespace framemill::cli
