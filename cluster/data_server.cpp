#include "cluster/data_files.hpp"
#include "cluster/data_hash.hpp"
#include "cluster/data_plane.hpp"
#include "cluster/data_strands.hpp"
#include "cluster/zmq_support.hpp"
#include "core/codec.hpp"

#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace framemill {
namespace {

using namespace data;
using namespace std::chrono_literals;

constexpr unsigned disk_threads = 4, check_threads = 2, io_threads = 2;
constexpr int requests_per_turn = 64;

using bytes_ptr = std::shared_ptr<zmq::message_t>;

struct answer {
  std::string peer; ///< routing id
  reply head;
  bytes_ptr bytes;
};

std::string key_of(const object_ref& o) { return encode(o); }

/// The FRONT: one thread that owns the sockets, knows who waits for how many
/// answers, and never touches a file. Files are read and written on `disks_`,
/// one client's requests in order; artifacts are verified on `checks_`, so that
/// a large one does not keep others from being read.
class zmq_data_server final : public data_server {
public:
  explicit zmq_data_server(options o)
      : options_(std::move(o)), incoming_(options_.source), context_(io_threads),
        doorkeeper_(context_, [this](const std::string& key) {
          return wire::admission{options_.admit(key), key};
        }),
        router_(context_, zmq::socket_type::router) {
    wire::harden(router_, chunk_bytes_max + header_bytes_max, credit_max);
    wire::serve_curve(router_, options_.keys);
  }
  ~zmq_data_server() override {
    ending_ = true;
    waker_.wake();
    if (front_.joinable())
      front_.join();
  }

  [[nodiscard]] result<void> start() {
    FM_TRY(port_, wire::listen(router_, options_.host, options_.port));
    incoming_.sweep();
    disks_ = std::make_unique<strands>(disk_threads);
    checks_ = std::make_unique<strands>(check_threads);
    front_ = std::thread{[this] { run(); }};
    return {};
  }
  [[nodiscard]] std::uint16_t port() const override { return port_; }

private:
  // ---- the FRONT's thread ----------------------------------------------------------

  void run() {
    std::array items{zmq::pollitem_t{router_.handle(), 0, ZMQ_POLLIN, 0},
                     zmq::pollitem_t{doorkeeper_.socket().handle(), 0, ZMQ_POLLIN, 0},
                     zmq::pollitem_t{nullptr, waker_.fd(), ZMQ_POLLIN, 0}};
    while (!ending_) {
      wire::wait(items.data(), items.size(), 1000ms);
      doorkeeper_.answer_all();
      waker_.settle();
      send_answers();
      for (int i = 0; i < requests_per_turn && receive(); ++i) {}
    }
  }

  /// One request, if there is one.
  bool receive() {
    zmq::message_t peer, head;
    if (!router_.recv(peer, zmq::recv_flags::dontwait))
      return false;
    auto bytes = std::make_shared<zmq::message_t>();
    if (peer.more() && router_.recv(head, zmq::recv_flags::none) && head.more()
        && router_.recv(*bytes, zmq::recv_flags::none) && bytes->more())
      drop_rest();
    take(peer.to_string(), head, std::move(bytes));
    return true;
  }

  void drop_rest() {
    zmq::message_t part;
    do
      (void)router_.recv(part, zmq::recv_flags::none);
    while (part.more());
  }

  void take(std::string peer, zmq::message_t& head, bytes_ptr bytes) {
    if (head.size() > header_bytes_max)
      return refuse(peer, 0, {errc::too_large, "a request's header is too large", {}});
    auto asked = decode<request>(head.to_string_view());
    if (!asked)
      return refuse(peer, 0, std::move(asked).error());
    if (asked->version != request{}.version)
      return refuse(peer, asked->id,
                    {errc::unsupported, "another version of the data plane", {}});
    // A key may have been removed since its handshake.
    if (options_.admit(wire::user_id_of(head)) != wire::verdict::yes)
      return refuse(peer, asked->id, {errc::unauthorized, "this node is not admitted", {}});
    auto& waits = waiting_[peer];
    if (waits >= credit_max)
      return refuse(peer, asked->id, {errc::busy, "too many requests at once", {}});
    ++waits;
    disks_->post(peer, [this, peer, asked = std::move(*asked), bytes = std::move(bytes)] {
      serve(peer, asked, *bytes);
    });
  }

  void refuse(const std::string& peer, std::uint64_t id, error e) {
    send({peer, {.id = id, .failure = std::move(e)}, nullptr});
  }

  void send_answers() {
    std::deque<answer> batch;
    {
      std::lock_guard hold{mutex_};
      batch.swap(answers_);
    }
    for (auto& a : batch) {
      if (auto found = waiting_.find(a.peer); found != waiting_.end() && --found->second == 0)
        waiting_.erase(found);
      send(std::move(a));
    }
  }

