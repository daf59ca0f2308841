#include "core/limits.hpp"
#include "core/codec.hpp"
#include "notify/function_catalog.hpp"
#include "notify/function_rules.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

constexpr timestamp now{1'000'000};

/// A file whose content is its hash, to tell contents apart.
function_source source(const std::string& name, const std::string& content) {
  return {name, content, false, "sha-of-" + content};
}

function_edit hello(const std::string& content = "one") {
  function_edit e;
  e.runtime = function_runtime::nodejs;
  e.files = {source("index.js", content)};
  return e;
}

const function_version& newest(const function_catalog& c, const std::string& name) {
  REQUIRE(c.find(name) != nullptr);
  return c.find(name)->versions.back();
}

template <class T>
void check_refused(const result<T>& r, errc code, const std::string& field,
                   const std::string& says) {
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == code);
  CHECK(r.error().field == field);
  CHECK_MESSAGE(r.error().message.find(says) != std::string::npos, r.error().message);
}

} // namespace

TEST_CASE("function_catalog: a function is created whole, with its code once") {
  function_catalog c;
  auto edit = hello();
  edit.files->push_back(source("lib/copy.js", "one"));
  edit.set_secrets["KEY"] = "hush";

  auto made = c.create(now, "hello", edit);

  REQUIRE(made);
  REQUIRE(made->functions.size() == 1);
  const auto& f = made->functions[0];
  CHECK(f.enabled);
  CHECK(f.secrets == std::vector<std::string>{"KEY"});
  CHECK(f.versions[0].number == 1);
  CHECK(f.versions[0].handler == "index.main_handler");
  CHECK(f.versions[0].files.size() == 2);
  CHECK(made->secrets[0].values.at("KEY") == "hush");
  CHECK(made->function_code[0] == std::pair<std::string, std::string>{"sha-of-one", "one"});
  CHECK(encode(f).find("hush") == std::string::npos);
}

TEST_CASE("function_catalog: what stays the same makes no version, what changes makes one") {
  function_catalog c;
  REQUIRE(c.create(now, "hello", hello()));
  function_edit words;
  words.description = "greets";
  words.enabled = false;
  REQUIRE(c.update(now, "hello", words));
  CHECK(c.find("hello")->versions.size() == 1);
  CHECK_FALSE(c.find("hello")->enabled);

  function_edit variables;
  variables.set_environment = {{"A", "1"}};
  variables.timeout = microseconds{9'000'000};
  REQUIRE(c.update(now, "hello", variables));
  CHECK(newest(c, "hello").number == 2);
  CHECK(newest(c, "hello").environment.at("A") == "1");
  CHECK(newest(c, "hello").files[0].sha256 == "sha-of-one");

  function_edit back;
  back.from_version = 1;
  REQUIRE(c.update(now, "hello", back));
  CHECK(newest(c, "hello").number == 3);
  CHECK(newest(c, "hello").environment.empty());
  back.from_version = 99;
  check_refused(c.update(now, "hello", back), errc::not_found, "FromVersion", "no version 99");
}

TEST_CASE("function_catalog: code goes when no kept version of any function refers to it") {
  function_catalog c;
  REQUIRE(c.create(now, "a", hello("shared")));
  REQUIRE(c.create(now, "b", hello("shared")));
  for (std::size_t i = 1; i < limits::function_versions_max; ++i)
    CHECK(c.update(now, "a", hello("v" + std::to_string(i)))->erased_function_code.empty());
  CHECK(c.update(now, "a", hello("last"))->erased_function_code.empty()); // b has it
  CHECK(c.find("a")->versions.size() == limits::function_versions_max);

  auto gone = c.remove("b");

  REQUIRE(gone);
  CHECK(gone->erased_functions == std::vector<std::string>{"b"});
  CHECK(gone->erased_function_code == std::vector<std::string>{"sha-of-shared"});
  CHECK(c.remove("a")->erased_function_code.size() == limits::function_versions_max);
}

TEST_CASE(
    "function_catalog: one function is bound to an event type, and the second hears its name") {
  function_catalog c;
  REQUIRE(c.create(now, "first", hello()));
  REQUIRE(c.create(now, "second", hello()));
  auto bound = c.bind(now, "WorkflowTask", "first");
  REQUIRE(bound);
  CHECK(bound->function_triggers[0].function == "first");

  check_refused(c.bind(now, "WorkflowTask", "second"), errc::already_exists, "EventType",
                "first");
  check_refused(c.remove("first"), errc::in_use, "Name", "WorkflowTask");
  check_refused(c.bind(now, "BatchTask", "first"), errc::invalid_argument, "EventType",
                "ScheduleTask");
  check_refused(c.bind(now, "EditMediaTask", "third"), errc::not_found, "Name", "third");
  check_refused(c.unbind("ScheduleTask"), errc::not_found, "EventType", "no function");
  CHECK_FALSE(c.set_trigger_enabled("WorkflowTask", false)->function_triggers[0].enabled);

  REQUIRE(c.unbind("WorkflowTask"));
  CHECK(c.bind(now, "WorkflowTask", "second"));
  CHECK(c.remove("first"));
}

