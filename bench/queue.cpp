#include "actors/queue_broker.hpp"
#include "actors/services.hpp"
#include "api/sqs/aws_signature.hpp"
#include "api/tc3.hpp"
#include "bench/queue_peers.hpp"
#include "core/json.hpp"

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <future>

// queue_bench: how many messages a second become durable, with so many on their
// way at a time.
//
//   framemill   the daemon's own QUEUE BROKER, journal and RocksDB, in process; each
//               message is a send and a commit of its own. Then received and deleted
//   sqs         a running daemon, by SQS's protocol over HTTP, signed
//   redis       a running Redis: XADD, pipelined
//   rabbitmq    a running RabbitMQ: persistent messages, publisher confirms
//
// Prints one JSON object.

namespace framemill {
namespace {

using steady = std::chrono::steady_clock;

std::string body_of(const bench_load& l) { return std::string(l.bytes, 'x'); }

/// Keeps `window` things under way until all are done.
class window_gate {
public:
  explicit window_gate(std::uint64_t window) : free_(window), window_(window) {}
  void enter() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return free_ > 0; });
    --free_;
  }
  void leave() {
    {
      std::lock_guard lock{mutex_};
      ++free_;
    }
    changed_.notify_one();
  }
  void wait_all() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return free_ == window_; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t free_;
  const std::uint64_t window_;
};

[[noreturn]] void give_up(const std::string& why) {
  spdlog::critical("queue_bench: {}", why);
  std::_Exit(1);
}

template <class T>
T expect(result<T> r) {
  if (!r)
    give_up(r.error().message);
  if constexpr (!std::is_void_v<T>)
    return std::move(*r);
}

// ---- our own, in process ----------------------------------------------------------------

struct system_config : caf::actor_system_config { // as actors/node.cpp has it
  system_config() {
    set("scheduler.max-threads", 2);
    set("scheduler.policy", caf::atom("sharing"));
  }
};

void create(queue_service& queues) {
  std::promise<result<void>> made;
  queues.create_queue("q", {}, [&](result<void> r) { made.set_value(std::move(r)); });
  expect(made.get_future().get());
}

bench_result send_all(queue_service& queues, const bench_load& l) {
  bench_meter meter{l};
  auto& gate = *new window_gate{l.window}; // it may be woken a last time behind our back
  const auto body = body_of(l);
  for (std::uint64_t i = 0; i < l.messages; ++i) {
    gate.enter();
    queues.send("q", {{body, {}, {}, {}}}, "bench",
                [&, begin = steady::now()](const result<queue_service::each<message_id>>& r) {
                  if (!r || !r->at(0))
                    give_up("a message was refused");
                  meter.took(steady::now() - begin);
                  gate.leave();
                });
  }
  gate.wait_all();
  return meter.finish();
}

/// Ten at a time, as consumers do; deleted as one batch.
bench_result consume_all(queue_service& queues, const bench_load& l) {
  bench_meter meter{l};
  const auto batches = std::max<std::uint64_t>(1, l.window / 10);
  auto& gate = *new window_gate{batches};
  std::atomic<std::uint64_t> left{l.messages};
  std::function<void()> next = [&] {
    if (left == 0)
      return gate.leave();
    queues.receive("q", {10, 600, 0}, [&](result<std::vector<received_message>> r) {
      auto messages = expect(std::move(r));
      if (messages.empty())
        return gate.leave();
      std::vector<std::string> receipts;
      for (auto& m : messages)
        receipts.push_back(std::move(m.receipt));
      left -= receipts.size();
      queues.erase("q", std::move(receipts), [&](const result<queue_service::each<void>>& e) {
        if (!e)
          give_up(e.error().message);
        next();
      });
    });
  };
  for (std::uint64_t i = 0; i < batches; ++i) {
    gate.enter();
    next();
  }
  gate.wait_all();
  if (left != 0)
    give_up(fmt::format("{} messages are missing", left.load()));
  return meter.finish();
}

void run_own(const std::string& directory, const bench_load& l) {
  std::filesystem::create_directories(directory);
  std::atomic<std::size_t> fsyncs{0};
  node_services services;
  services.store = expect(open_rocks_state_store(
      {directory + "/state", false, [&](std::size_t) { ++fsyncs; }}));
  services.journal = expect(journal::open(*services.store));
  system_config config;
  caf::actor_system system{config};
  auto broker = system.spawn<caf::detached>(queue_broker, &services);
  auto queues = make_queue_service(broker);
  create(*queues);
  fsyncs = 0;
  auto sent = send_all(*queues, l);
  sent.fsyncs = fsyncs;
  auto consumed = consume_all(*queues, l);
  print("framemill", l, sent, consumed.per_second);
  // What is measured is printed. CAF 0.17 would wait for the broker, which its own
  // next tick holds.
  std::fflush(nullptr);
  std::_Exit(0);
}

// ---- our own, by HTTP -------------------------------------------------------------------

struct sqs_target {
  std::string host, key_id, secret_key; ///< HOST:PORT
  int connections = 8;
  std::size_t batch = 10;
};

