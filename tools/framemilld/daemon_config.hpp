#pragma once

#include "actors/services.hpp"

#include <string>
#include <vector>

namespace framemill {

/// Everything framemilld is told: its file (TOML) first, the command line over
/// it. docs/operations.md lists the keys.
struct daemon_config {
  node_config node;
  std::string api_listen = "127.0.0.1:8700";
  std::string log_level = "info";
  std::string fail_point; ///< NAME[:N]; needs allow_faults
  std::chrono::milliseconds drain_patience{120'000}; ///< of SIGTERM, with what is in hand
};

/// Of what is not `node`'s, which is checked when that starts.
[[nodiscard]] result<void> validate(const daemon_config& c);

/// Errors name the file, line and key. Unknown keys are errors.
[[nodiscard]] result<void> read_config_file(const std::string& path, daemon_config& into);
/// `NAME=PATH`.
[[nodiscard]] result<void> add_bucket(const std::string& text, node_config& into);
/// `NAME=SESSIONS`, how many may use it at once.
[[nodiscard]] result<void> add_device(const std::string& text, node_config& into);
/// `BUCKET=coordinator`, `BUCKET=any` or `BUCKET=NODE`: who watches it.
[[nodiscard]] result<void> add_watch(const std::string& text, node_config& into);
/// `coordinator,gateway,worker`: which there are. A coordinator is a gateway.
[[nodiscard]] result<void> read_roles(const std::string& text, node_roles& into);
/// `control=HOST:PORT` or `data=HOST:PORT`; needs allow_faults.
[[nodiscard]] result<void> add_via(const std::string& text, node_config& into);
/// With no bucket named anywhere: `media` below the data directory.
[[nodiscard]] result<void> add_default_bucket(node_config& into);
/// A coordinator that has no slots and no address waits for workers on loopback.
void add_default_cluster(node_config& into);

} // namespace framemill
