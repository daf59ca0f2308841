#include "storage/records.hpp"

namespace framemill::keys {

std::string number(std::uint64_t n) { return fmt::format("{:016x}", n); }
std::string of(workflow_id id) { return number(id.value); }
std::string of(run_id id) { return number(id.value); }
std::string of(event_id id) { return number(id.value); }
std::string of(shard_id id) { return fmt::format("{:016x}/{:08x}", id.run.value, id.index); }
std::string job(run_id run, std::uint32_t index) {
  return fmt::format("{:016x}/{:08x}", run.value, index);
}
std::string prefix(run_id run) { return fmt::format("{:016x}/", run.value); }
std::string object(std::string_view bucket, std::string_view key) {
  std::string out{bucket};
  out.push_back('\0');
  out += key;
  return out;
}
std::string join_token(std::string_view id) { return "join-token/" + std::string{id}; }
std::string of(const input_blame& b) { return "input/" + run_key(b.input, {}, 0); }
std::string of(const node_blame& b) { return "node/" + b.node; }
std::string of(const service_id& id) { return fmt::format("service/{}/{}", id.kind, id.name); }
std::string queue(std::string_view name) { return std::string{queue_prefix} + std::string{name}; }
std::string topic(std::string_view name) { return std::string{topic_prefix} + std::string{name}; }
std::string subscription(std::string_view topic, std::string_view name) {
  return fmt::format("{}{}/{}", subscription_prefix, topic, name);
}
std::string message_body(message_id id) { return fmt::format("body/{:016x}", id.value); }
std::string of(message_id id) { return number(id.value); }
std::string signing_key(std::string_view id) { return "signing-key/" + std::string{id}; }
std::string prefix(delivery_state state) { return fmt::format("{}/", to_string(state)); }
std::string prefix(delivery_state state, std::string_view sink) {
  auto out = prefix(state) + std::string{sink};
  out.push_back('\0');
  return out;
}
std::string delivery(delivery_state state, std::string_view sink, event_id event) {
  return prefix(state, sink) + of(event);
}
std::string function(std::string_view name) { return "function/" + std::string{name}; }
std::string function_secrets(std::string_view name) { return "secrets/" + std::string{name}; }
std::string function_code(std::string_view sha256) { return "code/" + std::string{sha256}; }
std::string invocations(std::string_view function) {
  std::string out{function};
  out.push_back('\0');
  return out;
}
std::string invocations(std::string_view function, timestamp since) {
  return invocations(function) + number(static_cast<std::uint64_t>(since.us));
}
std::string invocation(const invocation_record& r) {
  auto out = invocations(r.function, r.started);
  out.push_back('\0');
  return out + r.request_id;
}
std::string of(template_family f, std::uint64_t definition) {
  return fmt::format("{}/{:016x}", to_string(f), definition);
}

} // namespace framemill::keys
