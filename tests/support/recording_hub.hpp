#pragma once

#include "actors/membership_actor.hpp"
#include "core/codec.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace framemill::test {

/// Keeps what is sent to nodes.
struct recording_hub final : hub {
  std::uint16_t port() const override { return 1; }
  void send(connection_key to, std::string frame) override {
    auto e = decode<envelope>(frame);
    REQUIRE(e);
    sent.emplace_back(to, std::move(e->body));
  }
  void drop(connection_key) override {}
  std::vector<std::pair<connection_key, cluster_message>> sent;
};

} // namespace framemill::test
