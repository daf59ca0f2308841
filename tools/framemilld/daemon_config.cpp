#include "tools/framemilld/daemon_config.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <filesystem>
#include <set>

namespace framemill {

namespace {

/// Reads the keys of one table; what nobody asked for is an error.
class table_reader {
public:
  table_reader(const toml::table& t, std::string where) : table_(t), where_(std::move(where)) {}

  template <class T>
  void read(std::string_view key, T& to) {
    known_.insert(std::string{key});
    const auto* node = table_.get(key);
    if (node == nullptr || !status)
      return;
    if (auto value = node->value_exact<T>())
      to = *value;
    else
      status = fail_field(errc::malformed, std::string{key}, "{}{}: `{}` has the wrong type",
                          where_, line_of(*node), key);
  }
  void read(std::string_view key, std::vector<std::string>& to) {
    known_.insert(std::string{key});
    const auto* node = table_.get(key);
    if (node == nullptr || !status)
      return;
    const auto* items = node->as_array();
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i)
      if (auto text = items->get(i)->value_exact<std::string>())
        to.push_back(*text);
    if (items == nullptr || to.size() != items->size())
      status = fail_field(errc::malformed, std::string{key}, "{}{}: `{}` must list words",
                          where_, line_of(*node), key);
  }
  /// A whole one, too.
  void read_number(std::string_view key, double& to) {
    auto whole = std::int64_t{0};
    if (const auto* node = table_.get(key); node == nullptr || !node->is_integer())
      return read(key, to);
    read(key, whole);
    to = static_cast<double>(whole);
  }
  template <class Duration>
  void read_seconds(std::string_view key, Duration& to) {
    double seconds = 0;
    read_number(key, seconds);
    if (table_.contains(key) && status)
      to = std::chrono::duration_cast<Duration>(
          std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)});
  }
  void allow(std::string_view key) { known_.insert(std::string{key}); }
  /// All was read that there is, and could be.
  [[nodiscard]] result<void> finished() {
    for (const auto& [key, node] : table_)
      if (status && !known_.contains(std::string{key.str()}))
        status = fail_field(errc::unknown_argument, std::string{key.str()},
                            "{}{}: unknown key `{}`", where_, line_of(node), key.str());
    return status;
  }

  result<void> status;

private:
  static std::string line_of(const toml::node& n) {
    return fmt::format(":{}", n.source().begin.line);
  }
  const toml::table& table_;
  std::string where_;
  std::set<std::string> known_;
};

/// Each table of an array of them: `[[bucket]]`.
template <class Read>
result<void> read_tables(const toml::table& file, const std::string& path, std::string_view key,
                         Read read) {
  if (!file.contains(key))
    return {};
  const auto wrong = [&] {
    return fail_field(errc::malformed, std::string{key}, "{}: write {}s as [[{}]] tables", path,
                      key, key);
  };
  const auto* items = file[key].as_array();
  if (items == nullptr)
    return wrong();
  for (const auto& item : *items) {
    const auto* table = item.as_table();
    if (table == nullptr)
      return wrong();
    table_reader r{*table, path};
    FM_CHECK(read(r));
  }
  return {};
}

/// A table of its own: `read` takes its keys.
template <class Read>
result<void> read_table(const toml::table& file, std::string_view name, const std::string& path,
                        Read read) {
  if (!file.contains(name))
    return {};
  const auto* table = file[name].as_table();
  if (table == nullptr)
    return fail_field(errc::malformed, std::string{name}, "{}: write `{}` as a [{}] table", path,
                      name, name);
  table_reader r{*table, path};
  read(r);
  return r.finished();
}

constexpr std::chrono::hours drain_patience_max{24};
constexpr std::array log_levels{"trace", "debug", "info", "warn", "error"};

} // namespace

result<void> validate(const daemon_config& c) {
  if (std::find(log_levels.begin(), log_levels.end(), c.log_level) == log_levels.end())
    return fail_field(errc::invalid_argument, "log_level", "log_level `{}` is none of {}",
                      c.log_level, fmt::join(log_levels, ", "));
  if (c.drain_patience < c.drain_patience.zero() || c.drain_patience > drain_patience_max)
    return fail_field(errc::invalid_argument, "drain_seconds",
                      "drain_seconds must be 0 to {}, not {}",
                      std::chrono::seconds{drain_patience_max}.count(),
                      std::chrono::duration<double>{c.drain_patience}.count());
  return {};
}

