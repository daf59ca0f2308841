#include "api/sqs/queue_attributes.hpp"
#include "api/sqs/sqs_action.hpp"

#include <algorithm>

namespace framemill {

std::string queue_url(const sqs_context& context, std::string_view name) {
  return context.base_url + std::string{name};
}

result<std::string> queue_of_url(const std::string& url) {
  const auto slash = url.rfind('/');
  auto name = slash == std::string::npos ? std::string{} : url.substr(slash + 1);
  if (!check_queue_name(name, "QueueUrl"))
    return fail_field(errc::not_found, "QueueUrl", "`{}` is not the URL of a queue", url);
  return name;
}

std::string arn_of(std::string_view queue) {
  return fmt::format("arn:aws:sqs:framemill:{}:{}", sqs_account, queue);
}

namespace {

// ---- CreateQueue, DeleteQueue, PurgeQueue -----------------------------------------------

struct create_queue {
  std::string name;
  attribute_map attributes;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("QueueName", s.name, required);
    v("Attributes", s.attributes);
    v.unsupported("tags");
  }
};

json url_answer(const sqs_context& context, const std::string& name) {
  return {{"QueueUrl", queue_url(context, name)}};
}

/// A queue that is there already is as good as a new one, if it is as asked for.
void answer_existing(const sqs_context& context, const create_queue& r, sqs_reply done) {
  auto compare = [r, done, answer = url_answer(context, r.name)](const result<queue_view>& v) {
    if (!v)
      return done(refuse_sqs(v.error()));
    auto wanted = v->record.settings;
    if (auto applied = apply_attributes(r.attributes, wanted); !applied)
      return done(tl::unexpected<sqs_error>{applied.error()});
    if (wanted != v->record.settings)
      return done(refuse_sqs("QueueNameExists",
                             fmt::format("there is a queue `{}` with other attributes", r.name)));
    done(answer);
  };
  context.queues.queue(r.name, std::move(compare));
}

void create(const sqs_context& context, create_queue r, sqs_reply done) {
  queue_settings settings;
  if (auto applied = apply_attributes(r.attributes, settings); !applied)
    return done(tl::unexpected<sqs_error>{applied.error()});
  context.queues.create_queue(r.name, settings, [context, r, done](const result<void>& made) {
    if (made)
      return done(url_answer(context, r.name));
    if (made.error().code == errc::already_exists)
      return answer_existing(context, r, done);
    done(tl::unexpected<sqs_error>{attribute_error(made.error())});
  });
}

void remove(const sqs_context& context, std::string queue, by_queue_url, sqs_reply done) {
  context.queues.remove_queue(std::move(queue), answer_sqs_empty(std::move(done)));
}

void purge(const sqs_context& context, std::string queue, by_queue_url, sqs_reply done) {
  context.queues.purge_queue(std::move(queue), answer_sqs_empty(std::move(done)));
}

// ---- GetQueueUrl, ListQueues, ListDeadLetterSourceQueues ----------------------------------

struct name_query {
  std::string name;
  std::string owner;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("QueueName", s.name, required);
    v("QueueOwnerAWSAccountId", s.owner);
  }
};

void find_url(const sqs_context& context, name_query r, sqs_reply done) {
  if (!r.owner.empty() && r.owner != sqs_account)
    return done(refuse_sqs("QueueDoesNotExist",
                           fmt::format("there is no account {}, only {}", r.owner, sqs_account)));
  auto answer = url_answer(context, r.name);
  context.queues.queue(r.name, answer_sqs_with<queue_view>(
                                   std::move(done), [answer](const queue_view&) { return answer; }));
}

/// A window of the queues, in the order of their names.
struct queue_page {
  std::int64_t limit = 1000;
  std::string after;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("MaxResults", s.limit);
    v("NextToken", s.after); // the last name of the page before
  }
};

tl::expected<void, sqs_error> check(const queue_page& p) {
  if (p.limit < 1 || p.limit > 1000)
    return refuse_sqs("InvalidParameterValue",
                      fmt::format("MaxResults: {} is not within 1 … 1000", p.limit));
  return {};
}

/// The URLs of those that are `wanted` as `member`, and where the next page begins.
template <class Wanted>
json page_json(const sqs_context& context, const std::vector<queue_view>& all,
               const queue_page& p, const char* member, Wanted wanted) {
  auto urls = json::array();
  std::string last;
  for (const auto& v : all) {
    const auto& name = v.record.name;
    const bool is_of_subscription = name.find('/') != std::string::npos;
    if (name <= p.after || is_of_subscription || !wanted(v))
      continue;
    if (urls.size() == static_cast<std::size_t>(p.limit))
      return {{member, std::move(urls)}, {"NextToken", last}};
    urls.push_back(queue_url(context, name));
    last = name;
  }
  return {{member, std::move(urls)}};
}

