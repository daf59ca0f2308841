#include "tools/framemill/context.hpp"
#include "tools/framemill/duration.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/message_input.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace framemill::cli {

namespace {

struct queue_options {
  std::string name;
  std::string prefix;
  std::string visibility, delay, wait, retention; ///< durations; "" = not given
  std::optional<std::int64_t> message_bytes, messages, receives;
  std::optional<std::string> dead_letters;
  message_input message;
  std::vector<std::string> receipts;
  int count = 1;
  bool erase = false;
};
using options_ptr = std::shared_ptr<queue_options>;

result<void> add_seconds(json& to, const char* name, const std::string& duration) {
  if (duration.empty())
    return {};
  FM_TRY(auto time, parse_duration(duration));
  to[name] = std::chrono::ceil<std::chrono::seconds>(time).count();
  return {};
}

/// What was given.
result<json> settings_of(const queue_options& o) {
  auto out = json::object();
  FM_CHECK(add_seconds(out, "VisibilitySeconds", o.visibility));
  FM_CHECK(add_seconds(out, "DelaySeconds", o.delay));
  FM_CHECK(add_seconds(out, "WaitSeconds", o.wait));
  FM_CHECK(add_seconds(out, "RetentionSeconds", o.retention));
  if (o.message_bytes)
    out["MessageBytesMax"] = *o.message_bytes;
  if (o.messages)
    out["MessagesMax"] = *o.messages;
  if (o.dead_letters)
    out["DeadLetterQueue"] = *o.dead_letters;
  if (o.receives)
    out["ReceivesMax"] = *o.receives;
  return out;
}

result<exit_code> define(const context& ctx, const queue_options& o, std::string_view action,
                         std::string_view done) {
  FM_TRY(auto settings, settings_of(o));
  return change(ctx, action, {{"Name", o.name}, {"Settings", settings}},
                fmt::format("queue {} {}", o.name, done));
}

// ---- Looking ----------------------------------------------------------------------------

result<exit_code> list(const context& ctx, const queue_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeQueues", {{"Prefix", o.prefix}}));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  table t{{{"QUEUE"},
           {"VISIBLE", align::right},
           {"IN FLIGHT", align::right},
           {"DELAYED", align::right},
           {"OLDEST"},
           {"DEAD LETTERS TO"}}};
  for (const auto& q : list_at(answer, "Queues"))
    t.row({text_at(q, "Queue.Name"), text_at(q, "Visible"), text_at(q, "InFlight"),
           text_at(q, "Delayed"), format_time(text_at(q, "Oldest")),
           text_at(q, "Queue.Settings.DeadLetterQueue")});
  print(t, "no queues");
  return exit_code::ok;
}

std::string seconds_text(const json& q, std::string_view name) {
  return format_duration(number_at(q, fmt::format("Queue.Settings.{}", name)));
}

std::string queue_page(const json& q) {
  const auto dead = text_at(q, "Queue.Settings.DeadLetterQueue");
  return render_facts(
      {{"name", text_at(q, "Queue.Name")},
       {"created", format_time(text_at(q, "Queue.Created"))},
       {"modified", format_time(text_at(q, "Queue.Modified"))},
       {"visible", text_at(q, "Visible")},
       {"in flight", text_at(q, "InFlight")},
       {"delayed", text_at(q, "Delayed")},
       {"oldest", format_time(text_at(q, "Oldest"))},
       {"visibility", seconds_text(q, "VisibilitySeconds")},
       {"delay", seconds_text(q, "DelaySeconds")},
       {"wait", seconds_text(q, "WaitSeconds")},
       {"retention", seconds_text(q, "RetentionSeconds")},
       {"message size", "up to " + format_size(integer_at(q, "Queue.Settings.MessageBytesMax"))},
       {"messages", "up to " + text_at(q, "Queue.Settings.MessagesMax")},
       {"dead letters", dead.empty() ? "none"
                                     : fmt::format("to {} after {} receives", dead,
                                                   text_at(q, "Queue.Settings.ReceivesMax"))}});
}

result<exit_code> show(const context& ctx, const queue_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeQueue", {{"Name", o.name}}));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(queue_page(answer));
  return exit_code::ok;
}

// ---- Messages -----------------------------------------------------------------------------

/// The only result of a call about one thing.
result<json> only_result(const json& answer) {
  const auto& first = list_at(answer, "Results").at(0);
  if (const auto& e = at(first, "Failure"); !e.is_null())
    return failure{from_json_value<error>(e, unknown_fields::ignore).value_or(
        error{errc::internal, dump(e), {}})};
  return first;
}

result<exit_code> send(const context& ctx, const queue_options& o) {
  FM_TRY(auto message, message_of(o.message));
  FM_CHECK(add_seconds(message, "DelaySeconds", o.delay));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer,
         server.own("SendMessages", {{"Queue", o.name}, {"Messages", json::array({message})}}));
  FM_TRY(auto sent, only_result(answer));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("message {}\n", text_at(sent, "Id")));
  return exit_code::ok;
}

table message_table(const json& messages) {
  table t{{{"MESSAGE", align::right},
           {"SENT"},
           {"RECEIVES", align::right},
           {"RECEIPT"},
           {"TAGS"},
           {"BODY"}}};
  for (const auto& m : messages)
    t.row({text_at(m, "Id"), format_time(text_at(m, "Sent")), text_at(m, "Receives"),
           text_at(m, "Receipt"), joined(list_at(m, "Tags")), text_at(m, "Body")});
  return t;
}

