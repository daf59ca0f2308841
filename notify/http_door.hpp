#pragma once

#include "core/time.hpp"
#include "notify/egress.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

struct http_door_options {
  egress_policy egress;
  std::string ca_file; ///< PEM; "" = the system's authorities
  std::chrono::milliseconds connect_limit{5000}; ///< name, connection, TLS
  std::chrono::milliseconds whole_limit{20000};
  std::size_t answer_bytes_max = 64u << 10; ///< of header, and of body; the rest is not read
  std::size_t transfers_max = 512;          ///< at once; more wait
};

/// Who signs a request with AWS's Signature Version 4, and for what.
struct aws_signer {
  std::string region, service;
  std::string key_id, secret_key;
};

struct http_content {
  std::vector<std::string> headers; ///< `Name: value`
  std::string body;
  std::optional<aws_signer> signer;
};

struct http_answer {
  long status = 0;  ///< 0 = there was none
  std::string body; ///< as much as may be read of it
  std::optional<microseconds> retry_after;
  std::string problem;      ///< why there was none
  bool is_hopeless = false; ///< there will never be one: a malformed or forbidden address
};

/// The one door to HTTP, all of it on one thread. TLS is verified, redirects are
/// not followed, proxies of the environment are not used, and only what the egress
/// policy allows is connected to, judged by the address that the socket goes to.
/// Thread-safe.
class http_door {
public:
  using done_fn = std::function<void(const http_answer&)>;

  explicit http_door(http_door_options options);
  http_door(const http_door&) = delete;
  http_door& operator=(const http_door&) = delete;
  /// What is under way is answered before it returns.
  ~http_door();

  /// POSTs what `content` makes when its turn has come: what depends on the time is
  /// made then; nothing: it comes too late, and is not sent. Both are called once, on
  /// the door's thread; `content` not at all when the address is malformed. Does not
  /// block.
  using content_fn = std::function<std::optional<http_content>()>;
  void post(std::string url, content_fn content, done_fn done);

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

/// One line of ASCII, at most 200 characters: for sentences about foreign answers.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace framemill
