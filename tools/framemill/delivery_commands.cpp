#include "tools/framemill/context.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

// Who is told of events, what did not arrive, and the keys that sign.

namespace framemill::cli {

namespace {

struct delivery_options {
  std::string sink;
  std::string after; ///< the Next of a list before
  std::uint64_t event = 0;
  std::uint64_t from = 0;
  std::uint64_t limit = 100;
  bool all = false;
  bool secrets = false;
};

result<exit_code> sinks(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeSinks", json::object()));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  table t{{{"SINK"},
           {"NODE"},
           {"PENDING", align::right},
           {"DELIVERED", align::right},
           {"FAILED TRIES", align::right},
           {"DEAD", align::right},
           {"OLDEST"},
           {"NEXT TRY"},
           {"LAST ERROR"}}};
  for (const auto& s : list_at(answer, "Sinks"))
    t.row({text_at(s, "Sink"), text_at(s, "Node"), text_at(s, "Pending"),
           text_at(s, "Delivered"), text_at(s, "FailedTries"), text_at(s, "Dead"),
           format_time(text_at(s, "Oldest")), format_time(text_at(s, "NextTry")),
           text_at(s, "LastError")});
  print(t, "nobody was told of anything since the start");
  return exit_code::ok;
}

/// Up to `limit` letters, page by page, in the form of one answer: its Next is where
/// a list to come begins, "" when there are no more.
result<json> dead_letters(const client& server, const delivery_options& o) {
  constexpr std::uint64_t page_items_max = 1000;
  auto letters = json::array();
  auto next = o.after;
  do {
    const auto wanted = std::min(page_items_max, o.limit - letters.size());
    FM_TRY(auto page, server.own("DescribeDeadLetters",
                                 {{"Sink", o.sink}, {"Limit", wanted}, {"After", next}}));
    const auto& found = list_at(page, "DeadLetters");
    letters.insert(letters.end(), found.begin(), found.end());
    next = found.empty() ? "" : text_at(page, "Next");
  } while (!next.empty() && letters.size() < o.limit);
  return json{{"DeadLetters", std::move(letters)}, {"Next", next}};
}

result<exit_code> list_dead(const context& ctx, const delivery_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, dead_letters(server, o));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  table t{{{"EVENT", align::right},
           {"SINK"},
           {"RUN", align::right},
           {"HAPPENED"},
           {"LAST TRY"},
           {"TRIES", align::right},
           {"WHY"}}};
  for (const auto& d : list_at(answer, "DeadLetters"))
    t.row({text_at(d, "Event"), text_at(d, "Sink"), text_at(d, "Run"),
           format_time(text_at(d, "Happened")), format_time(text_at(d, "LastTry")),
           text_at(d, "Attempts"), text_at(d, "LastError")});
  print(t, "no dead letters");
  if (auto next = text_at(answer, "Next"); !next.empty())
    print(fmt::format("# there are more: --after '{}' goes on, or say a greater --limit\n",
                      printable(next)));
  return exit_code::ok;
}

result<exit_code> show_dead(const context& ctx, const delivery_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeDeadLetter", {{"Sink", o.sink}, {"Event", o.event}}));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  const auto& d = at(answer, "DeadLetter");
  print(render_facts({{"event", text_at(d, "Event")},
                      {"sink", text_at(d, "Sink")},
                      {"address", text_at(d, "TaskNotifyConfig.NotifyUrl")},
                      {"run", text_at(d, "Run")},
                      {"type", text_at(d, "EventType")},
                      {"happened", format_time_ms(text_at(d, "Happened"))},
                      {"last try", format_time_ms(text_at(d, "LastTry"))},
                      {"tries", text_at(d, "Attempts")},
                      {"why", text_at(d, "LastError")}}));
  auto body = parse_json(text_at(d, "Body"));
  print(printable(body ? "" : text_at(d, "Body")) + (body ? dump(*body) : "") + "\n");
  return exit_code::ok;
}

/// Asks for deliveries anew and says how many there are.
result<exit_code> again(const context& ctx, std::string_view action, const json& request) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own(action, request));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("{} on their way\n", text_at(answer, "Count")));
  return exit_code::ok;
}

