#include "actors/worker_node.hpp"

#include "actors/node_agent.hpp"
#include "actors/self_test.hpp"
#include "actors/service_host.hpp"
#include "actors/start_up.hpp"
#include "core/codec.hpp"
#include "core/host_port.hpp"
#include "core/json.hpp"
#include "storage/posix_file.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

namespace framemill {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds enrolment_patience{20};

/// One daemon per data directory, for as long as the handle lives.
result<file_handle> lock_directory(const std::string& dir) {
  auto path = dir + "/lock";
  file_handle file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!file)
    return fail_errno(errno, path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(errc::busy, "another daemon has the data directory {}", dir);
  return file;
}

std::string place_file(const node_services& s) { return s.config.data_dir + "/coordinator.json"; }

result<std::optional<known_coordinator>> read_place(const node_services& s) {
  std::ifstream in{place_file(s)};
  if (!in)
    return std::optional<known_coordinator>{};
  std::stringstream text;
  text << in.rdbuf();
  auto place = parse_json(text.str());
  auto known = place ? from_json_value<known_coordinator>(*place)
                     : result<known_coordinator>{failure{place.error()}};
  if (!known)
    return fail(errc::malformed, "{}: {}", place_file(s), known.error().message);
  return std::optional{std::move(*known)};
}

/// A coordinator that knows our key asks for no token.
result<join_token> token_to_show(const cluster_config& c, const known_coordinator* known) {
  if (!c.token.empty())
    return parse_join_token(c.token);
  if (known == nullptr)
    return fail_field(errc::missing_argument, "token",
                      "joining needs the token that `framemill node join-token` prints");
  return join_token{{}, {}, known->server_key};
}

/// Shows the token at the enrolment desk, which then knows our key.
result<known_coordinator> enrol(const node_services& s, const key_pair& keys,
                                const known_coordinator* known) {
  const auto& c = s.config.cluster;
  const auto join = c.join.empty() && known != nullptr ? known->join : c.join;
  if (join.empty())
    return fail_field(errc::missing_argument, "join",
                      "this data directory does not know where to enrol: start it with --join "
                      "HOST:PORT --token T, as `framemill node join-token` prints them");
  FM_TRY(auto where, parse_host_port(join, "join"));
  FM_TRY(auto token, token_to_show(c, known));
  enrol_request request{token.id, token.secret, s.config.name};
  link::options desk{where.host, where.port, token.server_key, keys};
  FM_TRY(auto bytes, ask_enrolment_desk(desk, encode(request), enrolment_patience));
  FM_TRY(auto reply, decode<enrol_reply>(bytes));
  if (reply.failure)
    return failure{*reply.failure};
  known_coordinator place{reply.cluster, where.host, reply.control_port, token.server_key, join,
                          token.id};
  FM_CHECK(write_whole_file(place_file(s), to_text(to_json_value(place)) + "\n", 0600));
  spdlog::info("enrolled in cluster {} as {}", place.cluster, s.config.name);
  return place;
}

/// Is it told of another place, or given a token that it has not shown? What stands in
/// a configuration since the first start is neither.
result<bool> is_told_anew(const cluster_config& c, const known_coordinator& known) {
  if (!c.join.empty() && c.join != known.join)
    return true;
  if (c.token.empty())
    return false;
  FM_TRY(auto token, parse_join_token(c.token));
  return token.id != known.token_id;
}

/// Whom the node works for.
result<known_coordinator> find_coordinator(const node_services& s, const key_pair& keys) {
  FM_TRY(auto known, read_place(s));
  if (!known)
    return enrol(s, keys, nullptr);
  FM_TRY(auto anew, is_told_anew(s.config.cluster, *known));
  if (!anew)
    return std::move(*known);
  auto place = enrol(s, keys, &*known);
  if (place)
    return place;
  spdlog::warn("not enrolled anew: {}; going on with the coordinator at {}:{}, known since before",
               place.error().message, known->host, known->control_port);
  return std::move(*known);
}

/// Mounted buckets are read directly, if they are what the coordinator means.
result<std::string> sentinel_of_mount(const std::string&, const std::string& path) {
  return local_bucket_sentinel(path);
}

result<node_facts> proven_facts(node_services& s) {
  auto f = s.facts();
  for (const auto& [name, sentinel] : s.sentinels)
    f.buckets.push_back({name, sentinel});
  f.service_kinds = service_kinds();
  FM_TRY(f.self_test, self_test(s));
  if (!f.self_test.empty())
    spdlog::error("the self-test failed: {}", f.self_test);
  return f;
}

} // namespace

struct worker_node::impl {
  node_services services;
  file_handle lock;
  std::unique_ptr<caf::actor_system> system;
  caf::actor agent;
};

result<std::unique_ptr<worker_node>> worker_node::start(node_config config,
                                                        std::unique_ptr<child_host> children) {
  auto i = std::make_unique<impl>();
  auto& s = i->services;
  s.children = std::move(children);
  FM_CHECK(configure(s, std::move(config)));
  FM_TRY(i->lock, lock_directory(s.config.data_dir));
  FM_CHECK(clear_scratch(s));
  FM_CHECK(open_buckets(s, sentinel_of_mount));
  FM_CHECK(start_children(s));
  FM_CHECK(open_http_sinks(s));
  FM_TRY(auto keys, load_or_make_keys(s.config.data_dir + "/node.key"));
  FM_TRY(auto place, find_coordinator(s, keys));
  FM_TRY(auto facts, proven_facts(s));
  i->system = make_actor_system();
  i->agent = i->system->spawn<caf::detached>(node_agent, &s, std::move(place), std::move(keys),
                                             std::move(facts));
  return std::unique_ptr<worker_node>{new worker_node(std::move(i))};
}

worker_node::worker_node(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

worker_node::~worker_node() {
  impl_->services.children->close(); // no child outlives us
  // As in node: actors may hang in system calls, and all that matters is told.
  (void)impl_->system.release();
  (void)impl_.release();
}

void worker_node::leave(const std::function<bool()>& is_enough) {
  auto left = std::make_shared<std::promise<void>>();
  auto done = left->get_future();
  caf::anon_send(impl_->agent, leave_cluster{left});
  if (await_leave(done, is_enough))
    std::this_thread::sleep_for(beat_every); // the last word leaves
}

const node_services& worker_node::services() const { return impl_->services; }

} // namespace framemill
