#include "tools/framemill/context.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/interrupt.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/run_lookup.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

namespace framemill::cli {

namespace {

struct event_options {
  std::string run;
  std::int64_t after = -1; ///< tail: −1 = only what is new
  int limit = 100;
};
using options_ptr = std::shared_ptr<event_options>;

result<std::uint64_t> run_of(const client& server, const event_options& o) {
  return o.run.empty() ? result<std::uint64_t>{0} : find_run(server, o.run);
}

std::string object_text(const json& e) {
  auto bucket = text_at(e, "Bucket");
  auto key = text_at(e, "Key");
  return key.empty() ? bucket : bucket + ":" + key;
}

result<exit_code> list(const context& ctx, const event_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto run, run_of(server, o));
  json query{{"After", std::max<std::int64_t>(o.after, 0)}, {"Limit", o.limit}};
  if (run != 0)
    query["Run"] = run;
  FM_TRY(auto answer, server.own("DescribeEvents", query));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  table t{{{"ID", align::right},
           {"TIME"},
           {"EVENT"},
           {"RUN", align::right},
           {"STATE"},
           {"OBJECT"},
           {"WHAT"}}};
  for (const auto& e : list_at(answer, "Events"))
    t.row({text_at(e, "Id"), format_time_ms(text_at(e, "Time")), text_at(e, "Type"),
           integer_at(e, "Run") == 0 ? "" : text_at(e, "Run"), text_at(e, "State"),
           object_text(e), text_at(e, "Message")});
  print(t, "no events");
  return exit_code::ok;
}

std::string line_of(const json& e) {
  std::string run = integer_at(e, "Run") == 0 ? "" : "run " + text_at(e, "Run") + "  ";
  return printable(fmt::format("{:>6}  {}  {:<16}  {}{}  {}  {}", text_at(e, "Id"),
                               format_time_ms(text_at(e, "Time")), text_at(e, "Type"), run,
                               text_at(e, "State"), object_text(e), text_at(e, "Message")));
}

/// The id of the newest event, by following Next to the end of the log.
result<std::int64_t> newest_event(const client& server) {
  std::int64_t after = 0;
  for (;;) {
    FM_TRY(auto page, server.own("DescribeEvents", {{"After", after}, {"Limit", 1000}}));
    const auto& events = list_at(page, "Events");
    if (!events.empty())
      after = std::max(after, integer_at(events.back(), "Id"));
    if (integer_at(page, "Next") == 0)
      return after;
  }
}

result<exit_code> tail(const context& ctx, const event_options& o) {
  catch_interrupt();
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto run, run_of(server, o));
  auto after = o.after;
  if (after < 0) {
    FM_TRY(after, newest_event(server));
  }
  auto query = fmt::format("after={}", after);
  if (run != 0)
    query += fmt::format("&run={}", run);
  auto followed = server.follow(query, [&](const sse_message& m) {
    auto e = parse_json(m.data);
    if (m.event == "event" && e) {
      print((ctx.wants_json() ? dump(*e, -1) : line_of(*e)) + "\n");
      std::fflush(stdout);
    }
    return client::next::go_on;
  });
  // Ctrl-C is how a tail ends: that is success.
  if (!followed && !is_interrupted())
    return failure{followed.error()};
  return exit_code::ok;
}

} // namespace

void add_event(CLI::App& app, context& ctx) {
  auto o = std::make_shared<event_options>();
  auto* noun = app.add_subcommand("event", "The log of what happened, and who is told");
  noun->require_subcommand(1)->fallthrough();
  auto add_filters = [&](CLI::App& verb, const char* after_help) {
    verb.add_option("--run", o->run, "Only events of this run");
    verb.add_option("--after", o->after, after_help)->check(CLI::NonNegativeNumber);
  };
  auto* listing = noun->add_subcommand("list", "List events, oldest first");
  add_filters(*listing, "Only events with a greater id");
  listing->add_option("--limit", o->limit, "At most so many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  on_chosen(ctx, *listing, [&ctx, o] { return list(ctx, *o); });

  auto* tailing = noun->add_subcommand("tail", "Print events as they happen, until Ctrl-C");
  add_filters(*tailing, "Begin after this id (default: only what is new)");
  on_chosen(ctx, *tailing, [&ctx, o] { return tail(ctx, *o); });
  add_deliveries(*noun, ctx);
}

} // namespace framemill::cli
