#include "actors/inspector.hpp"

#include "actors/manners.hpp"
#include "core/limits.hpp"

#include <caf/all.hpp>

namespace framemill {

namespace {

result<inspection> judge(attempt_outcome& outcome) {
  if (outcome.failure)
    return failure{*outcome.failure};
  if (outcome.result.failure)
    return failure{*outcome.result.failure};
  if (!outcome.result.probe)
    return fail(errc::internal, "the probe said nothing");
  inspection out;
  out.media = std::move(*outcome.result.probe);
  for (const auto& f : outcome.result.files)
    if (f.name == "index")
      out.index_sha256 = f.sha256;
  return out;
}

} // namespace

caf::behavior inspector(caf::event_based_actor* self, node_services* services, run_id id,
                        object_ref object, caf::actor scheduler,
                        std::function<void(result<inspection>)> done) {
  tolerate_strangers(self, "INSPECTOR");
  auto me = caf::actor_cast<caf::actor>(self);
  shard_offer offer;
  offer.id = {id, 0};
  offer.priority = 10; // somebody waits for the answer
  offer.first = true;
  offer.scratch_bytes = limits::probe_scratch_bytes;
  offer.since = services->clock.now();
  self->send(scheduler, offer_work{offer, me});
  self->delayed_send(self, limits::answer_time_max, inspection_overdue{});
  // Quitting without an attempt's end gives slot and child back: the SCHEDULER
  // watches whoever offers.
  auto give_up = [=](errc code, std::string why) {
    done(fail(code, "{}/{}: {}", object.bucket, object.key, why));
    self->send(scheduler, withdraw_work{{id, 0}});
    services->release_artifacts(id);
    self->quit();
  };
  self->set_down_handler([=](const caf::down_msg&) {
    give_up(errc::worker_crashed, "the worker that looked at it died");
  });
  return {
      [=](const worker_granted& m) {
        assignment a;
        a.shard = {id, 0};
        a.epoch = 1;
        a.request = probe_request(object);
        a.memory_bytes = a.request.memory_bytes_max;
        a.source = object;
        a.reply_to = me;
        a.grant = m.grant;
        self->monitor(m.handle);
        self->send(m.handle, std::move(a));
      },
      [=](const attempt_moved&) {},
      [=](const inspection_overdue&) {
        give_up(errc::timed_out, "no answer in time; all slots may be busy");
      },
      [=](attempt_ended& m) {
        if (m.noted)
          m.noted();
        done(judge(m.outcome));
        services->release_artifacts(id);
        self->quit();
      },
  };
}

} // namespace framemill
