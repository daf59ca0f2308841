#pragma once

#include "actors/child_host.hpp"
#include "actors/gateway.hpp"
#include "actors/notices.hpp"
#include "cluster/blame.hpp"
#include "cluster/ingest.hpp"
#include "cluster/placement.hpp"
#include "cluster/protocol.hpp"
#include "cluster/transport.hpp"
#include "cluster/run_machine.hpp"
#include "cluster/scheduler.hpp"
#include "core/run.hpp"
#include "storage/bucket.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

// The whole conversation between the actors, by receiver. Every message is a
// plain struct; each says who sends it and what a lost or repeated copy does.
// Actors are untyped handles, because the conversation is circular (a WORKFLOW
// asks the SCHEDULER, which answers the WORKFLOW).
//
//   BUCKET WATCHER ─service_says→ SERVICE HOST ─service_word→ PLACER
//        ↑──────────answered()────────┘  ↑──service_answer──────┘ │ settled_batch
//                                                                ↓
//                                             COORDINATOR ──spawns──→ WORKFLOW
//                                                              │  ↑
//                                                  offer_work  │  │ worker_granted
//                                                              ↓  │
//   PUBLISHER ←──publish_order── WORKFLOW           SCHEDULER ─┘  │
//        └──publish_done──→ WORKFLOW ──assignment──→ TASK WORKER ─┘ attempt_moved,
//                                                        attempt_ended
//
//   NOTIFIER, CREW ─service_says→ … as a BUCKET WATCHER; the OUTBOX's own ask the store

