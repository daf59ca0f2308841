#include "actors/node.hpp"

#include "actors/actor_gateway.hpp"
#include "actors/coordinator.hpp"
#include "actors/functions_actor.hpp"
#include "actors/manners.hpp"
#include "actors/membership_actor.hpp"
#include "actors/outbox.hpp"
#include "actors/publisher.hpp"
#include "actors/queue_broker.hpp"
#include "actors/scheduler_actor.hpp"
#include "actors/start_up.hpp"
#include "actors/supply.hpp"
#include "actors/task_worker.hpp"
#include "core/host_port.hpp"
#include "storage/posix_file.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

/// The sentinel under which the bucket is known; at first the one it has.
result<std::string> known_sentinel(node_services& s, const std::string& name,
                                   const std::string& path) {
  FM_TRY(auto noted, s.store->find(family::meta, "bucket/" + name));
  if (noted)
    return *noted;
  FM_TRY(auto b, open_local_bucket({name, path, {}})); // gives it one
  FM_TRY(auto sentinel, local_bucket_sentinel(path));
  write_batch batch;
  batch.put(family::meta, "bucket/" + name, sentinel);
  FM_CHECK(s.store->commit_and_wait(std::move(batch)));
  return sentinel;
}

/// Keeps what live runs will reuse, removes the rest. Not while a lease may be
/// going on elsewhere: its result can be here, and its outcome not in the books.
result<void> collect_artifacts(node_services& s) {
  std::set<std::string, std::less<>> live;
  bool awaits_results = false;
  result<void> status;
  FM_CHECK(s.store->scan(family::live_runs, "", "", [&](std::string_view key, auto) {
    auto from = std::string{key} + "/";
    status = scan_records<shard_record>(*s.store, family::shards, from, prefix_end(from),
                                        [&](const shard_record& shard) {
                                          awaits_results |= shard.state == shard_state::leased;
                                          for (const auto& f : shard.files)
                                            live.insert(f.sha256);
                                          for (const auto& f : shard.assets)
                                            live.insert(f.sha256);
                                          return true;
                                        });
    return status.has_value();
  }));
  FM_CHECK(status);
  if (awaits_results && !s.config.cluster.listen.empty())
    return {};
  FM_TRY(auto freed, s.artifacts->collect([&](std::string_view sha) { return live.contains(sha); }));
  if (freed > 0)
    spdlog::info("{} MiB of unused artifacts removed", freed >> 20);
  return {};
}

/// SUPERVISOR of a node: a TASK WORKER or the OUTBOX that dies is started again
/// after a second. The others hold the handles of everybody; when one of them dies the
/// failure climbs: the process ends, and its next start goes on from the store.
struct supervisor_state {
  static inline const char* name = "supervisor";
  std::map<caf::actor_addr, int> worker_of; ///< slot
  std::map<caf::actor_addr, std::string> vital;
  caf::actor_addr outbox;
  worker_key last_key = 0;
};

struct start_worker {
  int slot = 0;
};

struct start_outbox {};

} // namespace
} // namespace framemill
FM_LOCAL_MESSAGE(start_worker)
FM_LOCAL_MESSAGE(start_outbox)
namespace framemill {
namespace {

using supervisor_ptr = caf::stateful_actor<supervisor_state>*;

[[noreturn]] void climb(const std::string& who) {
  spdlog::critical("SUPERVISOR: the {} died; the daemon ends, its next start goes on", who);
  spdlog::default_logger()->flush();
  std::_Exit(70); // EX_SOFTWARE; children die with us
}

caf::behavior supervisor(supervisor_ptr self, node_services* services, caf::actor scheduler,
                         std::map<std::string, caf::actor> vital) {
  for (const auto& [name, actor] : vital) {
    self->state.vital[actor.address()] = name;
    self->monitor(actor);
  }
  self->set_down_handler([=](const caf::down_msg& down) {
    auto& s = self->state;
    if (auto who = s.vital.find(down.source); who != s.vital.end())
      climb(who->second);
    if (auto slot = s.worker_of.extract(down.source); !slot.empty()) {
      spdlog::error("SUPERVISOR: the TASK WORKER of slot {} died; another starts", slot.mapped());
      self->delayed_send(self, std::chrono::seconds{1}, start_worker{slot.mapped()});
    }
    if (down.source == s.outbox) {
      spdlog::error("SUPERVISOR: the OUTBOX died; another starts");
      self->delayed_send(self, std::chrono::seconds{1}, start_outbox{});
    }
  });
  tolerate_strangers(self, "SUPERVISOR");
  for (int i = 0; i < services->config.slots && services->config.roles.worker; ++i)
    self->send(self, start_worker{i});
  self->send(self, start_outbox{});
  return {
      [=](const start_outbox&) {
        // Detached: it reads whole runs.
        auto actor = self->spawn<caf::detached>(outbox, services);
        self->state.outbox = actor.address();
        self->monitor(actor);
      },
      [=](const start_worker& m) {
        auto& s = self->state;
        worker_slot slot{++s.last_key, services->config.name};
        auto worker = self->spawn<caf::detached>(task_worker, services, slot, scheduler,
                                                 std::shared_ptr{make_local_supply(*services)});
        s.worker_of[worker.address()] = m.slot;
        self->monitor(worker);
      },
  };
}

/// `HOST:PORT`, where an IPv6 host stands in brackets.
result<cluster_endpoints> endpoints_of(const cluster_config& c) {
  cluster_endpoints out;
  FM_TRY(auto at, parse_host_port(c.listen, "cluster-listen"));
  if (at.port > 65533) // the next two are ours too
    return fail_field(errc::malformed, "cluster-listen", "`{}` is not HOST:PORT", c.listen);
  out.host = c.listen.substr(0, c.listen.rfind(':'));
  out.control = at.port;
  auto other = [&](std::uint16_t given, int offset) {
    return given != 0 || at.port == 0 ? given : static_cast<std::uint16_t>(at.port + offset);
  };
  out.enrolment = other(c.enrolment_port, 1);
  out.data = other(c.data_port, 2);
  return out;
}

/// For scripts and people: where the cluster's sockets are.
result<void> write_endpoints(const node_services& s, const cluster_endpoints& e) {
  return write_whole_file(s.config.data_dir + "/cluster-endpoint",
                          fmt::format("control {0}:{1}\nenrolment {0}:{2}\ndata {0}:{3}\n",
                                      e.host, e.control, e.enrolment, e.data),
                          0644);
}

} // namespace

struct node::impl {
  node_services services;
  std::unique_ptr<caf::actor_system> system;
  caf::actor scheduler;
  std::unique_ptr<gateway> api;