/// One connection that sends batches, one after the other.
class sqs_connection {
public:
  explicit sqs_connection(const sqs_target& to) : to_(to) {
    const auto colon = to.host.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(to.host.substr(colon + 1))));
    ::inet_pton(AF_INET, to.host.substr(0, colon).c_str(), &address.sin_addr);
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      give_up("cannot connect to " + to.host);
  }
  ~sqs_connection() { ::close(fd_); }

  std::string call(const std::string& action, const std::string& body) {
    aws_message m;
    m.payload_sha256 = tc3::sha256_hex(body);
    const auto now = std::time(nullptr);
    char text[20];
    std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", std::gmtime(&now));
    m.date_time = text;
    m.region = "local";
    m.headers = {{"host", to_.host}, {"x-amz-date", text}};
    const auto request = fmt::format(
        "POST / HTTP/1.1\r\nHost: {}\r\nX-Amz-Date: {}\r\nX-Amz-Target: AmazonSQS.{}\r\n"
        "Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential={}/{}/local/sqs/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature={}\r\n\r\n{}",
        to_.host, text, action, body.size(), to_.key_id, std::string_view{text, 8},
        aws_signature(m, to_.secret_key), body);
    for (std::size_t sent = 0; sent < request.size();) {
      const auto n = ::send(fd_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (n <= 0)
        give_up("the connection broke");
      sent += static_cast<std::size_t>(n);
    }
    return read_answer();
  }

private:
  std::string read_answer() {
    std::string in;
    std::size_t head = 0, length = 0;
    char bytes[65536];
    while (head == 0 || in.size() < head + length) {
      const auto n = ::recv(fd_, bytes, sizeof bytes, 0);
      if (n <= 0)
        give_up("the connection broke");
      in.append(bytes, static_cast<std::size_t>(n));
      const auto end = in.find("\r\n\r\n");
      if (head == 0 && end != std::string::npos) {
        head = end + 4;
        length = std::stoul(in.substr(in.find("Content-Length: ") + 16));
      }
    }
    if (!in.starts_with("HTTP/1.1 200"))
      give_up(in);
    return in.substr(head);
  }

  const sqs_target& to_;
  int fd_ = -1;
};

void run_sqs(const sqs_target& to, const bench_load& l) {
  auto first = std::make_unique<sqs_connection>(to);
  const auto url = json::parse(
      first->call("CreateQueue", R"({"QueueName":"bench"})"))["QueueUrl"].get<std::string>();
  json entries = json::array();
  for (std::size_t i = 0; i < to.batch; ++i)
    entries.push_back({{"Id", std::to_string(i)}, {"MessageBody", body_of(l)}});
  const auto body = to.batch == 1
                        ? json{{"QueueUrl", url}, {"MessageBody", body_of(l)}}.dump()
                        : json{{"QueueUrl", url}, {"Entries", entries}}.dump();
  bench_meter meter{l};
  std::atomic<std::int64_t> calls{static_cast<std::int64_t>(l.messages / to.batch)};
  std::vector<std::thread> senders;
  for (int i = 0; i < to.connections; ++i)
    senders.emplace_back([&] {
      sqs_connection c{to};
      while (--calls >= 0) {
        const auto begin = steady::now();
        const auto answer = c.call(to.batch == 1 ? "SendMessage" : "SendMessageBatch", body);
        if (answer.find("\"Failed\":[]") == std::string::npos && to.batch > 1)
          give_up(answer);
        meter.took(steady::now() - begin);
      }
    });
  for (auto& t : senders)
    t.join();
  print("sqs", l, meter.finish(), 0);
}

} // namespace
} // namespace framemill

int main(int argc, char** argv) {
  using namespace framemill;
  spdlog::set_default_logger(spdlog::stderr_color_mt("queue_bench")); // stdout is for JSON
  spdlog::set_level(spdlog::level::warn);
  CLI::App app{"queue_bench - messages a second, durable"};
  app.require_subcommand(1);
  bench_load l;
  app.add_option("--messages", l.messages)->check(CLI::PositiveNumber);
  app.add_option("--bytes", l.bytes, "of a body")->check(CLI::PositiveNumber);
  app.add_option("--window", l.window, "unanswered at a time")->check(CLI::PositiveNumber);
  app.fallthrough();
  std::string directory, socket;
  int port = 0;
  sqs_target to;
  auto* own = app.add_subcommand("framemill", "the broker in this process");
  own->add_option("--directory", directory, "an empty one, on the disk to measure")->required();
  own->callback([&] { run_own(directory, l); });
  auto* sqs = app.add_subcommand("sqs", "a running daemon");
  sqs->add_option("--endpoint", to.host)->required();
  sqs->add_option("--secret-id", to.key_id)->required();
  sqs->add_option("--secret-key", to.secret_key)->required();
  sqs->add_option("--connections", to.connections);
  sqs->add_option("--batch", to.batch)->check(CLI::Range(1, 10));
  sqs->callback([&] { run_sqs(to, l); });
  auto* redis = app.add_subcommand("redis", "a running Redis");
  redis->add_option("--socket", socket)->required();
  redis->callback([&] { run_redis(socket, l); });
  auto* rabbitmq = app.add_subcommand("rabbitmq", "a running RabbitMQ");
  rabbitmq->add_option("--port", port)->required();
  rabbitmq->callback([&] { run_rabbitmq(port, l); });
  CLI11_PARSE(app, argc, argv);
}
