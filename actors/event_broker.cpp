#include "actors/event_broker.hpp"

#include "actors/services.hpp"
#include "core/random.hpp"
#include "notify/amqp_driver.hpp"
#include "notify/nats_driver.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

namespace framemill {

namespace {

/// By which a broker tells our events from those of others, for good.
result<std::string> installation_id(node_services& s) {
  FM_TRY(auto known, s.store->find(family::meta, "installation"));
  if (known)
    return std::move(*known);
  auto fresh = random_hex(8);
  write_batch batch;
  batch.put(family::meta, "installation", fresh);
  FM_CHECK(s.store->commit_and_wait(std::move(batch)));
  return fresh;
}

/// One line that no stranger can read.
result<std::string> read_credentials(const std::string& path) {
  const std::string field = "queue_credentials_file";
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    return fail_errno(errno, field + " " + path);
  if ((status.st_mode & S_IRWXO) != 0)
    return fail_field(errc::invalid_argument, field,
                      "{} {} can be read by everybody; chmod o= it", field, path);
  std::ifstream file{path};
  std::string content{std::istreambuf_iterator<char>{file}, {}};
  if (!file)
    return fail_field(errc::io_failed, field, "{} {} cannot be read", field, path);
  return content;
}

} // namespace

result<std::unique_ptr<queue_driver>> open_event_broker(node_services& s) {
  const auto& c = s.config.events;
  broker_options o;
  FM_TRY(o.address, parse_broker_address(c.queue, "queue"));
  if (!c.queue_credentials_file.empty()) {
    FM_TRY(auto content, read_credentials(c.queue_credentials_file));
    FM_CHECK(add_credentials(o.address, content, "queue_credentials_file"));
  }
  FM_TRY(o.origin, installation_id(s));
  o.ca_file = c.ca_file;
  o.create = c.queue_create;
  spdlog::info("notifications for queues and topics go to {}", shown(o.address));
  return o.address.protocol == broker_protocol::nats ? make_nats_driver(std::move(o))
                                                     : make_amqp_driver(std::move(o));
}

} // namespace framemill