  result<void> start_actors() {
    system = make_actor_system();
    scheduler = system->spawn(scheduler_actor, &services);
    FM_TRY(auto membership, start_membership());
    if (membership)
      caf::anon_send(scheduler, membership_known{membership});
    auto publishing = system->spawn<caf::detached>(publisher, &services);
    auto brokering = system->spawn<caf::detached>(queue_broker, &services);
    services.queues = make_queue_service(brokering);
    if (!services.queue_driver) // no broker
      services.queue_driver = make_embedded_queue(*services.queues);
    open_queue_sinks(services);
    // Detached: it asks buckets, and a dead mount must not hold the others up.
    auto coordinating =
        system->spawn<caf::detached>(coordinator, &services, scheduler, publishing, membership);
    // Detached: it lays out code on disk.
    auto functions = system->spawn<caf::detached>(functions_actor, &services);
    services.notices.sinks[sink_kind::function] = make_function_sink(functions, services);
    std::map<std::string, caf::actor> vital{{"SCHEDULER", scheduler},
                                            {"PUBLISHER", publishing},
                                            {"QUEUE BROKER", brokering},
                                            {"FUNCTIONS", functions},
                                            {"COORDINATOR", coordinating}};
    if (membership) {
      caf::anon_send(membership, coordinator_known{coordinating});
      vital["MEMBERSHIP"] = membership;
    }
    system->spawn(supervisor, &services, scheduler, std::move(vital));
    api = make_actor_gateway(*system, services, {coordinating, scheduler, membership, functions});
    return {};
  }

  /// Empty when the node is to be alone.
  result<caf::actor> start_membership() {
    if (services.config.cluster.listen.empty())
      return caf::actor{};
    FM_TRY(auto endpoints, endpoints_of(services.config.cluster));
    FM_TRY(auto life, begin_term(services));
    auto opened = std::make_shared<std::promise<result<cluster_endpoints>>>();
    auto where = opened->get_future();
    // Detached: it decodes whatever the nodes send.
    auto actor = system->spawn<caf::detached>(membership_actor, &services, std::move(life),
                                              std::move(endpoints), scheduler, opened);
    FM_TRY(auto listening, where.get());
    FM_CHECK(write_endpoints(services, listening));
    spdlog::info("cluster: control on {}:{}, enrolment {}, data {}", listening.host,
                 listening.control, listening.enrolment, listening.data);
    return actor;
  }
};

result<std::unique_ptr<node>> node::start(node_config config) {
  auto i = std::make_unique<impl>();
  auto& s = i->services;
  FM_CHECK(configure(s, std::move(config)));
  FM_TRY(s.store, open_rocks_state_store({s.config.data_dir + "/state", false}));
  FM_TRY(s.journal, journal::open(*s.store));
  s.artifacts = std::make_unique<artifact_store>(s.config.data_dir + "/artifacts");
  FM_CHECK(clear_scratch(s));
  FM_CHECK(collect_artifacts(s));
  FM_CHECK(open_buckets(s, [&](const auto& name, const auto& path) {
    return known_sentinel(s, name, path);
  }));
  FM_CHECK(start_children(s));
  FM_CHECK(open_notices(s));
  if (auto started = i->start_actors(); !started) {
    end(std::move(i));
    return failure{started.error()};
  }
  return std::unique_ptr<node>{new node(std::move(i))};
}

node::node(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

/// Everything is durable. CAF 0.17 would wait for every actor, and a detached one may
/// hang in a system call: they, and what they still use, run on until the process
/// ends, which is next.
void node::end(std::unique_ptr<impl> i) {
  i->services.children->close(); // no child outlives us
  (void)i->system.release();
  (void)i.release();
}

node::~node() { end(std::move(impl_)); }

void node::leave(const std::function<bool()>& is_enough) {
  auto gone = std::make_shared<std::promise<void>>();
  auto left = gone->get_future();
  caf::anon_send(impl_->scheduler,
                 stop_own_slots{{nullptr, [gone](void*) { gone->set_value(); }}});
  (void)await_leave(left, is_enough);
}

gateway& node::api() { return *impl_->api; }
const node_services& node::services() const { return impl_->services; }

} // namespace framemill
