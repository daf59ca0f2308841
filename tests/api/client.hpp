#pragma once

#include "api/server.hpp"
#include "api/tc3.hpp"
#include "core/json.hpp"
#include "tests/api/fake_gateway.hpp"

#include <map>
#include <string>

namespace framemill::test {

struct answer {
  int status = 0;                             ///< 0: the connection was closed
  std::map<std::string, std::string> headers; ///< names in lower case
  std::string body;
};

/// A client on a plain socket: sends any bytes, reads whole answers. Reads fail
/// after ten seconds.
class raw_client {
public:
  explicit raw_client(std::uint16_t port);
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;
  ~raw_client();

  bool send(std::string_view bytes);
  answer read();
  /// Bytes until `text` was seen; "" when the connection ends before.
  std::string read_until(std::string_view text);
  /// True when the server closed the connection.
  [[nodiscard]] bool is_closed();
  void shutdown();

private:
  bool fill();
  int fd_ = -1;
  std::string buffer_;
};

inline const tc3::credential credential{"AKIDEXAMPLE", "SKEXAMPLE"};
inline constexpr timestamp test_start{1795293456LL * 1'000'000}; // 2026-11-21T20:37:36Z

/// A server over a fake gateway, and calls to it.
struct api_fixture {
  hand_clock time{test_start};
  fake_gateway system{time};
  std::unique_ptr<api_server> server;

  explicit api_fixture(http_server_options http = {});
  ~api_fixture();

  [[nodiscard]] std::string host() const;
  [[nodiscard]] tc3::client_request request(std::string action, std::string body,
                                            std::string version = "2019-06-12") const;
  /// The bytes of a signed request.
  [[nodiscard]] std::string signed_bytes(const tc3::client_request& r,
                                         const tc3::header_list& more = {}) const;
  /// One call on a connection of its own: the member `Response`.
  json call(std::string action, const json& parameters,
            std::string version = "2019-06-12") const;
  json cluster(std::string action, const json& parameters) const;
  /// Sends bytes on a connection of its own.
  [[nodiscard]] answer exchange(std::string_view bytes) const;
};

/// Response.Error.Code, "" on success.
[[nodiscard]] std::string code_of(const json& response);
[[nodiscard]] std::string message_of(const json& response);
/// Of the envelope in a body.
[[nodiscard]] std::string code_in(const answer& a);

/// `in` with this value at the pointer.
[[nodiscard]] json with(json in, const char* pointer, json value);

/// Parameters of CreateWorkflow with one transcode.
[[nodiscard]] json workflow_parameters(const std::string& name);
[[nodiscard]] std::string bytes_of(const std::string& head_line,
                                   const tc3::header_list& headers, std::string_view body);

} // namespace framemill::test
