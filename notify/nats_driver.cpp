#include "notify/nats_driver.hpp"

#include "core/base64.hpp"
#include "core/json.hpp"
#include "notify/socket_guard.hpp"

#include <nats/nats.h>

#include <charconv>
#include <mutex>
#include <vector>

namespace framemill {

namespace {

using namespace std::chrono_literals;

constexpr auto ping_interval = 2000ms; ///< two without an answer end a connection
constexpr auto grace = 500ms;          ///< for its own limit, before it is made to fail
constexpr int pings_out_max = 2;
constexpr auto look_interval = 200ms; ///< at the connection, while answers are due
constexpr const char* system_authorities = "/etc/ssl/certs/ca-certificates.crt";

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* t) const {
    Free(t);
  }
};
using options_ptr = std::unique_ptr<natsOptions, freed_by<natsOptions_Destroy>>;
using connection_ptr = std::unique_ptr<natsConnection, freed_by<natsConnection_Destroy>>;
using subscription_ptr = std::unique_ptr<natsSubscription, freed_by<natsSubscription_Destroy>>;
using context_ptr = std::unique_ptr<jsCtx, freed_by<jsCtx_Destroy>>;
using message_ptr = std::unique_ptr<natsMsg, freed_by<natsMsg_Destroy>>;

/// The library's sentence, without its `(file.c:line): `. It holds no credentials, as we
/// give none in an address.
std::string sentence_of(natsStatus s, const char* detail) {
  std::string_view text = detail == nullptr ? "" : detail;
  if (const auto end = text.find("): "); text.starts_with('(') && end != text.npos)
    text.remove_prefix(end + 3);
  return std::string{text.empty() ? natsStatus_GetText(s) : text};
}

result<void> check(natsStatus s, std::string_view what) {
  if (s == NATS_OK)
    return {};
  return fail(errc::unavailable, "{}: {}", what, sentence_of(s, nats_GetLastError(nullptr)));
}

result<options_ptr> options_of(const broker_options& o) {
  natsOptions* made = nullptr;
  FM_CHECK(check(natsOptions_Create(&made), "options"));
  options_ptr out{made};
  const auto& a = o.address;
  const auto url = "nats://" + host_and_port(a);
  const auto limit = o.connect_limit.count();
  std::vector<natsStatus> all{natsOptions_SetURL(made, url.c_str()),
                              natsOptions_SetName(made, "framemill"),
                              natsOptions_SetTimeout(made, limit),
                              natsOptions_SetWriteDeadline(made, limit),
                              natsOptions_SetAllowReconnect(made, false), // the driver does
                              natsOptions_SetIgnoreDiscoveredServers(made, true),
                              natsOptions_SetPingInterval(made, ping_interval.count()),
                              natsOptions_SetMaxPingsOut(made, pings_out_max),
                              natsOptions_SetNoEcho(made, true)};
  if (!a.user.empty())
    all.push_back(natsOptions_SetUserInfo(made, a.user.c_str(), a.password.c_str()));
  if (!a.token.empty())
    all.push_back(natsOptions_SetToken(made, a.token.c_str()));
  if (a.tls) {
    const auto* ca = o.ca_file.empty() ? system_authorities : o.ca_file.c_str();
    all.insert(all.end(), {natsOptions_SetSecure(made, true),
                           natsOptions_SetExpectedHostname(made, a.host.c_str()),
                           natsOptions_LoadCATrustedCertificates(made, ca)});
  }
  for (auto s : all)
    FM_CHECK(check(s, a.tls ? "connection options or ca_file" : "connection options"));
  return out;
}

/// Answers as the library's threads bring them. Outlives the connection while one of
/// them may still come.
struct inbox {
  std::mutex mutex;
  std::vector<std::pair<std::uint64_t, result<void>>> answers;
  const wake_signal* wake; ///< null: nobody reads them any more
};

result<void> judge(natsMsg* m) {
  if (natsMsg_IsNoResponders(m))
    return fail(errc::not_found, "no stream stores it");
  return judge_nats_answer(
      {natsMsg_GetData(m), static_cast<std::size_t>(natsMsg_GetDataLength(m))});
}

