#pragma once

#include "actors/gateway.hpp"
#include "actors/services.hpp"

#include <memory>

namespace framemill {

/// A running node: its store, its buckets, its children and its actors, with
/// the gateway to them. Owned by framemilld's main. Starting it goes on where
/// the last life of its data directory ended; destroying it stops the children
/// and leaves everything else to that start.
class node {
public:
  /// errc::busy: another daemon has the data directory; schema_newer; and
  /// whatever is wrong with a bucket, named.
  [[nodiscard]] static result<std::unique_ptr<node>> start(node_config config);
  ~node();

  [[nodiscard]] gateway& api();
  [[nodiscard]] const node_services& services() const;

private:
  struct impl;
  explicit node(std::unique_ptr<impl> i);
  static void leave(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace framemill
