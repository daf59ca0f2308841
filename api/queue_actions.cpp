#include "actors/queue_service.hpp"
#include "api/action.hpp"
#include "core/base64.hpp"
#include "core/bounds.hpp"
#include "core/limits.hpp"

// Queues and topics in our own words: docs/cluster-api.md. Messages that come and
// go are no changes of definitions: they leave no line in the audit log.

namespace framemill {

namespace {

template <class T>
using each = queue_service::each<T>;

/// A row whose `run` gets the queues.
template <class Request, class Run>
action queue_action(effect what, Run run) {
  return {what, [run](const action_context& context, const json& parameters, api_reply done) {
            auto request = from_json_value<Request>(parameters);
            if (!request)
              return done(refuse(request.error()));
            auto* queues = context.system.queues();
            if (queues == nullptr)
              return done(refuse("UnsupportedOperation", "This node has no queues."));
            run(*queues, std::move(*request), std::move(done));
          }};
}

struct by_name {
  std::string name;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
  }
};

// ---- Queues -----------------------------------------------------------------------------

struct queue_definition : by_name {
  json settings = json::object();
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_name::fields(s, v);
    v("Settings", s.settings);
  }
};

/// What `given` says, and for the rest what `base` says.
result<queue_settings> merged(const queue_settings& base, const json& given) {
  if (!given.is_object())
    return fail_field(errc::malformed, "Settings", "must be an object, but is {}",
                      given.type_name());
  auto all = to_json_value(base);
  all.update(given);
  auto settings = from_json_value<queue_settings>(all);
  if (!settings)
    return fail_field(settings.error().code, "Settings." + settings.error().field, "{}",
                      settings.error().message);
  return settings;
}

void create_queue(queue_service& queues, queue_definition r, api_reply done) {
  auto settings = merged({}, r.settings);
  if (!settings)
    return done(refuse(settings.error()));
  queues.create_queue(std::move(r.name), std::move(*settings), answer_empty(std::move(done)));
}

void set_queue(queue_service& queues, queue_definition r, api_reply done) {
  auto name = r.name;
  queues.queue(std::move(name), [&queues, r = std::move(r), done](const result<queue_view>& v) {
    if (!v)
      return done(refuse(v.error()));
    auto settings = merged(v->record.settings, r.settings);
    if (!settings)
      return done(refuse(settings.error()));
    queues.reset_queue(r.name, std::move(*settings), answer_empty(done));
  });
}

void remove_queue(queue_service& queues, by_name r, api_reply done) {
  queues.remove_queue(std::move(r.name), answer_empty(std::move(done)));
}

void purge_queue(queue_service& queues, by_name r, api_reply done) {
  queues.purge_queue(std::move(r.name), answer_empty(std::move(done)));
}

void describe_queue(queue_service& queues, by_name r, api_reply done) {
  queues.queue(std::move(r.name),
               answer_with<queue_view>(std::move(done), {},
                                       [](const queue_view& v) { return to_json_value(v); }));
}

struct by_prefix {
  std::string prefix;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Prefix", s.prefix);
  }
};

void describe_queues(queue_service& queues, by_prefix r, api_reply done) {
  queues.queues(std::move(r.prefix),
                answer_with<std::vector<queue_view>>(
                    std::move(done), {}, [](const std::vector<queue_view>& all) {
                      return json{{"Queues", to_json_value(all)}};
                    }));
}

// ---- Messages -----------------------------------------------------------------------------

result<void> check_count(std::string field, std::size_t n) {
  return check_within(std::move(field), static_cast<std::int64_t>(n), 1,
                      static_cast<std::int64_t>(limits::queue_batch_max));
}

/// `{"Failure": null | error}` for each of what was asked, and what `make` adds.
template <class T, class Make>
gateway::reply<each<T>> answer_each(api_reply done, Make make) {
  return answer_with<each<T>>(std::move(done), {}, [make](const each<T>& all) {
    json results = json::array();
    for (const auto& r : all) {
      json one{{"Failure", r ? json(nullptr) : to_json_value(r.error())}};
      if (r)
        make(one, r);
      results.push_back(std::move(one));
    }
    return json{{"Results", std::move(results)}};
  });
}

/// Bytes of a Binary travel as base64, both ways.
bool is_binary(const message_attribute& a) { return a.type.starts_with("Binary"); }

struct send_messages {
  std::string queue;
  std::vector<outgoing_message> messages;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Queue", s.queue, required);
    v("Messages", s.messages, required);
  }
};

result<void> decode_binaries(outgoing_message& m) {
  for (auto& [name, a] : m.attributes)
    if (is_binary(a)) {
      auto bytes = decode_base64(a.value);
      if (!bytes)
        return fail_field(errc::malformed, "Attributes." + name, "{}", bytes.error().message);
      a.value = std::move(*bytes);
    }
  return {};
}

result<void> prepare(send_messages& r) {
  FM_CHECK(check_count("Messages", r.messages.size()));
  for (auto& m : r.messages)
    FM_CHECK(decode_binaries(m));
  return {};
}

void send_messages_action(queue_service& queues, send_messages r, api_reply done) {
  if (auto good = prepare(r); !good)
    return done(refuse(good.error()));
  queues.send(std::move(r.queue), std::move(r.messages), "",
              answer_each<message_id>(std::move(done), [](json& to, const result<message_id>& id) {
                to["Id"] = id->value;
              }));
}

struct receive_messages {
  std::string queue;
  std::uint64_t count = 1;
  std::optional<std::int64_t> visibility, wait;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Queue", s.queue, required);
    v("Count", s.count);
    v("VisibilitySeconds", s.visibility);
    v("WaitSeconds", s.wait);
  }
};

