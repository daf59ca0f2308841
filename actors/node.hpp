#pragma once

#include "actors/gateway.hpp"
#include "actors/services.hpp"

#include <functional>
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

  /// Its own slots take nothing new. Waits until what they hold has ended and is in
  /// the books, or `is_enough`, asked ten times a second, says so. All else goes on.
  void leave(const std::function<bool()>& is_enough);
  [[nodiscard]] gateway& api();
  [[nodiscard]] const node_services& services() const;

private:
  struct impl;
  explicit node(std::unique_ptr<impl> i);
  static void end(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace framemill