result<exit_code> redrive(const context& ctx, const delivery_options& o) {
  json request{{"Sink", o.sink}, {"All", o.all}};
  if (o.event != 0)
    request["Event"] = o.event;
  return again(ctx, "RedriveDeadLetters", request);
}

result<exit_code> list_keys(const context& ctx, const delivery_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeSigningKeys", {{"Secrets", o.secrets}}));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  table t{{{"KEY"}, {"CREATED"}, {"SECRET"}}};
  for (const auto& k : list_at(answer, "SigningKeys"))
    t.row({text_at(k, "Id"), format_time(text_at(k, "Created")),
           o.secrets ? text_at(k, "Secret") : "(--secrets shows it)"});
  print(t, "no keys");
  return exit_code::ok;
}

result<exit_code> rotate_key(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("RotateSigningKey", json::object()));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("{}\n# key {} signs from now on, beside the one before it\n",
                      printable(text_at(answer, "SigningKey.Secret")),
                      printable(text_at(answer, "SigningKey.Id"))));
  return exit_code::ok;
}

void add_dead(CLI::App& noun, context& ctx, const std::shared_ptr<delivery_options>& o) {
  auto* dead = noun.add_subcommand("dead", "What could not be delivered");
  dead->require_subcommand(1)->fallthrough();
  auto* listing = dead->add_subcommand("list", "List dead letters, and why they are");
  listing->add_option("--sink", o->sink, "Only those to this sink");
  listing->add_option("--after", o->after, "Go on where a list ended, as it said")
      ->type_name("NEXT");
  listing->add_option("--limit", o->limit, "At most so many")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  on_chosen(ctx, *listing, [&ctx, o] { return list_dead(ctx, *o); });
  auto* showing = dead->add_subcommand("show", "All of one, with its body");
  showing->add_option("EVENT", o->event, "Id of the event")->required();
  showing->add_option("SINK", o->sink, "The sink, as `event dead list` says it")->required();
  on_chosen(ctx, *showing, [&ctx, o] { return show_dead(ctx, *o); });
  auto* redriving = dead->add_subcommand("redrive", "Try dead letters anew");
  auto* sink = redriving->add_option("--sink", o->sink, "Those to this sink");
  redriving->add_option("--event", o->event, "Only this event")->needs(sink);
  redriving->add_flag("--all", o->all, "All there are")->excludes(sink);
  on_chosen(ctx, *redriving, [&ctx, o] { return redrive(ctx, *o); });
}

void add_key(CLI::App& noun, context& ctx, const std::shared_ptr<delivery_options>& o) {
  auto* key = noun.add_subcommand("key", "The keys that sign what goes to HTTP endpoints");
  key->require_subcommand(1)->fallthrough();
  auto* listing = key->add_subcommand("list", "List the live keys, the newest first");
  listing->add_flag("--secrets", o->secrets, "Show the secrets, for receivers");
  on_chosen(ctx, *listing, [&ctx, o] { return list_keys(ctx, *o); });
  auto* rotating =
      key->add_subcommand("rotate", "Make a new key; the one before stays live beside it");
  on_chosen(ctx, *rotating, [&ctx] { return rotate_key(ctx); });
}

} // namespace

void add_deliveries(CLI::App& noun, context& ctx) {
  auto o = std::make_shared<delivery_options>();
  auto* showing = noun.add_subcommand("sinks", "Who is told, and how that goes");
  on_chosen(ctx, *showing, [&ctx] { return sinks(ctx); });
  add_dead(noun, ctx, o);
  auto* replaying = noun.add_subcommand("replay", "Tell a sink of past events again");
  replaying->add_option("--from", o->from, "Id of the first event")->required();
  replaying->add_option("--to", o->sink, "The sink, as `event sinks` says it")->required();
  on_chosen(ctx, *replaying, [&ctx, o] {
    return again(ctx, "ReplayEvents", {{"From", o->from}, {"To", o->sink}});
  });
  add_key(noun, ctx, o);
}

} // namespace framemill::cli
