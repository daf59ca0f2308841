#include "tests/support/cluster_process.hpp"

#include "storage/file_handle.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace framemill::test {

using namespace std::chrono_literals;

namespace {

/// A listening socket on loopback; empty when the port is taken.
file_handle bound(std::uint16_t port) {
  file_handle s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(s.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) != 0)
    return {};
  return s;
}

std::uint16_t port_of(const file_handle& s) {
  sockaddr_in a{};
  socklen_t size = sizeof a;
  ::getsockname(s.get(), reinterpret_cast<sockaddr*>(&a), &size);
  return ntohs(a.sin_port);
}

/// The first of three ports in a row that are free: a coordinator's later lives
/// listen where the first one did.
std::uint16_t free_ports() {
  for (int i = 0; i < 200; ++i) {
    auto first = bound(0);
    auto port = port_of(first);
    if (port < 65'000 && bound(static_cast<std::uint16_t>(port + 1))
        && bound(static_cast<std::uint16_t>(port + 2)))
      return port;
  }
  throw std::runtime_error{"no three free ports in a row"};
}

} // namespace

worker_process::worker_process(std::string n, daemon_options o)
    : name(std::move(n)), daemon(std::move(o)) {}

worker_process::~worker_process() { thaw(); }

void worker_process::signal(int number) {
  if (daemon.is_running())
    ::kill(daemon.pid(), number);
}
void worker_process::freeze() { signal(SIGSTOP); }
void worker_process::thaw() { signal(SIGCONT); }

cluster_process::cluster_process(daemon_process& coordinator, cluster_options o)
    : coordinator_(coordinator), options_(std::move(o)),
      network_(options_.links == cluster_links::cables ? cabled_network::make() : nullptr),
      host_(network_ ? network_->hub_address() : "127.0.0.1"), control_port_(free_ports()) {}

void cluster_process::start_coordinator(std::vector<std::string> arguments,
                                        const std::string& role) {
  arguments.insert(arguments.begin(),
                   {"--role", role, "--cluster-listen",
                    host_ + ":" + std::to_string(control_port_), "--allow-faults"});
  coordinator_.start(arguments);
}

std::string cluster_process::endpoint(const std::string& plane) const {
  std::ifstream file{coordinator_.data_dir() + "/cluster-endpoint"};
  for (std::string name, where; file >> name >> where;)
    if (name == plane)
      return where;
  FAIL("the coordinator does not say where its " << plane << " plane is");
  return {};
}

json cluster_process::call(const std::string& action, const json& body) const try {
  auto caller = mps_caller{coordinator_.data_dir(), coordinator_.endpoint(), 0, "2026-11-01"};
  auto answer = caller(action, body);
  return answer.is_object() ? answer : json::object();
} catch (const std::exception&) { // it died, or is not there yet
  return json::object();
}

std::string cluster_process::join_token(int uses) const {
  auto answer = call("CreateJoinToken", {{"Uses", uses}, {"TtlSeconds", 600}});
  REQUIRE_MESSAGE(answer.contains("Token"), answer.dump());
  return answer["Token"];
}

worker_process& cluster_process::add(const std::string& name) {
  daemon_options o;
  o.data_dir = options_.directory + "/" + name;
  o.config = "drain_seconds = 5\n" + options_.config;
  std::filesystem::create_directories(options_.directory);
  if (network_)
    o.wrapper = network_->add(name);
  auto w = std::make_unique<worker_process>(name, std::move(o));
  if (!network_) {
    auto seed = workers_.size() + 1;
    w->control = std::make_unique<chaos_proxy>(endpoint("control"), seed);
    w->data = std::make_unique<chaos_proxy>(endpoint("data"), seed + 1000);
  }
  workers_.push_back(std::move(w));
  return *workers_.back();
}

std::vector<std::string> cluster_process::join_arguments(const worker_process& w,
                                                         const std::string& token) const {
  std::vector<std::string> out{"--role", "worker", "--name", w.name, "--slots", "1"};
  if (!token.empty())
    out.insert(out.end(), {"--join", endpoint("enrolment"), "--token", token});
  if (w.control)
    out.insert(out.end(),
               {"--allow-faults", "--cluster-via", "control=" + w.control->endpoint(),
                "--cluster-via", "data=" + w.data->endpoint()});
  return out;
}

void cluster_process::start(worker_process& w) {
  auto is_new = !std::filesystem::exists(w.daemon.data_dir());
  w.daemon.start(join_arguments(w, is_new ? join_token() : std::string{}));
}

void cluster_process::grow_to(int workers) {
  for (int i = 1; i <= workers; ++i)
    start(add("w" + std::to_string(i)));
  for (const auto& w : workers_)
    await_up(w->name);
}

worker_process& cluster_process::worker(const std::string& name) {
  auto w = std::find_if(workers_.begin(), workers_.end(),
                        [&](const auto& other) { return other->name == name; });
  REQUIRE_MESSAGE(w != workers_.end(), "no worker is called " << name);
  return **w;
}

void cluster_process::part(const std::string& name, flow f) {
  auto& w = worker(name);
  if (!network_) {
    w.control->blackhole(f);
    w.data->blackhole(f);
  } else if (f == flow::both) {
    network_->pull(name);
  } else {
    f == flow::forward ? network_->mute(name) : network_->deafen(name);
  }
}

void cluster_process::heal() {
  for (auto& w : workers_)
    if (network_) {
      network_->heal(w->name);
    } else {
      w->control->heal();
      w->data->heal();
    }
}

std::vector<json> cluster_process::nodes() const {
  return call("DescribeNodes").value("Nodes", std::vector<json>{});
}

json cluster_process::node(const std::string& name) const {
  for (auto& n : nodes())
    if (n.value("Name", "") == name)
      return n;
  return {};
}

std::string cluster_process::presence(const std::string& name) const {
  auto n = node(name);
  return n.is_object() ? n.value("Presence", "") : "";
}

void cluster_process::await_up(const std::string& name) const {
  CHECK_MESSAGE(eventually([&] { return presence(name) == "up"; }), name << " does not come");
}
void cluster_process::await_away(const std::string& name) const {
  CHECK_MESSAGE(eventually([&] { return presence(name) == "away"; }), name << " does not go");
}

} // namespace framemill::test
