#include "core/notify.hpp"

#include "core/mps/notification_json.hpp"
#include "core/queue.hpp"
#include "core/url.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

/// The field at fault; "" when there is none.
std::string wrong(const notify_config& n, errc code = errc::invalid_argument) {
  auto r = validate(n);
  if (r)
    return "";
  CHECK(r.error().code == code);
  return r.error().field;
}

notify_config url(std::string text) { return {"URL", "Finish", std::move(text)}; }
notify_config queue(std::string model, std::string name) {
  notify_config n;
  n.cmq_model = std::move(model);
  (n.cmq_model == "Topic" ? n.topic_name : n.queue_name) = std::move(name);
  return n;
}

class no_templates final : public template_source {
public:
  [[nodiscard]] const template_record* find(template_family, std::uint64_t) const override {
    return nullptr;
  }
};

mps::task_view finished_task() {
  mps::task_view task;
  task.run.id = {7};
  task.run.state = run_state::succeeded;
  task.run.object = {"in", "a.mp4", {}};
  task.run.session_id = "s";
  task.run.session_context = "c";
  return task;
}

} // namespace

TEST_CASE("http_url: an address is taken apart, and its origin always says the port") {
  auto parts = parse_http_url("HTTPS://user:secret@Hooks.Example.com/a/b?key=1#x");

  REQUIRE(parts);
  CHECK(*parts == http_url{"https", "hooks.example.com", 443, "/a/b"});
  CHECK(origin_of(*parts) == "https://hooks.example.com:443");
  CHECK(origin_of(*parse_http_url("http://[FE80::1]:81")) == "http://[fe80::1]:81");
  CHECK(parse_http_url("http://h?x")->path == "/");
}

TEST_CASE("http_url: what is no address is refused") {
  for (const auto* text :
       {"", "h/x", "ftp://h/", "http://", "http:///x", "http://h:0/", "http://h:65536/",
        "http://h:8x/", "http://[::1/", "http://[x]/", "http://h h/", "http://\xc3\xa9/",
        "http://h\\@evil/", "http://user@/", "http://h\n/", "http://[::1]x/"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_http_url(text));
  }
  CHECK_FALSE(parse_http_url("http://h/" + std::string(2048, 'a')));
}

TEST_CASE("notify_config: an address is http or https") {
  CHECK(wrong(url("http://host/x")) == "");
  CHECK(wrong(url("ftp://host/")) == "NotifyUrl");
  CHECK(wrong(url("http://")) == "NotifyUrl");
  CHECK(wrong(url(""), errc::missing_argument) == "NotifyUrl");
}

TEST_CASE("notify_config: a queue or topic is named as its model says") {
  CHECK(wrong(queue("Queue", "q")) == "");
  CHECK(wrong(queue("Topic", "t")) == "");
  CHECK(wrong(queue("", "q"), errc::missing_argument) == "CmqModel");
  CHECK(wrong(queue("Both", "q")) == "CmqModel");
  CHECK(wrong(queue("Queue", ""), errc::missing_argument) == "QueueName");
  CHECK(wrong(queue("Topic", ""), errc::missing_argument) == "TopicName");
  CHECK(wrong(queue("Queue", "a/b")) == "QueueName");
  CHECK(wrong(queue("Queue", std::string(81, 'q'))) == "QueueName");
}

TEST_CASE("notify_config: a name that no queue and no topic can have is refused") {
  for (const auto* model : {"Queue", "Topic"}) {
    const auto field = std::string{model} + "Name";
    CHECK(wrong(queue(model, "a.b")) == field); // it was accepted, and told nobody
    CHECK(wrong(queue(model, "a.fifo")) == field);
    CHECK(wrong(queue(model, "a-b_C9")) == "");
  }
}

TEST_CASE("subscription_record: an endpoint's address is checked as a NotifyUrl is") {
  auto field = [](std::string endpoint) {
    subscription_record s;
    s.topic = "t";
    s.name = "s";
    s.endpoint = std::move(endpoint);
    auto r = check(s);
    return r ? "" : r.error().field;
  };

  CHECK(field("https://user@host:8443/a?b=c") == "");
  CHECK(field("queue/q") == "");
  for (const auto* endpoint : {"", "host/x", "ftp://h/", "http://", "http:///x", "http://h:0/",
                               "http://h h/", "http://[x]/", "http://h\n/", "queue/a.b"}) {
    CAPTURE(endpoint);
    CHECK(field(endpoint) == "Endpoint");
  }
  CHECK(field("http://h/" + std::string(2048, 'a')) == "Endpoint");
}

TEST_CASE("notify_config: only NotifyUrl without a type is told what it means") {
  notify_config n;
  n.notify_url = "http://host/";

  auto r = validate(n);

  REQUIRE_FALSE(r);
  CHECK(r.error().message.find("NotifyType to URL") != std::string::npos);
}

TEST_CASE("notify_config: unknown modes and types are refused") {
  auto often = url("http://host/");
  often.notify_mode = "Often";
  CHECK(wrong(often) == "NotifyMode");
  CHECK(wrong({"Pigeon"}, errc::unsupported) == "NotifyType");
  auto long_key = url("http://host/");
  long_key.notify_key = std::string(1025, 'k');
  CHECK(wrong(long_key, errc::too_large) == "NotifyKey");
}

