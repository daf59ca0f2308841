#include "api/sqs/message_json.hpp"
#include "api/sqs/sqs_action.hpp"
#include "core/limits.hpp"

#include <algorithm>
#include <set>

namespace framemill {

namespace {

constexpr std::size_t entries_max = 10;

// ---- Batches ----------------------------------------------------------------------------

bool is_entry_id(std::string_view id) {
  return !id.empty() && id.size() <= 80 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '-' || c == '_';
  });
}

template <class Entry>
tl::expected<void, sqs_error> check_entries(const std::vector<Entry>& entries) {
  if (entries.empty())
    return refuse_sqs("EmptyBatchRequest", "there must be at least one entry");
  if (entries.size() > entries_max)
    return refuse_sqs("TooManyEntriesInBatchRequest",
                      fmt::format("{} entries are more than {}", entries.size(), entries_max));
  std::set<std::string_view> ids;
  for (const auto& e : entries) {
    if (!is_entry_id(e.id))
      return refuse_sqs("InvalidBatchEntryId",
                        fmt::format("the Id `{}` is not 1 to 80 of letters, digits, - and _", e.id));
    if (!ids.insert(e.id).second)
      return refuse_sqs("BatchEntryIdsNotDistinct", fmt::format("the Id {} is there twice", e.id));
  }
  return {};
}

json failed_entry(const std::string& id, const error& e) {
  const auto as_sqs = to_sqs_error(e);
  return {{"Id", id},
          {"Code", query_code(as_sqs)},
          {"Message", as_sqs.message},
          {"SenderFault", as_sqs.status < 500}};
}

/// `Successful` from what `make` says of each entry, `Failed` from its failure;
/// `failed` are those that were refused before the queues were asked.
template <class T, class Entry, class Make>
queue_service::reply<queue_service::each<T>> answer_batch(sqs_reply done, std::vector<Entry> entries,
                                                          Make make,
                                                          json failed = json::array()) {
  return answer_sqs_with<queue_service::each<T>>(
      std::move(done), [entries = std::move(entries), make, failed = std::move(failed)](
                           const queue_service::each<T>& each) {
        json out{{"Successful", json::array()}, {"Failed", failed}};
        for (std::size_t i = 0; i < each.size(); ++i) {
          if (!each[i]) {
            out["Failed"].push_back(failed_entry(entries[i].id, each[i].error()));
            continue;
          }
          json entry{{"Id", entries[i].id}};
          make(entry, entries[i], each[i]);
          out["Successful"].push_back(std::move(entry));
        }
        return out;
      });
}

/// The answer for the one that was asked for.
template <class T, class Make>
queue_service::reply<queue_service::each<T>> answer_one(sqs_reply done, Make make) {
  return [done = std::move(done), make = std::move(make)](const result<queue_service::each<T>>& r) {
    if (!r)
      return done(refuse_sqs(r.error()));
    if (const auto& only = r->at(0); !only)
      done(refuse_sqs(only.error()));
    else
      done(make(only));
  };
}

json nothing_said(const result<void>&) { return json::object(); }

// ---- SendMessage --------------------------------------------------------------------------

struct message_fields {
  std::string body;
  std::optional<std::int64_t> delay;
  std::map<std::string, attribute_value> attributes;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("MessageBody", s.body, required);
    v("DelaySeconds", s.delay);
    v("MessageAttributes", s.attributes);
    v.unsupported("MessageSystemAttributes");
    v.unsupported("MessageDeduplicationId");
    v.unsupported("MessageGroupId");
  }
};

result<outgoing_message> message_of(const message_fields& f) {
  FM_TRY(auto attributes, read_attributes(f.attributes));
  return outgoing_message{f.body, std::move(attributes), {}, f.delay};
}

