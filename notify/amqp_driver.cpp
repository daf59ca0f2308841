#include "notify/amqp_driver.hpp"

#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <poll.h>

#include <charconv>
#include <map>
#include <set>
#include <vector>

namespace framemill {

namespace {

constexpr amqp_channel_t publishing = 1, declaring = 2;
constexpr int heartbeat_seconds = 4; ///< two without a word end a connection
constexpr std::chrono::milliseconds farewell_limit{300};
constexpr int frame_bytes_max = 131072;
constexpr const char* system_authorities = "/etc/ssl/certs/ca-certificates.crt";
constexpr std::uint8_t persistent = 2;

timeval timeval_of(std::chrono::milliseconds t) {
  return {t.count() / 1000, t.count() % 1000 * 1000};
}

amqp_bytes_t bytes_of(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())}; // read only, all of them
}

std::string text_of(const amqp_bytes_t& b) {
  return {static_cast<const char*>(b.bytes), b.len};
}

result<void> check(int status, std::string_view what) {
  if (status >= 0)
    return {};
  return fail(errc::unavailable, "{}: {}", what, amqp_error_string2(status));
}

/// What the server said when it closed a channel or the connection.
struct closing {
  std::uint16_t code = 0;
  std::string text;
};
closing closing_of(const amqp_method_t& m) {
  if (m.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto& c = *static_cast<const amqp_channel_close_t*>(m.decoded);
    return {c.reply_code, text_of(c.reply_text)};
  }
  if (m.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto& c = *static_cast<const amqp_connection_close_t*>(m.decoded);
    return {c.reply_code, text_of(c.reply_text)};
  }
  return {0, "an answer that makes no sense here"};
}

errc errc_of(std::uint16_t reply_code) {
  switch (reply_code) {
    case AMQP_NOT_FOUND:
    case AMQP_NO_ROUTE: return errc::not_found;
    case AMQP_ACCESS_REFUSED: return errc::unauthorized;
    case AMQP_PRECONDITION_FAILED: return errc::conflict;
    case AMQP_CONTENT_TOO_LARGE: return errc::too_large;
    default: return errc::unavailable;
  }
}

result<void> check(const amqp_rpc_reply_t& r, std::string_view what) {
  switch (r.reply_type) {
    case AMQP_RESPONSE_NORMAL: return {};
    case AMQP_RESPONSE_SERVER_EXCEPTION: {
      auto [code, text] = closing_of(r.reply);
      return fail(errc_of(code), "{}: {}", what, text);
    }
    default:
      return check(r.library_error < 0 ? r.library_error : AMQP_STATUS_CONNECTION_CLOSED, what);
  }
}

struct connection_free {
  void operator()(amqp_connection_state_t c) const { amqp_destroy_connection(c); }
};
using connection_ptr = std::unique_ptr<amqp_connection_state_t_, connection_free>;

amqp_field_value_t value_of(const message_attribute& a) {
  amqp_field_value_t out{};
  out.kind = a.type.starts_with("Binary") ? AMQP_FIELD_KIND_BYTES : AMQP_FIELD_KIND_UTF8;
  out.value.bytes = bytes_of(a.value);
  std::int64_t number = 0;
  const auto* end = a.value.data() + a.value.size();
  if (a.type.starts_with("Number") && std::from_chars(a.value.data(), end, number).ptr == end) {
    out.kind = AMQP_FIELD_KIND_I64;
    out.value.i64 = number;
  }
  return out;
}

class amqp_link final : public broker_link {
public:
  static result<std::unique_ptr<broker_link>> open(const broker_options& o,
                                                   const wake_signal& wake) {
    std::unique_ptr<amqp_link> out{new amqp_link(o, wake)};
    if (!out->connection_)
      return fail(errc::no_memory, "no memory for a connection");
    FM_CHECK(out->connect());
    return out;
  }

  /// Politely; one that hangs is not waited for.
  ~amqp_link() override {
    const auto limit = timeval_of(farewell_limit);
    amqp_set_rpc_timeout(connection(), &limit);
    (void)amqp_connection_close(connection(), AMQP_REPLY_SUCCESS);
  }

  bool is_ready() override {
    pollfd p{amqp_get_sockfd(connection()), POLLOUT, 0};
    return ::poll(&p, 1, 0) == 1;
  }