result<void> read_config_file(const std::string& path, daemon_config& into) {
  toml::table file;
  try {
    file = toml::parse_file(path);
  } catch (const toml::parse_error& e) {
    return fail(errc::malformed, "{}:{}: {}", path, e.source().begin.line, e.description());
  }
  table_reader r{file, path};
  auto& n = into.node;
  std::int64_t slots = n.slots, cores = n.cores, memory_mib = n.memory_bytes >> 20;
  r.read("name", n.name);
  r.read("data_dir", n.data_dir);
  r.read("api_listen", into.api_listen);
  r.read("log_level", into.log_level);
  r.read("slots", slots);
  r.read("cores", cores);
  r.read("memory_mib", memory_mib);
  std::int64_t scratch_floor_mib = -1;
  r.read("scratch_floor_mib", scratch_floor_mib);
  r.read("media_program", n.media_program);
  r.read("allow_faults", n.allow_faults);
  r.read_seconds("scan_interval_seconds", n.scan_interval);
  r.read_seconds("settle_seconds", n.settle_quiet);
  r.read_seconds("stall_seconds", n.stall_limit);
  std::vector<std::string> roles;
  r.read("role", roles);
  auto& f = n.functions;
  std::int64_t log_days = f.log_age.count() / 24, processes = f.processes;
  auto log_count = static_cast<std::int64_t>(f.log_count);
  r.read("functions_dir", f.directory);
  r.read("function_processes", processes);
  r.read("function_log_days", log_days);
  r.read("function_log_count", log_count);
  r.read("cluster_listen", n.cluster.listen);
  std::int64_t enrolment_port = 0, data_port = 0;
  r.read("enrolment_port", enrolment_port);
  r.read("data_port", data_port);
  r.read("join", n.cluster.join);
  r.read("token", n.cluster.token);
  r.read_seconds("drain_seconds", into.drain_patience);
  r.allow("bucket");
  r.allow("device");
  r.allow("egress");
  r.allow("events");
  r.allow("sharding");
  FM_CHECK(r.finished());
  FM_CHECK(read_table(file, "sharding", path, [&](table_reader& t) {
    t.read("enabled", n.planning.allow_sharding);
    t.read_number("source_seconds_min", n.planning.shard_source_seconds_min);
    t.read_number("cpu_seconds_min", n.planning.shard_cpu_seconds_min);
    t.read_number("seconds_min", n.planning.shard_seconds_min);
    t.read_number("seconds_max", n.planning.shard_seconds_max);
  }));
  if (!roles.empty())
    FM_CHECK(read_roles(fmt::format("{}", fmt::join(roles, ",")), n.roles));
  for (auto [port, key] : {std::pair{enrolment_port, "enrolment_port"}, {data_port, "data_port"}})
    if (port < 0 || port > 65535)
      return fail_field(errc::invalid_argument, key, "{}: {} must be 0 to 65535", path, key);
  for (auto [number, key] : {std::pair{log_days, "function_log_days"},
                             {log_count, "function_log_count"},
                             {processes, "function_processes"}})
    if (number < 1 || number > 1'000'000)
      return fail_field(errc::invalid_argument, key, "{}: {} must be 1 to 1000000", path, key);
  f.processes = static_cast<int>(processes);
  f.log_age = std::chrono::hours{24 * log_days};
  f.log_count = static_cast<std::uint64_t>(log_count);
  n.cluster.enrolment_port = static_cast<std::uint16_t>(enrolment_port);
  n.cluster.data_port = static_cast<std::uint16_t>(data_port);
  FM_CHECK(read_table(file, "egress", path, [&](table_reader& t) {
    t.read("allow", n.events.egress_allow);
    t.read("deny", n.events.egress_deny);
  }));
  FM_CHECK(read_table(file, "events", path, [&](table_reader& t) {
    t.read_seconds("retry_seconds", n.events.retry_window);
    t.read("ca_file", n.events.ca_file);
    t.read("sqs_endpoint", n.events.sqs_endpoint);
    t.read("queue", n.events.queue);
    t.read("queue_credentials_file", n.events.queue_credentials_file);
    t.read("queue_create", n.events.queue_create);
    t.read("notifiers", n.events.notifiers);
  }));
  const auto whole = [](std::int64_t number) { // no bad one becomes a good one
    return static_cast<int>(std::clamp<std::int64_t>(number, -1, INT_MAX));
  };
  n.slots = whole(slots);
  n.cores = whole(cores);
  n.memory_bytes = memory_mib << 20;
  if (file.contains("scratch_floor_mib"))
    n.scratch_floor_bytes = scratch_floor_mib << 20;
  FM_CHECK(read_tables(file, path, "bucket", [&](table_reader& b) -> result<void> {
    std::string name, directory, watch;
    b.read("name", name);
    b.read("path", directory);
    b.read("watch", watch);
    FM_CHECK(b.finished());
    if (!watch.empty())
      n.watch[name] = watch;
    return add_bucket(name + "=" + directory, n);
  }));
  return read_tables(file, path, "device", [&](table_reader& d) -> result<void> {
    std::string name;
    std::int64_t sessions = 1;
    d.read("name", name);
    d.read("sessions", sessions);
    FM_CHECK(d.finished());
    return add_device(fmt::format("{}={}", name, sessions), n);
  });
}

