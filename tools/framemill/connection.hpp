#pragma once

#include "core/error.hpp"

#include <string>

namespace framemill::cli {

/// What the user gave; empty = not given.
struct connection_options {
  std::string server;
  std::string data_dir = "./framemill-data";
  std::string secret_id;
  std::string secret_key;
};

struct connection {
  std::string endpoint; ///< host:port
  std::string secret_id;
  std::string secret_key;
};

/// Fills what was not given from the data directory of a node on this machine
/// (`endpoint`, `credentials.json`); the endpoint defaults to 127.0.0.1:8700.
/// Errors: unauthorized (no credentials anywhere), malformed, io_failed.
[[nodiscard]] result<connection> resolve(const connection_options& options);

} // namespace framemill::cli
