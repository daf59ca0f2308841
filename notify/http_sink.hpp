#pragma once

#include "notify/http_door.hpp"
#include "notify/sink.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace framemill {

struct http_sink_options {
  std::function<std::vector<std::string>()> secrets; ///< live signing keys, newest first
  std::function<timestamp()> now;
};

/// POSTs to `config.notify_url`, signed. Delivered is what was answered 2xx; 408,
/// 425, 429, 5xx and no answer are tried again; all else is parked.
[[nodiscard]] std::unique_ptr<sink> make_http_sink(std::shared_ptr<http_door> door,
                                                   http_sink_options options);

/// The verdict of an answer. Pure.
[[nodiscard]] delivery_answer judge(const http_answer& answer);

} // namespace framemill
