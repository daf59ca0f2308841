#pragma once

#include "cluster/protocol.hpp"
#include "core/service.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace framemill {

// What the SERVICE HOST shall do.
struct begin_service {
  host_service order;
};
struct cease_service {
  service_id service;
  std::uint64_t epoch = 0;
};
struct say_word {
  service_word word;
};
using service_action = std::variant<begin_service, cease_service, say_word>;

/// What a node hosts, and the words of it that are not answered. Pure; owned by
/// the SERVICE HOST. Idempotent: orders may be lost, repeated, late or out of
/// order, and still a service runs once, under the newest epoch that was heard
/// of; what it said under an older one is forgotten. A word is said until it is
/// answered: services bound how many of theirs wait.
///
///   order ─→ hosted (newer epoch, other payload: begins anew) ─→ ended
class service_book {
public:
  using actions = std::vector<service_action>;

  /// Numbers of words begin behind `last_number`: of no former life of the node.
  explicit service_book(std::uint64_t last_number) : last_number_(last_number) {}

  // ---- the coordinator ----------------------------------------------------------------
  [[nodiscard]] actions ordered(host_service order);
  [[nodiscard]] actions ended(const end_service& order);
  /// False: nobody waits for it (any more).
  [[nodiscard]] bool answered(const service_answer& a);
  /// What is to be said again: with each connection, and now and then.
  [[nodiscard]] actions unanswered() const;

  // ---- the service --------------------------------------------------------------------
  struct saying {
    service_word word;                     ///< to be said, and kept
    std::optional<std::uint64_t> replaced; ///< the number of one that is kept no more
  };
  /// Nothing when it is not hosted under the epoch. Of one topic ("" is none) the
  /// newest word is kept.
  [[nodiscard]] std::optional<saying> said(const service_id& service, std::uint64_t epoch,
                                           std::string payload, const std::string& topic);
  /// Why it cannot be done here; "" = it can. True: that is news.
  bool told_problem(const service_id& service, std::uint64_t epoch, std::string problem);

  [[nodiscard]] std::vector<hosted_service> hosted() const; ///< by id
  [[nodiscard]] bool hosts(const service_id& service, std::uint64_t epoch) const;

private:
  struct entry {
    host_service order;
    std::string problem;
    struct kept {
      std::string payload, topic;
    };
    std::map<std::uint64_t, kept> words; ///< by number
  };
  std::map<service_id, entry> hosted_;
  std::map<service_id, std::uint64_t> ended_; ///< the newest epoch that was
  std::uint64_t last_number_ = 0;
};

} // namespace framemill