/// What a sender verifies.
void add_sent(json& to, const outgoing_message& m, message_id id) {
  to["MessageId"] = message_id_text(id);
  to["MD5OfMessageBody"] = md5_hex(m.body);
  if (!m.attributes.empty())
    to["MD5OfMessageAttributes"] = md5_of(m.attributes);
}

struct send_message : by_queue_url, message_fields {
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_queue_url::fields(s, v);
    message_fields::fields(s, v);
  }
};

void send(const sqs_context& context, std::string queue, send_message r, sqs_reply done) {
  auto m = message_of(r);
  if (!m)
    return done(refuse_sqs(m.error()));
  auto answer = [m = *m](const result<message_id>& id) {
    json out;
    add_sent(out, m, *id);
    return out;
  };
  context.queues.send(std::move(queue), {std::move(*m)}, context.sender,
                      answer_one<message_id>(std::move(done), std::move(answer)));
}

struct send_entry : message_fields {
  std::string id;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id, required);
    message_fields::fields(s, v);
  }
};

struct send_batch : by_queue_url {
  std::vector<send_entry> entries;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_queue_url::fields(s, v);
    v("Entries", s.entries, required);
  }
};

struct prepared_entry {
  std::string id;
  outgoing_message message;
};

struct prepared_batch {
  std::vector<prepared_entry> good;
  json failed = json::array(); ///< entries of the answer: one bad entry stops no other
};

tl::expected<prepared_batch, sqs_error> prepare(const send_batch& r) {
  if (auto good = check_entries(r.entries); !good)
    return tl::unexpected<sqs_error>{good.error()};
  prepared_batch out;
  std::size_t bytes = 0;
  for (const auto& e : r.entries) {
    auto m = message_of(e);
    if (!m) {
      out.failed.push_back(failed_entry(e.id, m.error()));
      continue;
    }
    bytes += size_of(*m);
    out.good.push_back({e.id, std::move(*m)});
  }
  if (bytes > limits::queue_message_bytes_max)
    return refuse_sqs("BatchRequestTooLong",
                      fmt::format("the messages have {} bytes together, more than {}", bytes,
                                  limits::queue_message_bytes_max));
  return out;
}

void send_all(const sqs_context& context, std::string queue, send_batch r, sqs_reply done) {
  auto batch = prepare(r);
  if (!batch)
    return done(tl::unexpected<sqs_error>{batch.error()});
  std::vector<outgoing_message> messages;
  for (const auto& e : batch->good)
    messages.push_back(e.message);
  auto answer = answer_batch<message_id>(
      std::move(done), std::move(batch->good),
      [](json& to, const prepared_entry& e, const result<message_id>& id) {
        add_sent(to, e.message, *id);
      },
      std::move(batch->failed));
  context.queues.send(std::move(queue), std::move(messages), context.sender, std::move(answer));
}

// ---- ReceiveMessage -------------------------------------------------------------------------

struct receive_message : by_queue_url {
  std::vector<std::string> old_system_names, system_names, attribute_names;
  std::int64_t count = 1;
  std::optional<std::int64_t> visibility, wait;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_queue_url::fields(s, v);
    v("AttributeNames", s.old_system_names); // the name they had first
    v("MessageSystemAttributeNames", s.system_names);
    v("MessageAttributeNames", s.attribute_names);
    v("MaxNumberOfMessages", s.count);
    v("VisibilityTimeout", s.visibility);
    v("WaitTimeSeconds", s.wait);
    v.unsupported("ReceiveRequestAttemptId");
  }
};

/// All that can be wrong with it but the queue: what is refused later has taken
/// messages already.
tl::expected<void, sqs_error> check(const receive_message& r) {
  if (r.count < 1 || r.count > static_cast<std::int64_t>(entries_max))
    return refuse_sqs("InvalidParameterValue",
                      fmt::format("MaxNumberOfMessages: {} is not within 1 … {}", r.count,
                                  entries_max));
  if (auto good = check_system_names("AttributeNames", r.old_system_names); !good)
    return good;
  return check_system_names("MessageSystemAttributeNames", r.system_names);
}

