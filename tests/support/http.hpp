#pragma once

#include "core/json.hpp"

#include <string>

namespace framemill::test {

struct http_answer {
  int status = 0; ///< 0: the connection was closed without an answer
  std::string body;
};

/// Sends bytes to HOST:PORT on a connection of its own, closes the sending
/// side, and reads all of the answer.
[[nodiscard]] http_answer http_exchange(const std::string& endpoint, const std::string& bytes);
[[nodiscard]] http_answer http_get(const std::string& endpoint, const std::string& path);

/// A signed call of an MPS action with the credentials of a data directory: the
/// member `Response`. `skew_seconds` moves the time that is signed.
struct mps_caller {
  std::string data_dir;
  std::string endpoint;
  std::int64_t skew_seconds = 0;
  std::string version = "2019-06-12";

  [[nodiscard]] json operator()(const std::string& action, const json& body) const;
  [[nodiscard]] http_answer send(const std::string& action, const std::string& body) const;
};

} // namespace framemill::test
