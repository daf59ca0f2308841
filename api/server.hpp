#pragma once

#include "actors/gateway.hpp"
#include "api/authenticate.hpp"
#include "api/http_server.hpp"

#include <memory>

namespace framemill {

struct api_options {
  std::string listen = "127.0.0.1:0"; ///< port 0: any free one
  credential_map credentials;         ///< SecretId → SecretKey
  http_server_options http;           ///< bounds and timeouts; its `listen` is not used
};

/// The HTTP face of a node: POST and GET `/` for actions, `/health`,
/// `/metrics`, `/events`. Owned by framemilld; owns its threads. Decides
/// nothing: every question goes to the gateway, which outlives it.
class api_server {
public:
  [[nodiscard]] static result<std::unique_ptr<api_server>>
  start(api_options options, gateway& system, const clock& time);
  ~api_server();

  [[nodiscard]] std::uint16_t port() const;
  /// Ends the connections and threads; call before the gateway goes.
  void stop();

private:
  struct state;
  explicit api_server(std::shared_ptr<state> s);

  std::shared_ptr<state> state_;
  std::unique_ptr<http_server> http_;
};

} // namespace framemill
