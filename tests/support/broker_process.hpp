#pragma once

#include "tests/support/process.hpp"

#include <signal.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace framemill::test {

/// A key and a certificate of `localhost` that vouches for itself, in PEM files.
struct certificate {
  explicit certificate(const std::string& directory);
  std::string key, file;
};

/// A real nats-server with JetStream on a loopback port of its own, its data in
/// `directory`. The port stays through its lives.
class nats_server {
public:
  explicit nats_server(std::string directory, std::vector<std::string> arguments = {});

  /// Waits until it listens; a failed assertion when it does not.
  void start();
  void kill9();
  void freeze() { process_->signal(SIGSTOP); }
  void thaw() { process_->signal(SIGCONT); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string host_and_port() const;

private:
  const std::string directory_;
  const std::vector<std::string> arguments_;
  const std::uint16_t port_;
  std::unique_ptr<process> process_;
};

/// The same for RabbitMQ; who comes is guest:guest. Takes seconds to start.
class rabbitmq_server {
public:
  rabbitmq_server(std::string directory, const certificate& tls);
  ~rabbitmq_server();

  void start();
  void kill9();
  void freeze() { signal(SIGSTOP); }
  void thaw() { signal(SIGCONT); }
  [[nodiscard]] std::string host_and_port() const;
  [[nodiscard]] std::string tls_host_and_port() const;
  /// What rabbitmqctl says to these words; it has to succeed.
  std::string control(const std::vector<std::string>& words) const;

private:
  void signal(int number) const; ///< to the Erlang machine, which is not the script
  [[nodiscard]] std::vector<std::string> with_environment(std::vector<std::string> words) const;

  const std::string directory_;
  const std::uint16_t port_, tls_port_, distribution_port_, epmd_port_;
  std::unique_ptr<process> epmd_, script_;
};

/// They are installed.
[[nodiscard]] bool has_nats_server();
[[nodiscard]] bool has_rabbitmq_server();

} // namespace framemill::test
