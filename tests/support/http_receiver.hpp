#pragma once

#include "storage/file_handle.hpp"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace framemill::test {

struct received_request {
  std::string method;
  std::string path;
  std::map<std::string, std::string> headers; ///< names in lower case
  std::string body;
  std::chrono::system_clock::time_point at;
};

/// The other end of a request, for who answers it.
class http_peer {
public:
  virtual ~http_peer() = default;
  /// False: the other side is gone, or the receiver stops.
  virtual bool send(std::string_view bytes) = 0;
  /// Waits so long; false as above.
  virtual bool pause(std::chrono::milliseconds time) = 0;
};

/// An HTTP endpoint on loopback that keeps what it gets and answers as the test
/// says. A thread for each connection; connections are kept alive.
class http_receiver {
public:
  using handler = std::function<void(const received_request&, http_peer&)>;

  /// Port 0: any free one.
  explicit http_receiver(handler answer, std::uint16_t port = 0);
  http_receiver(const http_receiver&) = delete;
  http_receiver& operator=(const http_receiver&) = delete;
  ~http_receiver();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& path = "/") const;
  [[nodiscard]] std::vector<received_request> requests() const;
  /// False when there are not so many within the limit.
  [[nodiscard]] bool wait_for(std::size_t count,
                              std::chrono::milliseconds limit = std::chrono::seconds{30}) const;
  [[nodiscard]] std::size_t connections() const;

  /// Answers the same to everything: `200`, `"Retry-After: 1"`, a body.
  [[nodiscard]] static handler always(int status, std::string header = {},
                                      std::string body = {});

private:
  struct connection;
  void accept_all();
  void serve(connection& c);

  handler answer_;
  file_handle listener_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<received_request> requests_;
  std::list<connection> connections_;
  std::size_t accepted_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace framemill::test
