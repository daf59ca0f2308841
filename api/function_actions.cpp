#include "api/action.hpp"
#include "core/base64.hpp"
#include "core/limits.hpp"
#include "storage/records.hpp"

// Functions: docs/cluster-api.md and docs/functions.md are their contract.

namespace framemill {

namespace {

constexpr std::int64_t logs_limit_max = 1000;

struct by_function {
  std::string name;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
  }
};

result<function_record> find_function(const state_store& store, const std::string& name) {
  FM_TRY(auto found,
         find_record<function_record>(store, family::functions, keys::function(name)));
  if (!found)
    return fail_field(errc::not_found, "Name", "there is no function {}", name);
  return std::move(*found);
}

result<std::vector<function_trigger>> all_triggers(const state_store& store) {
  std::vector<function_trigger> out;
  FM_CHECK(
      scan_records<function_trigger>(store, family::function_triggers, "", "", [&](auto t) {
        out.push_back(std::move(t));
        return true;
      }));
  return out;
}

// ---- Creating and changing ------------------------------------------------------------

struct source_file {
  std::string name;
  std::string content; ///< base64
  bool executable = false;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
    v("Content", s.content, required);
    v("Executable", s.executable);
  }
};

/// What Create and Update have in common.
struct edit_request {
  std::string name;
  std::optional<std::vector<source_file>> files;
  function_edit edit;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
    v("Description", s.edit.description);
    v("Enabled", s.edit.enabled);
    v("Runtime", s.edit.runtime);
    v("Handler", s.edit.handler);
    v("Files", s.files);
    v("Environment", s.edit.set_environment);
    v("Secrets", s.edit.set_secrets);
    v("Timeout", s.edit.timeout);
    v("MemoryBytes", s.edit.memory_bytes);
    v("Concurrency", s.edit.concurrency);
    v("OutputBytesMax", s.edit.output_bytes_max);
    v("Network", s.edit.network);
    v("Buckets", s.edit.buckets);
  }
};

struct create_function {
  edit_request what;
  std::string from_template;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    edit_request::fields(s.what, v);
    v("Template", s.from_template);
  }
};

struct update_function {
  edit_request what;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    edit_request::fields(s.what, v);
    v("FromVersion", s.what.edit.from_version);
    v("RemoveEnvironment", s.what.edit.remove_environment);
    v("RemoveSecrets", s.what.edit.remove_secrets);
  }
};

result<function_edit> edit_of(edit_request r) {
  if (!r.files)
    return std::move(r.edit);
  auto& files = r.edit.files.emplace();
  for (auto& f : *r.files) {
    auto content = decode_base64(f.content);
    if (!content)
      return fail_field(errc::invalid_argument, "Files", "the content of {}: {}", f.name,
                        content.error().message);
    files.push_back({std::move(f.name), std::move(*content), f.executable, {}});
  }
  return std::move(r.edit);
}

/// The function as it is now.
gateway::reply<void> answer_function(const action_context& context, std::string name,
                                     api_reply done) {
  return [&store = context.system.store(), name = std::move(name),
          done = std::move(done)](const result<void>& r) {
    if (!r)
      return done(refuse(r.error()));
    auto f = find_function(store, name);
    done(f ? api_result{json{{"Function", to_json_value(*f)}}} : refuse(f.error()));
  };
}

void create(const action_context& context, create_function request, api_reply done) {
  auto name = request.what.name;
  auto edit = edit_of(std::move(request.what));
  if (!edit)
    return done(refuse(edit.error()));
  context.system.create_function(name, std::move(request.from_template), std::move(*edit),
                                 answer_function(context, name, std::move(done)));
}

void update(const action_context& context, update_function request, api_reply done) {
  auto name = request.what.name;
  auto edit = edit_of(std::move(request.what));
  if (!edit)
    return done(refuse(edit.error()));
  context.system.update_function(name, std::move(*edit),
                                 answer_function(context, name, std::move(done)));
}

void remove(const action_context& context, by_function request, api_reply done) {
  context.system.delete_function(std::move(request.name), answer_empty(std::move(done)));
}

// ---- Looking --------------------------------------------------------------------------

result<json> list_json(const state_store& store, const function_status& status) {
  std::vector<function_record> found;
  const auto prefix = keys::function("");
  FM_CHECK(scan_records<function_record>(store, family::functions, prefix, prefix_end(prefix),
                                         [&](function_record f) {
                                           found.push_back(std::move(f));
                                           return true;
                                         }));
  FM_TRY(auto triggers, all_triggers(store));
  return json{{"Functions", to_json_value(found)},
              {"Triggers", to_json_value(triggers)},
              {"Status", to_json_value(status)}};
}

void describe_all(const action_context& context, empty_request, api_reply done) {
  context.system.functions([&store = context.system.store(),
                            done = std::move(done)](result<function_status> status) {
    if (!status)
      return done(refuse(status.error()));
    answer(done, list_json(store, *status));
  });
}

