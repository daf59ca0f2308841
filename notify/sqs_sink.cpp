#include "notify/sqs_sink.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>
#include <mutex>
#include <optional>

namespace framemill {

namespace {

using nlohmann::json;
using verdict = delivery_answer::verdict;

std::string text_of(const json& body, const char* name) {
  auto found = body.is_object() ? body.find(name) : body.end();
  return found != body.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

json parse(const std::string& body) { return json::parse(body, nullptr, false); }

/// What the queue's URL is known by: the account is the key's.
std::string key_of(const aws_sqs& q) {
  return q.region + '/' + q.queue_name + '/' + q.secret_id;
}

class sqs_sink final : public sink {
public:
  sqs_sink(std::shared_ptr<http_door> door, std::string endpoint)
      : door_(std::move(door)), endpoint_(std::move(endpoint)) {}

  void deliver(notification n, done_fn done) override {
    if (!n.config.aws_sqs)
      return done({verdict::parked, "the notification names no queue: AwsSQS is missing", {}});
    auto url = urls_->find(key_of(*n.config.aws_sqs));
    url ? send(std::move(n), *url, std::move(done)) : look_up(std::move(n), std::move(done));
  }

private:
  /// The URLs of queues. Outlives the sink while the door still answers.
  class url_book {
  public:
    std::optional<std::string> find(const std::string& key) const {
      std::lock_guard lock{mutex_};
      auto found = urls_.find(key);
      return found != urls_.end() ? std::optional{found->second} : std::nullopt;
    }
    void set(const std::string& key, std::string url) {
      std::lock_guard lock{mutex_};
      urls_.insert_or_assign(key, std::move(url));
    }
    void forget(const std::string& key) {
      std::lock_guard lock{mutex_};
      urls_.erase(key);
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string> urls_;
  };

  /// A queue is found by its name first.
  void look_up(notification n, done_fn done) {
    const auto to = *n.config.aws_sqs;
    post_by(*door_, endpoint_, to, "GetQueueUrl", {{"QueueName", to.queue_name}}, n.may_begin,
         [urls = urls_, to, done = std::move(done), again = sender(std::move(n))](
             const http_answer& a) mutable {
           auto url = text_of(parse(a.body), "QueueUrl");
           if (a.status != 200 || url.empty())
             return done(a.status == 200
                             ? delivery_answer{verdict::again, "GetQueueUrl named no queue", {}}
                             : judge_sqs(a));
           urls->set(key_of(to), url);
           again(url, std::move(done));
         });
  }

  void send(notification n, const std::string& url, done_fn done) {
    sender(std::move(n))(url, std::move(done));
  }

  /// Holds all that sending takes: it may happen after the sink has gone.
  [[nodiscard]] std::function<void(const std::string& url, done_fn)> sender(notification n) const {
    return [door = std::weak_ptr{door_}, endpoint = endpoint_, urls = urls_,
            n = std::move(n)](const std::string& url, done_fn done) {
      const auto& to = *n.config.aws_sqs;
      auto open = door.lock();
      if (!open)
        return done({verdict::again, "this node was stopping", {}});
      auto number = [](std::uint64_t value) {
        return json{{"DataType", "Number"}, {"StringValue", std::to_string(value)}};
      };
      json what{{"QueueUrl", url},
                {"MessageBody", n.body},
                {"MessageAttributes",
                 {{"EventId", number(n.event.value)},
                  {"RunId", number(n.run.value)},
                  {"EventType", {{"DataType", "String"}, {"StringValue", n.event_type}}}}}};
      post_by(*open, endpoint, to, "SendMessage", std::move(what), n.may_begin,
              [urls, to, done = std::move(done)](const http_answer& a) {
                if (a.status != 200)
                  urls->forget(key_of(to)); // it may have another one by now
                done(judge_sqs(a));
              });
    };
  }

  static void post_by(http_door& door, const std::string& endpoint, const aws_sqs& to,
                      std::string_view action, json what,
                      std::function<bool()> may_begin, http_door::done_fn done) {
    http_content content;
    content.headers = {"Content-Type: application/x-amz-json-1.0",
                       fmt::format("X-Amz-Target: AmazonSQS.{}", action)};
    content.body = what.dump();
    content.signer = {to.region, "sqs", to.secret_id, to.secret_key};
    auto url = endpoint.empty() ? fmt::format("https://sqs.{}.amazonaws.com/", to.region)
                                : endpoint;
    auto in_time = [content = std::move(content),
                    may_begin = std::move(may_begin)]() -> std::optional<http_content> {
      return may_begin && !may_begin() ? std::nullopt : std::optional{content};
    };
    door.post(std::move(url), std::move(in_time), std::move(done));
  }

  std::shared_ptr<http_door> door_;
  const std::string endpoint_;
  std::shared_ptr<url_book> urls_ = std::make_shared<url_book>();
};

} // namespace

delivery_answer judge_sqs(const http_answer& a) {
  if (a.status == 0)
    return {a.is_hopeless ? verdict::parked : verdict::again, a.problem, {}};
  const auto body = parse(a.body);
  if (a.status == 200) {
    if (!text_of(body, "MessageId").empty())
      return {verdict::delivered, {}, {}};
    return {verdict::again, "what was answered 200 is no answer of SQS: " + printable(a.body), {}};
  }
  // `com.amazonaws.sqs#QueueDoesNotExist`
  auto type = text_of(body, "__type");
  type = type.substr(type.find('#') + 1);
  auto why = fmt::format("HTTP {}: {}", a.status, printable(type.empty() ? a.body : type));
  if (auto message = text_of(body, "message"); !message.empty())
    why += ": " + printable(message);
  const bool is_hopeless = type == "InvalidMessageContents" || type == "InvalidParameterValue";
  return {is_hopeless ? verdict::parked : verdict::again, std::move(why), a.retry_after};
}

std::unique_ptr<sink> make_sqs_sink(std::shared_ptr<http_door> door, std::string endpoint) {
  return std::make_unique<sqs_sink>(std::move(door), std::move(endpoint));
}

} // namespace framemill