namespace framemill {

/// Keys of workers on other nodes begin here.
inline constexpr worker_key remote_workers_first = worker_key{1} << 32;

/// Names one reservation of a worker. A word about an older one does nothing.
using grant_number = std::uint64_t;

// ---- to SCHEDULER ----------------------------------------------------------------

/// TASK WORKER → SCHEDULER, once: a slot is there.
struct worker_joined {
  worker_slot slot;
  caf::actor worker;
  std::optional<reservation> holds = {}; ///< since a former life, under grant 0
};
/// MEMBERSHIP → SCHEDULER: what a node has, and whether it takes work now.
struct node_known {
  scheduler_node node;
  bool here = false; ///< connected; an enrolled node that is away may come back
};
/// MEMBERSHIP → SCHEDULER: how full its disk is, when that has changed much.
/// What is lost is made up for by the next.
struct scratch_seen {
  std::string node;
  std::int64_t left_bytes = 0; ///< above its floor
};
/// SCHEDULER → itself, every second while shards wait.
struct look_at_scratch {};
/// MEMBERSHIP → SCHEDULER: it is removed.
struct node_forgotten {
  std::string name;
};
/// TASK WORKER → SCHEDULER after each attempt; WORKFLOW → SCHEDULER for a grant
/// it did not use. A repeated copy does nothing.
struct worker_idle {
  worker_key worker = 0;
  grant_number grant = 0;
};
/// WORKFLOW → SCHEDULER: wants a slot. A repeated copy replaces the offer.
struct offer_work {
  shard_offer offer;
  caf::actor reply_to;
  /// Says so when no known node could ever take it. A shard that has failed
  /// for lack of memory asks for more than there may be, and gets a whole node.
  bool first_time = false;
};
/// Gateway → SCHEDULER: one question, as a function on its state.
struct scheduler_state;
struct scheduler_call {
  std::shared_ptr<std::function<void(scheduler_state&)>> call;
};
/// WORKFLOW → SCHEDULER: no longer wanted.
struct withdraw_work {
  shard_id shard;
};

// ---- to WORKFLOW -----------------------------------------------------------------

/// SCHEDULER → WORKFLOW: this worker is reserved for that shard.
struct worker_granted {
  std::uint32_t shard = 0;
  worker_key worker = 0;
  std::string node;
  std::string fingerprint; ///< of the node
  caf::actor handle;
  grant_number grant = 0;
};
/// SCHEDULER → WORKFLOW: no node that is known could ever take that offer.
struct work_refused {
  std::uint32_t shard = 0;
  std::vector<std::string> reasons; ///< of each node; of many, of each kind of obstacle
};
/// TASK WORKER → WORKFLOW, up to 10 a second. Losing some is harmless.
struct attempt_moved {
  std::uint32_t shard = 0;
  std::uint32_t epoch = 0;
  watermark mark;
};
/// TASK WORKER → WORKFLOW, once per attempt; a copy of an old epoch is refused.
struct attempt_ended {
  std::uint32_t shard = 0;
  attempt_outcome outcome;
  std::function<void()> noted = {}; ///< called when it is in the books; may be empty
};
/// PUBLISHER → WORKFLOW: the job's files have their final names, or do not.
struct publish_done {
  std::uint32_t job = 0;
  result<std::vector<published_file>> files;
};
/// COORDINATOR → WORKFLOW: stop everything.
struct cancel_run {
  std::string why;
  gateway::reply<void> done; ///< may be empty
};
/// Journal → the actor that committed: batch `token` is durable, or failed.
struct committed {
  std::uint64_t token = 0;
  result<void> status;
};
/// MEMBERSHIP → WORKFLOW, answer to `claim_lease`: the node still works on it.
struct lease_found {
  std::uint32_t shard = 0;
  std::uint32_t epoch = 0;
  caf::actor handle;
  grant_number grant = 0;
};
/// MEMBERSHIP → WORKFLOW, answer to `claim_lease`: nobody holds it any more.
struct lease_missing {
  std::uint32_t shard = 0;
  std::uint32_t epoch = 0;
  std::string why;
};
/// MEMBERSHIP → WORKFLOW: its input brings down whatever works on it.
struct input_blamed {
  std::uint32_t shard = 0;
  std::string report;
};
/// WORKFLOW → itself, every second: is a shard worth a second attempt, has the
/// encoder build gone?
struct look_around_tick {};
/// WORKFLOW → itself, after a back-off.
struct offer_again {
  std::uint32_t shard = 0;
  std::uint32_t epoch = 0;
};
struct publish_again {
  std::uint32_t job = 0;
};
struct plan_again {
  bool trust_index = true;
};

// ---- to TASK WORKER --------------------------------------------------------------

/// WORKFLOW → TASK WORKER: execute this attempt. It is leased in the books.
struct assignment : assign_attempt {
  caf::actor reply_to;
  grant_number grant = 0;
};
/// SCHEDULER → TASK WORKER: who had this grant is dead. Stop what you do under
/// it; answer `worker_idle` when you do nothing under it.
struct give_back {
  grant_number grant = 0;
};
/// WORKFLOW → TASK WORKER: kill that attempt, if it is still the current one.
struct stop_attempt {
  shard_id shard;
  std::uint32_t epoch = 0;
};
/// MEMBERSHIP → REMOTE WORKER, SCHEDULER → TASK WORKER: stop what you hold; another
/// node shall do it.
struct vacate_slot {
  std::string why;
};
/// Child host → TASK WORKER. `child` tells late words of an earlier child.
struct child_spoke {
  std::uint64_t child = 0;
  std::shared_ptr<const child_message> message;
};
struct child_logged {
  std::uint64_t child = 0;
  std::string line;
};
struct child_ended {
  std::uint64_t child = 0;
  child_exit how;
};
/// TASK WORKER → itself, every second while it works: does the watermark move?
struct check_liveness {};

// ---- to REMOTE WORKER ------------------------------------------------------------
// It is a TASK WORKER to all others: see there for the rest of its mailbox.

/// MEMBERSHIP → REMOTE WORKER, with each beat: what its slot holds.
struct slot_seen {
  std::optional<held_attempt> held;
};
/// MEMBERSHIP → REMOTE WORKER: its attempt ended on the node.
struct slot_ended {
  shard_id shard;
  attempt_outcome outcome;
  std::function<void()> noted = {};
};
/// MEMBERSHIP → REMOTE WORKER: the WORKFLOW of what it holds since a former
/// life of the coordinator.
struct slot_claimed {
  caf::actor owner;
};

// ---- to MEMBERSHIP ---------------------------------------------------------------

/// Hub thread → MEMBERSHIP.
struct frame_arrived {
  connection_key connection = 0;
  std::string public_key;
  std::string frame;
};
struct connection_gone {
  connection_key connection = 0;
};
/// Enrolment desk → MEMBERSHIP.
struct enrolment_asked {
  std::string public_key;
  std::string frame;
  enrolment_desk::answer answer;
};
/// MEMBERSHIP → itself, every 100 ms.
struct membership_tick {};
/// REMOTE WORKER → MEMBERSHIP: say this to the node. Lost when it is away, or in
/// another life than that of the slot.
struct tell_node {
  worker_slot slot;
  cluster_message word;
};
/// REMOTE WORKER → MEMBERSHIP: how many slots of the node are in use changed.
/// Lost likewise.
struct slot_used {
  worker_slot slot;
  int change = 0; ///< +1 or −1
};
/// SCHEDULER → MEMBERSHIP: how many slots of this machine are in use, whenever that
/// changes.
struct own_slots_used {
  int busy = 0;
};
/// WORKFLOW → MEMBERSHIP: a lease of a former life; does the node still hold it?
/// Answered by `lease_found`, `lease_missing`, or by its outcome itself.
struct claim_lease {
  shard_id shard;
  std::uint32_t epoch = 0;
  std::string node;
  caf::actor reply_to;
};
/// WORKFLOW → MEMBERSHIP: how an attempt ended; whose fault was it?
struct attempt_judged {
  attempt_report report;
  caf::actor reply_to;
};
/// Gateway → MEMBERSHIP: one call, as a function on its state.
struct membership_state;
struct membership_call {
  std::shared_ptr<std::function<void(membership_state&)>> call;
};

// ---- to NODE AGENT (on a worker node) --------------------------------------------

/// Link thread → NODE AGENT.
struct link_up {};
struct link_frame {
  std::string frame;
};
struct link_down {
  std::string why;
};
/// NODE AGENT → itself, every `beat_every`.
struct beat_tick {};

// ---- to PUBLISHER ----------------------------------------------------------------

/// WORKFLOW → PUBLISHER: give these artifacts their final names. Repeating it
/// after a crash is safe: what is there already is kept.
struct publish_order {
  run_record run;
  job_record job;
  std::vector<std::vector<result_file>> files; ///< of job.items[i]'s shard
  caf::actor reply_to;
};

// ---- to OUTBOX -------------------------------------------------------------------

/// Journal → OUTBOX: something was written that may be told. Also OUTBOX → itself.
struct events_there {};
/// OUTBOX → itself: has the cursor moved?
struct outbox_tick {};
/// OUTBOX, CREW → itself, a while after a NOTIFIER died.
struct start_notifier {
  std::string sink;
};
/// Gateway → OUTBOX: one call, as a function on its state.
struct outbox_call {
  std::shared_ptr<outbox_door::call> call;
};

// ---- to NOTIFIER -----------------------------------------------------------------

/// OUTBOX, CREW → NOTIFIER: there is more in the books. A copy does nothing.
struct deliveries_there {
  bool anew = false; ///< also before what it has read
};
/// Sink's thread → NOTIFIER, once per try.
struct delivery_answered {
  event_id event;
  delivery_answer answer;
};
/// NOTIFIER → itself.
struct notifier_tick {};
struct write_again {
  std::uint64_t token = 0;
};

// ---- to BUCKET WATCHER -----------------------------------------------------------

/// Hint thread → BUCKET WATCHER. Hints may be lost; the scan is the truth.
struct change_hints {
  std::vector<bucket_hints::hint> hints;
};
/// BUCKET WATCHER → itself.
struct watch_tick {};
struct scan_tick {};
struct status_tick {};
/// COORDINATOR → PLACER, and the answer to a word of a BUCKET WATCHER → itself:
/// the batch is in the books, or is not (then it will be told again).
struct batch_booked {
  std::uint64_t batch = 0;
  bool ok = true;
  std::string unseen; ///< what of it was left out, because it is not so here
};

// ---- to SERVICE HOST (on every node) ---------------------------------------------
// Its owner, the NODE AGENT or (on the coordinator) the PLACER, sends it what the
// coordinator says: host_service, end_service, service_answer; and gets what the
// node says: service_word, and this.

/// SERVICE HOST → its owner, whenever it changes.
struct services_hosted {
  std::vector<hosted_service> hosted;
};
/// NODE AGENT → SERVICE HOST: a coordinator of this term is there; say again what
/// is not answered.
struct services_welcome {
  std::uint64_t term = 0;
};
/// A service → SERVICE HOST: tell or ask the coordinator. `answered` is called
/// once, on whatever thread: errc::cancelled when the service ends here, or when
/// a newer word of the same topic came before the answer.
struct service_says {
  service_id service;
  std::uint64_t epoch = 0;
  std::string payload;
  std::string topic; ///< "" = each word counts
  std::function<void(result<std::string>)> answered;
};
/// A service → SERVICE HOST: why it cannot be done here; "" = it can.
struct service_fares {
  service_id service;
  std::uint64_t epoch = 0;
  std::string problem;
};
/// NODE AGENT, PLACER → SERVICE HOST → the service: a question about it.
struct ask_service {
  service_id service;
  std::string question;
  std::function<void(result<std::string>)> done;
};
/// SERVICE HOST → itself.
struct say_again_tick {};
struct begin_again {
  service_id service;
  std::uint64_t epoch = 0;
};

// ---- to PLACER -------------------------------------------------------------------

/// MEMBERSHIP → PLACER, whenever something about a node changes.
struct node_placeable {
  placement_node node;
  std::vector<std::string> foreign; ///< buckets it has mounted that are not ours
  std::string ended; ///< why its life ended; "" = it did not
};
/// MEMBERSHIP → PLACER: what the node says it hosts, whenever that changes.
struct node_hosting {
  std::string node;
  std::vector<hosted_service> hosted;
};
/// MEMBERSHIP → PLACER: the word of a service there.
struct node_says {
  std::string node;
  service_word word;
};
/// PLACER → itself, every half second; after a pause, what the store refused.
struct placer_tick {};
struct write_placement_again {
  std::uint64_t token = 0;
};
/// Gateway → PLACER: one question, as a function on its state.
struct placer_state;
struct placer_call {
  std::shared_ptr<std::function<void(placer_state&)>> call;
};

// ---- to FUNCTIONS ----------------------------------------------------------------

/// Gateway, function host, sinks → FUNCTIONS: one call, as a function on its state.
struct functions_state;
struct functions_call {
  std::shared_ptr<std::function<void(functions_state&)>> call;
};
/// FUNCTIONS → itself: a warm process may have been idle long enough; old lines of
/// the log may go.
struct functions_tick {};
struct functions_sweep {};

// ---- to COORDINATOR --------------------------------------------------------------

/// PLACER → COORDINATOR: what a BUCKET WATCHER found, at most
/// limits::ingest_batch_max reports. Answered by `batch_booked`.
struct settled_batch {
  std::uint64_t batch = 0;
  std::vector<settled_report> reports;
  caf::actor reply_to;
  std::string node; ///< that saw it; "" = this one
};
/// WORKFLOW → COORDINATOR: the run has ended and is cleaned up.
struct run_ended {
  run_id run;
  run_state state = run_state::succeeded;
};
/// Gateway → COORDINATOR: one call, as a function on its state.
struct coordinator_state;
struct gateway_call {
  std::shared_ptr<std::function<void(coordinator_state&)>> call;
};
/// REMOTE WORKER → MEMBERSHIP → COORDINATOR: an outcome that no lease waits for, to
/// be claimed by its run, or recorded and refused by it.
struct late_outcome {
  shard_id shard;
  attempt_outcome outcome;
  std::function<void()> noted = {}; ///< as of `attempt_ended`
};
/// COORDINATOR → itself: start this run's actor again after it failed.
struct revive_run {
  run_id run;
};
/// INSPECTOR → itself: nobody waits longer than this for an answer.
struct inspection_overdue {};
struct report_status {
  gateway::reply<node_status> done; ///< SCHEDULER fills in the slots
  node_status status;
};

} // namespace framemill