void on_message(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
  message_ptr owned{message};
  auto& in = **static_cast<std::shared_ptr<inbox>*>(closure);
  const std::string_view subject = natsMsg_GetSubject(message);
  std::uint64_t ticket = 0;
  std::from_chars(subject.data() + subject.rfind('.') + 1, subject.data() + subject.size(),
                  ticket);
  auto answer = judge(message);
  std::lock_guard lock{in.mutex};
  if (in.wake == nullptr)
    return;
  in.answers.emplace_back(ticket, std::move(answer));
  in.wake->give();
}

void on_complete(void* closure) { delete static_cast<std::shared_ptr<inbox>*>(closure); }

std::string stream_name(const broker_message& m) {
  return (m.model == queue_model::topic ? "topic-" : "queue-") + m.name;
}

/// Headers hold lines of text: bytes go as base64.
std::string header_value(const message_attribute& a) {
  return a.type.starts_with("Binary") ? encode_base64(a.value) : a.value;
}

class nats_link final : public broker_link {
public:
  static result<std::unique_ptr<broker_link>> open(const broker_options& o,
                                                   const wake_signal& wake) {
    std::unique_ptr<nats_link> out{new nats_link(o, wake)};
    FM_CHECK(out->connect());
    return out;
  }

  ~nats_link() override {
    std::lock_guard lock{inbox_->mutex};
    inbox_->wake = nullptr;
  }

  bool is_ready() override { return true; } // and else the write deadline ends it

  result<void> write(const broker_message& m, const answer_fn& answer) override {
    natsMsg* made = nullptr;
    FM_CHECK(check(natsMsg_Create(&made, nats_subject(m).c_str(),
                                  fmt::format("{}.{}", replies_, m.ticket).c_str(),
                                  m.body.data(), static_cast<int>(m.body.size())),
                   "message"));
    message_ptr message{made};
    FM_CHECK(set(made, "Content-Type", "application/json"));
    if (!m.id.empty())
      FM_CHECK(set(made, "Nats-Msg-Id", m.id));
    for (const auto& [name, a] : m.attributes)
      FM_CHECK(set(made, name, header_value(a)));
    const auto sent = natsConnection_PublishMsg(connection_.get(), made);
    if (sent != NATS_MAX_PAYLOAD)
      return check(sent, "publish");
    answer(m.ticket, fail(errc::too_large, "the broker takes {} bytes at most (max_payload)",
                          natsConnection_GetMaxPayload(connection_.get())));
    return {};
  }

  result<void> collect(std::chrono::milliseconds wait, const answer_fn& answer) override {
    wake_.wait(std::min<std::chrono::milliseconds>(wait, look_interval));
    std::vector<std::pair<std::uint64_t, result<void>>> answers;
    {
      std::lock_guard lock{inbox_->mutex};
      answers.swap(inbox_->answers);
    }
    for (auto& [ticket, a] : answers)
      answer(ticket, std::move(a));
    if (natsConnection_Status(connection_.get()) == NATS_CONN_STATUS_CONNECTED)
      return {};
    const char* why = nullptr;
    const auto status = natsConnection_GetLastError(connection_.get(), &why);
    return fail(errc::unavailable, "the connection broke: {}", sentence_of(status, why));
  }

  result<void> create(const broker_message& m) override {
    const bool is_topic = m.model == queue_model::topic;
    const auto name = stream_name(m);
    const auto subject = nats_subject({.model = m.model, .name = m.name});
    const auto below = subject + ".>";
    const char* subjects[] = {subject.c_str(), below.c_str()};
    jsStreamConfig c;
    jsStreamConfig_Init(&c);
    c.Name = name.c_str();
    c.Subjects = subjects;
    c.SubjectsLen = is_topic ? 2 : 1;
    c.Retention = is_topic ? js_InterestPolicy : js_WorkQueuePolicy;
    c.Storage = js_FileStorage;
    c.Discard = js_DiscardNew; // with a limit, later: refuse rather than lose
    jsErrCode code{};
    const auto made = js_AddStream(nullptr, context_.get(), &c, nullptr, &code);
    if (code == JSStreamNameExistErr)
      return fail(errc::conflict, "there is a stream {}, but it does not store {}", name,
                  subject);
    if (made == NATS_NO_RESPONDERS)
      return fail(errc::unavailable, "the server has no JetStream (nats-server -js)");
    return check(made, fmt::format("stream {} is not there, and cannot be made", name));
  }

private:
  nats_link(const broker_options& o, const wake_signal& wake)
      : options_(o), wake_(wake), inbox_(std::make_shared<inbox>()) {
    inbox_->wake = &wake;
  }

