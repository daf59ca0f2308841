#include "api/sqs/aws_signature.hpp"
#include "api/sqs/message_json.hpp"
#include "tests/api/client.hpp"
#include "tests/support/eventually.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* date_time = "20261121T203736Z"; // test_start

/// One call as an AWS client makes it.
struct sqs_call {
  std::string action;
  json parameters = json::object();
  std::string key_id = credential.secret_id;
  std::string secret_key = credential.secret_key;
  std::string when = date_time;
  std::string service = "sqs";
  std::string path = "/"; ///< signed
};

std::string bytes_of(const api_fixture& f, const sqs_call& c, const std::string& sent_to = "") {
  aws_message m;
  const auto body = c.parameters.dump();
  m.payload_sha256 = tc3::sha256_hex(body);
  m.date_time = c.when;
  m.region = "us-east-1";
  m.service = c.service;
  m.path = c.path;
  m.headers = {{"content-type", "application/x-amz-json-1.0"},
               {"host", f.host()},
               {"x-amz-date", c.when},
               {"x-amz-target", "AmazonSQS." + c.action}};
  auto headers = m.headers;
  headers.emplace_back(
      "Authorization",
      fmt::format("AWS4-HMAC-SHA256 Credential={}/{}/us-east-1/{}/aws4_request, "
                  "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={}",
                  c.key_id, c.when.substr(0, 8), c.service, aws_signature(m, c.secret_key)));
  const auto& path = sent_to.empty() ? c.path : sent_to;
  return test::bytes_of("POST " + path, headers, body);
}

answer exchange(const api_fixture& f, const sqs_call& c) { return f.exchange(bytes_of(f, c)); }

json call(const api_fixture& f, const std::string& action, const json& parameters) {
  auto a = exchange(f, {action, parameters});
  REQUIRE_MESSAGE(a.status == 200, a.body);
  return json::parse(a.body);
}

/// The error's shape, "" on success.
std::string type_of(const answer& a) {
  auto body = json::parse(a.body, nullptr, false);
  if (!body.is_object() || !body.contains("__type"))
    return "";
  return body["__type"].get<std::string>().substr(std::string_view{"com.amazonaws.sqs#"}.size());
}

std::string refused(const api_fixture& f, const std::string& action, const json& parameters) {
  return type_of(exchange(f, {action, parameters}));
}

std::string create(const api_fixture& f, const std::string& name, const json& attributes = {}) {
  json parameters{{"QueueName", name}};
  if (!attributes.is_null())
    parameters["Attributes"] = attributes;
  return call(f, "CreateQueue", parameters)["QueueUrl"];
}

/// The name at the beginning of an error's sentence.
std::string blamed(const api_fixture& f, const std::string& action, const json& parameters) {
  auto a = exchange(f, {action, parameters});
  REQUIRE_MESSAGE(a.status == 400, a.body);
  auto message = json::parse(a.body)["message"].get<std::string>();
  return message.substr(0, message.find(": "));
}

json receive_one(const api_fixture& f, const std::string& url, const json& more = json::object()) {
  json parameters{{"QueueUrl", url}};
  parameters.update(more);
  auto answer = call(f, "ReceiveMessage", parameters);
  REQUIRE(answer["Messages"].size() == 1);
  return answer["Messages"][0];
}

} // namespace

