#include "actors/task_worker.hpp"

#include "actors/fail_points.hpp"
#include "actors/manners.hpp"
#include "core/codec.hpp"
#include "core/limits.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <signal.h>

#include <filesystem>
#include <fstream>

namespace framemill {

namespace fs = std::filesystem;

namespace {

using self_ptr = caf::stateful_actor<task_worker_state>*;
constexpr std::size_t kept_attempts_max = 32;
constexpr microseconds tell_every{100'000};
constexpr std::chrono::seconds look_every{1};

std::string directory_of(const std::string& root, const assignment& a) {
  return attempt_directory(root, a.shard, a.epoch);
}

/// What is gone, or not what it was, is made again by the shard that made it; the
/// error's field names it.
result<void> hand_over(supply& from, const handed_file& f, const std::string& target,
                       bool has_own_sums) {
  auto handed = has_own_sums ? result<void>{} : from.verify(f.sha256);
  if (handed)
    handed = from.hand(f.sha256, target);
  if (handed || (handed.error().code != errc::not_found && handed.error().code != errc::corrupt))
    return handed;
  return fail_field(errc::artifact_lost, f.sha256, "the input {} is lost: {}", f.name,
                    handed.error().message);
}

/// A fresh scratch directory with `in/` (handed artifacts) and `out/`.
result<void> prepare_scratch(supply& from, const assignment& a, const std::string& scratch) {
  if (fail_effect("scratch.full"))
    return fail_errno(ENOSPC, "create " + scratch);
  std::error_code ec;
  if (!fs::create_directories(scratch, ec) && !ec) { // of an attempt in a former life
    fs::remove_all(scratch, ec);
    fs::create_directories(scratch, ec);
  }
  for (const auto* part : {"/in", "/out"})
    if (!ec)
      fs::create_directory(scratch + part, ec);
  if (ec)
    return fail_errno(ec.value(), "create " + scratch);
  for (const auto& f : a.inputs)
    FM_CHECK(hand_over(from, f, scratch + "/in/" + f.name, !splices(a.request)));
  return {};
}

/// Trouble with the way to the object is not trouble with the object.
bool is_of_the_way(errc code) {
  return code == errc::input_changed || code == errc::unavailable || code == errc::timed_out
         || code == errc::io_failed;
}

result<opened_source> open_source(supply& from, const assignment& a) {
  if (!a.source)
    return opened_source{};
  auto source = from.open(*a.source);
  if (source || is_of_the_way(source.error().code))
    return source;
  return fail(errc::input_unreadable, "{}/{} cannot be opened: {}", a.source->bucket,
              a.source->key, source.error().message);
}

/// Gives the result files to whoever reads them next.
result<void> deliver_results(supply& to, const assignment& a, const std::string& scratch,
                             const media_result& r) {
  for (const auto& f : r.files) {
    if (f.name.find('/') != std::string::npos || f.name.starts_with("."))
      return fail(errc::internal, "result named `{}`", f.name);
    if (fail_effect("artifact.corrupt"))
      FM_CHECK(flip_a_bit(scratch + "/out/" + f.name));
    FM_CHECK(to.deliver(a.shard.run, scratch + "/out/" + f.name, f.sha256));
  }
  fail_point("shard.delivered");
  return {};
}

error stall_of(stall_clock::finding f) {
  if (f == stall_clock::finding::hung)
    return {errc::worker_hung, "no watermark moved within the limit; the child was killed", {}};
  return {errc::timed_out,
          "no watermark moved, and the machine gave the child too little CPU to say why; it was "
          "killed",
          {}};
}

/// What the way the child ended says about the attempt.
std::optional<error> failure_of(const task_worker_state& s, const child_exit& how,
                                std::int64_t memory_bytes) {
  if (!how.spawn_error.empty())
    return error{errc::io_failed, "the child could not be started: " + how.spawn_error, {}};
  if (how.over_memory)
    return error{errc::no_memory,
                 fmt::format("the child used more than {} MiB of memory", memory_bytes >> 20), {}};
  if (!how.violation.empty())
    return error{errc::worker_crashed, "the child broke the protocol: " + how.violation, {}};
  if (s.stalled)
    return s.stalled;
  if (how.stopped && !s.vacated.empty())
    return error{errc::lease_lost, s.vacated, {}};
  if (how.stopped)
    return error{errc::cancelled, "stopped by request", {}};
  auto told = s.has_result ? s.outcome.result.failure : std::nullopt;
  if (s.has_result && !told)
    return std::nullopt;
  if (auto e = s.source.failure())
    return e; // what the child made of it is no news
  if (told)
    return told;
  if (how.signal == SIGKILL)
    return error{errc::worker_killed, "the child was killed by signal 9", {}};
  if (how.signal != 0)
    return error{errc::worker_crashed, "the child crashed: " + how.text(), {}};
  return error{errc::worker_crashed, "the child ended without a result: " + how.text(), {}};
}

/// Keeps what is needed to run a failed attempt again by hand; the newest few.
void keep_for_reproduction(const node_services& services, const assignment& a,
                           const std::string& scratch) {
  auto target = directory_of(services.failed_root, a);
  std::error_code ec;
  fs::create_directories(target, ec);
  std::ofstream{target + "/request.msgpack", std::ios::binary} << encode(a.request);
  fs::rename(scratch + "/in", target + "/in", ec);
  if (a.source)
    if (auto bucket = services.find_bucket(a.source->bucket))
      fs::create_symlink((*bucket)->location() + "/" + a.source->key, target + "/source", ec);
  // Times are read once: other workers change them while we sort.
  std::vector<std::pair<fs::file_time_type, fs::path>> kept;
  for (fs::directory_iterator i{services.failed_root, ec}, end; !ec && i != end; i.increment(ec)) {
    std::error_code gone;
    kept.emplace_back(fs::last_write_time(i->path(), gone), i->path());
  }
  std::sort(kept.begin(), kept.end(), std::greater<>{});
  for (std::size_t i = kept_attempts_max; i < kept.size(); ++i)
    fs::remove_all(kept[i].second, ec);
}

/// Holds what waits for the attempt to be noted, until it is: its last copy goes with
/// the WORKFLOW's step, or with the WORKFLOW.
std::function<void()> until_noted(task_worker_state& s) {
  auto waiting = s.unnoted.lock();
  if (!waiting)
    s.unnoted = waiting = std::make_shared<task_worker_state::waiting>();
  return [waiting] {};
}

void finish(self_ptr self, node_services* services) {
  auto& s = self->state;
  auto a = std::exchange(s.job, std::nullopt);
  s.outcome.log.assign(s.log.begin(), s.log.end());
  if (s.outcome.failure) {
    spdlog::warn("TASK WORKER {}: run {} shard {} epoch {} failed: {} ({})", s.slot.key,
                 a->shard.run.value, a->shard.index, a->epoch, s.outcome.failure->message,
                 s.outcome.exit);
    if (s.outcome.failure->code != errc::cancelled && s.vacated.empty())
      keep_for_reproduction(*services, *a, s.scratch);
  }
  s.source = {};
  std::error_code ec;
  fs::remove_all(s.scratch, ec);
  self->send(a->reply_to, attempt_ended{a->shard.index, std::move(s.outcome), until_noted(s)});
  self->send(s.scheduler, worker_idle{s.slot.key, a->grant});
  s.child = 0;
}

void fail_before_start(self_ptr self, node_services* services, error e) {
  self->state.outcome.failure = std::move(e);
  self->state.outcome.exit = "not started";
  finish(self, services);
}

child_listener listener_for(self_ptr self, std::uint64_t serial) {
  auto me = caf::actor_cast<caf::actor>(self);
  return {
      [me, serial](child_message m) {
        caf::anon_send(me, child_spoke{serial, std::make_shared<const child_message>(std::move(m))});
      },
      [me, serial](std::string line) { caf::anon_send(me, child_logged{serial, std::move(line)}); },
      [me, serial](child_exit how) { caf::anon_send(me, child_ended{serial, std::move(how)}); },
  };
}

/// What may befall a child on purpose.
void harm(child_host& children, child_key child) {
  if (fail_effect("child.crash"))
    children.signal(child, SIGSEGV);
  if (fail_effect("child.hang"))
    children.signal(child, SIGSTOP);
  if (fail_effect("child.killed"))
    children.signal(child, SIGKILL);
}

void execute(self_ptr self, node_services* services, assignment a) {
  auto& s = self->state;
  s.job = std::move(a);
  s.job->memory_bytes = std::min(s.job->memory_bytes, services->config.memory_bytes);
  s.outcome = {};
  s.outcome.epoch = s.job->epoch;
  s.has_result = false;
  s.stalled.reset();
  s.vacated.clear();
  s.log.clear();
  s.scratch = directory_of(services->scratch_root, *s.job);
  if (auto r = prepare_scratch(*s.supply, *s.job, s.scratch); !r)
    return fail_before_start(self, services, r.error());
  auto source = open_source(*s.supply, *s.job);
  if (!source)
    return fail_before_start(self, services, source.error());
  if (auto door = fail_door("child.spawn"); !door)
    return fail_before_start(self, services, door.error());
  s.source = std::move(*source);
  child_spec spec;
  spec.scratch = s.scratch;
  spec.source = std::move(s.source.file);
  spec.request = s.job->request;
  spec.memory_bytes_max = s.job->memory_bytes;
  s.child = services->children->spawn(std::move(spec), listener_for(self, ++s.serial));
  s.liveness = stall_clock{services->config.stall_limit, services->uptime.now()};
  harm(*services->children, s.child);
  if (!std::exchange(s.looking, true)) // one for all: short attempts would set many
    self->delayed_send(self, look_every, check_liveness{});
}

} // namespace

caf::behavior task_worker(self_ptr self, node_services* services, worker_slot slot,
                          caf::actor scheduler, std::shared_ptr<supply> supply) {
  self->state.slot = slot;
  self->state.scheduler = scheduler;
  self->state.supply = std::move(supply);
  tolerate_strangers(self, "TASK WORKER");
  self->send(scheduler, worker_joined{slot, caf::actor_cast<caf::actor>(self)});
  return {
      [=](assignment& a) {
        if (self->state.job) { // the SCHEDULER reserves; this cannot be
          attempt_outcome refused;
          refused.epoch = a.epoch;
          refused.failure = error{errc::busy, "the worker is busy", {}};
          self->send(a.reply_to, attempt_ended{a.shard.index, std::move(refused), {}});
          return;
        }
        execute(self, services, std::move(a));
      },
      [=](const give_back& m) {
        auto& s = self->state;
        if (s.job && s.job->grant == m.grant)
          services->children->stop(s.child);
        else
          self->send(s.scheduler, worker_idle{s.slot.key, m.grant});
      },
      [=](tell_when_noted& m) {
        if (auto waiting = self->state.unnoted.lock())
          waiting->push_back(std::move(m.told));
      },
      [=](const stop_attempt& m) {
        auto& s = self->state;
        if (s.job && s.job->shard == m.shard && s.job->epoch == m.epoch)
          services->children->stop(s.child);
      },
      [=](const vacate_slot& m) {
        auto& s = self->state;
        if (!s.job)
          return;
        s.vacated = m.why;
        services->children->stop(s.child);
      },
      [=](const child_spoke& m) {
        auto& s = self->state;
        if (m.child != s.serial || !s.job)
          return;
        if (const auto* mark = std::get_if<watermark>(m.message.get())) {
          if (s.outcome.last_watermark != *mark)
            s.liveness.moved();
          s.outcome.last_watermark = *mark;
          if (services->uptime.now() - s.last_told < tell_every)
            return;
          s.last_told = services->uptime.now();
          self->send(s.job->reply_to, attempt_moved{s.job->shard.index, s.job->epoch, *mark});
        } else {
          s.outcome.result = std::get<media_result>(*m.message);
          s.has_result = true;
        }
      },
      [=](child_logged& m) {
        auto& s = self->state;
        if (m.child != s.serial)
          return;
        s.log.push_back(std::move(m.line));
        if (s.log.size() > limits::attempt_log_lines_max)
          s.log.pop_front();
      },
      [=](child_ended& m) {
        auto& s = self->state;
        if (m.child != s.serial || !s.job)
          return;
        s.outcome.exit = m.how.text();
        s.outcome.failure = failure_of(s, m.how, s.job->memory_bytes);
        if (!s.outcome.failure)
          if (auto r = deliver_results(*s.supply, *s.job, s.scratch, s.outcome.result); !r)
            s.outcome.failure = r.error();
        finish(self, services);
      },
      [=](const check_liveness&) {
        auto& s = self->state;
        s.looking = s.job.has_value();
        if (!s.looking)
          return;
        auto finding = s.liveness.look(services->uptime.now(), services->children->use_of(s.child),
                                       s.source.is_waited_for());
        if (finding != stall_clock::finding::moves) {
          s.stalled = stall_of(finding);
          services->children->stop(s.child);
        }
        self->delayed_send(self, look_every, check_liveness{});
      },
  };
}

} // namespace framemill