  /// To nobody when the peer has gone or does not take what it asked for: its
  /// queue never holds more than `credit_max`. It will ask again.
  void send(answer a) {
    const auto head = encode(a.head);
    zmq::message_t none;
    router_.send(zmq::buffer(a.peer), zmq::send_flags::sndmore);
    router_.send(zmq::buffer(head), zmq::send_flags::sndmore);
    router_.send(a.bytes ? *a.bytes : none, zmq::send_flags::none);
  }

  // ---- on disks_ and checks_ -------------------------------------------------------

  void serve(const std::string& peer, const request& asked, zmq::message_t& bytes) {
    if (auto put = std::get_if<put_artifact>(&asked.body))
      return serve_put(peer, asked.id, *put, bytes.to_string_view());
    auto into = std::make_shared<zmq::message_t>();
    auto total = read(asked.body, *into);
    if (!total)
      return tell({peer, {.id = asked.id, .failure = std::move(total).error()}, nullptr});
    const auto hash = xxh64(into->to_string_view());
    tell({peer, {.id = asked.id, .total = *total, .hash = hash}, std::move(into)});
  }

  result<std::uint64_t> read(const decltype(request::body)& what, zmq::message_t& into) {
    auto buffer = [&into](std::size_t bytes) {
      into.rebuild(bytes);
      return static_cast<char*>(into.data());
    };
    if (auto object = std::get_if<read_object>(&what))
      return read(*object, buffer);
    const auto& a = std::get<read_artifact>(what);
    if (a.size > chunk_bytes_max || !is_sha256(a.sha256))
      return fail(errc::malformed, "a chunk of {} bytes of artifact `{}`", a.size, a.sha256);
    return files_.read(a.sha256, [&] { return options_.source.open_artifact(a.sha256); },
                       a.offset, a.size, buffer);
  }

  result<std::uint64_t> read(const read_object& o, const open_files::buffer_fn& buffer) {
    if (o.size > chunk_bytes_max)
      return fail(errc::malformed, "a chunk of {} bytes", o.size);
    FM_TRY(auto total, files_.read(key_of(o.object),
                                   [&] { return options_.source.open_object(o.object); },
                                   o.offset, o.size, buffer));
    if (total != o.object.generation.size)
      return fail(errc::input_changed, "{} has {} bytes now, not {}", o.object.key, total,
                  o.object.generation.size);
    return total;
  }

  void serve_put(const std::string& peer, std::uint64_t id, const put_artifact& p,
                 std::string_view bytes) {
    auto done = incoming_.put(p, bytes);
    if (!done)
      return tell({peer, {.id = id, .failure = std::move(done).error()}, nullptr});
    if (!done->is_whole)
      return tell({peer, {.id = id, .delivery = done->state}, nullptr});
    checks_->post(p.sha256, [this, peer, id, p] {
      reply r{.id = id, .delivery = delivery_state{delivery_stage::stored, p.size}};
      if (auto finished = incoming_.finish(p.sha256); !finished)
        r.failure = std::move(finished).error();
      tell({peer, std::move(r), nullptr});
    });
  }

  void tell(answer a) {
    {
      std::lock_guard hold{mutex_};
      answers_.push_back(std::move(a));
    }
    waker_.wake();
  }

  const options options_;
  open_files files_;
  incoming_artifacts incoming_;

  zmq::context_t context_;
  wire::doorkeeper doorkeeper_;
  zmq::socket_t router_;
  std::uint16_t port_ = 0;
  std::unordered_map<std::string, int> waiting_; ///< per peer: requests without an answer

  wire::waker waker_;
  std::mutex mutex_;
  std::deque<answer> answers_;
  std::atomic<bool> ending_{false};

  std::thread front_;
  std::unique_ptr<strands> checks_, disks_; ///< last: their tasks use the rest
};

/// A server may give out only some kinds of things: the rest is refused.
void refuse_missing(data_source& s) {
  if (!s.open_object)
    s.open_object = [](const object_ref&) -> result<int> {
      return fail(errc::unsupported, "no objects are served here");
    };
  if (!s.open_artifact)
    s.open_artifact = [](const std::string&) -> result<int> {
      return fail(errc::unsupported, "no artifacts are served here");
    };
}

} // namespace

result<std::unique_ptr<data_server>> data_server::open(options o) {
  if (!o.admit)
    return fail_field(errc::missing_argument, "admit", "a data server has to know its clients");
  refuse_missing(o.source);
  try {
    auto server = std::make_unique<zmq_data_server>(std::move(o));
    FM_CHECK(server->start());
    return server;
  } catch (const zmq::error_t& e) {
    return wire::fail_zmq(e, "the data server");
  }
}

} // namespace framemill