TEST_CASE("aws_signature: AWS's own examples") {
  aws_message m;
  m.method = "GET";
  m.headers = {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}};
  m.payload_sha256 = tc3::sha256_hex("");
  m.date_time = "20150830T123600Z";
  m.region = "us-east-1";
  m.service = "service";
  constexpr auto key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

  CHECK(aws_signature(m, key)
        == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  m.method = "POST";
  CHECK(aws_signature(m, key)
        == "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

TEST_CASE("sqs: calls without a good signature are refused") {
  api_fixture f;
  auto refuses = [&](sqs_call c) {
    auto a = exchange(f, c);
    CHECK(a.status == 403);
    return type_of(a);
  };

  CHECK(refuses({"ListQueues", json::object(), "nobody"}) == "InvalidClientTokenId");
  CHECK(refuses({"ListQueues", json::object(), "AKIDEXAMPLE", "wrong"}) == "SignatureDoesNotMatch");
  CHECK(refuses({"ListQueues", json::object(), "AKIDEXAMPLE", "SKEXAMPLE", "20261121T202235Z"})
        == "SignatureDoesNotMatch"); // 15 minutes and a second ago
  CHECK(refuses({"ListQueues", json::object(), "AKIDEXAMPLE", "SKEXAMPLE", "yesterday"})
        == "SignatureDoesNotMatch");
  CHECK(refuses({"ListQueues", json::object(), "AKIDEXAMPLE", "SKEXAMPLE", date_time, "s3"})
        == "IncompleteSignature");
  auto unsigned_call = f.exchange(test::bytes_of(
      "POST /", {{"Host", f.host()}, {"X-Amz-Target", "AmazonSQS.ListQueues"}}, "{}"));
  CHECK(type_of(unsigned_call) == "MissingAuthenticationToken");
}

TEST_CASE("sqs: a body that was changed on its way is refused") {
  api_fixture f;
  auto bytes = bytes_of(f, {"CreateQueue", {{"QueueName", "q"}}});
  bytes[bytes.rfind('q')] = 'x';

  CHECK(type_of(f.exchange(bytes)) == "SignatureDoesNotMatch");
}

TEST_CASE("sqs: answers have the protocol's form") {
  api_fixture f;

  auto good = exchange(f, {"CreateQueue", {{"QueueName", "q"}}});
  auto bad = exchange(f, {"GetQueueUrl", {{"QueueName", "none"}}});

  CHECK(good.headers["content-type"] == "application/x-amz-json-1.0");
  CHECK(good.headers["x-amzn-requestid"].size() == 36);
  CHECK(json::parse(good.body)["QueueUrl"] == "http://" + f.host() + "/000000000000/q");
  CHECK(bad.status == 400);
  CHECK(bad.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender");
  CHECK(type_of(bad) == "QueueDoesNotExist");
  CHECK(json::parse(bad.body)["message"] == "QueueName: there is no queue `none`");
}

TEST_CASE("sqs: a queue's URL takes calls too, if they are signed for it") {
  api_fixture f;
  create(f, "q");
  sqs_call c{"ListQueues"};

  CHECK(type_of(f.exchange(bytes_of(f, c, "/000000000000/q"))) == "SignatureDoesNotMatch");
  c.path = "/000000000000/q";
  CHECK(exchange(f, c).status == 200);
}

TEST_CASE("sqs: CreateQueue again is the same queue, unless it is to be another") {
  api_fixture f;
  auto url = create(f, "q", {{"VisibilityTimeout", "60"}});

  CHECK(create(f, "q", {{"VisibilityTimeout", "60"}}) == url);
  CHECK(create(f, "q") == url);
  CHECK(refused(f, "CreateQueue",
                {{"QueueName", "q"}, {"Attributes", {{"VisibilityTimeout", "61"}}}})
        == "QueueNameExists");
}

TEST_CASE("sqs: queues are listed in pages") {
  api_fixture f;
  for (const auto* name : {"a1", "a2", "a3", "b"})
    create(f, name);
  f.cluster("CreateTopic", {{"Name", "a4"}});
  f.cluster("Subscribe", {{"Topic", "a4"}, {"Name", "s"}, {"Endpoint", "http://example.com/"}});

  auto first = call(f, "ListQueues", {{"QueueNamePrefix", "a"}, {"MaxResults", 2}});
  auto second = call(f, "ListQueues", {{"QueueNamePrefix", "a"},
                                       {"MaxResults", 2},
                                       {"NextToken", first["NextToken"]}});

  CHECK(first["QueueUrls"].size() == 2);
  CHECK(second["QueueUrls"].size() == 1); // a subscription's own queue is none of SQS's
  CHECK_FALSE(second.contains("NextToken"));
}

TEST_CASE("sqs: the queues whose dead letters go to a queue are listed in pages") {
  api_fixture f;
  auto dead = create(f, "dead");
  create(f, "other");
  const auto policy = json{{"deadLetterTargetArn", "a:dead"}, {"maxReceiveCount", 1}}.dump();
  for (const auto* name : {"a", "b", "c"})
    create(f, name, {{"RedrivePolicy", policy}});
  const auto base = "http://" + f.host() + "/000000000000/";
  auto ask = [&](json more) {
    more["QueueUrl"] = dead;
    return call(f, "ListDeadLetterSourceQueues", more);
  };

  auto first = ask({{"MaxResults", 2}});
  auto second = ask({{"MaxResults", 2}, {"NextToken", first["NextToken"]}});

  CHECK(first["queueUrls"] == json{base + "a", base + "b"});
  CHECK(second == json{{"queueUrls", {base + "c"}}});
  CHECK(call(f, "ListDeadLetterSourceQueues", {{"QueueUrl", base + "other"}})
        == json{{"queueUrls", json::array()}});
  CHECK(refused(f, "ListDeadLetterSourceQueues", {{"QueueUrl", base + "none"}})
        == "QueueDoesNotExist");
  CHECK(blamed(f, "ListDeadLetterSourceQueues", {{"QueueUrl", dead}, {"MaxResults", 0}})
        == "MaxResults");
}

TEST_CASE("sqs: attributes are set and told") {
  api_fixture f;
  create(f, "dead");
  auto url = create(f, "q");
  const auto arn = "arn:aws:sqs:us-east-1:000000000000:dead";
  call(f, "SetQueueAttributes",
       {{"QueueUrl", url},
        {"Attributes",
         {{"VisibilityTimeout", "7"},
          {"RedrivePolicy", json{{"deadLetterTargetArn", arn}, {"maxReceiveCount", "3"}}.dump()}}}});
  call(f, "SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}});

  auto all = call(f, "GetQueueAttributes",
                  {{"QueueUrl", url}, {"AttributeNames", {"All"}}})["Attributes"];
  auto one = call(f, "GetQueueAttributes",
                  {{"QueueUrl", url}, {"AttributeNames", {"QueueArn"}}})["Attributes"];

  CHECK(all["VisibilityTimeout"] == "7");
  CHECK(all["ApproximateNumberOfMessages"] == "1");
  CHECK(all["CreatedTimestamp"] == "1795293456");
  CHECK(json::parse(all["RedrivePolicy"].get<std::string>())["maxReceiveCount"] == 3);
  CHECK(one == json{{"QueueArn", "arn:aws:sqs:framemill:000000000000:q"}});
  call(f, "SetQueueAttributes", {{"QueueUrl", url}, {"Attributes", {{"RedrivePolicy", ""}}}});
  CHECK_FALSE(call(f, "GetQueueAttributes",
                   {{"QueueUrl", url}, {"AttributeNames", {"All"}}})["Attributes"]
                  .contains("RedrivePolicy"));
}

TEST_CASE("sqs: attributes that cannot be are refused by their names") {
  api_fixture f;
  auto url = create(f, "q");
  auto set = [&](const char* name, const std::string& value) {
    return refused(f, "SetQueueAttributes", {{"QueueUrl", url}, {"Attributes", {{name, value}}}});
  };

  CHECK(set("VisibilityTimeout", "43201") == "InvalidAttributeValue");
  CHECK(set("VisibilityTimeout", "ten") == "InvalidAttributeValue");
  CHECK(set("Colour", "red") == "InvalidAttributeName");
  CHECK(set("KmsMasterKeyId", "k") == "UnsupportedOperation");
  CHECK(set("RedrivePolicy", "{}") == "InvalidAttributeValue");
  CHECK(set("RedrivePolicy", R"({"deadLetterTargetArn":"a:none","maxReceiveCount":1})")
        == "InvalidAttributeValue");
  CHECK(refused(f, "CreateQueue", {{"QueueName", "f"}, {"Attributes", {{"FifoQueue", "true"}}}})
        == "UnsupportedOperation");
  CHECK(refused(f, "GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"Colour"}}})
        == "InvalidAttributeName");
}

TEST_CASE("sqs: what is sent is received, with the hashes that clients verify") {
  api_fixture f;
  auto url = create(f, "q");
  const json attributes{{"n", {{"DataType", "Number"}, {"StringValue", "1"}}},
                        {"b.c", {{"DataType", "Binary.x"}, {"BinaryValue", "AAEC/w=="}}}};

  auto sent = call(f, "SendMessage", {{"QueueUrl", url},
                                      {"MessageBody", "hello"},
                                      {"MessageAttributes", attributes}});
  auto m = receive_one(f, url, {{"MessageAttributeNames", {"All"}},
                                {"MessageSystemAttributeNames", {"All"}}});

  CHECK(sent["MD5OfMessageBody"] == "5d41402abc4b2a76b9719d911017c592");
  CHECK(m["MessageId"] == sent["MessageId"]);
  CHECK(m["MD5OfBody"] == sent["MD5OfMessageBody"]);
  CHECK(m["MessageAttributes"] == attributes);
  CHECK(m["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]);
  CHECK(m["Attributes"]["ApproximateReceiveCount"] == "1");
  CHECK(m["Attributes"]["SentTimestamp"] == "1795293456000");
  CHECK(m["Attributes"]["SenderId"] == "AKIDEXAMPLE");
  CHECK(call(f, "ReceiveMessage", {{"QueueUrl", url}}) == json::object());
}

TEST_CASE("sqs: a wrong name of an attribute takes no message") {
  api_fixture f;
  auto url = create(f, "q");
  call(f, "SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}});

  for (const auto* parameter : {"AttributeNames", "MessageSystemAttributeNames"}) {
    const json wrong{{"QueueUrl", url}, {parameter, {"All", "Colour"}}};
    CHECK(refused(f, "ReceiveMessage", wrong) == "InvalidAttributeName");
    CHECK(blamed(f, "ReceiveMessage", wrong) == parameter);
  }

  auto m = receive_one(f, url, {{"AttributeNames", {"ApproximateReceiveCount"}}});
  CHECK(m["Attributes"]["ApproximateReceiveCount"] == "1");
}

TEST_CASE("sqs: a receiver gets the attributes that he asks for") {
  message_attributes all{{"a.b", {"String", "1"}}, {"a.c", {"String", "2"}}, {"d", {"String", "3"}}};

  CHECK(wanted_attributes(all, {}).empty());
  CHECK(wanted_attributes(all, {"d"}).size() == 1);
  CHECK(wanted_attributes(all, {"a.*"}).size() == 2);
  CHECK(wanted_attributes(all, {".*"}).size() == 3);
  CHECK(wanted_attributes(all, {"All"}).size() == 3);
}

TEST_CASE("sqs: the hash of attributes is over lengths, names, types and values in order") {
  // 3 'n' 'Number' 1 '1' …: the bytes written out once by hand, md5sum's word for them.
  CHECK(md5_of({{"n", {"Number", "1"}}}) == md5_hex(std::string{"\0\0\0\1n\0\0\0\6Number\1\0\0\0\1" "1", 21}));
}

TEST_CASE("sqs: a message is deleted by its receipt, and given back by hiding it for no time") {
  api_fixture f;
  auto url = create(f, "q");
  call(f, "SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}});
  auto first = receive_one(f, url)["ReceiptHandle"];

  call(f, "ChangeMessageVisibility",
       {{"QueueUrl", url}, {"ReceiptHandle", first}, {"VisibilityTimeout", 0}});
  auto second = receive_one(f, url)["ReceiptHandle"];

  CHECK(refused(f, "DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", first}})
        == "ReceiptHandleIsInvalid");
  call(f, "DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", second}});
  call(f, "DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", second}});
  CHECK(refused(f, "ChangeMessageVisibility",
                {{"QueueUrl", url}, {"ReceiptHandle", second}, {"VisibilityTimeout", 1}})
        == "MessageNotInflight");
  CHECK(refused(f, "DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", "x"}})
        == "ReceiptHandleIsInvalid");
}

TEST_CASE("sqs: batches answer for each entry") {
  api_fixture f;
  auto url = create(f, "q");
  auto entry = [](const char* id, const char* body) {
    return json{{"Id", id}, {"MessageBody", body}};
  };

  auto sent = call(f, "SendMessageBatch",
                   {{"QueueUrl", url},
                    {"Entries", {entry("1", "good"), entry("2", "bad \x01"), entry("3", "good")}}});

  REQUIRE(sent["Successful"].size() == 2);
  CHECK(sent["Successful"][1]["Id"] == "3");
  CHECK(sent["Failed"][0]["Id"] == "2");
  CHECK(sent["Failed"][0]["Code"] == "InvalidMessageContents");
  CHECK(sent["Failed"][0]["SenderFault"] == true);
  auto received = call(f, "ReceiveMessage", {{"QueueUrl", url}, {"MaxNumberOfMessages", 10}});
  json entries = json::array();
  for (const auto& m : received["Messages"])
    entries.push_back({{"Id", m["MessageId"]}, {"ReceiptHandle", m["ReceiptHandle"]}});
  entries.push_back({{"Id", "x"}, {"ReceiptHandle", "nonsense"}});
  auto deleted = call(f, "DeleteMessageBatch", {{"QueueUrl", url}, {"Entries", entries}});
  CHECK(deleted["Successful"].size() == 2);
  CHECK(deleted["Failed"][0]["Code"] == "ReceiptHandleIsInvalid");
}

TEST_CASE("sqs: an entry whose attributes cannot be read stops no other") {
  api_fixture f;
  auto url = create(f, "q");
  auto entry = [](const char* id, const json& attribute) {
    return json{{"Id", id}, {"MessageBody", id}, {"MessageAttributes", {{"n", attribute}}}};
  };
  auto send = [&](const json& entries) {
    return call(f, "SendMessageBatch", {{"QueueUrl", url}, {"Entries", entries}});
  };
  const auto bad = json::array({entry("1", {{"DataType", "Binary"}, {"BinaryValue", "?"}}),
                                entry("2", {{"DataType", "Number"}}),
                                entry("3", {{"StringValue", "x"}})});
  json mixed = bad;
  mixed.push_back(entry("4", {{"DataType", "String"}, {"StringValue", "x"}}));
  mixed.push_back({{"Id", "5"}, {"MessageBody", "\x01"}});

  auto none = send(bad);
  auto sent = send(mixed);

  CHECK(none["Successful"] == json::array());
  CHECK(none["Failed"].size() == 3);
  REQUIRE(sent["Successful"].size() == 1);
  CHECK(sent["Successful"][0]["Id"] == "4");
  CHECK(sent["Successful"][0].contains("MD5OfMessageAttributes"));
  REQUIRE(sent["Failed"].size() == 4);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(sent["Failed"][i]["Id"] == std::to_string(i + 1));
    CHECK(sent["Failed"][i]["SenderFault"] == true);
    CHECK(sent["Failed"][i]["Message"].get<std::string>().starts_with("MessageAttributes.n: "));
  }
  CHECK(sent["Failed"][3]["Id"] == "5");
  CHECK(receive_one(f, url)["Body"] == "4");
}

