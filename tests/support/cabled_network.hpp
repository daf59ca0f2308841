#pragma once

#include "storage/file_handle.hpp"

#include <memory>
#include <string>
#include <vector>

namespace framemill::test {

/// A network of machines for one test, made of network namespaces: the test's
/// thread, and all that it starts, stands at a hub; each machine is behind a
/// cable of its own that can be pulled, and may be deaf or mute. Unlike a proxy's
/// connections, none here is told of anything: packets are gone, as on a real
/// network. Touches nothing outside of its own namespaces, which have names
/// of this process and go with it. Used by one thread, the one that made it.
class cabled_network {
public:
  /// Null where namespaces are not allowed: not root, or no iproute2.
  [[nodiscard]] static std::unique_ptr<cabled_network> make();
  ~cabled_network(); ///< the thread is back where it came from
  cabled_network(const cabled_network&) = delete;
  cabled_network& operator=(const cabled_network&) = delete;

  /// Where machines reach what listens here.
  [[nodiscard]] std::string hub_address() const;
  /// A machine on a new cable: the words before a command that make it run there.
  [[nodiscard]] std::vector<std::string> add(const std::string& machine);

  // ---- faults --------------------------------------------------------------------
  void pull(const std::string& machine);   ///< nothing gets through, either way
  void deafen(const std::string& machine); ///< nothing gets to it
  void mute(const std::string& machine);   ///< nothing gets away from it
  void heal(const std::string& machine);   ///< all of these are over

private:
  struct machine {
    std::string name, space, cable, address;
  };
  explicit cabled_network(file_handle home);
  [[nodiscard]] const machine& find(const std::string& name) const;

  file_handle home_; ///< the network that the thread came from
  std::vector<machine> machines_;
};

} // namespace framemill::test
