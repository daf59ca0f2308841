#include "notify/function_catalog.hpp"

#include "core/limits.hpp"
#include "notify/function_rules.hpp"

#include <algorithm>
#include <array>

namespace framemill {

namespace {

constexpr auto event_types =
    std::to_array<std::string_view>({"WorkflowTask", "EditMediaTask", "ScheduleTask"});

failure no_function(const std::string& name) {
  return fail_field(errc::not_found, "Name", "there is no function {}", name);
}
failure not_bound(const std::string& event_type) {
  return fail_field(errc::not_found, "EventType", "no function is bound to {}", event_type);
}

bool makes_version(const function_edit& e) {
  return e.from_version != 0 || e.runtime || e.handler || e.files || !e.set_environment.empty()
         || !e.set_secrets.empty() || !e.remove_environment.empty() || !e.remove_secrets.empty()
         || e.timeout || e.memory_bytes || e.output_bytes_max || e.concurrency || e.network
         || e.buckets;
}

/// Setting wins over removing; removing what is not there is an error.
result<void> change_variables(const char* field, std::map<std::string, std::string>& variables,
                              const std::map<std::string, std::string>& set,
                              const std::vector<std::string>& remove) {
  for (const auto& name : remove)
    if (variables.erase(name) == 0)
      return fail_field(errc::not_found, field, "there is no variable {}", name);
  for (const auto& [name, value] : set)
    variables[name] = value;
  return {};
}

std::vector<function_file> files_of(const std::vector<function_source>& sources) {
  std::vector<function_file> out;
  for (const auto& s : sources)
    out.push_back({s.name, s.sha256, s.content.size(), s.executable});
  std::ranges::sort(out, {}, &function_file::name);
  return out;
}

/// What the code itself suggests: its one file, or the usual name.
std::string default_handler(const function_version& v) {
  if (v.runtime == function_runtime::executable)
    return v.files.size() == 1 ? v.files[0].name : "main";
  if (v.files.size() != 1)
    return "index.main_handler";
  return v.files[0].name.substr(0, v.files[0].name.rfind('.')) + ".main_handler";
}

result<function_version> apply(function_version v, const function_edit& e) {
  auto take = [](auto& to, const auto& from) {
    if (from)
      to = *from;
  };
  take(v.runtime, e.runtime);
  if (e.files)
    v.files = files_of(*e.files);
  take(v.handler, e.handler);
  if (v.handler.empty())
    v.handler = default_handler(v);
  take(v.timeout, e.timeout);
  take(v.memory_bytes, e.memory_bytes);
  take(v.output_bytes_max, e.output_bytes_max);
  take(v.concurrency, e.concurrency);
  take(v.network, e.network);
  take(v.buckets, e.buckets);
  if (!e.made_from.empty())
    v.made_from = e.made_from;
  FM_CHECK(
      change_variables("Environment", v.environment, e.set_environment, e.remove_environment));
  return v;
}

/// The version that an edit begins with.
result<function_version> base_of(const function_record& f, std::uint64_t number) {
  if (f.versions.empty())
    return function_version{};
  if (number == 0)
    return f.versions.back();
  auto found = std::ranges::find(f.versions, number, &function_version::number);
  if (found == f.versions.end())
    return fail_field(errc::not_found, "FromVersion", "function {} has no version {} any more",
                      f.name, number);
  return *found;
}

} // namespace

result<void> check_event_type(std::string_view type) {
  if (std::ranges::find(event_types, type) != event_types.end())
    return {};
  return fail_field(errc::invalid_argument, "EventType",
                    "`{}` is not one of: WorkflowTask, EditMediaTask, ScheduleTask", type);
}

void function_catalog::load(function_record f) { functions_[f.name] = std::move(f); }
void function_catalog::load(function_secrets s) { secrets_[s.function] = std::move(s); }
void function_catalog::load(function_trigger t) { triggers_[t.event_type] = std::move(t); }

result<changes> function_catalog::create(timestamp now, const std::string& name,
                                         const function_edit& edit) {
  FM_CHECK(check_function_name(name));
  if (functions_.contains(name))
    return fail_field(errc::already_exists, "Name", "there is a function {} already", name);
  if (functions_.size() >= limits::functions_max)
    return fail_field(errc::too_large, "Name", "there are {} functions already",
                      limits::functions_max);
  if (!edit.runtime)
    return fail_field(errc::missing_argument, "Runtime", "is it `nodejs` or `executable`?");
  function_record f;
  f.name = name;
  f.created = now;
  return write(name, std::move(f), edit, now);
}

result<changes> function_catalog::update(timestamp now, const std::string& name,
                                         const function_edit& edit) {
  const auto* f = find(name);
  return f == nullptr ? no_function(name) : write(name, *f, edit, now);
}

result<changes> function_catalog::write(const std::string& name, function_record f,
                                        const function_edit& edit, timestamp now) {
  f.description = edit.description.value_or(f.description);
  f.enabled = edit.enabled.value_or(f.enabled);
  if (f.description.size() > limits::function_description_bytes_max)
    return fail_field(errc::too_large, "Description", "{} bytes are more than {}",
                      f.description.size(), limits::function_description_bytes_max);
  changes out;
  const auto was = f;
  if (f.versions.empty() || makes_version(edit)) {
    FM_TRY(auto base, base_of(f, edit.from_version));
    FM_TRY(auto next, apply(std::move(base), edit));
    auto values = secrets(name);
    FM_CHECK(change_variables("Secrets", values, edit.set_secrets, edit.remove_secrets));
    FM_CHECK(validate(next, values));
    next.number = f.versions.empty() ? 1 : f.versions.back().number + 1;
    next.created = now;
    f.versions.push_back(std::move(next));
    if (f.versions.size() > limits::function_versions_max)
      f.versions.erase(f.versions.begin());
    f.secrets.clear();
    for (const auto& [secret, value] : values)
      f.secrets.push_back(secret);
    secrets_[name] = {name, std::move(values)};
    out.secrets.push_back(secrets_[name]);
    add_code(out, edit);
  }
  functions_[name] = f;
  drop_code(out, was);
  out.functions.push_back(std::move(f));
  return out;
}

void function_catalog::add_code(changes& to, const function_edit& edit) const {
  if (edit.files)
    for (const auto& s : *edit.files)
      if (!is_used(s.sha256))
        to.function_code.emplace_back(s.sha256, s.content);
}

void function_catalog::drop_code(changes& to, const function_record& was) const {
  for (const auto& v : was.versions)
    for (const auto& f : v.files)
      if (!is_used(f.sha256)
          && std::ranges::find(to.erased_function_code, f.sha256)
                 == to.erased_function_code.end())
        to.erased_function_code.push_back(f.sha256);
}

bool function_catalog::is_used(const std::string& sha256) const {
  for (const auto& [name, f] : functions_)
    for (const auto& v : f.versions)
      for (const auto& file : v.files)
        if (file.sha256 == sha256)
          return true;
  return false;
}

result<changes> function_catalog::remove(const std::string& name) {
  auto f = functions_.find(name);
  if (f == functions_.end())
    return no_function(name);
  for (const auto& [type, t] : triggers_)
    if (t.function == name)
      return fail_field(errc::in_use, "Name", "function {} is bound to {}: unbind it first",
                        name, type);
  const auto was = std::move(f->second);
  functions_.erase(f);
  secrets_.erase(name);
  changes out;
  out.erased_functions.push_back(name);
  drop_code(out, was);
  return out;
}

result<changes> function_catalog::bind(timestamp now, const std::string& event_type,
                                       const std::string& function) {
  FM_CHECK(check_event_type(event_type));
  if (find(function) == nullptr)
    return no_function(function);
  if (auto bound = triggers_.find(event_type); bound != triggers_.end())
    return fail_field(errc::already_exists, "EventType", "{} is bound to function {} already",
                      event_type, bound->second.function);
  auto& t = triggers_[event_type];
  t = {event_type, function, true, now};
  changes out;
  out.function_triggers.push_back(t);
  return out;
}

result<changes> function_catalog::unbind(const std::string& event_type) {
  FM_CHECK(check_event_type(event_type));
  if (triggers_.erase(event_type) == 0)
    return not_bound(event_type);
  changes out;
  out.erased_function_triggers.push_back(event_type);
  return out;
}

result<changes> function_catalog::set_trigger_enabled(const std::string& event_type,
                                                      bool enabled) {
  FM_CHECK(check_event_type(event_type));
  auto t = triggers_.find(event_type);
  if (t == triggers_.end())
    return not_bound(event_type);
  t->second.enabled = enabled;
  changes out;
  out.function_triggers.push_back(t->second);
  return out;
}

const function_record* function_catalog::find(const std::string& name) const {
  auto f = functions_.find(name);
  return f == functions_.end() ? nullptr : &f->second;
}

const std::map<std::string, std::string>&
function_catalog::secrets(const std::string& name) const {
  static const std::map<std::string, std::string> none;
  auto s = secrets_.find(name);
  return s == secrets_.end() ? none : s->second.values;
}

} // namespace framemill