result<void> add_bucket(const std::string& text, node_config& into) {
  auto at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    return fail_field(errc::malformed, "bucket", "`{}` is not NAME=PATH", text);
  auto path = std::filesystem::absolute(text.substr(at + 1)).lexically_normal().string();
  into.buckets[text.substr(0, at)] = path;
  return {};
}

result<void> add_device(const std::string& text, node_config& into) {
  auto at = text.find('=');
  auto number = at == std::string::npos ? std::string{} : text.substr(at + 1);
  std::int64_t sessions = 0;
  const auto* end = number.data() + number.size();
  if (at == 0 || number.empty()
      || std::from_chars(number.data(), end, sessions).ptr != end)
    return fail_field(errc::malformed, "device", "`{}` is not NAME=SESSIONS", text);
  into.devices[text.substr(0, at)] = sessions; // its bounds are validate()'s
  return {};
}

result<void> add_watch(const std::string& text, node_config& into) {
  auto at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    return fail_field(errc::malformed, "watch",
                      "`{}` is not BUCKET=coordinator, BUCKET=any or BUCKET=NODE", text);
  into.watch[text.substr(0, at)] = text.substr(at + 1);
  return {};
}

result<void> read_roles(const std::string& text, node_roles& into) {
  node_roles out{false, false, false};
  for (std::size_t at = 0; at <= text.size();) {
    auto end = std::min(text.find(',', at), text.size());
    auto role = text.substr(at, end - at);
    at = end + 1;
    if (role == "coordinator")
      out.coordinator = true;
    else if (role == "gateway")
      out.gateway = true;
    else if (role == "worker")
      out.worker = true;
    else
      return fail_field(errc::invalid_argument, "role",
                        "`{}` is not a role: coordinator, gateway, worker", role);
  }
  if (out.gateway != out.coordinator)
    return fail_field(errc::unsupported, "role",
                      "coordinator and gateway are one process: name both");
  into = out;
  return {};
}

result<void> add_via(const std::string& text, node_config& into) {
  auto at = text.find('=');
  auto plane = text.substr(0, at);
  if (at == std::string::npos || (plane != "control" && plane != "data"))
    return fail_field(errc::malformed, "cluster-via", "`{}` is not control=… or data=HOST:PORT",
                      text);
  if (!into.allow_faults)
    return fail_field(errc::invalid_argument, "cluster-via", "--cluster-via needs --allow-faults");
  into.cluster.via[plane] = text.substr(at + 1);
  return {};
}

result<void> add_default_bucket(node_config& into) {
  if (!into.buckets.empty())
    return {};
  auto path = std::filesystem::absolute(into.data_dir) / "buckets" / "media";
  std::error_code ec;
  std::filesystem::create_directories(path, ec);
  if (ec)
    return fail_errno(ec.value(), path.string());
  into.buckets["media"] = path.lexically_normal().string();
  return {};
}

void add_default_cluster(node_config& into) {
  if (into.roles.coordinator && !into.roles.worker && into.cluster.listen.empty())
    into.cluster.listen = "127.0.0.1:8710";
}

} // namespace framemill