  result<void> connect() {
    FM_TRY(auto options, options_of(options_));
    natsConnection* connection = nullptr;
    {
      // libnats 3.4 goes on for ever when a server falls silent before its first PONG.
      const socket_guard guard{options_.address.port, options_.connect_limit + grace};
      FM_CHECK(check(natsConnection_Connect(&connection, options.get()), "connect"));
    }
    connection_.reset(connection);
    natsInbox* replies = nullptr;
    FM_CHECK(check(natsInbox_Create(&replies), "inbox"));
    replies_ = replies;
    natsInbox_Destroy(replies);
    auto closure = std::make_unique<std::shared_ptr<inbox>>(inbox_);
    natsSubscription* subscription = nullptr;
    FM_CHECK(
        check(natsConnection_Subscribe(&subscription, connection, (replies_ + ".*").c_str(),
                                       &on_message, closure.get()),
              "subscribe"));
    subscription_.reset(subscription);
    FM_CHECK(check(natsSubscription_SetOnCompleteCB(subscription, &on_complete, closure.get()),
                   "subscribe"));
    (void)closure.release(); // on_complete has it
    jsOptions wait;
    jsOptions_Init(&wait);
    wait.Wait = options_.connect_limit.count();
    jsCtx* context = nullptr;
    FM_CHECK(check(natsConnection_JetStream(&context, connection, &wait), "JetStream"));
    context_.reset(context);
    return {};
  }

  static result<void> set(natsMsg* m, const std::string& name, const std::string& value) {
    return check(natsMsgHeader_Set(m, name.c_str(), value.c_str()), "header");
  }

  const broker_options& options_;
  const wake_signal& wake_;
  std::shared_ptr<inbox> inbox_;
  std::string replies_;
  connection_ptr connection_;
  context_ptr context_;
  subscription_ptr subscription_;
};

/// JetStream's numbers, where they mean more than "later".
errc errc_of(std::int64_t number) {
  switch (number) {
    case JSStreamMessageExceedsMaximumErr: return errc::too_large;
    case JSInsufficientResourcesErr:
    case JSStorageResourcesExceededErr: return errc::no_space;
    case JSStreamStoreFailedErr: return errc::busy; // beyond a limit of the stream
    default: return errc::unavailable;
  }
}

} // namespace

std::string nats_subject(const broker_message& m) {
  auto out = (m.model == queue_model::topic ? "topic." : "queue.") + m.name;
  return m.key.empty() ? out : out + "." + m.key;
}

result<void> judge_nats_answer(std::string_view answer) {
  auto said = parse_json(answer);
  if (!said || !said->is_object())
    return fail(errc::unavailable, "what answered is not JetStream");
  if (auto e = said->find("error"); e != said->end() && e->is_object()) {
    const auto number = e->find("err_code"), text = e->find("description");
    return fail(errc_of(number != e->end() && number->is_number_integer()
                            ? number->get<std::int64_t>()
                            : 0),
                "JetStream refused it: {}",
                text != e->end() && text->is_string() ? text->get<std::string>() : e->dump());
  }
  const auto place = said->find("seq");
  if (!said->contains("stream") || place == said->end() || !place->is_number_integer())
    return fail(errc::unavailable, "what answered is not JetStream");
  return {};
}

std::unique_ptr<queue_driver> make_nats_driver(broker_options options) {
  auto shared = std::make_shared<const broker_options>(options);
  return make_broker_driver(
      [shared](const wake_signal& wake) { return nats_link::open(*shared, wake); },
      std::move(options));
}

} // namespace framemill
