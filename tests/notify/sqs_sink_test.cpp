#include "notify/sqs_sink.hpp"
#include "tests/support/http_receiver.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <future>

using namespace framemill;
using namespace framemill::test;

namespace {

using verdict = delivery_answer::verdict;

/// Answers as SQS does: by the action, in turn.
http_receiver::handler answers(std::string of_url, std::string of_send, int status = 200) {
  return [=](const received_request& r, http_peer& peer) {
    const auto& action = r.headers.at("x-amz-target");
    const bool is_send = action == "AmazonSQS.SendMessage";
    const auto& body = is_send ? of_send : of_url;
    (void)peer.send("HTTP/1.1 " + std::to_string(is_send ? status : 200)
                    + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  };
}

struct sender {
  explicit sender(const http_receiver& to)
      : out(make_sqs_sink(std::make_shared<http_door>(http_door_options{
                              *egress_policy::make(std::vector<std::string>{"127.0.0.0/8"}, {}),
                              ""}),
                          to.url())) {}
  delivery_answer send(std::string body) {
    notification n;
    n.event = {17};
    n.run = {3};
    n.event_type = "WorkflowTask";
    n.body = std::move(body);
    n.config.notify_type = "AWS-SQS";
    n.config.aws_sqs = aws_sqs{"eu-west-1", "finished", "AKID", "secret"};
    std::promise<delivery_answer> answered;
    out->deliver(std::move(n), [&](delivery_answer a) { answered.set_value(std::move(a)); });
    return answered.get_future().get();
  }
  std::unique_ptr<sink> out;
};

constexpr auto url = R"({"QueueUrl": "https://sqs/1/finished"})";
constexpr auto taken = R"({"MessageId": "m", "MD5OfMessageBody": "x"})";

} // namespace

TEST_CASE("sqs_sink: the queue is found by its name once, and sent to, signed") {
  http_receiver queue{answers(url, taken)};
  sender s{queue};
  CHECK(s.send(R"({"a": "\u00e9"})").what == verdict::delivered);
  CHECK(s.send("second").what == verdict::delivered);

  auto got = queue.requests();
  REQUIRE(got.size() == 3);
  CHECK(got[0].headers["x-amz-target"] == "AmazonSQS.GetQueueUrl");
  CHECK(nlohmann::json::parse(got[0].body)["QueueName"] == "finished");
  auto sent = nlohmann::json::parse(got[1].body);
  CHECK(sent["QueueUrl"] == "https://sqs/1/finished");
  CHECK(sent["MessageBody"] == R"({"a": "\u00e9"})");
  CHECK(sent["MessageAttributes"]["EventId"]["StringValue"] == "17");
  CHECK(sent["MessageAttributes"]["EventType"]["StringValue"] == "WorkflowTask");
  for (auto& r : got) {
    CHECK(r.headers["content-type"] == "application/x-amz-json-1.0");
    CHECK(r.headers["authorization"].starts_with("AWS4-HMAC-SHA256 Credential=AKID/"));
    CHECK(r.headers["authorization"].find("/eu-west-1/sqs/aws4_request") != std::string::npos);
    CHECK(r.body.find("secret") == std::string::npos);
  }
}

TEST_CASE("sqs_sink: a queue that is refused or gone is tried again, and looked up anew") {
  http_receiver queue{answers(
      url, R"({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no such queue"})", 400)};
  sender s{queue};
  for (int i = 0; i < 2; ++i) {
    auto a = s.send("x");
    CHECK(a.what == verdict::again);
    CHECK(a.why == "HTTP 400: QueueDoesNotExist: no such queue");
  }
  CHECK(queue.requests().size() == 4);
}

TEST_CASE("sqs_sink: a message that no queue takes is parked") {
  http_receiver queue{
      answers(url, R"({"__type": "com.amazonaws.sqs#InvalidMessageContents"})", 400)};
  CHECK(sender{queue}.send("x").what == verdict::parked);
}

TEST_CASE("sqs_sink: what is no answer of SQS delivers nothing") {
  http_receiver not_sqs{answers("<html>", "<html>")}, odd{answers(url, "{}")};
  CHECK(sender{not_sqs}.send("x").what == verdict::again);
  CHECK(sender{odd}.send("x").what == verdict::again);
}
