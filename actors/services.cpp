#include "actors/services.hpp"

#include "cluster/membership.hpp"
#include "cluster/placement.hpp"
#include "core/limits.hpp"
#include "core/url.hpp"
#include "notify/broker_address.hpp"
#include "storage/records.hpp"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <filesystem>

namespace framemill {

namespace {

/// Not a number is refused as well.
result<void> validate(const plan_options& p) {
  for (auto [seconds, key] : {std::pair{p.shard_source_seconds_min, "source_seconds_min"},
                              {p.shard_cpu_seconds_min, "cpu_seconds_min"}})
    if (!(seconds >= 0))
      return fail_field(errc::invalid_argument, key, "sharding: {} must not be negative", key);
  if (!(p.shard_seconds_min >= 0.5))
    return fail_field(errc::invalid_argument, "seconds_min",
                      "sharding: seconds_min must be at least 0.5");
  if (!(p.shard_seconds_max >= p.shard_seconds_min))
    return fail_field(errc::invalid_argument, "seconds_max",
                      "sharding: seconds_max must not be below seconds_min");
  return {};
}

result<void> check_broker(const event_config& c) {
  if (c.has_broker())
    return parse_broker_address(c.queue, "queue").map([](const auto&) {});
  if (!c.queue_credentials_file.empty())
    return fail_field(errc::invalid_argument, "queue_credentials_file",
                      "queue_credentials_file is for a broker, and queue is `embedded`");
  if (!c.queue_create)
    return fail_field(errc::invalid_argument, "queue_create",
                      "queue_create is for a broker, and queue is `embedded`");
  return {};
}

/// Where services run is for the coordinator to say. `what`: "bucket `media` is watched".
result<void> check_wish(const node_config& c, const char* key, const std::string& what,
                        const std::string& where) {
  if (!c.roles.coordinator)
    return fail_field(errc::invalid_argument, key,
                      "where {} is said to the coordinator, not to a worker", what);
  auto wish = parse_wish(where);
  if (!wish)
    return fail_field(errc::invalid_argument, key, "{} by `coordinator`, `any` or a node: {}",
                      what, wish.error().message);
  if (wish->where == service_wish::place::node && wish->node != c.name
      && c.cluster.listen.empty())
    return fail_field(errc::invalid_argument, key,
                      "{} by node {}, and this node is alone (cluster_listen)", what,
                      wish->node);
  return {};
}

result<void> check_wishes(const node_config& c) {
  for (const auto& [name, where] : c.watch) {
    FM_CHECK(check_wish(c, "watch", fmt::format("bucket `{}` is watched", name), where));
    if (!c.buckets.contains(name))
      return fail_field(errc::invalid_argument, "watch", "there is no bucket `{}` to watch", name);
  }
  if (const auto& where = c.events.notifiers; where != event_config{}.notifiers)
    FM_CHECK(check_wish(c, "notifiers", "HTTP endpoints and SQS are told", where));
  return {};
}

/// What is for another role would do nothing.
result<void> check_role(const node_config& c) {
  for (auto [value, key] : {std::pair{&c.cluster.join, "join"}, {&c.cluster.token, "token"}})
    if (c.roles.coordinator && !value->empty())
      return fail_field(errc::invalid_argument, key,
                        "{} is for a worker, and this node would coordinate: add --role worker",
                        key);
  if (!c.roles.coordinator && !c.cluster.listen.empty())
    return fail_field(errc::invalid_argument, "cluster_listen",
                      "cluster_listen is for a coordinator, and this node is a worker: leave "
                      "it out, or name coordinator and gateway in --role");
  return {};
}

/// None = the host's, which is filled in later.
result<void> check_name(const std::string& name) {
  if (auto r = check_node_name(name); !r && !name.empty())
    return fail_field(r.error().code, "name", "name `{}`: {}", name, r.error().message);
  return {};
}

} // namespace

result<void> validate(const node_config& c) {
  if (c.data_dir.empty())
    return fail_field(errc::missing_argument, "data_dir", "data_dir must be set");
  FM_CHECK(check_name(c.name));
  FM_CHECK(check_role(c));
  if (c.slots < 0 || c.slots > 1024)
    return fail_field(errc::invalid_argument, "slots", "slots must be 0 to 1024, not {}", c.slots);
  if (c.cores < 0 || c.cores > limits::node_cores_max)
    return fail_field(errc::invalid_argument, "cores", "cores must be 0 to {}, not {}",
                      limits::node_cores_max, c.cores);
  if (c.scratch_floor_bytes.value_or(0) < 0)
    return fail_field(errc::invalid_argument, "scratch_floor_mib",
                      "scratch_floor_mib must not be negative");
  for (const auto& [name, sessions] : c.devices) {
    if (!is_plain_name(name))
      return fail_field(errc::invalid_argument, "device",
                        "device name `{}` must be 1 to {} letters, digits, '-', '_' or '.'", name,
                        limits::node_name_chars_max);
    if (sessions < 1 || sessions > limits::device_sessions_max)
      return fail_field(errc::invalid_argument, "device",
                        "device `{}` must have 1 to {} sessions, not {}", name,
                        limits::device_sessions_max, sessions);
  }
  if (c.memory_bytes < 0)
    return fail_field(errc::invalid_argument, "memory_bytes", "memory_bytes must not be negative");
  if (c.scan_interval.count() < 100)
    return fail_field(errc::invalid_argument, "scan_interval", "scan_interval must be at least 100 ms");
  if (c.stall_limit.count() < 1000)
    return fail_field(errc::invalid_argument, "stall_limit", "stall_limit must be at least 1 s");
  FM_CHECK(validate(c.planning));
  if (c.events.retry_window < std::chrono::seconds{1})
    return fail_field(errc::invalid_argument, "retry_seconds", "retry_seconds must be 1 or more");
  if (auto url = parse_http_url(c.events.sqs_endpoint);
      !c.events.sqs_endpoint.empty() && !url)
    return fail_field(errc::invalid_argument, "sqs_endpoint", "sqs_endpoint: {}",
                      url.error().message);
  FM_CHECK(check_broker(c.events));
  if (c.functions.processes < 1 || c.functions.processes > 1024)
    return fail_field(errc::invalid_argument, "function_processes",
                      "function_processes must be 1 to 1024, not {}", c.functions.processes);
  for (const auto& [name, path] : c.buckets) {
    auto alphabet = name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789-_.");
    if (name.empty() || name.size() > 63 || alphabet != std::string::npos)
      return fail_field(errc::invalid_argument, "bucket",
                        "bucket name `{}` must be 1 to 63 letters, digits, '-', '_' or '.'", name);
    if (path.empty())
      return fail_field(errc::missing_argument, "bucket", "bucket `{}` has no path", name);
  }
  return check_wishes(c);
}

bool artifact_pins::pin(run_id run, std::string sha256) {
  std::lock_guard lock{mutex_};
  const bool is_new = by_run_[run].insert(sha256).second;
  if (is_new)
    ++counts_[std::move(sha256)];
  return is_new;
}

std::vector<std::string> artifact_pins::release(run_id run) {
  std::lock_guard lock{mutex_};
  std::vector<std::string> free;
  auto entry = by_run_.find(run);
  if (entry == by_run_.end())
    return free;
  for (const auto& sha : entry->second)
    if (auto count = counts_.find(sha); --count->second == 0) {
      counts_.erase(count);
      free.push_back(sha);
    }
  by_run_.erase(entry);
  return free;
}

bool artifact_pins::is_pinned(std::string_view sha256) const {
  std::lock_guard lock{mutex_};
  return counts_.find(sha256) != counts_.end();
}

void template_board::set(std::shared_ptr<const template_source> t) {
  std::lock_guard lock{mutex_};
  current_ = std::move(t);
}

std::shared_ptr<const template_source> template_board::current() const {
  std::lock_guard lock{mutex_};
  return current_;
}

void fingerprint_board::set(std::set<std::string, std::less<>> here) {
  std::lock_guard lock{mutex_};
  here_ = std::move(here);
}

bool fingerprint_board::lacks(std::string_view fingerprint) const {
  std::lock_guard lock{mutex_};
  return !here_.empty() && !here_.contains(fingerprint);
}

void foreign_bucket_board::set(bucket_nodes b) {
  std::lock_guard lock{mutex_};
  buckets_ = std::move(b);
}

std::string foreign_bucket_board::sentence_of(const std::string& bucket) const {
  std::lock_guard lock{mutex_};
  auto entry = buckets_.find(bucket);
  return entry == buckets_.end() ? "" : foreign_bucket_sentence(bucket, entry->second);
}

std::string foreign_bucket_sentence(const std::string& bucket,
                                    const std::set<std::string>& nodes) {
  return fmt::format("bucket `{}` is mounted on {} but not on the coordinator, which probes and "
                     "publishes there: mount it there too, and name it with --bucket",
                     bucket, fmt::join(nodes, ", "));
}

result<void> node_services::want_artifact(run_id run, const std::string& sha256) {
  if (!pins.pin(run, sha256))
    return {};
  // Asked afterwards: a run is over in the books before it lets go.
  auto record = find_record<run_record>(*store, family::runs, keys::of(run));
  if (record && (!*record || !is_terminal((*record)->state)))
    return {};
  release_artifacts(run);
  if (!record)
    return failure{record.error()};
  return fail(errc::cancelled, "run {} has ended", run.value);
}

void node_services::release_artifacts(run_id run) {
  // Another run may make and pin the same content just now: asked again there.
  auto is_live = [this](std::string_view sha) { return pins.is_pinned(sha); };
  for (const auto& sha : pins.release(run))
    if (auto r = artifacts->discard(sha, is_live); !r)
      spdlog::warn("run {}: {}", run.value, r.error().message);
}

disk_space node_services::scratch_space() const {
  constexpr std::int64_t floor_bytes_max = 1 << 30;
  std::error_code ec;
  auto space = std::filesystem::space(scratch_root, ec); // −1 where it does not know
  disk_space out;
  out.total = static_cast<std::int64_t>(space.capacity);
  out.free = static_cast<std::int64_t>(space.available);
  out.floor = config.scratch_floor_bytes.value_or(
      std::min(std::max<std::int64_t>(out.total, 0) / 50, floor_bytes_max));
  return out;
}

node_facts node_services::facts() const {
  node_facts f;
  f.version = FRAMEMILL_VERSION;
  f.cores = config.cores;
  f.slots = config.slots;
  f.memory_bytes = config.memory_bytes;
  auto scratch = scratch_space();
  f.scratch_bytes = scratch.free;
  f.scratch_total_bytes = std::max<std::int64_t>(scratch.total, 0);
  f.scratch_floor_bytes = scratch.floor;
  f.device_sessions = config.devices;
  for (const auto& [device, sessions] : config.devices)
    f.devices.push_back(device);
  if (!children)
    return f; // it has no worker
  const auto& build = children->fingerprint();
  f.fingerprint = build.value_or("");
  f.cpu = children->cpu();
  f.encoders = children->encoders();
  if (!build)
    f.warnings.push_back("framemill-media does not run: " + build.error().message);
  f.sandbox = children->sandbox().summary;
  if (!children->sandbox().bubblewrap)
    f.warnings.push_back("sandbox is weaker: " + f.sandbox);
  return f;
}

std::vector<std::string> node_services::proven_buckets(const node_facts& of) const {
  std::vector<std::string> out;
  for (const auto& b : of.buckets)
    if (auto known = sentinels.find(b.name); known != sentinels.end() && known->second == b.sentinel)
      out.push_back(b.name);
  return out;
}

result<bucket*> node_services::find_bucket(const std::string& name) const {
  auto entry = buckets.find(name);
  if (auto why = foreign_buckets.sentence_of(name); entry == buckets.end() && !why.empty())
    return fail_field(errc::unsupported, "Bucket", "{}", why);
  if (entry == buckets.end())
    return fail_field(errc::not_found, "Bucket", "no bucket named `{}` on this node", name);
  return entry->second.get();
}

std::string attempt_directory(const std::string& root, shard_id shard, std::uint32_t epoch) {
  return fmt::format("{}/r{}-s{}-e{}", root, shard.run.value, shard.index, epoch);
}

} // namespace framemill
