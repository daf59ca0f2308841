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
std::string of(template_family f, std::uint64_t definition) {
  return fmt::format("{}/{:016x}", to_string(f), definition);
}

} // namespace framemill::keys
