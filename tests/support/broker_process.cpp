#include "tests/support/broker_process.hpp"

#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace framemill::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr const char* rabbitmq_programs = "/usr/lib/rabbitmq/bin";

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

/// Free now, and most likely a moment later.
std::uint16_t free_port() {
  file_handle s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  auto a = loopback(0);
  socklen_t length = sizeof a;
  REQUIRE(::bind(s.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
  REQUIRE(::getsockname(s.get(), reinterpret_cast<sockaddr*>(&a), &length) == 0);
  return ntohs(a.sin_port);
}

bool listens(std::uint16_t port) {
  file_handle s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  auto a = loopback(port);
  return ::connect(s.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) == 0;
}

std::string on_loopback(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

std::string nats_program() {
  for (auto path :
       {"/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"})
    if (fs::exists(path))
      return path;
  return {};
}

} // namespace

bool has_nats_server() { return !nats_program().empty(); }
bool has_rabbitmq_server() {
  return fs::exists(std::string{rabbitmq_programs} + "/rabbitmq-server");
}

certificate::certificate(const std::string& directory)
    : key(directory + "/key.pem"), file(directory + "/cert.pem") {
  REQUIRE(run({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
               "-out", file, "-days", "2", "-subj", "/CN=localhost", "-addext",
               "subjectAltName=DNS:localhost"})
              .end.exit_code
          == 0);
}

nats_server::nats_server(std::string directory, std::vector<std::string> arguments)
    : directory_(std::move(directory)), arguments_(std::move(arguments)), port_(free_port()) {}

void nats_server::start() {
  process_options o;
  o.words = {nats_program(),        "-a",  "127.0.0.1", "-p",
             std::to_string(port_), "-js", "-sd",       directory_};
  o.words.insert(o.words.end(), arguments_.begin(), arguments_.end());
  o.log_file = directory_ + ".log";
  process_ = std::make_unique<process>(std::move(o));
  REQUIRE(eventually([&] { return listens(port_); }, 10s));
}

void nats_server::kill9() {
  process_->signal(SIGKILL);
  REQUIRE(process_->wait(10s));
}

std::string nats_server::host_and_port() const { return on_loopback(port_); }

rabbitmq_server::rabbitmq_server(std::string directory, const certificate& tls)
    : directory_(std::move(directory)), port_(free_port()), tls_port_(free_port()),
      distribution_port_(free_port()), epmd_port_(free_port()) {
  fs::create_directories(directory_);
  std::ofstream{directory_ + "/rabbitmq.conf"}
      << "listeners.tcp.1 = " << on_loopback(port_)
      << "\nlisteners.ssl.1 = " << on_loopback(tls_port_)
      << "\nssl_options.cacertfile = " << tls.file << "\nssl_options.certfile = " << tls.file
      << "\nssl_options.keyfile = " << tls.key << "\nssl_options.verify = verify_none"
      << "\ndisk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 512MB\n";
  std::ofstream{directory_ + "/plugins"} << "[].\n";
  epmd_ = std::make_unique<process>(process_options{
      {"epmd", "-address", "127.0.0.1", "-port", std::to_string(epmd_port_)}, {}, {}});
}

rabbitmq_server::~rabbitmq_server() {
  if (script_ && script_->is_running()) {
    signal(SIGKILL);
    (void)script_->wait(10s);
  }
}

std::vector<std::string>
rabbitmq_server::with_environment(std::vector<std::string> words) const {
  const auto number = [](auto n) { return std::to_string(n); };
  // Debian's wrapper in /usr/sbin would change the user and forget all of this.
  words[0] = std::string{rabbitmq_programs} + "/" + words[0];
  std::vector<std::string> out{"env",
                               "HOME=" + directory_,
                               "RABBITMQ_NODENAME=t" + number(port_) + "@localhost",
                               "RABBITMQ_CONFIG_FILE=" + directory_ + "/rabbitmq",
                               "RABBITMQ_MNESIA_BASE=" + directory_ + "/mnesia",
                               "RABBITMQ_LOG_BASE=" + directory_ + "/log",
                               "RABBITMQ_ENABLED_PLUGINS_FILE=" + directory_ + "/plugins",
                               "RABBITMQ_PID_FILE=" + directory_ + "/pid",
                               "RABBITMQ_CONF_ENV_FILE=/dev/null",
                               "RABBITMQ_DIST_PORT=" + number(distribution_port_),
                               "ERL_EPMD_PORT=" + number(epmd_port_),
                               "ERL_EPMD_ADDRESS=127.0.0.1",
                               "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none -kernel "
                               "inet_dist_use_interface {127,0,0,1} "
                               "-setcookie test",
                               "RABBITMQ_CTL_ERL_ARGS=-setcookie test"};
  out.insert(out.end(), words.begin(), words.end());
  return out;
}

void rabbitmq_server::start() {
  script_ = std::make_unique<process>(
      process_options{with_environment({"rabbitmq-server"}), {}, directory_ + "/stderr.log"});
  REQUIRE(eventually([&] { return listens(port_); }, 50s, 50ms));
}

void rabbitmq_server::signal(int number) const {
  for (auto pid : descendants(script_->pid(), "beam.smp"))
    ::kill(pid, number);
}

void rabbitmq_server::kill9() {
  signal(SIGKILL);
  REQUIRE(script_->wait(10s));
}

std::string rabbitmq_server::control(const std::vector<std::string>& words) const {
  std::vector<std::string> all{"rabbitmqctl"};
  all.insert(all.end(), words.begin(), words.end());
  auto done = run(with_environment(std::move(all)));
  REQUIRE_MESSAGE(done.end.exit_code == 0, done.output << done.complaint);
  return done.output;
}

std::string rabbitmq_server::host_and_port() const { return on_loopback(port_); }
std::string rabbitmq_server::tls_host_and_port() const {
  return "localhost:" + std::to_string(tls_port_);
}

} // namespace framemill::test