TEST_CASE("sqs: batches that are none are refused whole") {
  api_fixture f;
  auto url = create(f, "q");
  auto send = [&](const json& entries) {
    return refused(f, "SendMessageBatch", {{"QueueUrl", url}, {"Entries", entries}});
  };
  const json entry{{"Id", "1"}, {"MessageBody", "x"}};
  json many = json::array(), large = json::array();
  for (int i = 0; i < 11; ++i)
    many.push_back({{"Id", std::to_string(i)}, {"MessageBody", "x"}});
  for (int i = 0; i < 3; ++i)
    large.push_back({{"Id", std::to_string(i)}, {"MessageBody", std::string(400'000, 'x')}});

  CHECK(send(json::array()) == "EmptyBatchRequest");
  CHECK(send(many) == "TooManyEntriesInBatchRequest");
  CHECK(send({entry, entry}) == "BatchEntryIdsNotDistinct");
  CHECK(send({{{"Id", "a b"}, {"MessageBody", "x"}}}) == "InvalidBatchEntryId");
  CHECK(send(large) == "BatchRequestTooLong");
}

TEST_CASE("sqs: a long poll is answered when a message comes, or when its time is over") {
  api_fixture f;
  auto url = create(f, "q");
  raw_client waiting{f.server->port()}, in_vain{f.server->port()};
  const sqs_call poll{"ReceiveMessage", {{"QueueUrl", url}, {"WaitTimeSeconds", 20}}};
  REQUIRE(waiting.send(bytes_of(f, poll)));
  REQUIRE(eventually([&] { return f.system.queue_waiters() == 1; }));

  call(f, "SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}});
  CHECK(json::parse(waiting.read().body)["Messages"].size() == 1);

  REQUIRE(in_vain.send(bytes_of(f, poll)));
  REQUIRE(eventually([&] { return f.system.queue_waiters() == 1; }));
  f.time.advance(20s);
  f.system.tick_queues();
  CHECK(json::parse(in_vain.read().body) == json::object());
}

TEST_CASE("sqs: what this server does not have is said, not ignored") {
  api_fixture f;
  auto url = create(f, "q");

  CHECK(refused(f, "TagQueue", {{"QueueUrl", url}, {"Tags", {{"a", "b"}}}})
        == "UnsupportedOperation");
  CHECK(refused(f, "AddPermission", {{"QueueUrl", url}}) == "UnsupportedOperation");
  CHECK(refused(f, "StartMessageMoveTask", json::object()) == "UnsupportedOperation");
  CHECK(refused(f, "SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}, {"MessageGroupId", "g"}})
        == "UnsupportedOperation");
  CHECK(refused(f, "CreateQueue", {{"QueueName", "t"}, {"tags", {{"a", "b"}}}})
        == "UnsupportedOperation");
}

TEST_CASE("sqs: what is not used may be said to be empty") {
  api_fixture f;
  auto url = call(f, "CreateQueue", {{"QueueName", "q"}, {"tags", json::object()}})["QueueUrl"];

  call(f, "SendMessage", {{"QueueUrl", url},
                          {"MessageBody", "x"},
                          {"MessageSystemAttributes", json::object()}});
}

TEST_CASE("sqs: errors name what SQS names") {
  api_fixture f;
  auto url = create(f, "q");
  auto sends = [&](json more) {
    more["QueueUrl"] = url;
    return blamed(f, "SendMessage", more);
  };
  auto receives = [&](const char* name, int value) {
    return blamed(f, "ReceiveMessage", {{"QueueUrl", url}, {name, value}});
  };
  const json empty{{"DataType", "String"}, {"StringValue", ""}};

  CHECK(sends({{"MessageBody", ""}}) == "MessageBody");
  CHECK(sends({{"MessageBody", "\x01"}}) == "MessageBody");
  CHECK(sends({{"MessageBody", "x"}, {"DelaySeconds", 3601}}) == "DelaySeconds");
  CHECK(sends({{"MessageBody", "x"}, {"MessageAttributes", {{"a", empty}}}})
        == "MessageAttributes.a");
  for (const auto* name : {"MaxNumberOfMessages", "VisibilityTimeout", "WaitTimeSeconds"})
    CHECK(receives(name, 99'999) == name);
  CHECK(blamed(f, "DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", "x"}})
        == "ReceiptHandle");
  CHECK(blamed(f, "ChangeMessageVisibility",
               {{"QueueUrl", url}, {"ReceiptHandle", "x"}, {"VisibilityTimeout", 43'201}})
        == "VisibilityTimeout");
  CHECK(blamed(f, "CreateQueue", {{"QueueName", "a.fifo"}}) == "QueueName");
  CHECK(blamed(f, "SendMessage", {{"QueueUrl", "nonsense"}, {"MessageBody", "x"}}) == "QueueUrl");
}

TEST_CASE("sqs: errors of queue attributes name the attribute") {
  api_fixture f;
  auto url = create(f, "q");
  auto sets = [&](const char* name, const json& value) {
    return blamed(f, "SetQueueAttributes", {{"QueueUrl", url}, {"Attributes", {{name, value}}}});
  };
  auto redrives = [&](const char* target, int count) {
    return sets("RedrivePolicy",
                json{{"deadLetterTargetArn", target}, {"maxReceiveCount", count}}.dump());
  };

  CHECK(sets("ReceiveMessageWaitTimeSeconds", "31") == "ReceiveMessageWaitTimeSeconds");
  CHECK(sets("VisibilityTimeout", 7) == "Attributes.VisibilityTimeout"); // not a text
  CHECK(refused(f, "SetQueueAttributes",
                {{"QueueUrl", url}, {"Attributes", {{"VisibilityTimeout", 7}}}})
        == "InvalidParameterValue");
  CHECK(redrives("a:none", 1) == "RedrivePolicy.deadLetterTargetArn");
  CHECK(redrives("a:q", 0) == "RedrivePolicy.maxReceiveCount");
  CHECK(redrives("a:", 1) == "RedrivePolicy");
}

TEST_CASE("sqs: parameters that cannot be are refused") {
  api_fixture f;
  auto url = create(f, "q");

  CHECK(refused(f, "SendMessage", {{"QueueUrl", url}}) == "MissingParameter");
  CHECK(refused(f, "SendMessage", {{"QueueUrl", "nonsense"}, {"MessageBody", "x"}})
        == "QueueDoesNotExist");
  CHECK(refused(f, "SendMessage", {{"QueueUrl", url}, {"MessageBody", "x"}, {"Colour", 1}})
        == "InvalidParameterValue");
  CHECK(refused(f, "SendMessage", {{"QueueUrl", url}, {"MessageBody", ""}}) == "MissingParameter");
  CHECK(refused(f, "ReceiveMessage", {{"QueueUrl", url}, {"MaxNumberOfMessages", 11}})
        == "InvalidParameterValue");
  CHECK(refused(f, "ReceiveMessage", {{"QueueUrl", url}, {"WaitTimeSeconds", 31}})
        == "InvalidParameterValue");
  CHECK(refused(f, "CreateQueue", {{"QueueName", "a.fifo"}}) == "InvalidParameterValue");
  CHECK(type_of(f.exchange(test::bytes_of("POST /",
                                          {{"Host", f.host()},
                                           {"X-Amz-Target", "AmazonSQS.ListQueues"}},
                                          "{")))
        == "MissingAuthenticationToken");
}
