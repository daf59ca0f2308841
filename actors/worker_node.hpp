#pragma once

#include "actors/services.hpp"

#include <functional>
#include <memory>

namespace framemill {

/// A running worker: slots of a cluster without state of their own. Its data
/// directory holds its key, the place of its coordinator and scratch. Owned by
/// framemilld's main.
class worker_node {
public:
  /// Enrols when the data directory does not know a coordinator yet. Errors:
  /// missing_argument (no `join` or token at the first start), unauthorized
  /// (the token), unavailable (nobody answers), busy (another daemon has the
  /// directory). `children` is the door to its children; without one they are
  /// processes of `media_program`.
  [[nodiscard]] static result<std::unique_ptr<worker_node>>
  start(node_config config, std::unique_ptr<child_host> children = {});
  ~worker_node();

  /// Takes no new work and waits until what it holds has ended and is noted, or
  /// `is_enough`, asked ten times a second, says so.
  void leave(const std::function<bool()>& is_enough);
  [[nodiscard]] const node_services& services() const;

private:
  struct impl;
  explicit worker_node(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace framemill