json message_json(received_message m) {
  for (auto& [name, a] : m.message.attributes)
    if (is_binary(a))
      a.value = encode_base64(a.value);
  auto out = to_json_value(m.message);
  out["Receipt"] = m.receipt;
  out["Receives"] = m.receives;
  out["FirstReceived"] = to_iso8601_us(m.first_received);
  out["Source"] = m.source;
  return out;
}

void receive_messages_action(queue_service& queues, receive_messages r, api_reply done) {
  queues.receive(std::move(r.queue), {r.count, r.visibility, r.wait},
                 answer_with<std::vector<received_message>>(
                     std::move(done), {}, [](std::vector<received_message> messages) {
                       json out = json::array();
                       for (auto& m : messages)
                         out.push_back(message_json(std::move(m)));
                       return json{{"Messages", std::move(out)}};
                     }));
}

struct by_receipts {
  std::string queue;
  std::vector<std::string> receipts;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Queue", s.queue, required);
    v("Receipts", s.receipts, required);
  }
};

void delete_messages(queue_service& queues, by_receipts r, api_reply done) {
  if (auto good = check_count("Receipts", r.receipts.size()); !good)
    return done(refuse(good.error()));
  queues.erase(std::move(r.queue), std::move(r.receipts),
               answer_each<void>(std::move(done), [](json&, const result<void>&) {}));
}

struct hide_messages : by_receipts {
  std::int64_t seconds = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_receipts::fields(s, v);
    v("VisibilitySeconds", s.seconds, required);
  }
};

void hide_messages_action(queue_service& queues, hide_messages r, api_reply done) {
  if (auto good = check_count("Receipts", r.receipts.size()); !good)
    return done(refuse(good.error()));
  std::vector<queue_service::hide_request> orders;
  for (auto& receipt : r.receipts)
    orders.push_back({std::move(receipt), r.seconds});
  queues.hide(std::move(r.queue), std::move(orders),
              answer_each<void>(std::move(done), [](json&, const result<void>&) {}));
}

// ---- Topics -------------------------------------------------------------------------------

void create_topic(queue_service& queues, by_name r, api_reply done) {
  queues.create_topic(std::move(r.name), answer_empty(std::move(done)));
}

void remove_topic(queue_service& queues, by_name r, api_reply done) {
  queues.remove_topic(std::move(r.name), answer_empty(std::move(done)));
}

void describe_topics(queue_service& queues, empty_request, api_reply done) {
  queues.topics(answer_with<std::vector<topic_view>>(
      std::move(done), {},
      [](const std::vector<topic_view>& all) { return json{{"Topics", to_json_value(all)}}; }));
}

void describe_topic(queue_service& queues, by_name r, api_reply done) {
  queues.topic(std::move(r.name),
               answer_with<topic_view>(std::move(done), {},
                                       [](const topic_view& v) { return to_json_value(v); }));
}

struct subscription_request {
  subscription_record record;
  std::string dead_letter_queue;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Topic", s.record.topic, required);
    v("Name", s.record.name, required);
    v("Endpoint", s.record.endpoint, required);
    v("Tags", s.record.tags);
    v("Format", s.record.format);
    v("Retry", s.record.retry);
    v("DeadLetterQueue", s.dead_letter_queue);
  }
};

void subscribe(queue_service& queues, subscription_request r, api_reply done) {
  queues.subscribe(std::move(r.record), std::move(r.dead_letter_queue),
                   answer_empty(std::move(done)));
}

struct by_subscription {
  std::string topic, name;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Topic", s.topic, required);
    v("Name", s.name, required);
  }
};

void unsubscribe(queue_service& queues, by_subscription r, api_reply done) {
  queues.unsubscribe(std::move(r.topic), std::move(r.name), answer_empty(std::move(done)));
}

struct publish_message {
  std::string topic;
  outgoing_message message;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Topic", s.topic, required);
    v("Message", s.message, required);
  }
};

void publish(queue_service& queues, publish_message r, api_reply done) {
  if (auto good = decode_binaries(r.message); !good)
    return done(refuse(good.error()));
  queues.publish(std::move(r.topic), std::move(r.message), "",
                 answer_with<std::vector<message_id>>(
                     std::move(done), {}, [](const std::vector<message_id>& ids) {
                       return json{{"Ids", to_json_value(ids)}};
                     }));
}

} // namespace

void add_queue_actions(action_table& table) {
  using enum effect;
  table["CreateQueue"] = queue_action<queue_definition>(changes, create_queue);
  table["SetQueue"] = queue_action<queue_definition>(changes, set_queue);
  table["RemoveQueue"] = queue_action<by_name>(changes, remove_queue);
  table["PurgeQueue"] = queue_action<by_name>(changes, purge_queue);
  table["DescribeQueue"] = queue_action<by_name>(reads, describe_queue);
  table["DescribeQueues"] = queue_action<by_prefix>(reads, describe_queues);
  table["SendMessages"] = queue_action<send_messages>(reads, send_messages_action);
  table["ReceiveMessages"] = queue_action<receive_messages>(reads, receive_messages_action);
  table["DeleteMessages"] = queue_action<by_receipts>(reads, delete_messages);
  table["HideMessages"] = queue_action<hide_messages>(reads, hide_messages_action);
  table["CreateTopic"] = queue_action<by_name>(changes, create_topic);
  table["RemoveTopic"] = queue_action<by_name>(changes, remove_topic);
  table["DescribeTopics"] = queue_action<empty_request>(reads, describe_topics);
  table["DescribeTopic"] = queue_action<by_name>(reads, describe_topic);
  table["Subscribe"] = queue_action<subscription_request>(changes, subscribe);
  table["Unsubscribe"] = queue_action<by_subscription>(changes, unsubscribe);
  table["PublishMessage"] = queue_action<publish_message>(reads, publish);
}

} // namespace framemill