TEST_CASE("notify_config: a queue of Amazon's has its region, name and keys") {
  notify_config n{"AWS-SQS"};
  CHECK(wrong(n, errc::missing_argument) == "AwsSQS");
  n.aws_sqs = aws_sqs{"us-east-1", "q", "id", "key"};
  CHECK(wrong(n) == "");
  CHECK(sink_of(n, "WorkflowTask") == "sqs/us-east-1/q");
  CHECK(kind_of_sink("sqs/us-east-1/q") == sink_kind::sqs);
  CHECK(lane_of(n) == "id"); // another account's queue of that name is another one
  CHECK(without_secret_key(n)->aws_sqs == aws_sqs{"us-east-1", "q", "id", ""});
  n.aws_sqs->secret_key.clear();
  CHECK(wrong(n, errc::missing_argument) == "AwsSQS.S3SecretKey");
  n.aws_sqs->region = "evil.example/";
  CHECK(wrong(n) == "AwsSQS.SQSRegion");
  n.aws_sqs->region = "eu-west-1";
  n.aws_sqs->queue_name = "a/b";
  CHECK(wrong(n) == "AwsSQS.SQSQueueName");
  n.aws_sqs->queue_name = "a.fifo";
  CHECK(wrong(n, errc::unsupported) == "AwsSQS.SQSQueueName");
}

TEST_CASE("sink: a configuration names one, and its name tells the kind") {
  CHECK(sink_of(url("http://Host/x?k=1"), "WorkflowTask") == "http://host:80");
  CHECK(sink_of(queue("Queue", "q"), "WorkflowTask") == "queue/q");
  CHECK(sink_of(queue("Topic", "t"), "WorkflowTask") == "topic/t");
  CHECK(sink_of({"SCF"}, "WorkflowTask") == "function/WorkflowTask");
  CHECK(lane_of(url("http://host/x?k=1")) == "/x");
  CHECK(lane_of(queue("Queue", "q")).empty());
  CHECK(kind_of_sink("https://h:443") == sink_kind::http);
  CHECK(kind_of_sink("topic/t") == sink_kind::topic);
  CHECK_FALSE(kind_of_sink("http/x"));
  CHECK_FALSE(kind_of_sink("mail/x"));
}

TEST_CASE("notification: the end says FINISH, a change never does") {
  auto end = mps::to_notification(finished_task(), no_templates{}, mps::notified::end);
  auto change = mps::to_notification(finished_task(), no_templates{}, mps::notified::change);

  CHECK(end["EventType"] == "WorkflowTask");
  CHECK(end["WorkflowTaskEvent"]["Status"] == "FINISH");
  CHECK(end["WorkflowTaskEvent"]["TaskId"] == to_task_id({7}));
  CHECK(end["SessionId"] == "s");
  CHECK(end["SessionContext"] == "c");
  CHECK(end["ScheduleTaskEvent"].is_null());
  CHECK(change["WorkflowTaskEvent"]["Status"] == "PROCESSING");
  CHECK(change["WorkflowTaskEvent"]["Message"] == "");
}

TEST_CASE("notification: a run of a scheme is a ScheduleTask") {
  auto task = finished_task();
  task.run.spec.kind = task_kind::schedule;

  auto end = mps::to_notification(task, no_templates{}, mps::notified::end);

  CHECK(end["EventType"] == "ScheduleTask");
  CHECK(end["WorkflowTaskEvent"].is_null());
  CHECK(end["ScheduleTaskEvent"]["Status"] == "FINISH");
  CHECK(end["ScheduleTaskEvent"]["TaskId"] == to_task_id({7}, task_kind::schedule));
  CHECK(end["ScheduleTaskEvent"]["ActivityResultSet"].is_array());
}

TEST_CASE("notification: a run of EditMedia is an EditMediaTask") {
  auto task = finished_task();
  task.run.spec.kind = task_kind::edit_media;
  edit_clip clip;
  clip.input = {"COS", cos_input{"b", "r", "/in/a.mp4"}};
  clip.end_offset = 2.5;
  task.run.spec.edit = edit_spec{{clip, clip}, edit_type::normal};

  auto end = mps::to_notification(task, no_templates{}, mps::notified::end);

  CHECK(end["EventType"] == "EditMediaTask");
  CHECK(end["WorkflowTaskEvent"].is_null());
  auto& event = end["EditMediaTaskEvent"];
  CHECK(event["Status"] == "FINISH");
  CHECK(event["TaskId"] == to_task_id({7}, task_kind::edit_media));
  REQUIRE(event["Input"]["FileInfoSet"].size() == 2);
  CHECK(event["Input"]["FileInfoSet"][0]["InputInfo"]["CosInputInfo"]["Object"] == "/in/a.mp4");
  CHECK(event["Input"]["FileInfoSet"][1]["EndTimeOffset"] == 2.5);
  CHECK_FALSE(event.contains("InputInfo"));
}

TEST_CASE("notification: what was sent is understood") {
  for (auto kind : {task_kind::workflow, task_kind::schedule, task_kind::edit_media}) {
    auto task = finished_task();
    task.run.spec.kind = kind;
    auto body = mps::to_notification(task, no_templates{}, mps::notified::end);
    body["Timestamp"] = 1795294056;
    body["Sign"] = "abc";

    auto read = mps::parse_notification(body.dump());

    REQUIRE(read);
    CHECK(*read == body);
  }
}

TEST_CASE("notification: other content is refused") {
  for (const auto* text : {"", "[]", "{}", R"({"EventType":1})", R"({"EventType":"Task"})",
                           R"({"EventType":"WorkflowTask"})",
                           R"({"EventType":"WorkflowTask","WorkflowTaskEvent":null})",
                           R"({"EventType":"WorkflowTask","ScheduleTaskEvent":{}})"}) {
    CAPTURE(text);
    CHECK_FALSE(mps::parse_notification(text));
  }
}
