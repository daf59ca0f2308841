#pragma once

#include "core/queue_message.hpp"
#include "notify/sink.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace framemill {

/// Tries of an HTTP subscriber, CMQ's numbers: about a day, or a minute.
[[nodiscard]] std::int64_t push_tries_max(push_retry r) noexcept;

/// Whether to give up after so many tries that failed; `age` since it was published.
[[nodiscard]] bool is_last_push(push_retry r, std::uint32_t tries, microseconds age) noexcept;

/// Until the next try, after `tries` that failed; `chance` is in [0, 1).
[[nodiscard]] std::int64_t push_delay_seconds(push_retry r, std::uint32_t tries,
                                              double chance) noexcept;

/// A topic's message on its way to an HTTP subscriber. In the `json` format it is
/// CMQ's envelope: TopicOwner, topicName, subscriptionName, msgId, msgBody,
/// publishTime (unix seconds, text), msgTag.
[[nodiscard]] notification push_of(const subscription_record& s, const received_message& m);

/// What goes wrong with subscriptions, since the start: for those who ask, and
/// for the log, which has the first of it at once, and of what follows a line a
/// minute at most. Pure; owned by the QUEUE BROKER. A subscription is named `TOPIC/NAME`.
class subscription_troubles {
public:
  /// Messages that did not stay where they are delivered from.
  struct missed_messages {
    std::uint64_t messages = 0;
    std::string why;     ///< of the last of them
    std::string went_to; ///< the same: the dead-letter queue; "" = dropped
  };

  /// A try to post failed. True: that is to be logged. When it goes on for the same
  /// reason it is not.
  [[nodiscard]] bool failed(timestamp now, const std::string& subscription,
                            const std::string& why);
  void delivered(const std::string& subscription);
  void missed(const std::string& subscription, missed_messages m);
  /// What is to be logged now of those, each time it is asked.
  [[nodiscard]] std::vector<std::pair<std::string, missed_messages>> untold(timestamp now);
  /// Forgets all others.
  void keep_only(const std::set<std::string>& subscriptions);
  /// By name of the subscription.
  [[nodiscard]] std::vector<subscription_trouble> of(std::string_view topic) const;

private:
  struct entry {
    subscription_trouble trouble;
    std::optional<std::string> told_error; ///< that the log has, since the last delivery
    timestamp error_told;                  ///< when
    missed_messages untold;                ///< that the log has not
    timestamp missed_told;                 ///< when it had others
  };
  std::map<std::string, entry, std::less<>> entries_;
};

} // namespace framemill
