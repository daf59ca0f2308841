#include "cluster/data_plane.hpp"
#include "cluster/transport.hpp"

#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

// The data plane against plain TCP on loopback, and what it does to the beats of
// the control plane. One way per call; prints a number, or the beats' p50, p99
// and largest, in one line. Server and client are threads of this process.

using namespace framemill;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::size_t chunk_bytes = 256 << 10; // as data_client's
constexpr int credit = 8;
constexpr std::uint64_t range_bytes = 16 << 20;

double seconds_since(steady::time_point begin) {
  return std::chrono::duration<double>(steady::now() - begin).count();
}

hub::options::verdict anybody(std::string_view) { return hub::options::verdict::yes; }

template <class T>
T must(result<T> r) {
  if (!r)
    throw std::runtime_error{r.error().message};
  return std::move(*r);
}

// ---- the peers ---------------------------------------------------------------------

/// Sends from memory, reads into memory: what iperf does.
double plain_tcp(std::uint64_t bytes) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  const int door = ::socket(AF_INET, SOCK_STREAM, 0), out = ::socket(AF_INET, SOCK_STREAM, 0);
  auto address = reinterpret_cast<sockaddr*>(&where);
  if (::bind(door, address, size) != 0 || ::listen(door, 1) != 0
      || ::getsockname(door, address, &size) != 0 || ::connect(out, address, size) != 0)
    throw std::runtime_error{"no loopback"};
  const int in = ::accept(door, nullptr, nullptr);
  const auto begin = steady::now();
  std::thread sender{[&] {
    const std::vector<char> block(chunk_bytes, 'x');
    for (std::uint64_t sent = 0; sent < bytes;)
      if (auto n = ::send(out, block.data(), std::min(block.size(), bytes - sent), 0); n > 0)
        sent += static_cast<std::uint64_t>(n);
  }};
  std::vector<char> block(chunk_bytes);
  for (std::uint64_t got = 0; got < bytes;)
    got += static_cast<std::uint64_t>(
        std::max<ssize_t>(0, ::read(in, block.data(), block.size())));
  const auto seconds = seconds_since(begin);
  sender.join();
  for (int fd : {door, out, in})
    ::close(fd);
  return seconds;
}

enum class cipher { none, curve };

/// The same chunks and credit through bare ZeroMQ: no file, no hash, no codec.
double bare_zmq(std::uint64_t bytes, cipher c) {
  zmq::context_t serving{2}, asking{1};
  zmq::socket_t router{serving, zmq::socket_type::router},
      dealer{asking, zmq::socket_type::dealer};
  if (c == cipher::curve) {
    const auto server = make_key_pair(), client = make_key_pair();
    router.set(zmq::sockopt::curve_server, 1);
    router.set(zmq::sockopt::curve_secretkey, server.secret_key);
    dealer.set(zmq::sockopt::curve_serverkey, server.public_key);
    dealer.set(zmq::sockopt::curve_publickey, client.public_key);
    dealer.set(zmq::sockopt::curve_secretkey, client.secret_key);
  }
  router.bind("tcp://127.0.0.1:*");
  dealer.connect(router.get(zmq::sockopt::last_endpoint));
  const auto chunks = (bytes + chunk_bytes - 1) / chunk_bytes;
  const auto begin = steady::now();
  std::thread server{[&] {
    for (std::uint64_t i = 0; i < chunks; ++i) {
      zmq::message_t peer, question, chunk{chunk_bytes};
      (void)router.recv(peer);
      (void)router.recv(question);
      std::memset(chunk.data(), 'x', chunk.size());
      router.send(peer, zmq::send_flags::sndmore);
      router.send(chunk, zmq::send_flags::none);
    }
  }};
  std::vector<char> sink(chunk_bytes);
  for (std::uint64_t asked = 0, got = 0; got < chunks;) {
    for (; asked < chunks && asked - got < credit; ++asked)
      dealer.send(zmq::message_t{16}, zmq::send_flags::none);
    zmq::message_t chunk;
    (void)dealer.recv(chunk);
    std::memcpy(sink.data(), chunk.data(), chunk.size());
    ++got;
  }
  const auto seconds = seconds_since(begin);
  server.join();
  return seconds;
}

// ---- ours ----------------------------------------------------------------------------

struct data_plane {
  key_pair keys = make_key_pair();
  object_ref object{"b", "k", {}};
  std::unique_ptr<data_server> server;
  std::unique_ptr<data_client> client;

  explicit data_plane(const std::string& file) {
    struct stat s {};
    if (::stat(file.c_str(), &s) != 0)
      throw std::runtime_error{"no file " + file};
    object.generation.size = static_cast<std::uint64_t>(s.st_size);
    data_source files;
    files.open_object = [file](const object_ref&) -> result<int> {
      return ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    };
    server = must(data_server::open({.keys = keys, .admit = anybody, .source = files}));
    client = must(data_client::open({.host = "127.0.0.1",
                                     .port = server->port(),
                                     .server_key = keys.public_key,
                                     .keys = make_key_pair(),
                                     .credit = credit,
                                     .chunk_bytes = chunk_bytes}));
    must(client->read(object, 0, 1)); // the handshake is not measured
  }