  result<void> write(const broker_message& m, const answer_fn& answer) override {
    const bool is_topic = m.model == queue_model::topic;
    if (is_topic && !exchanges_.contains(m.name)) {
      auto found = declare_exchange(m.name, declare::look);
      FM_CHECK(std::exchange(broken_, {}));
      if (!found) {
        answer(m.ticket, found);
        return {};
      }
    }
    std::vector<amqp_table_entry_t> headers;
    for (const auto& [name, a] : m.attributes)
      headers.push_back({bytes_of(name), value_of(a)});
    const auto ticket = std::to_string(m.ticket);
    amqp_basic_properties_t p{};
    p._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG
               | AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG;
    p.content_type = amqp_cstring_bytes("application/json");
    p.delivery_mode = persistent;
    p.headers = {static_cast<int>(headers.size()), headers.data()};
    p.correlation_id = bytes_of(ticket); // by which a message that comes back is known
    if (!m.id.empty()) {
      p._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
      p.message_id = bytes_of(m.id);
    }
    const bool is_mandatory = !is_topic;
    FM_CHECK(
        check(amqp_basic_publish(connection(), publishing, bytes_of(is_topic ? m.name : ""),
                                 bytes_of(is_topic ? m.key : m.name), is_mandatory, 0, &p,
                                 bytes_of(m.body)),
              "publish"));
    unconfirmed_.emplace(++last_tag_, m.ticket);
    return {};
  }

  result<void> collect(std::chrono::milliseconds wait, const answer_fn& answer) override {
    if (!amqp_frames_enqueued(connection()) && !amqp_data_in_buffer(connection())) {
      pollfd both[] = {{amqp_get_sockfd(connection()), POLLIN, 0},
                       {wake_.descriptor(), POLLIN, 0}};
      ::poll(both, 2, static_cast<int>(wait.count()));
    }
    wake_.take();
    for (amqp_frame_t frame;;) {
      amqp_maybe_release_buffers(connection());
      const timeval at_once{};
      const auto status = amqp_simple_wait_frame_noblock(connection(), &frame, &at_once);
      if (status == AMQP_STATUS_TIMEOUT)
        return std::exchange(broken_, {});
      FM_CHECK(check(status, "the connection broke"));
      if (frame.frame_type == AMQP_FRAME_METHOD)
        FM_CHECK(on_method(frame.payload.method, answer));
    }
  }

  result<void> create(const broker_message& m) override {
    if (m.model == queue_model::topic)
      return declare_exchange(m.name, declare::make);
    FM_CHECK(open_channel(declaring));
    amqp_queue_declare(connection(), declaring, bytes_of(m.name), 0, 1, 0, 0, amqp_empty_table);
    return end_declare("queue " + m.name);
  }

private:
  enum class declare : std::uint8_t { look, make };

  amqp_link(const broker_options& o, const wake_signal& wake) : options_(o), wake_(wake) {}

  [[nodiscard]] amqp_connection_state_t connection() const { return connection_.get(); }

  result<void> connect() {
    const auto& a = options_.address;
    FM_TRY(auto* socket, make_socket());
    const auto limit = timeval_of(options_.connect_limit);
    amqp_set_handshake_timeout(connection(), &limit);
    amqp_set_rpc_timeout(connection(), &limit);
    FM_CHECK(
        check(amqp_socket_open_noblock(socket, a.host.c_str(), a.port, &limit), "connect"));
    const auto* user = a.user.empty() ? "guest" : a.user.c_str();
    const auto* password = a.user.empty() ? "guest" : a.password.c_str();
    FM_CHECK(check(amqp_login(connection(), a.vhost.c_str(), 0, frame_bytes_max,
                              heartbeat_seconds, AMQP_SASL_METHOD_PLAIN, user, password),
                   "login"));
    FM_CHECK(open_channel(publishing));
    amqp_confirm_select(connection(), publishing);
    return check(amqp_get_rpc_reply(connection()), "publisher confirms");
  }

  result<amqp_socket_t*> make_socket() const {
    const auto no_memory = [] { return fail(errc::no_memory, "no memory for a socket"); };
    if (!options_.address.tls) {
      auto* plain = amqp_tcp_socket_new(connection());
      if (plain == nullptr)
        return no_memory();
      return plain;
    }
    auto* tls = amqp_ssl_socket_new(connection());
    if (tls == nullptr)
      return no_memory();
    const auto* ca = options_.ca_file.empty() ? system_authorities : options_.ca_file.c_str();
    FM_CHECK(check(amqp_ssl_socket_set_cacert(tls, ca), "ca_file"));
    amqp_ssl_socket_set_verify_peer(tls, 1);
    amqp_ssl_socket_set_verify_hostname(tls, 1);
    FM_CHECK(
        check(amqp_ssl_socket_set_ssl_versions(tls, AMQP_TLSv1_2, AMQP_TLSvLATEST), "TLS"));
    return tls;
  }

