#include "tests/api/client.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

struct refusal {
  const char* action;
  json parameters;
  const char* code;
  const char* field; ///< named in the sentence
};

json receive(const api_fixture& f, const std::string& queue, int count = 1) {
  return f.cluster("ReceiveMessages", {{"Queue", queue}, {"Count", count}})["Messages"];
}

json send(const api_fixture& f, const std::string& queue, const json& message) {
  return f.cluster("SendMessages", {{"Queue", queue}, {"Messages", json::array({message})}});
}

} // namespace

TEST_CASE("queue actions: a message is sent, received, hidden and deleted") {
  api_fixture f;
  CHECK(code_of(f.cluster("CreateQueue", {{"Name", "q"}})) == "");

  auto sent = send(f, "q",
                   {{"Body", "hello"},
                    {"Attributes", {{"Bytes", {{"Type", "Binary"}, {"Value", "/wA="}}}}}});
  auto received = receive(f, "q", 16);

  REQUIRE(received.size() == 1);
  CHECK(received[0]["Id"] == sent["Results"][0]["Id"]);
  CHECK(received[0]["Body"] == "hello");
  CHECK(received[0]["Receives"] == 1);
  CHECK(received[0]["Attributes"]["Bytes"]["Value"] == "/wA=");
  CHECK(received[0]["Sent"] == "2026-11-21T20:37:36.000000Z");
  CHECK(receive(f, "q").empty());
  auto receipts = json::array({received[0]["Receipt"]});
  auto hidden = f.cluster("HideMessages",
                          {{"Queue", "q"}, {"Receipts", receipts}, {"VisibilitySeconds", 60}});
  CHECK(hidden["Results"][0]["Failure"].is_null());
  auto deleted = f.cluster("DeleteMessages", {{"Queue", "q"}, {"Receipts", receipts}});
  CHECK(deleted["Results"][0]["Failure"].is_null());
  CHECK(f.cluster("DescribeQueue", {{"Name", "q"}})["InFlight"] == 0);
}

TEST_CASE("queue actions: what SetQueue does not name stays as it is") {
  api_fixture f;
  f.cluster("CreateQueue", {{"Name", "q"}, {"Settings", {{"DelaySeconds", 5}}}});

  auto changed = f.cluster("SetQueue", {{"Name", "q"}, {"Settings", {{"VisibilitySeconds", 7}}}});

  CHECK(code_of(changed) == "");
  auto settings = f.cluster("DescribeQueue", {{"Name", "q"}})["Queue"]["Settings"];
  CHECK(settings["DelaySeconds"] == 5);
  CHECK(settings["VisibilitySeconds"] == 7);
}

TEST_CASE("queue actions: queues are listed by name, purged and removed") {
  api_fixture f;
  for (const auto* name : {"b", "a", "ab"})
    f.cluster("CreateQueue", {{"Name", name}});
  send(f, "a", {{"Body", "x"}});

  auto listed = f.cluster("DescribeQueues", {{"Prefix", "a"}})["Queues"];

  REQUIRE(listed.size() == 2);
  CHECK(listed[0]["Queue"]["Name"] == "a");
  CHECK(listed[0]["Visible"] == 1);
  f.cluster("PurgeQueue", {{"Name", "a"}});
  CHECK(f.cluster("DescribeQueue", {{"Name", "a"}})["Visible"] == 0);
  f.cluster("RemoveQueue", {{"Name", "a"}});
  CHECK(code_of(f.cluster("DescribeQueue", {{"Name", "a"}})) == "ResourceNotFound");
}

