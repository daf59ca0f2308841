#include "notify/function_call.hpp"

#include "core/limits.hpp"
#include "core/object_path.hpp"
#include "notify/function_rules.hpp"

#include <algorithm>

namespace framemill {

namespace {

std::string text_in(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>()
                                                     : std::string{};
}

result<wanted_file> read_file(const json& file, const function_version& v) {
  if (!file.is_object() || !file.contains("bucket") || !file.contains("key")
      || !file.contains("body"))
    return fail(errc::malformed, "each of `files` needs bucket, key and body");
  wanted_file out;
  out.bucket = text_in(file, "bucket");
  const auto& body = file["body"];
  out.body = body.is_string() ? body.get<std::string>() : to_text(body);
  FM_TRY(out.key, normalize_key(text_in(file, "key")));
  if (!is_granted(v.buckets, out.bucket, out.key))
    return fail(errc::unauthorized, "it may not write {}/{}: no grant covers that", out.bucket,
                out.key);
  return out;
}

} // namespace

std::map<std::string, std::string>
function_environment(const std::string& function, const function_version& v,
                     const std::map<std::string, std::string>& secrets) {
  std::map<std::string, std::string> out{{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                                         {"HOME", "/fn/work"},
                                         {"TMPDIR", "/fn/work"},
                                         {"LANG", "C.UTF-8"}};
  for (const auto* variables : {&v.environment, &secrets})
    for (const auto& [name, value] : *variables)
      out[name] = value;
  out["FRAMEMILL_FUNCTION"] = function;
  out["FRAMEMILL_VERSION"] = std::to_string(v.number);
  return out;
}

void add_call(std::map<std::string, std::string>& environment, const function_invocation& call,
              const std::string& request_id) {
  environment["FRAMEMILL_REQUEST_ID"] = request_id;
  environment["FRAMEMILL_EVENT_TYPE"] = call.event_type;
  environment["FRAMEMILL_EVENT_ID"] = std::to_string(call.event.value);
  environment["FRAMEMILL_RUN_ID"] = std::to_string(call.run.value);
  environment["FRAMEMILL_ATTEMPT"] = std::to_string(call.attempt);
}

std::string node_call(const function_invocation& call, const function_version& v,
                      const std::string& request_id) {
  json context{{"request_id", request_id},
               {"function_name", call.function},
               {"function_version", std::to_string(v.number)},
               {"time_limit_in_ms", v.timeout.count() / 1000},
               {"memory_limit_in_mb", v.memory_bytes >> 20},
               {"event_type", call.event_type},
               {"event_id", call.event.value},
               {"run_id", call.run.value},
               {"attempt", call.attempt}};
  auto body = call.body;
  std::ranges::replace(body, '\n', ' '); // white space of the JSON: text has none in it
  return R"({"Event":)" + body + R"(,"Context":)" + to_text(context) + "}";
}

function_answer judge_node(std::string_view line) {
  auto answer = parse_json(line);
  if (!answer || !answer->is_object() || !answer->contains("Ok")
      || !(*answer)["Ok"].is_boolean())
    return {"it wrote on descriptor 3, which is not its own", {}, true};
  if (!(*answer)["Ok"].get<bool>()) {
    auto error = text_in(*answer, "Error");
    return {error.empty() ? "it threw nothing that has words" : error, {}, false};
  }
  return {{}, answer->value("Answer", json{}), false};
}

function_answer judge_executable(std::string_view text) {
  if (std::ranges::all_of(text, [](char c) { return c == ' ' || c == '\n' || c == '\t'; }))
    return {};
  auto answer = parse_json(text);
  if (!answer)
    return {"its answer on descriptor 3 is not JSON: " + answer.error().message, {}, false};
  return {{}, std::move(*answer), false};
}

result<std::vector<wanted_file>> wanted_files(const json& answer, const function_version& v) {
  std::vector<wanted_file> out;
  if (!answer.is_object() || !answer.contains("files"))
    return out;
  const auto& files = answer["files"];
  if (!files.is_array())
    return fail(errc::malformed, "`files` of its answer is no list");
  if (files.size() > limits::function_files_written_max)
    return fail(errc::too_large, "its answer has {} files, more than {}", files.size(),
                limits::function_files_written_max);
  for (const auto& file : files) {
    FM_TRY(auto wanted, read_file(file, v));
    out.push_back(std::move(wanted));
  }
  return out;
}

} // namespace framemill