result<void> erase_all(const client& server, const queue_options& o, const json& receipts) {
  if (receipts.empty())
    return {};
  FM_TRY(auto answer,
         server.own("DeleteMessages", {{"Queue", o.name}, {"Receipts", receipts}}));
  for (const auto& r : list_at(answer, "Results"))
    FM_CHECK(only_result({{"Results", json::array({r})}}));
  return {};
}

/// With `--delete` they are deleted once they are printed, not before.
result<exit_code> receive(const context& ctx, const queue_options& o) {
  json request{{"Queue", o.name}, {"Count", o.count}};
  FM_CHECK(add_seconds(request, "VisibilitySeconds", o.visibility));
  FM_CHECK(add_seconds(request, "WaitSeconds", o.wait));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("ReceiveMessages", request));
  const auto& messages = list_at(answer, "Messages");
  if (ctx.wants_json())
    print_json(answer);
  else
    print(message_table(messages), "no messages");
  if (!o.erase)
    return exit_code::ok;
  if (std::fflush(stdout) != 0)
    return fail(errc::io_failed, "the messages could not be printed, and were not deleted");
  auto receipts = json::array();
  for (const auto& m : messages)
    receipts.push_back(text_at(m, "Receipt"));
  FM_CHECK(erase_all(server, o, receipts));
  return exit_code::ok;
}

result<exit_code> erase(const context& ctx, const queue_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_CHECK(erase_all(server, o, o.receipts));
  if (!ctx.wants_json())
    print("deleted\n");
  return exit_code::ok;
}

// ---- Verbs ----------------------------------------------------------------------------------

CLI::App& add_verb(CLI::App& noun, const options_ptr& o, const char* name, const char* help) {
  auto* verb = noun.add_subcommand(name, help);
  verb->add_option("QUEUE", o->name, "Name of the queue")->required();
  return *verb;
}

CLI::Option* add_time(CLI::App& verb, const char* name, std::string& to, const char* help) {
  return verb.add_option(name, to, help)->type_name("TIME");
}

void add_settings(CLI::App& verb, const options_ptr& o) {
  add_time(verb, "--visibility", o->visibility, "A received message is hidden so long: 0s … 12h");
  add_time(verb, "--delay", o->delay, "A sent message is hidden so long: 0s … 1h");
  add_time(verb, "--wait", o->wait, "A receive waits so long for a message: 0s … 30s");
  add_time(verb, "--retention", o->retention, "Then a message is gone: 1m … 15d");
  verb.add_option("--message-bytes", o->message_bytes, "A message's largest size: 1024 … 1048576");
  verb.add_option("--messages", o->messages, "With so many the queue is full");
  verb.add_option("--dead-letter", o->dead_letters,
                  "The queue for what is received too often; '' for none");
  verb.add_option("--receives", o->receives, "So many receives are too often, with --dead-letter");
}

void add_definitions(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto& create = add_verb(noun, o, "create", "Make a queue");
  add_settings(create, o);
  on_chosen(ctx, create, [&ctx, o] { return define(ctx, *o, "CreateQueue", "is made"); });
  auto& set = add_verb(noun, o, "set", "Change what is given, and leave the rest");
  add_settings(set, o);
  on_chosen(ctx, set, [&ctx, o] { return define(ctx, *o, "SetQueue", "is changed"); });
  on_chosen(ctx, add_verb(noun, o, "purge", "Delete all its messages"), [&ctx, o] {
    return change(ctx, "PurgeQueue", {{"Name", o->name}}, fmt::format("queue {} is empty", o->name));
  });
  on_chosen(ctx, add_verb(noun, o, "remove", "Remove the queue with its messages"), [&ctx, o] {
    return change(ctx, "RemoveQueue", {{"Name", o->name}}, fmt::format("queue {} is gone", o->name));
  });
}

void add_looking(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto* verb = noun.add_subcommand("list", "The queues and how many messages they hold");
  verb->add_option("--prefix", o->prefix, "Names that begin so");
  on_chosen(ctx, *verb, [&ctx, o] { return list(ctx, *o); });
  on_chosen(ctx, add_verb(noun, o, "show", "All about one queue"),
            [&ctx, o] { return show(ctx, *o); });
}

void add_traffic(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto& send_verb = add_verb(noun, o, "send", "Send a message");
  add_message_input(send_verb, o->message);
  add_time(send_verb, "--delay", o->delay, "Hide it so long; default the queue's");
  on_chosen(ctx, send_verb, [&ctx, o] { return send(ctx, *o); });

  auto& receive_verb = add_verb(noun, o, "receive", "Receive messages; they are hidden, not gone");
  receive_verb.add_option("--count", o->count, "At most so many")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  add_time(receive_verb, "--visibility", o->visibility, "Hide them so long; default the queue's");
  add_time(receive_verb, "--wait", o->wait, "Wait so long for one; default the queue's");
  receive_verb.add_flag("--delete", o->erase, "Delete them when they are printed");
  on_chosen(ctx, receive_verb, [&ctx, o] { return receive(ctx, *o); });

  auto& delete_verb = add_verb(noun, o, "delete", "Delete what was received");
  delete_verb.add_option("RECEIPT", o->receipts, "As receive printed it; at most 16")
      ->required()
      ->expected(1, 16);
  on_chosen(ctx, delete_verb, [&ctx, o] { return erase(ctx, *o); });
}

} // namespace

void add_queue(CLI::App& app, context& ctx) {
  auto* noun = app.add_subcommand("queue", "Named queues of messages");
  noun->require_subcommand(1);
  auto o = std::make_shared<queue_options>();
  add_looking(*noun, ctx, o);
  add_definitions(*noun, ctx, o);
  add_traffic(*noun, ctx, o);
}

} // namespace framemill::cli
