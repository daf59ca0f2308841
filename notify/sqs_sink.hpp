#pragma once

#include "notify/http_door.hpp"
#include "notify/sink.hpp"

#include <memory>
#include <string>

namespace framemill {

/// Sends to `config.aws_sqs`: a queue of Amazon SQS, or of a server that speaks its
/// JSON protocol, when `endpoint` (an http or https address) is not "". Signed with
/// the configuration's own keys. Delivered is what the queue has taken; keys that are
/// refused and a queue that is not there may be put right, and are tried again.
[[nodiscard]] std::unique_ptr<sink> make_sqs_sink(std::shared_ptr<http_door> door,
                                                  std::string endpoint);

/// The verdict of the answer to SendMessage or GetQueueUrl. Pure.
[[nodiscard]] delivery_answer judge_sqs(const http_answer& answer);

} // namespace framemill
