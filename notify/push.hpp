#pragma once

#include "core/queue_message.hpp"
#include "notify/sink.hpp"

#include <cstdint>

namespace framemill {

/// Tries of an HTTP subscriber, CMQ's numbers: about a day, or a minute.
[[nodiscard]] std::int64_t push_tries_max(push_retry r) noexcept;

/// Until the next try, after `tries` that failed; `chance` is in [0, 1).
[[nodiscard]] std::int64_t push_delay_seconds(push_retry r, std::uint32_t tries,
                                              double chance) noexcept;

/// A topic's message on its way to an HTTP subscriber. In the `json` format it is
/// CMQ's envelope: TopicOwner, topicName, subscriptionName, msgId, msgBody,
/// publishTime (unix seconds, text), msgTag.
[[nodiscard]] notification push_of(const subscription_record& s, const received_message& m);

} // namespace framemill