#define FM_LOCAL_MESSAGE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(framemill::type)
FM_LOCAL_MESSAGE(events_there)
FM_LOCAL_MESSAGE(outbox_tick)
FM_LOCAL_MESSAGE(start_notifier)
FM_LOCAL_MESSAGE(outbox_call)
FM_LOCAL_MESSAGE(deliveries_there)
FM_LOCAL_MESSAGE(delivery_answered)
FM_LOCAL_MESSAGE(notifier_tick)
FM_LOCAL_MESSAGE(write_again)
FM_LOCAL_MESSAGE(worker_joined)
FM_LOCAL_MESSAGE(worker_idle)
FM_LOCAL_MESSAGE(offer_work)
FM_LOCAL_MESSAGE(withdraw_work)
FM_LOCAL_MESSAGE(worker_granted)
FM_LOCAL_MESSAGE(work_refused)
FM_LOCAL_MESSAGE(attempt_moved)
FM_LOCAL_MESSAGE(attempt_ended)
FM_LOCAL_MESSAGE(publish_done)
FM_LOCAL_MESSAGE(cancel_run)
FM_LOCAL_MESSAGE(committed)
FM_LOCAL_MESSAGE(offer_again)
FM_LOCAL_MESSAGE(publish_again)
FM_LOCAL_MESSAGE(plan_again)
FM_LOCAL_MESSAGE(assignment)
FM_LOCAL_MESSAGE(give_back)
FM_LOCAL_MESSAGE(stop_attempt)
FM_LOCAL_MESSAGE(child_spoke)
FM_LOCAL_MESSAGE(child_logged)
FM_LOCAL_MESSAGE(child_ended)
FM_LOCAL_MESSAGE(check_liveness)
FM_LOCAL_MESSAGE(publish_order)
FM_LOCAL_MESSAGE(change_hints)
FM_LOCAL_MESSAGE(watch_tick)
FM_LOCAL_MESSAGE(scan_tick)
FM_LOCAL_MESSAGE(batch_booked)
FM_LOCAL_MESSAGE(status_tick)
FM_LOCAL_MESSAGE(host_service)
FM_LOCAL_MESSAGE(end_service)
FM_LOCAL_MESSAGE(service_answer)
FM_LOCAL_MESSAGE(service_word)
FM_LOCAL_MESSAGE(services_hosted)
FM_LOCAL_MESSAGE(services_welcome)
FM_LOCAL_MESSAGE(service_says)
FM_LOCAL_MESSAGE(service_fares)
FM_LOCAL_MESSAGE(ask_service)
FM_LOCAL_MESSAGE(say_again_tick)
FM_LOCAL_MESSAGE(begin_again)
FM_LOCAL_MESSAGE(node_placeable)
FM_LOCAL_MESSAGE(node_hosting)
FM_LOCAL_MESSAGE(node_says)
FM_LOCAL_MESSAGE(placer_tick)
FM_LOCAL_MESSAGE(write_placement_again)
FM_LOCAL_MESSAGE(placer_call)
FM_LOCAL_MESSAGE(functions_call)
FM_LOCAL_MESSAGE(functions_tick)
FM_LOCAL_MESSAGE(functions_sweep)
FM_LOCAL_MESSAGE(settled_batch)
FM_LOCAL_MESSAGE(run_ended)
FM_LOCAL_MESSAGE(gateway_call)
FM_LOCAL_MESSAGE(revive_run)
FM_LOCAL_MESSAGE(inspection_overdue)
FM_LOCAL_MESSAGE(report_status)
FM_LOCAL_MESSAGE(late_outcome)
FM_LOCAL_MESSAGE(attempt_judged)
FM_LOCAL_MESSAGE(input_blamed)
FM_LOCAL_MESSAGE(look_around_tick)
FM_LOCAL_MESSAGE(scheduler_call)
FM_LOCAL_MESSAGE(node_known)
FM_LOCAL_MESSAGE(node_forgotten)
FM_LOCAL_MESSAGE(scratch_seen)
FM_LOCAL_MESSAGE(look_at_scratch)
FM_LOCAL_MESSAGE(lease_found)
FM_LOCAL_MESSAGE(lease_missing)
FM_LOCAL_MESSAGE(slot_seen)
FM_LOCAL_MESSAGE(slot_ended)
FM_LOCAL_MESSAGE(slot_claimed)
FM_LOCAL_MESSAGE(vacate_slot)
FM_LOCAL_MESSAGE(frame_arrived)
FM_LOCAL_MESSAGE(connection_gone)
FM_LOCAL_MESSAGE(enrolment_asked)
FM_LOCAL_MESSAGE(membership_tick)
FM_LOCAL_MESSAGE(tell_node)
FM_LOCAL_MESSAGE(slot_used)
FM_LOCAL_MESSAGE(own_slots_used)
FM_LOCAL_MESSAGE(claim_lease)
FM_LOCAL_MESSAGE(membership_call)
FM_LOCAL_MESSAGE(link_up)
FM_LOCAL_MESSAGE(link_frame)
FM_LOCAL_MESSAGE(link_down)
FM_LOCAL_MESSAGE(beat_tick)
