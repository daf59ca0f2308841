#include "tools/framemill/context.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/message_input.hpp"
#include "tools/framemill/table.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace framemill::cli {

namespace {

struct topic_options {
  std::string topic;
  std::string subscription, endpoint, format = "json", retry = "exponential_decay", dead_letters;
  std::vector<std::string> tags;
  message_input message;
};
using options_ptr = std::shared_ptr<topic_options>;

/// What went wrong with a subscription; null when nothing did.
const json& trouble_of(const json& topic, const std::string& subscription) {
  static const json none;
  for (const auto& t : list_at(topic, "Troubles"))
    if (text_at(t, "Name") == subscription)
      return t;
  return none;
}

result<exit_code> list(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeTopics", json::object()));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  table t{{{"TOPIC"}, {"SUBSCRIPTION"}, {"TO"}, {"TAGS"}, {"SINCE"}, {"MISSED"}, {"LAST ERROR"}}};
  for (const auto& topic : list_at(answer, "Topics")) {
    const auto name = text_at(topic, "Topic.Name");
    const auto& subscriptions = list_at(topic, "Subscriptions");
    if (subscriptions.empty())
      t.row({name, "", "", "", format_time(text_at(topic, "Topic.Created")), "", ""});
    for (const auto& s : subscriptions) {
      const auto& trouble = trouble_of(topic, text_at(s, "Name"));
      t.row({name, text_at(s, "Name"), text_at(s, "Endpoint"), joined(list_at(s, "Tags")),
             format_time(text_at(s, "Created")), text_at(trouble, "Missed"),
             text_at(trouble, "LastError")});
    }
  }
  print(t, "no topics");
  return exit_code::ok;
}

result<exit_code> publish(const context& ctx, topic_options o) {
  o.message.tags = o.tags;
  FM_TRY(auto message, message_of(o.message));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("PublishMessage", {{"Topic", o.topic}, {"Message", message}}));
  const auto copies = list_at(answer, "Ids").size();
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("published to {} {}\n", copies,
                      copies == 1 ? "subscription" : "subscriptions"));
  return exit_code::ok;
}

result<exit_code> subscribe(const context& ctx, const topic_options& o) {
  return change(ctx, "Subscribe",
                {{"Topic", o.topic},
                 {"Name", o.subscription},
                 {"Endpoint", o.endpoint},
                 {"Tags", o.tags},
                 {"Format", o.format},
                 {"Retry", o.retry},
                 {"DeadLetterQueue", o.dead_letters}},
                fmt::format("{} is subscribed to topic {}", o.endpoint, o.topic));
}

CLI::App& add_verb(CLI::App& noun, const options_ptr& o, const char* name, const char* help) {
  auto* verb = noun.add_subcommand(name, help);
  verb->add_option("TOPIC", o->topic, "Name of the topic")->required();
  return *verb;
}

void add_tags(CLI::App& verb, const options_ptr& o, const char* help) {
  verb.add_option("--tag", o->tags, help)->expected(1)->take_all();
}

void add_subscriptions(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto& verb = add_verb(noun, o, "subscribe", "Have messages put in a queue, or posted");
  verb.add_option("NAME", o->subscription, "Name of the subscription")->required();
  verb.add_option("ENDPOINT", o->endpoint, "queue/NAME, or an http or https URL")->required();
  add_tags(verb, o, "Only messages with one of these; at most 5");
  verb.add_option("--format", o->format, "What is posted: json (an envelope), raw (the body)")
      ->capture_default_str();
  verb.add_option("--retry", o->retry, "How often: exponential_decay (a day), backoff (3 times)")
      ->capture_default_str();
  verb.add_option("--dead-letter", o->dead_letters, "The queue for what cannot be posted");
  on_chosen(ctx, verb, [&ctx, o] { return subscribe(ctx, *o); });

  auto& end = add_verb(noun, o, "unsubscribe", "End a subscription");
  end.add_option("NAME", o->subscription, "Name of the subscription")->required();
  on_chosen(ctx, end, [&ctx, o] {
    return change(ctx, "Unsubscribe", {{"Topic", o->topic}, {"Name", o->subscription}},
                  fmt::format("subscription {} is ended", o->subscription));
  });
}

} // namespace

void add_topic(CLI::App& app, context& ctx) {
  auto* noun = app.add_subcommand("topic", "Named topics: a copy of each message to all subscribers");
  noun->require_subcommand(1);
  auto o = std::make_shared<topic_options>();
  on_chosen(ctx, *noun->add_subcommand("list", "The topics and who is subscribed"),
            [&ctx] { return list(ctx); });
  on_chosen(ctx, add_verb(*noun, o, "create", "Make a topic"), [&ctx, o] {
    return change(ctx, "CreateTopic", {{"Name", o->topic}},
                  fmt::format("topic {} is made", o->topic));
  });
  auto& publish_verb = add_verb(*noun, o, "publish", "Send a message to all subscribers");
  add_message_input(publish_verb, o->message);
  add_tags(publish_verb, o, "For the filters of the subscribers; at most 5");
  on_chosen(ctx, publish_verb, [&ctx, o] { return publish(ctx, *o); });
  add_subscriptions(*noun, ctx, o);
  on_chosen(ctx, add_verb(*noun, o, "remove", "Remove the topic with its subscriptions"),
            [&ctx, o] {
              return change(ctx, "RemoveTopic", {{"Name", o->topic}},
                            fmt::format("topic {} is gone", o->topic));
            });
}

} // namespace framemill::cli