TEST_CASE("queue actions: a topic's messages come to the queues that want them") {
  api_fixture f;
  f.cluster("CreateQueue", {{"Name", "q"}});
  f.cluster("CreateTopic", {{"Name", "t"}});
  CHECK(code_of(f.cluster("Subscribe", {{"Topic", "t"},
                                        {"Name", "s"},
                                        {"Endpoint", "queue/q"},
                                        {"Tags", json::array({"red"})}}))
        == "");

  auto wanted = f.cluster("PublishMessage", {{"Topic", "t"},
                                             {"Message", {{"Body", "1"}, {"Tags", {"red"}}}}});
  auto unwanted = f.cluster("PublishMessage", {{"Topic", "t"}, {"Message", {{"Body", "2"}}}});

  CHECK(wanted["Ids"].size() == 1);
  CHECK(unwanted["Ids"].empty());
  auto received = receive(f, "q", 16);
  REQUIRE(received.size() == 1);
  CHECK(received[0]["Tags"] == json::array({"red"}));
  CHECK(f.cluster("DescribeTopic", {{"Name", "t"}})["Subscriptions"][0]["Endpoint"] == "queue/q");
  CHECK(f.cluster("DescribeTopics", json::object())["Topics"].size() == 1);
  CHECK(code_of(f.cluster("Unsubscribe", {{"Topic", "t"}, {"Name", "s"}})) == "");
  CHECK(code_of(f.cluster("RemoveTopic", {{"Name", "t"}})) == "");
  CHECK(code_of(f.cluster("DescribeTopic", {{"Name", "t"}})) == "ResourceNotFound");
}

TEST_CASE("queue actions: what cannot be is refused, and the field named") {
  api_fixture f;
  f.cluster("CreateQueue", {{"Name", "q"}});
  const json no_receipts = json::array();
  const std::vector<refusal> refusals{
      {"CreateQueue", {{"Name", "a b"}}, "InvalidParameterValue", "Queue"},
      {"CreateQueue", {{"Name", "q"}}, "InvalidParameterValue", "Queue"},
      {"CreateQueue", {{"Name", "x"}, {"Settings", {{"Colour", 1}}}}, "UnknownParameter", "Colour"},
      {"CreateQueue",
       {{"Name", "x"}, {"Settings", {{"WaitSeconds", 31}}}},
       "InvalidParameterValue",
       "WaitSeconds"},
      {"SetQueue", {{"Name", "none"}}, "ResourceNotFound", "Queue"},
      {"SendMessages",
       {{"Queue", "none"}, {"Messages", json::array({json{{"Body", "x"}}})}},
       "ResourceNotFound",
       "Queue"},
      {"SendMessages", {{"Queue", "q"}, {"Messages", json::array()}}, "InvalidParameterValue",
       "Messages"},
      {"ReceiveMessages", {{"Queue", "q"}, {"Count", 17}}, "InvalidParameterValue", "Count"},
      {"ReceiveMessages",
       {{"Queue", "q"}, {"WaitSeconds", 31}},
       "InvalidParameterValue",
       "WaitSeconds"},
      {"DeleteMessages", {{"Queue", "q"}, {"Receipts", no_receipts}}, "InvalidParameterValue",
       "Receipts"},
      {"HideMessages",
       {{"Queue", "q"}, {"Receipts", no_receipts}, {"VisibilitySeconds", 1}},
       "InvalidParameterValue",
       "Receipts"},
      {"Subscribe",
       {{"Topic", "none"}, {"Name", "s"}, {"Endpoint", "queue/q"}},
       "ResourceNotFound",
       "Topic"},
      {"Subscribe",
       {{"Topic", "t"}, {"Name", "s"}, {"Endpoint", "http://host:0/"}},
       "InvalidParameterValue",
       "Endpoint"}};

  for (const auto& r : refusals) {
    CAPTURE(r.action);
    auto answer = f.cluster(r.action, r.parameters);
    CHECK(code_of(answer) == r.code);
    CHECK_MESSAGE(message_of(answer).find(r.field) != std::string::npos, message_of(answer));
  }
}

TEST_CASE("queue actions: of a batch each message has its own answer") {
  api_fixture f;
  f.cluster("CreateQueue", {{"Name", "q"}});

  auto sent = f.cluster("SendMessages",
                        {{"Queue", "q"},
                         {"Messages", json::array({json{{"Body", "good"}},
                                                   json{{"Body", "x"}, {"DelaySeconds", 3601}}})}});

  CHECK(sent["Results"][0]["Failure"].is_null());
  CHECK(sent["Results"][1]["Failure"]["Field"] == "DelaySeconds");
  CHECK_FALSE(sent["Results"][1].contains("Id"));
}
