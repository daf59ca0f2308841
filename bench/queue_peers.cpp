#include "bench/queue_peers.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>

#ifdef FRAMEMILL_HAS_RABBITMQ
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif

namespace framemill {

namespace {

using steady = std::chrono::steady_clock;

double cpu_seconds() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * t.tv_usec; };
  return of(u.ru_utime) + of(u.ru_stime);
}

double percentile(std::vector<double>& v, double p) {
  if (v.empty())
    return 0;
  std::sort(v.begin(), v.end());
  return v[static_cast<std::size_t>(p * static_cast<double>(v.size() - 1) + 0.5)];
}

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "queue_bench: {}\n", why);
  std::_Exit(1);
}

} // namespace

bench_meter::bench_meter(const bench_load& l) : messages_(l.messages), cpu_(cpu_seconds()) {
  ms_.reserve(l.messages);
}

void bench_meter::took(steady::duration d) {
  std::lock_guard lock{mutex_};
  ms_.push_back(std::chrono::duration<double, std::milli>(d).count());
}

bench_result bench_meter::finish() {
  const auto seconds = std::chrono::duration<double>(steady::now() - begin_).count();
  const auto n = static_cast<double>(messages_);
  return {n / seconds, percentile(ms_, 0.5), percentile(ms_, 0.99),
          1e6 * (cpu_seconds() - cpu_) / n, 0};
}

void print(const std::string& subject, const bench_load& l, bench_result sent,
           double received_per_second) {
  fmt::print("{{\"subject\":\"{}\",\"messages\":{},\"window\":{},\"per_second\":{:.0f},"
             "\"p50_ms\":{:.3f},\"p99_ms\":{:.3f},\"cpu_us\":{:.1f},\"fsyncs\":{},"
             "\"received_per_second\":{:.0f}}}\n",
             subject, l.messages, l.window, sent.per_second, sent.p50_ms, sent.p99_ms,
             sent.cpu_us, sent.fsyncs, received_per_second);
}

// ---- Redis --------------------------------------------------------------------------

void run_redis(const std::string& path, const bench_load& l) {
  const auto fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    give_up("cannot connect to " + path);
  const auto command =
      fmt::format("*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nb\r\n${}\r\n{}\r\n", l.bytes,
                  std::string(l.bytes, 'x'));
  bench_meter meter{l};
  std::deque<steady::time_point> since;
  std::uint64_t sent = 0, answered = 0;
  std::string out;
  char in[65536];
  int newlines = 0; // an answer is `$15\r\n<id>\r\n`
  while (answered < l.messages) {
    out.clear();
    for (; sent < l.messages && sent - answered < l.window; ++sent) {
      out += command;
      since.push_back(steady::now());
    }
    for (std::size_t done = 0; done < out.size();) {
      const auto n = ::write(fd, out.data() + done, out.size() - done);
      if (n <= 0)
        give_up("Redis hung up");
      done += static_cast<std::size_t>(n);
    }
    const auto n = ::read(fd, in, sizeof in);
    if (n <= 0)
      give_up("Redis hung up");
    for (auto i = 0; i < n; ++i) {
      if (in[i] == '-' && newlines == 0)
        give_up("Redis refused: " + std::string(in + i, static_cast<std::size_t>(n - i)));
      if (in[i] == '\n' && ++newlines == 2) {
        newlines = 0;
        ++answered;
        meter.took(steady::now() - since.front());
        since.pop_front();
      }
    }
  }
  ::close(fd);
  print("redis", l, meter.finish(), 0);
}

// ---- RabbitMQ -------------------------------------------------------------------------

#ifdef FRAMEMILL_HAS_RABBITMQ
namespace {

/// Confirms come for one message or for all up to one.
class confirms {
public:
  explicit confirms(bench_meter& meter) : meter_(meter) {}
  void sent() { since_.push_back(steady::now()); }
  [[nodiscard]] std::uint64_t open() const { return since_.size() - early_; }
  void acknowledge(std::uint64_t tag, bool multiple) {
    const auto now = steady::now();
    if (multiple) {
      for (; first_ <= tag; ++first_)
        take(now);
    } else if (tag == first_) {
      ++first_;
      take(now);
    } else { // out of order: counted now, taken when its turn comes
      auto& since = since_[tag - first_];
      meter_.took(now - since);
      since = {};
      ++early_;
    }
    for (; !since_.empty() && since_.front() == steady::time_point{}; ++first_, --early_)
      since_.pop_front();
  }

private:
  void take(steady::time_point now) {
    if (since_.front() != steady::time_point{})
      meter_.took(now - since_.front());
    else
      --early_;
    since_.pop_front();
  }

  bench_meter& meter_;
  std::deque<steady::time_point> since_; ///< of tags first_, first_ + 1, …
  std::uint64_t first_ = 1, early_ = 0;
};

void check(const amqp_rpc_reply_t& r, const char* what) {
  if (r.reply_type != AMQP_RESPONSE_NORMAL)
    give_up(fmt::format("RabbitMQ: {} failed", what));
}

void wait_for_confirm(amqp_connection_state_t c, confirms& open) {
  amqp_frame_t frame;
  amqp_maybe_release_buffers(c);
  if (amqp_simple_wait_frame(c, &frame) != AMQP_STATUS_OK)
    give_up("RabbitMQ hung up");
  if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
    give_up("RabbitMQ did not confirm");
  const auto* ack = static_cast<amqp_basic_ack_t*>(frame.payload.method.decoded);
  open.acknowledge(ack->delivery_tag, ack->multiple != 0);
}

} // namespace

void run_rabbitmq(int port, const bench_load& l) {
  auto* c = amqp_new_connection();
  auto* socket = amqp_tcp_socket_new(c);
  if (amqp_socket_open(socket, "127.0.0.1", port) != AMQP_STATUS_OK)
    give_up("cannot connect to RabbitMQ");
  check(amqp_login(c, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "login");
  amqp_channel_open(c, 1);
  check(amqp_get_rpc_reply(c), "opening a channel");
  const auto queue = amqp_cstring_bytes("bench");
  amqp_queue_declare(c, 1, queue, 0, 1, 0, 0, amqp_empty_table);
  check(amqp_get_rpc_reply(c), "declaring a queue");
  amqp_confirm_select(c, 1);
  check(amqp_get_rpc_reply(c), "confirm.select");
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
  properties.delivery_mode = 2; // persistent
  std::string text(l.bytes, 'x');
  const amqp_bytes_t body{text.size(), text.data()};
  bench_meter meter{l};
  confirms open{meter};
  for (std::uint64_t i = 0; i < l.messages; ++i) {
    while (open.open() >= l.window)
      wait_for_confirm(c, open);
    if (amqp_basic_publish(c, 1, amqp_empty_bytes, queue, 0, 0, &properties, body) != AMQP_STATUS_OK)
      give_up("RabbitMQ: publishing failed");
    open.sent();
  }
  while (open.open() > 0)
    wait_for_confirm(c, open);
  print("rabbitmq", l, meter.finish(), 0);
  amqp_connection_close(c, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(c);
}
#else
void run_rabbitmq(int, const bench_load&) { give_up("built without librabbitmq"); }
#endif

} // namespace framemill