  result<void> open_channel(amqp_channel_t which) {
    if (!channels_.insert(which).second)
      return {};
    amqp_channel_open(connection(), which);
    return broken_ = check(amqp_get_rpc_reply(connection()), "channel");
  }

  result<void> declare_exchange(const std::string& name, declare how) {
    FM_CHECK(open_channel(declaring));
    amqp_exchange_declare(connection(), declaring, bytes_of(name), amqp_cstring_bytes("topic"),
                          how == declare::look, 1, 0, 0, amqp_empty_table);
    FM_CHECK(end_declare("topic exchange " + name));
    exchanges_.insert(name);
    return {};
  }

  /// A refusal closes the channel, and is the message's; all else is the connection's.
  result<void> end_declare(const std::string& what) {
    const auto reply = amqp_get_rpc_reply(connection());
    auto out = check(reply, what);
    if (out)
      return out;
    channels_.erase(declaring);
    amqp_channel_close_ok_t ok{};
    const bool is_refusal = reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION
                            && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD;
    broken_ =
        is_refusal ? check(
            amqp_send_method(connection(), declaring, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok), what)
                   : out;
    return out;
  }

  result<void> on_method(const amqp_method_t& m, const answer_fn& answer) {
    switch (m.id) {
      case AMQP_BASIC_ACK_METHOD: {
        const auto& ack = *static_cast<const amqp_basic_ack_t*>(m.decoded);
        confirm(ack.delivery_tag, ack.multiple != 0, {}, answer);
        return {};
      }
      case AMQP_BASIC_NACK_METHOD: {
        const auto& nack = *static_cast<const amqp_basic_nack_t*>(m.decoded);
        confirm(nack.delivery_tag, nack.multiple != 0,
                fail(errc::unavailable, "RabbitMQ could not store it (nack)"), answer);
        return {};
      }
      case AMQP_BASIC_RETURN_METHOD:
        return take_returned(*static_cast<const amqp_basic_return_t*>(m.decoded));
      case AMQP_CHANNEL_CLOSE_METHOD:
      case AMQP_CONNECTION_CLOSE_METHOD:
        return fail(errc::unavailable, "RabbitMQ closed the connection: {}",
                    closing_of(m).text);
      default: return {};
    }
  }

  /// No queue took it. Its confirm follows.
  result<void> take_returned(const amqp_basic_return_t& r) {
    const auto why = fmt::format("{}: {}", text_of(r.reply_text), text_of(r.routing_key));
    amqp_message_t message;
    FM_CHECK(
        check(amqp_read_message(connection(), publishing, &message, 0), "returned message"));
    const auto ticket = text_of(message.properties.correlation_id);
    amqp_destroy_message(&message);
    returned_.emplace(ticket, why);
    return {};
  }

  void confirm(std::uint64_t tag, bool multiple, const result<void>& r,
               const answer_fn& answer) {
    auto end = unconfirmed_.upper_bound(tag);
    auto begin = multiple ? unconfirmed_.begin() : unconfirmed_.find(tag);
    if (!multiple && begin == unconfirmed_.end())
      return;
    std::vector<std::uint64_t> tickets;
    for (auto i = begin; i != end; ++i)
      tickets.push_back(i->second);
    unconfirmed_.erase(begin, end);
    for (auto ticket : tickets) {
      auto back = returned_.extract(std::to_string(ticket));
      answer(ticket, back.empty() ? r : fail(errc::not_found, "{}", back.mapped()));
    }
  }

  const broker_options& options_;
  const wake_signal& wake_;
  const connection_ptr connection_{amqp_new_connection()};
  std::set<amqp_channel_t> channels_;
  std::set<std::string> exchanges_;                    ///< that are there
  std::map<std::uint64_t, std::uint64_t> unconfirmed_; ///< delivery tag → ticket
  std::map<std::string, std::string> returned_;        ///< ticket → why
  std::uint64_t last_tag_ = 0;
  result<void> broken_; ///< told by the next call that may tell it
};

} // namespace

std::unique_ptr<queue_driver> make_amqp_driver(broker_options options) {
  auto shared = std::make_shared<const broker_options>(options);
  return make_broker_driver(
      [shared](const wake_signal& wake) { return amqp_link::open(*shared, wake); },
      std::move(options));
}

} // namespace framemill
