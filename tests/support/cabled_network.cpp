#include "tests/support/cabled_network.hpp"

#include "tests/support/process.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace framemill::test {

namespace {

constexpr const char* hub = "10.213.0.1";

/// `ip` with these words, in the thread's own network.
bool ip(const std::string& words) {
  std::vector<std::string> command{"ip"};
  std::stringstream line{words};
  for (std::string word; line >> word;)
    command.push_back(word);
  try {
    return run(command).end.exit_code == 0;
  } catch (const std::exception&) { // there is no `ip`
    return false;
  }
}

void must(const std::string& words) { REQUIRE_MESSAGE(ip(words), "ip " << words); }

} // namespace

std::unique_ptr<cabled_network> cabled_network::make() {
  file_handle home{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
  if (!home || ::unshare(CLONE_NEWNET) != 0)
    return nullptr;
  std::unique_ptr<cabled_network> out{new cabled_network(std::move(home))};
  const auto probe = fmt::format("fm-{}-probe", ::getpid());
  if (!ip("netns add " + probe))
    return nullptr;
  must("netns del " + probe);
  must("link set lo up");
  if (!ip("link add hub type bridge"))
    return nullptr;
  must(fmt::format("addr add {}/24 dev hub", hub));
  must("link set hub up");
  return out;
}

cabled_network::cabled_network(file_handle home) : home_(std::move(home)) {}

cabled_network::~cabled_network() {
  for (const auto& m : machines_)
    ip("netns del " + m.space); // its cable goes with it
  if (::setns(home_.get(), CLONE_NEWNET) != 0)
    std::abort(); // what comes after would run in a network that is no more
}

std::string cabled_network::hub_address() const { return hub; }

std::vector<std::string> cabled_network::add(const std::string& name) {
  static std::atomic<int> last{0};
  const auto n = machines_.size() + 1;
  machine m{name, fmt::format("fm-{}-{}", ::getpid(), ++last), fmt::format("cable{}", n),
            fmt::format("10.213.0.{}", n + 1)};
  must("netns add " + m.space);
  machines_.push_back(m);
  must(fmt::format("link add {} type veth peer name eth0 netns {}", m.cable, m.space));
  must(fmt::format("link set {} master hub up", m.cable));
  must(fmt::format("-n {} addr add {}/24 dev eth0", m.space, m.address));
  must(fmt::format("-n {} link set eth0 up", m.space));
  must(fmt::format("-n {} link set lo up", m.space));
  return {"ip", "netns", "exec", m.space};
}

void cabled_network::pull(const std::string& name) {
  must(fmt::format("link set {} down", find(name).cable));
}

void cabled_network::deafen(const std::string& name) {
  must(fmt::format("route replace blackhole {}/32", find(name).address));
}

void cabled_network::mute(const std::string& name) {
  must(fmt::format("-n {} route replace blackhole {}/32", find(name).space, hub));
}

void cabled_network::heal(const std::string& name) {
  const auto& m = find(name);
  must(fmt::format("link set {} up", m.cable));
  ip(fmt::format("route del blackhole {}/32", m.address)); // it may not be there
  ip(fmt::format("-n {} route del blackhole {}/32", m.space, hub));
}

const cabled_network::machine& cabled_network::find(const std::string& name) const {
  auto m = std::find_if(machines_.begin(), machines_.end(),
                        [&](const auto& other) { return other.name == name; });
  REQUIRE_MESSAGE(m != machines_.end(), "no machine is called " << name);
  return *m;
}

} // namespace framemill::test
