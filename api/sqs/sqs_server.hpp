#pragma once

#include "actors/gateway.hpp"
#include "api/authenticate.hpp"
#include "api/http_server.hpp"
#include "core/time.hpp"

#include <memory>

namespace framemill {

/// Is it a call of the SQS protocol: a POST with `X-Amz-Target: AmazonSQS.…`?
[[nodiscard]] bool is_sqs_call(const http_request& r);

/// Answers one: signature, action, parameters, in AWS JSON 1.0 (docs/queues.md).
/// The queues are the embedded ones, the keys those of the API. Past `limit` the
/// answer is ServiceUnavailable.
void answer_sqs(gateway& system, const credential_map& credentials, timestamp now,
                const http_request& request, std::shared_ptr<http_call> exchange,
                std::chrono::milliseconds limit);

} // namespace framemill