TEST_CASE("function_catalog: secrets are changed one by one, and go with their function") {
  function_catalog c;
  auto edit = hello();
  edit.set_secrets = {{"A", "1"}, {"B", "2"}};
  REQUIRE(c.create(now, "hello", edit));

  function_edit change;
  change.set_secrets = {{"B", "3"}};
  change.remove_secrets = {"A"};
  auto changed = c.update(now, "hello", change);

  REQUIRE(changed);
  CHECK(changed->secrets[0].values == std::map<std::string, std::string>{{"B", "3"}});
  CHECK(c.find("hello")->secrets == std::vector<std::string>{"B"});
  CHECK(newest(c, "hello").number == 2); // what runs has the old ones
  check_refused(c.update(now, "hello", change), errc::not_found, "Secrets", "A");
  REQUIRE(c.remove("hello"));
  CHECK(c.secrets("hello").empty());
}

TEST_CASE("function_catalog: what is refused names the field, and changes nothing") {
  function_catalog c;
  REQUIRE(c.create(now, "hello", hello()));
  auto refused = [&](errc code, const char* field, const char* says, auto change) {
    auto edit = hello();
    change(edit);
    check_refused(c.create(now, "other", edit), code, field, says);
    CHECK(c.find("other") == nullptr);
  };
  using enum errc;
  refused(missing_argument, "Runtime", "nodejs", [](auto& e) { e.runtime.reset(); });
  refused(missing_argument, "Files", "code", [](auto& e) { e.files.reset(); });
  refused(invalid_argument, "Files", "../x", [](auto& e) { e.files = {source("../x", "1")}; });
  refused(invalid_argument, "Files", "twice",
          [](auto& e) { e.files->push_back(source("index.js", "2")); });
  refused(invalid_argument, "Files", "a file and a directory",
          [](auto& e) { e.files->push_back(source("index.js/x", "2")); });
  refused(too_large, "Files", "bytes of code", [](auto& e) {
    e.files = {source("index.js", std::string(limits::function_code_bytes_max + 1, 'x'))};
  });
  refused(invalid_argument, "Handler", "other.js", [](auto& e) { e.handler = "other.main"; });
  refused(invalid_argument, "Handler", "FILE.NAME", [](auto& e) { e.handler = "index"; });
  refused(invalid_argument, "Handler", "none of its files", [](auto& e) {
    e.runtime = function_runtime::executable;
    e.handler = "run";
  });
  refused(invalid_argument, "Environment", "1A",
          [](auto& e) { e.set_environment["1A"] = "x"; });
  refused(invalid_argument, "Environment", "taken",
          [](auto& e) { e.set_environment["FRAMEMILL_X"] = "x"; });
  refused(invalid_argument, "Secrets", "in Environment too", [](auto& e) {
    e.set_environment["A"] = "x";
    e.set_secrets["A"] = "x";
  });
  refused(too_large, "Environment", "variables", [](auto& e) {
    e.set_environment["A"] = std::string(limits::function_environment_bytes_max, 'x');
  });
  refused(invalid_argument, "Timeout", "900", [](auto& e) { e.timeout = microseconds{0}; });
  refused(invalid_argument, "MemoryBytes", "1", [](auto& e) { e.memory_bytes = 1; });
  refused(invalid_argument, "Concurrency", "64", [](auto& e) { e.concurrency = 65; });
  refused(invalid_argument, "OutputBytesMax", "0", [](auto& e) { e.output_bytes_max = 0; });
  refused(invalid_argument, "Buckets", "backup", [](auto& e) {
    e.buckets.emplace().push_back({"media", "/backup"});
  });
  check_refused(c.create(now, "hello", hello()), already_exists, "Name", "hello");
  for (auto name : {"", "1a", "a-", "a b", "a/b", "ü"})
    check_refused(c.create(now, name, hello()), invalid_argument, "Name", "letter");
  check_refused(c.update(now, "nobody", hello()), not_found, "Name", "nobody");
}

TEST_CASE("function_rules: a grant reaches below its directory and nowhere else") {
  std::vector<bucket_grant> grants{{"media", "backup/"}, {"all", ""}};
  CHECK(is_granted(grants, "media", "backup/a.json"));
  CHECK_FALSE(is_granted(grants, "media", "backups/a.json"));
  CHECK_FALSE(is_granted(grants, "media", "a.json"));
  CHECK(is_granted(grants, "all", "a.json"));
  CHECK_FALSE(is_granted(grants, "other", "backup/a.json"));
}
