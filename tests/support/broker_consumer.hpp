#pragma once

#include "tests/support/cli.hpp"
#include "tests/support/process.hpp"

#include <string>
#include <vector>

namespace framemill::test {

/// A user's program with the broker's own client: tests/system/broker_consumer.js. Reads
/// and acknowledges until it goes.
class consumer {
public:
  /// Returns when it misses nothing any more; a failed assertion when it does not come to
  /// that. `protocol`: nats, amqp; `model`: queue, topic, of which one tag or "" = all.
  consumer(const std::string& protocol, const std::string& address, const std::string& model,
           const std::string& name, const std::string& tag = {});

  [[nodiscard]] json properties() const; ///< of what it reads from
  [[nodiscard]] std::vector<json> got() const;
  /// The first so many that it gets, or fewer after a while.
  [[nodiscard]] std::vector<json> first(std::size_t count) const;

private:
  process node_;
};

/// The clients are installed.
[[nodiscard]] bool has_broker_clients();

} // namespace framemill::test
