#include "actors/fail_points.hpp"
#include "actors/node.hpp"
#include "actors/worker_node.hpp"
#include "api/server.hpp"
#include "storage/posix_file.hpp"
#include "tools/framemilld/credentials.hpp"
#include "tools/framemilld/daemon_config.hpp"
#include "tools/framemilld/stop_signals.hpp"

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

// framemilld, from top to bottom: read what we are told, start the node (which
// goes on where its data directory stopped), open the API, wait to be stopped.

namespace fs = std::filesystem;
using namespace framemill;

namespace {

constexpr int exit_usage = 2;
constexpr int exit_refused = 4; ///< another daemon, a newer schema, a taken port

int die(const error& e) {
  spdlog::critical("framemilld: {}", e.message);
  auto usage = class_of(e.code) == failure_class::config && e.code != errc::schema_newer
               && e.code != errc::in_use;
  return usage ? exit_usage : exit_refused;
}

/// `bin/` is where we are.
fs::path beside_us(const char* path) {
  std::error_code ec;
  return (fs::read_symlink("/proc/self/exe", ec).parent_path() / path).lexically_normal();
}

/// Lines of the audit log are written at any of them.
void set_log_level(const std::string& level) {
  auto audit = spdlog::default_logger()->clone("audit");
  audit->set_level(spdlog::level::info);
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::register_logger(std::move(audit));
}

/// From being ready until it is to end: SIGTERM gives what is in hand its time.
template <class Node>
void run(Node& node, const daemon_config& config, stop_signals& signals) {
  signals.started();
  std::fprintf(stderr, "framemilld: ready\n");
  const auto which = signals.wait();
  spdlog::info("framemilld: stopping on {}", name_of_signal(which));
  if (which != SIGTERM || config.drain_patience.count() == 0)
    return;
  using clock = std::chrono::steady_clock;
  node.leave([&, end = clock::now() + config.drain_patience] {
    return signals.came_again() || clock::now() >= end;
  });
}

/// A worker's whole life.
int work(const daemon_config& config, stop_signals& signals) {
  auto node = worker_node::start(config.node);
  if (!node)
    return die(node.error());
  spdlog::info("framemilld: worker {}, data in {}", (*node)->services().config.name,
               (*node)->services().config.data_dir);
  run(**node, config, signals);
  node->reset();
  std::fflush(nullptr);
  std::_Exit(0);
}

} // namespace

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("framemilld"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%f %^%l%$ %v");
  daemon_config config;
  config.node.media_program = beside_us("framemill-media");
  config.node.functions.directory = beside_us("../share/framemill/functions");

  CLI::App app{"framemilld - the Framemill node daemon"};
  app.set_version_flag("--version", FRAMEMILL_VERSION);
  std::string file, data_dir, api_listen, log_level, fail_point_text;
  std::vector<std::string> buckets, devices, watch;
  std::optional<int> slots, cores;
  bool list_fail_points = false, allow_faults = false;
  std::string roles, name, cluster_listen, join, token, notifiers;
  std::vector<std::string> via, egress_allow, egress_deny;
  app.add_option("--config", file, "TOML file; the options below win over it");
  app.add_option("--data-dir", data_dir, "where state lives (default ./framemill-data)");
  app.add_option("--api-listen", api_listen, "HOST:PORT of the API (default 127.0.0.1:8700)");
  app.add_option("--bucket", buckets, "NAME=PATH, a directory as a bucket; repeatable");
  app.add_option("--watch", watch,
                 "BUCKET=coordinator, any or NODE: who watches it (default: coordinator)");
  app.add_option("--role", roles,
                 "coordinator, gateway, worker, joined by commas (default: all of them)");
  app.add_option("--name", name, "of this node (default: the host's)");
  app.add_option("--cluster-listen", cluster_listen,
                 "HOST:PORT where workers connect (default: none, this node is alone; 127.0.0.1:8710 "
                 "without the role worker)");
  app.add_option("--join", join, "HOST:PORT that `framemill node join-token` prints");
  app.add_option("--token", token, "what `framemill node join-token` prints");
  app.add_option("--cluster-via", via,
                 "control=HOST:PORT or data=HOST:PORT: dial there (fault drills)");
  app.add_option("--egress-allow", egress_allow,
                 "network (10.0.0.0/8) that notifications may go to although it is refused by "
                 "default; repeatable");
  app.add_option("--egress-deny", egress_deny, "network that they may not go to; repeatable");
  app.add_option("--notifiers", notifiers,
                 "coordinator, any or NODE: who tells HTTP endpoints and SQS of events (default: "
                 "coordinator)");
  app.add_option("--slots", slots, "children at once (default: one per core)");
  app.add_option("--cores", cores, "that they may keep busy together (default: the machine's)");
  app.add_option("--device", devices,
                 "NAME=SESSIONS, a device and how many may use it at once; repeatable");
  app.add_option("--log-level", log_level, "trace, debug, info, warn or error");
  app.add_flag("--allow-faults", allow_faults, "fail points may be armed");
  app.add_option("--fail-point", fail_point_text,
                 "NAME[:N][=ACTION]: fail at the N-th pass of this point (docs/faults.md)");
  app.add_flag("--list-fail-points", list_fail_points, "print the fail points and exit");
  CLI11_PARSE(app, argc, argv);

  if (list_fail_points) {
    for (auto name : fail_point_names())
      std::printf("%s\n", std::string{name}.c_str());
    return 0;
  }
  if (!file.empty())
    if (auto r = read_config_file(file, config); !r)
      return die(r.error());
  if (!data_dir.empty())
    config.node.data_dir = data_dir;
  if (!api_listen.empty())
    config.api_listen = api_listen;
  if (!log_level.empty())
    config.log_level = log_level;
  if (slots)
    config.node.slots = *slots;
  if (cores)
    config.node.cores = *cores;
  config.node.allow_faults |= allow_faults;
  if (!roles.empty())
    if (auto r = read_roles(roles, config.node.roles); !r)
      return die(r.error());
  if (!name.empty())
    config.node.name = name;
  if (!cluster_listen.empty())
    config.node.cluster.listen = cluster_listen;
  if (!join.empty())
    config.node.cluster.join = join;
  if (!token.empty())
    config.node.cluster.token = token;
  if (!notifiers.empty())
    config.node.events.notifiers = notifiers;
  for (const auto& v : via)
    if (auto r = add_via(v, config.node); !r)
      return die(r.error());
  for (const auto& b : buckets)
    if (auto r = add_bucket(b, config.node); !r)
      return die(r.error());
  for (const auto& d : devices)
    if (auto r = add_device(d, config.node); !r)
      return die(r.error());
  for (const auto& w : watch)
    if (auto r = add_watch(w, config.node); !r)
      return die(r.error());
  for (auto [from, to] : {std::pair{&egress_allow, &config.node.events.egress_allow},
                          {&egress_deny, &config.node.events.egress_deny}})
    to->insert(to->end(), from->begin(), from->end());
  add_default_cluster(config.node);
  if (auto r = validate(config); !r)
    return die(r.error());
  const bool coordinates = config.node.roles.coordinator;
  if (coordinates)
    if (auto r = add_default_bucket(config.node); !r)
      return die(r.error());
  set_log_level(config.log_level);
  if (!fail_point_text.empty()) {
    if (!config.node.allow_faults)
      return die({errc::invalid_argument, "--fail-point needs --allow-faults", "fail-point"});
    if (auto r = arm_fail_point(fail_point_text); !r)
      return die(r.error());
  }

  ::signal(SIGPIPE, SIG_IGN);
  auto& signals = stop_signals::listen();
  if (!coordinates)
    return work(config, signals);
  auto node = node::start(config.node);
  if (!node)
    return die(node.error());
  auto dir = (*node)->services().config.data_dir;
  auto keys = load_or_make_credentials(dir);
  if (!keys)
    return die(keys.error());
  system_clock clock;
  api_options api;
  api.listen = config.api_listen;
  api.credentials = {{keys->secret_id, keys->secret_key}};
  auto server = api_server::start(std::move(api), (*node)->api(), clock);
  if (!server)
    return die(server.error());
  auto host = config.api_listen.substr(0, config.api_listen.rfind(':'));
  auto endpoint = fmt::format("{}:{}", host, (*server)->port());
  if (auto r = write_whole_file(dir + "/endpoint", endpoint + "\n", 0644); !r)
    return die(r.error());
  spdlog::info("framemilld: data in {}, API on {}", dir, endpoint);

  run(**node, config, signals);
  (*server)->stop();
  node->reset();
  fs::remove(dir + "/endpoint");
  // All state is on disk; waiting for every thread would only delay the end.
  std::fflush(nullptr);
  std::_Exit(0);
}