struct list_queues : queue_page {
  std::string prefix;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("QueueNamePrefix", s.prefix);
    queue_page::fields(s, v);
  }
};

void list(const sqs_context& context, list_queues r, sqs_reply done) {
  if (auto good = check(r); !good)
    return done(tl::unexpected<sqs_error>{good.error()});
  auto page = [context, r](const std::vector<queue_view>& all) {
    return page_json(context, all, r, "QueueUrls", [](const queue_view&) { return true; });
  };
  context.queues.queues(r.prefix,
                        answer_sqs_with<std::vector<queue_view>>(std::move(done), std::move(page)));
}

struct list_sources : by_queue_url, queue_page {
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_queue_url::fields(s, v);
    queue_page::fields(s, v);
  }
};

/// The queues whose dead letters go to this one; it must be there itself.
void list_dead_letter_sources(const sqs_context& context, std::string queue, list_sources r,
                              sqs_reply done) {
  if (auto good = check(r); !good)
    return done(tl::unexpected<sqs_error>{good.error()});
  auto page = [context, r, queue](const std::vector<queue_view>& all) -> sqs_result {
    if (std::none_of(all.begin(), all.end(),
                     [&](const queue_view& v) { return v.record.name == queue; }))
      return refuse_sqs("QueueDoesNotExist",
                        fmt::format("QueueUrl: there is no queue `{}`", queue));
    return page_json(context, all, r, "queueUrls", [&](const queue_view& v) {
      return v.record.settings.dead_letter_queue == queue;
    });
  };
  context.queues.queues("",
                        answer_sqs_with<std::vector<queue_view>>(std::move(done), std::move(page)));
}

// ---- Attributes -----------------------------------------------------------------------------

struct get_attributes : by_queue_url {
  std::vector<std::string> names;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_queue_url::fields(s, v);
    v("AttributeNames", s.names);
  }
};

void describe(const sqs_context& context, std::string queue, get_attributes r, sqs_reply done) {
  auto answer = [names = std::move(r.names)](const queue_view& v) -> sqs_result {
    auto attributes = attributes_of(v, names);
    if (!attributes)
      return tl::unexpected<sqs_error>{attributes.error()};
    return attributes->empty() ? json::object() : json{{"Attributes", *attributes}};
  };
  context.queues.queue(std::move(queue),
                       answer_sqs_with<queue_view>(std::move(done), std::move(answer)));
}

struct set_attributes : by_queue_url {
  attribute_map attributes;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    by_queue_url::fields(s, v);
    v("Attributes", s.attributes, required);
  }
};

void change(const sqs_context& context, std::string queue, set_attributes r, sqs_reply done) {
  auto& queues = context.queues;
  auto reset = [&queues, r = std::move(r), done](const result<queue_view>& v) {
    if (!v)
      return done(refuse_sqs(v.error()));
    auto settings = v->record.settings;
    if (auto applied = apply_attributes(r.attributes, settings); !applied)
      return done(tl::unexpected<sqs_error>{applied.error()});
    queues.reset_queue(v->record.name, settings, [done](const result<void>& changed) {
      if (!changed)
        return done(tl::unexpected<sqs_error>{attribute_error(changed.error())});
      done(json::object());
    });
  };
  queues.queue(std::move(queue), std::move(reset));
}

void refuse_tags(const sqs_context&, const json&, sqs_reply done) {
  done(refuse_sqs("UnsupportedOperation", "queues have no tags on this server"));
}

void refuse_permissions(const sqs_context&, const json&, sqs_reply done) {
  done(refuse_sqs("UnsupportedOperation",
                  "queues have no permissions of their own on this server: whoever has a key of "
                  "the API may use them"));
}

} // namespace

void add_sqs_queue_actions(sqs_action_table& table) {
  constexpr bool changes = true;
  table["CreateQueue"] = make_sqs_action(create, changes);
  table["DeleteQueue"] = make_queue_action(remove, changes);
  table["PurgeQueue"] = make_queue_action(purge, changes);
  table["SetQueueAttributes"] = make_queue_action(change, changes);
  table["GetQueueUrl"] = make_sqs_action(find_url);
  table["ListQueues"] = make_sqs_action(list);
  table["ListDeadLetterSourceQueues"] = make_queue_action(list_dead_letter_sources);
  table["GetQueueAttributes"] = make_queue_action(describe);
  for (const auto* name : {"TagQueue", "UntagQueue", "ListQueueTags"})
    table[name] = {false, refuse_tags};
  for (const auto* name : {"AddPermission", "RemovePermission"})
    table[name] = {false, refuse_permissions};
}

} // namespace framemill