result<json> one_json(const state_store& store, const std::string& name) {
  FM_TRY(auto f, find_function(store, name));
  FM_TRY(auto triggers, all_triggers(store));
  std::erase_if(triggers, [&](const auto& t) { return t.function != name; });
  return json{{"Function", to_json_value(f)}, {"Triggers", to_json_value(triggers)}};
}

void describe(const action_context& context, by_function request, api_reply done) {
  answer(done, one_json(context.system.store(), request.name));
}

// ---- Binding --------------------------------------------------------------------------

struct bind_request {
  std::string event_type;
  std::string name;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("EventType", s.event_type, required);
    v("Name", s.name, required);
  }
};

void bind(const action_context& context, bind_request request, api_reply done) {
  context.system.bind_function(std::move(request.event_type), std::move(request.name),
                               answer_empty(std::move(done)));
}

struct by_event_type {
  std::string event_type;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("EventType", s.event_type, required);
  }
};

void unbind(const action_context& context, by_event_type request, api_reply done) {
  context.system.unbind_function(std::move(request.event_type), answer_empty(std::move(done)));
}

struct enable_trigger {
  std::string event_type;
  bool enabled = true;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("EventType", s.event_type, required);
    v("Enabled", s.enabled, required);
  }
};

void set_trigger_enabled(const action_context& context, enable_trigger request,
                         api_reply done) {
  context.system.set_trigger_enabled(std::move(request.event_type), request.enabled,
                                     answer_empty(std::move(done)));
}

// ---- Calling --------------------------------------------------------------------------

struct invoke_function {
  std::string name;
  json event;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
    v("Event", s.event);
  }
};

/// The longest of calls, and a minute to wait for its turn and to start.
constexpr std::chrono::milliseconds invoke_timeout =
    limits::function_timeout_max + std::chrono::minutes{1};

json invocation_json(invocation_result r) {
  auto answer = parse_json(r.answer);
  return {{"Invocation", to_json_value(r.record)},
          {"Answer", answer ? std::move(*answer) : json{}}};
}

void invoke(const action_context& context, invoke_function request, api_reply done) {
  if (auto known = find_function(context.system.store(), request.name); !known)
    return done(refuse(known.error()));
  function_invocation call;
  call.function = std::move(request.name);
  call.body = to_text(request.event);
  context.system.invoke_function(
      std::move(call), answer_with<invocation_result>(std::move(done), {}, invocation_json));
}

// ---- Logs -----------------------------------------------------------------------------

struct describe_logs {
  std::string name;
  log_query query;
  std::int64_t limit = 100;
  std::string before;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
    v("Since", s.query.since);
    v("Until", s.query.until);
    v("Grep", s.query.grep);
    v("Failed", s.query.failed);
    v("Limit", s.limit);
    v("Before", s.before);
  }
};

/// Newest first. `Next` is the request id of the last one; to go on there, it is
/// looked for again: a log has at most some thousand lines.
result<json> list_logs(const state_store& store, const describe_logs& r) {
  FM_CHECK(framemill::check(page{0, r.limit}, logs_limit_max));
  const auto prefix = keys::invocations(r.name);
  std::vector<invocation_record> found;
  bool more = false, is_behind = r.before.empty();
  FM_CHECK(scan_records<invocation_record>(
      store, family::function_logs, keys::invocations(r.name, r.query.since),
      prefix_end(prefix),
      [&](invocation_record i) {
        if (!std::exchange(is_behind, is_behind || i.request_id == r.before)
            || !matches(i, r.query))
          return true;
        more = found.size() == static_cast<std::size_t>(r.limit);
        if (!more)
          found.push_back(std::move(i));
        return !more;
      },
      true));
  if (!is_behind)
    return fail_field(errc::not_found, "Before", "no call {} of {} is in the log", r.before,
                      r.name);
  return json{{"Invocations", to_json_value(found)},
              {"Next", more ? found.back().request_id : ""}};
}

void describe_logs_action(const action_context& context, describe_logs request,
                          api_reply done) {
  answer(done, list_logs(context.system.store(), request));
}

} // namespace

void add_function_actions(action_table& table) {
  using enum effect;
  table["CreateFunction"] = make_action(changes, create);
  table["UpdateFunction"] = make_action(changes, update);
  table["DeleteFunction"] = make_action(changes, remove);
  table["DescribeFunctions"] = make_action(reads, describe_all);
  table["DescribeFunction"] = make_action(reads, describe);
  table["BindFunction"] = make_action(changes, bind);
  table["UnbindFunction"] = make_action(changes, unbind);
  table["SetTriggerEnabled"] = make_action(changes, set_trigger_enabled);
  table["InvokeFunction"] = make_action(changes, invoke);
  table["InvokeFunction"].answer_timeout = invoke_timeout;
  table["DescribeFunctionLogs"] = make_action(reads, describe_logs_action);
}

} // namespace framemill