void receive(const sqs_context& context, std::string queue, receive_message r, sqs_reply done) {
  if (auto good = check(r); !good)
    return done(tl::unexpected<sqs_error>{good.error()});
  r.system_names.insert(r.system_names.end(), r.old_system_names.begin(),
                        r.old_system_names.end());
  auto answer = [names = std::move(r.system_names), attributes = std::move(r.attribute_names)](
                    const std::vector<received_message>& messages) {
    json out = json::object();
    for (const auto& m : messages)
      out["Messages"].push_back(message_json(m, names, attributes));
    return out;
  };
  context.queues.receive(
      std::move(queue), {static_cast<std::size_t>(r.count), r.visibility, r.wait},
      answer_sqs_with<std::vector<received_message>>(std::move(done), std::move(answer)));
}

// ---- DeleteMessage, ChangeMessageVisibility ---------------------------------------------------

struct receipt_fields {
  std::string receipt;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ReceiptHandle", s.receipt, required);
  }
};

struct visibility_fields : receipt_fields {
  std::int64_t seconds = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    receipt_fields::fields(s, v);
    v("VisibilityTimeout", s.seconds, required);
  }
};

template <class Fields>
struct one_of : by_queue_url, Fields {
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_queue_url::fields(s, v);
    Fields::fields(s, v);
  }
};

template <class Fields>
struct entry_of : Fields {
  std::string id;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id, required);
    Fields::fields(s, v);
  }
};

template <class Fields>
struct batch_of : by_queue_url {
  std::vector<entry_of<Fields>> entries;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_queue_url::fields(s, v);
    v("Entries", s.entries, required);
  }
};

void erase(const sqs_context& context, std::string queue, one_of<receipt_fields> r,
           sqs_reply done) {
  context.queues.erase(std::move(queue), {std::move(r.receipt)},
                       answer_one<void>(std::move(done), nothing_said));
}

void erase_all(const sqs_context& context, std::string queue, batch_of<receipt_fields> r,
               sqs_reply done) {
  if (auto good = check_entries(r.entries); !good)
    return done(tl::unexpected<sqs_error>{good.error()});
  std::vector<std::string> receipts;
  for (const auto& e : r.entries)
    receipts.push_back(e.receipt);
  context.queues.erase(std::move(queue), std::move(receipts),
                       answer_batch<void>(std::move(done), std::move(r.entries),
                                          [](json&, const auto&, const auto&) {}));
}

void hide(const sqs_context& context, std::string queue, one_of<visibility_fields> r,
          sqs_reply done) {
  context.queues.hide(std::move(queue), {{std::move(r.receipt), r.seconds}},
                      answer_one<void>(std::move(done), nothing_said));
}

void hide_all(const sqs_context& context, std::string queue, batch_of<visibility_fields> r,
              sqs_reply done) {
  if (auto good = check_entries(r.entries); !good)
    return done(tl::unexpected<sqs_error>{good.error()});
  std::vector<queue_service::hide_request> orders;
  for (const auto& e : r.entries)
    orders.push_back({e.receipt, e.seconds});
  context.queues.hide(std::move(queue), std::move(orders),
                      answer_batch<void>(std::move(done), std::move(r.entries),
                                         [](json&, const auto&, const auto&) {}));
}

} // namespace

void add_sqs_message_actions(sqs_action_table& table) {
  table["SendMessage"] = make_queue_action(send);
  table["SendMessageBatch"] = make_queue_action(send_all);
  table["ReceiveMessage"] = make_queue_action(receive);
  table["DeleteMessage"] = make_queue_action(erase);
  table["DeleteMessageBatch"] = make_queue_action(erase_all);
  table["ChangeMessageVisibility"] = make_queue_action(hide);
  table["ChangeMessageVisibilityBatch"] = make_queue_action(hide_all);
}

} // namespace framemill