  double read_all() {
    const auto begin = steady::now();
    for (std::uint64_t at = 0; at < object.generation.size; at += range_bytes)
      must(client->read(object, at, range_bytes));
    return seconds_since(begin);
  }
};

/// Round trips of a beat each 10 ms between a hub and a link.
class beats {
public:
  beats() {
    auto echo = [this](connection_key from, std::string, std::string frame) {
      hub_->send(from, std::move(frame));
    };
    hub_ = must(hub::open({.keys = keys_, .admit = anybody},
                          {.on_frame = echo, .on_gone = [](connection_key) {}}));
    link_ = must(framemill::link::open({.host = "127.0.0.1",
                                        .port = hub_->port(),
                                        .server_key = keys_.public_key,
                                        .keys = make_key_pair()},
                                       {.on_up = [this] { tell_up(); },
                                        .on_frame = [this](std::string f) { hear(f); },
                                        .on_down = [](std::string) {}}));
    std::unique_lock hold{mutex_};
    if (!moved_.wait_for(hold, 5s, [this] { return up_; }))
      throw std::runtime_error{"no link to the hub"};
  }
  ~beats() {
    link_.reset();
    hub_.reset();
  }

  /// "p50 p99 max", in milliseconds.
  std::string measure(std::chrono::seconds time) {
    const auto count = time / 10ms;
    auto next = steady::now();
    for (auto i = count; i > 0; --i) {
      const auto now = steady::now().time_since_epoch().count();
      link_->send({reinterpret_cast<const char*>(&now), sizeof now});
      std::this_thread::sleep_until(next += 10ms);
    }
    std::unique_lock hold{mutex_};
    moved_.wait_for(hold, 5s, [&] { return milliseconds_.size() >= std::size_t(count); });
    std::sort(milliseconds_.begin(), milliseconds_.end());
    if (milliseconds_.size() < std::size_t(count))
      throw std::runtime_error{"beats were lost"};
    auto at = [this](std::size_t percent) {
      return milliseconds_[(milliseconds_.size() - 1) * percent / 100];
    };
    return fmt::format("{:.3f} {:.3f} {:.3f}", at(50), at(99), at(100));
  }

private:
  void tell_up() {
    std::lock_guard hold{mutex_};
    up_ = true;
    moved_.notify_all();
  }
  void hear(const std::string& frame) {
    steady::rep sent = 0;
    std::memcpy(&sent, frame.data(), std::min(frame.size(), sizeof sent));
    const auto took = steady::now().time_since_epoch() - steady::duration{sent};
    std::lock_guard hold{mutex_};
    milliseconds_.push_back(std::chrono::duration<double, std::milli>(took).count());
    moved_.notify_all();
  }

  key_pair keys_ = make_key_pair();
  std::mutex mutex_;
  std::condition_variable moved_;
  bool up_ = false;
  std::vector<double> milliseconds_;
  std::unique_ptr<hub> hub_;
  std::unique_ptr<framemill::link> link_;
};

std::string beats_beside_bulk(const std::string& file, std::chrono::seconds time) {
  data_plane plane{file};
  beats control;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> bytes{0};
  std::thread bulk{[&] {
    while (!stop)
      bytes += must(plane.client->read(plane.object, 0, range_bytes)).size();
  }};
  const auto begin = steady::now();
  auto line = control.measure(time);
  const auto seconds = seconds_since(begin);
  stop = true;
  bulk.join();
  return fmt::format("{} {:.0f}", line, double(bytes) / seconds / 1e6);
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"The data plane on loopback: seconds, or a beat's round trip in ms"};
  std::string way, file;
  int time = 3;
  app.add_option("way", way)->required()->check(
      CLI::IsMember({"tcp", "zmq", "curve", "ours", "beats", "beats-beside-bulk"}));
  app.add_option("file", file, "as many bytes as this travel")->required();
  app.add_option("--seconds", time, "of beats");
  CLI11_PARSE(app, argc, argv);
  try {
    struct stat s {};
    if (::stat(file.c_str(), &s) != 0)
      throw std::runtime_error{"no file " + file};
    const auto bytes = static_cast<std::uint64_t>(s.st_size);
    if (way == "beats")
      fmt::print("{}\n", beats{}.measure(std::chrono::seconds{time}));
    else if (way == "beats-beside-bulk")
      fmt::print("{}\n", beats_beside_bulk(file, std::chrono::seconds{time}));
    else
      fmt::print("{:.4f}\n", way == "tcp"     ? plain_tcp(bytes)
                             : way == "zmq"   ? bare_zmq(bytes, cipher::none)
                             : way == "curve" ? bare_zmq(bytes, cipher::curve)
                                              : data_plane{file}.read_all());
  } catch (const std::exception& e) {
    fmt::print(stderr, "data_plane_bench: {}\n", e.what());
    return 1;
  }
}
