#include "tests/support/broker_consumer.hpp"

#include "tests/support/eventually.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

namespace framemill::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

/// Where `npm install` put the clients; "" = nowhere.
std::string node_modules() {
  const auto* told = std::getenv("FRAMEMILL_SDK_DIR");
  for (auto place :
       {std::string{told != nullptr ? told : ""}, std::string{FRAMEMILL_BIN_DIR "/../sdk"},
        std::string{FRAMEMILL_SOURCE_DIR "/tests/sdk"}})
    if (fs::exists(place + "/node_modules/nats") && fs::exists(place + "/node_modules/amqplib"))
      return place + "/node_modules";
  return {};
}

} // namespace

bool has_broker_clients() { return !node_modules().empty(); }

consumer::consumer(const std::string& protocol, const std::string& address,
                   const std::string& model, const std::string& name, const std::string& tag)
    : node_({{"env", "NODE_PATH=" + node_modules(), "node",
              FRAMEMILL_SOURCE_DIR "/tests/system/broker_consumer.js", protocol, address, model,
              name, tag},
             {},
             {}}) {
  (void)eventually(
      [&] { return !documents_of(node_.output()).empty() || !node_.is_running(); });
  REQUIRE_MESSAGE(!documents_of(node_.output()).empty(), node_.complaint());
}

json consumer::properties() const { return documents_of(node_.output())[0]; }

std::vector<json> consumer::got() const {
  auto all = documents_of(node_.output());
  all.erase(all.begin());
  return all;
}

std::vector<json> consumer::first(std::size_t count) const {
  (void)eventually([&] { return got().size() >= count; }, 20s, 50ms);
  return got();
}

} // namespace framemill::test
