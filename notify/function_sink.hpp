#pragma once

#include "core/error.hpp"
#include "notify/sink.hpp"

#include <map>
#include <memory>
#include <mutex>

namespace framemill {

/// Deliveries to the function that is bound to the event's type by then. Whatever
/// goes wrong (an error thrown, a crash, a timeout, none bound) may be put right:
/// so every failure is `again`, and the NOTIFIER decides how often.
class function_sink final : public sink {
public:
  struct outcome {
    std::string error;      ///< "" = it succeeded
    std::string request_id; ///< of its line in the log
  };
  using outcome_fn = std::function<void(outcome)>;
  /// The function that events of this type go to now; "" = none.
  using bound_fn = std::function<result<std::string>(std::string_view event_type)>;
  /// Calls the function of this name, does not block, and answers once, on any
  /// thread, also after the sink has gone.
  using invoke_fn = std::function<void(std::string function, notification n, outcome_fn done)>;

  function_sink(bound_fn bound, invoke_fn invoke);
  ~function_sink() override;

  void deliver(notification n, done_fn done) override;

private:
  struct pending {
    std::mutex mutex;
    std::map<std::uint64_t, done_fn> calls; ///< not answered
    std::uint64_t last = 0;
    [[nodiscard]] done_fn take(std::uint64_t call);
  };
  bound_fn bound_;
  invoke_fn invoke_;
  std::shared_ptr<pending> pending_ = std::make_shared<pending>();
};

} // namespace framemill
