#include "actors/actor_gateway.hpp"

#include "actors/audit.hpp"
#include "actors/coordinator.hpp"
#include "actors/fail_points.hpp"
#include "actors/function_orders.hpp"
#include "actors/inspector.hpp"
#include "actors/membership_actor.hpp"
#include "actors/node_orders.hpp"
#include "actors/notify_desk.hpp"
#include "actors/outbox.hpp"
#include "actors/planning.hpp"
#include "actors/run_explainer.hpp"
#include "actors/scheduler_actor.hpp"
#include "actors/start_up.hpp"
#include "actors/watch_desk.hpp"
#include "cluster/certificate.hpp"
#include "cluster/progress_meter.hpp"
#include "core/json.hpp"
#include "core/object_path.hpp"
#include "core/random.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>

#include <filesystem>
#include <set>

namespace framemill {

namespace {

/// What a coordinator needs to live again elsewhere; artifacts are made anew.
result<void> copy_state(const node_services& services, const std::string& directory) {
  namespace fs = std::filesystem;
  if (!fs::path{directory}.is_absolute())
    return fail_field(errc::invalid_argument, "Directory", "`{}` is not an absolute path", directory);
  std::error_code ec;
  if (fs::exists(directory, ec) && !fs::is_empty(directory, ec))
    return fail_field(errc::already_exists, "Directory", "{} is not empty", directory);
  fs::create_directories(directory, ec);
  if (!ec)
    fs::permissions(directory, fs::perms::owner_all, ec);
  for (const auto* name : {"credentials.json", "cluster.key"})
    if (auto from = services.config.data_dir + "/" + name; !ec && fs::exists(from, ec))
      fs::copy_file(from, directory + "/" + name, ec);
  if (ec)
    return fail_errno(ec.value(), directory);
  return services.store->copy_to(directory + "/state"); // last: with it, it is whole
}

/// What another machine dials to reach what listens on `host`.
std::string dialled_host(const std::string& host) {
  if (host != "0.0.0.0" && host != "[::]" && host != "*")
    return host;
  return host_name();
}

running_attempt view_attempt(const membership_state& m, const std::string& node,
                             const held_attempt& held) {
  running_attempt out;
  out.shard = held.shard;
  out.epoch = held.epoch;
  out.node = node;
  if (held.mark)
    out.phase = to_string(held.mark->phase);
  const auto& store = *m.services->store;
  auto shard = find_record<shard_record>(store, family::shards, keys::of(held.shard));
  auto run = find_record<run_record>(store, family::runs, keys::of(held.shard.run));
  if (!shard || !*shard || !run || !*run)
    return out;
  out.role = (*shard)->role;
  if (held.mark)
    out.fraction = fraction_at(*held.mark, **run, **shard);
  return out;
}

/// The coordinator's own machine has no connection: what it has is seen at once.
void look_here(node_view& v, const node_services& services) {
  v.last_heard = v.record.last_seen = services.clock.now();
  if (v.record.enrolled == timestamp{})
    v.record.enrolled = v.last_heard;
  v.record.facts = services.facts();
}

std::vector<node_view> view_nodes(const membership_state& m) {
  std::vector<node_view> out;
  for (auto& known : m.core->nodes()) {
    node_view v;
    v.record = std::move(known.record);
    v.presence = known.presence;
    v.last_heard = known.last_heard;
    v.drained = known.drained;
    v.slots_busy = known.busy;
    if (auto node = m.nodes.find(v.record.name); node != m.nodes.end())
      for (const auto& h : node->second.held)
        if (!h.ended)
          v.running.push_back(view_attempt(m, v.record.name, h));
    if (m.core->is_own(v.record.name))
      look_here(v, *m.services);
    out.push_back(std::move(v));
  }
  return out;
}

cluster_status view_cluster(const membership_state& m) {
  cluster_status out;
  out.id = m.life.cluster;
  out.term = m.life.term;
  out.coordinator = m.services->config.name;
  out.control_endpoint = fmt::format("{}:{}", m.endpoints.host, m.endpoints.control);
  out.enrolment_endpoint = fmt::format("{}:{}", m.endpoints.host, m.endpoints.enrolment);
  out.data_endpoint = fmt::format("{}:{}", m.endpoints.host, m.endpoints.data);
  out.faults_allowed = m.services->config.allow_faults;
  for (const auto& n : m.core->nodes()) {
    const bool here = n.presence == node_presence::up;
    ++(here ? out.nodes_up : out.nodes_away);
    out.nodes_cordoned += here && !m.core->takes_work(n.record.name);
    out.fingerprints[n.record.facts.fingerprint].push_back(n.record.name);
  }
  return out;
}

void add_notifications(const sink_board& board, std::vector<metric>& to) {
  auto add = [&](std::string name, std::string help, bool counter, std::string label,
                 std::string of, double value) {
    std::map<std::string, std::string> labels;
    if (!label.empty())
      labels.emplace(std::move(label), std::move(of));
    to.push_back({"framemill_notification" + std::move(name), std::move(help), counter,
                  std::move(labels), value});
  };
  const auto kinds = board.by_kind();
  auto by_kind = [&](const char* name, const char* help, bool counter, auto member) {
    for (const auto& [kind, t] : kinds)
      add(name, help, counter, "sink", std::string{to_string(kind)},
          static_cast<double>(t.*member));
  };
  using totals = sink_board::totals;
  by_kind("s_pending", "Notifications on their way", false, &totals::pending);
  by_kind("s_delivered_total", "Notifications that arrived", true, &totals::delivered);
  by_kind("_tries_failed_total", "Tries of notifications that failed", true,
          &totals::failed_tries);
  by_kind("s_dead_total", "Notifications given up", true, &totals::dead);
  const auto latency = board.latency();
  double below = 0;
  for (std::size_t i = 0; i < latency.counts.size(); ++i) {
    below += static_cast<double>(latency.counts[i]);
    add("_seconds_bucket", "From the event to its delivery, by upper bound", true, "le",
        i < board.latency_bounds.size() ? fmt::format("{}", board.latency_bounds[i]) : "+Inf",
        below);
  }
  add("_seconds_count", "Deliveries measured", true, "", "", below);
  add("_seconds_sum", "Seconds from the event to its delivery, in all", true, "", "",
      latency.sum);
}

class actor_event_feed final : public event_feed {
public:
  std::shared_ptr<void> events, progress;
};

class actor_gateway final : public gateway {
public:
  actor_gateway(caf::actor_system& system, node_services& services, gateway_actors to)
      : system_(system), services_(services), coordinator_(std::move(to.coordinator)),
        scheduler_(std::move(to.scheduler)), membership_(std::move(to.membership)),
        functions_(std::move(to.functions)) {}

  void create_workflow(workflow_spec spec, reply<workflow_id> done) override {
    if (auto here = places_of(spec); !here)
      return done(failure{here.error()});
    on_coordinator([this, spec = std::move(spec), done = std::move(done)](coordinator_state& s) {
      auto made = s.definitions.create_workflow(now(), spec);
      if (!made)
        return done(failure{made.error()});
      s.commit(std::move(made->record), [id = made->id, done](const result<void>& r) {
        fail_point("workflow.created");
        r ? done(workflow_id{id}) : done(failure{r.error()});
      });
    });
  }

  void reset_workflow(workflow_id id, workflow_spec spec, reply<void> done) override {
    change([this, id, spec = std::move(spec)](coordinator_state& s) -> result<changes> {
      FM_CHECK(places_of(spec));
      return s.definitions.reset_workflow(now(), id, spec);
    }, std::move(done));
  }

  void modify_workflow(definition_ref which, workflow_change what, reply<void> done) override {
    change([this, which, what = std::move(what)](coordinator_state& s) -> result<changes> {
      FM_TRY(const auto* w, s.definitions.get(which));
      auto spec = changed(w->spec, what);
      FM_CHECK(places_of(spec));
      return s.definitions.reset_workflow(now(), which.id, std::move(spec));
    }, std::move(done));
  }

  void set_enabled(definition_ref which, bool enabled, reply<void> done) override {
    change([this, which, enabled](coordinator_state& s) -> result<changes> {
      if (enabled)
        FM_CHECK(check_buckets(s, which));
      return s.definitions.set_enabled(now(), which, enabled);
    }, [done = std::move(done)](result<void> r) {
      fail_point("workflow.enabled");
      done(std::move(r));
    });
  }

  void delete_workflow(definition_ref which, reply<void> done) override {
    change([this, which](
               coordinator_state& s) { return s.definitions.delete_workflow(now(), which); },
           std::move(done));
  }

  void put_template(template_record record, reply<std::uint64_t> done) override {
    on_coordinator([this, record = std::move(record), done = std::move(done)](coordinator_state& s) {
      auto made = s.definitions.put_template(now(), record);
      if (!made)
        return done(failure{made.error()});
      s.commit(std::move(made->record), [this, &s, id = made->id, done](const result<void>& r) {
        if (!r)
          return done(failure{r.error()});
        services_.templates.set(s.definitions.templates());
        done(id);
      });
    });
  }

  void delete_template(template_family f, std::uint64_t definition, reply<void> done) override {
    on_coordinator([this, f, definition, done = std::move(done)](coordinator_state& s) {
      auto c = s.definitions.delete_template(f, definition);
      if (!c)
        return done(failure{c.error()});
      s.commit(std::move(*c), [this, &s, done](result<void> r) {
        if (r)
          services_.templates.set(s.definitions.templates());
        done(std::move(r));
      });
    });
  }

  [[nodiscard]] std::shared_ptr<const template_source> templates() const override {
    return services_.templates.current();
  }

  void submit(run_request request, reply<run_id> done) override {
    const auto& notify = request.workflow ? request.change.notify : request.spec.notify;
    if (auto here = check_sink(services_.notices, notify); !here)
      return done(failure{here.error()});
    on_coordinator([request = std::move(request), done = std::move(done)](coordinator_state& s) {
      s.submit(request, done);
    });
  }

  void cancel(run_id id, reply<void> done) override {
    on_coordinator([id, done = std::move(done)](coordinator_state& s) {
      s.cancel(id, "cancelled by request", done);
    });
  }

  void retry(run_id id, reply<run_id> done) override {
    on_coordinator([id, done = std::move(done)](coordinator_state& s) { s.retry(id, done); });
  }

  void progress(run_id id, reply<run_progress> done) override {
    if (auto live = services_.progress.find(id))
      return done(std::move(*live));
    auto run = find_record<run_record>(*services_.store, family::runs, keys::of(id));
    if (!run)
      return done(failure{run.error()});
    if (!*run)
      return done(fail_field(errc::not_found, "RunId", "no run {}", id.value));
    run_progress p;
    p.run = id;
    p.state = (*run)->state;
    p.phase = std::string{to_string(p.state)};
    p.fraction = p.state == run_state::succeeded ? 1 : 0;
    done(std::move(p));
  }

  [[nodiscard]] std::string reproduce_directory(shard_id id) const override {
    auto shard = find_record<shard_record>(*services_.store, family::shards, keys::of(id));
    if (!shard || !*shard)
      return {};
    auto path = attempt_directory(services_.failed_root, id, (*shard)->epoch);
    return std::filesystem::exists(path) ? path : std::string{};
  }

  void probe(std::string bucket, std::string key, reply<media_info> done) override {
    inspect(std::move(bucket), std::move(key),
            [done = std::move(done)](const object_ref&, run_id, result<inspection> i) {
              i ? done(std::move(i->media)) : done(failure{i.error()});
            });
  }

  void explain(run_request request, reply<physical_plan> done) override {
    on_coordinator([this, request = std::move(request), done = std::move(done)](coordinator_state& s) {
      auto spec = request.spec;
      if (request.workflow) {
        const auto* w = s.definitions.find(request.workflow);
        if (w == nullptr)
          return done(fail_field(errc::not_found, "WorkflowId", "no workflow {}",
                                 request.workflow.value));
        spec = w->spec;
      }
      inspect(request.bucket, request.key,
              [this, spec, request, done](const object_ref& object, run_id id,
                                          result<inspection> i) {
                if (!i)
                  return done(failure{i.error()});
                auto run = make_run(now(), id, run_cause::call, request.workflow, 0, spec, object);
                run.media = std::move(i->media);
                done(plan_for(services_, run, {i->index_sha256}, true));
              });
    });
  }

  void buckets(reply<std::vector<bucket_status>> done) override {
    on_placer([done = std::move(done)](placer_state& s) { done(describe_buckets(s)); });
  }

  void audit(std::string name, std::string prefix, reply<audit_report> done) override {
    auto found = services_.find_bucket(name);
    if (!found)
      return done(failure{found.error()});
    // On a thread of its own: it lists the bucket.
    auto balance = [this, prefix, b = *found, done](result<std::vector<std::string>> settling) {
      if (!settling)
        return done(failure{settling.error()});
      system_.spawn<caf::detached>([this, prefix, b, done, keys = std::move(*settling)] {
        done(audit_bucket(*services_.store, *b, prefix, {keys.begin(), keys.end()}));
      });
    };
    on_placer([name, balance = std::move(balance)](placer_state& s) {
      ask_settling(s, name, balance);
    });
  }

  void node(reply<node_status> done) override {
    on_coordinator([this, done = std::move(done)](coordinator_state& s) {
      auto status = describe_node();
      status.runs_live = static_cast<std::int64_t>(s.live.size());
      status.runs_queued = static_cast<std::int64_t>(s.waiting.size());
      on_placer([this, done, status = std::move(status)](placer_state& p) mutable {
        status.services = p.hosted_by(services_.config.name);
        for (const auto& placed : p.core->services())
          if (placed.record.host.empty())
            status.warnings.push_back(fmt::format("no node hosts {} {}: {}", placed.spec.id.kind,
                                                  placed.spec.id.name, placed.record.reason));
        caf::anon_send(scheduler_, report_status{done, std::move(status)});
      });
    });
  }

  void metrics(reply<std::vector<metric>> done) override {
    node([this, done = std::move(done)](result<node_status> status) {
      if (!status)
        return done(failure{status.error()});
      done(measure(*status));
    });
  }

  void nodes(reply<std::vector<node_view>> done) override {
    auto with_services = [this, done](result<std::vector<node_view>> all) {
      if (!all)
        return done(failure{all.error()});
      on_placer([done, all = std::move(*all)](placer_state& s) mutable {
        for (auto& v : all)
          v.services = s.hosted_by(v.record.name);
        done(std::move(all));
      });
    };
    on_membership<std::vector<node_view>>(
        with_services, [](membership_state& m, auto& answer) { answer(view_nodes(m)); });
  }

  void cluster(reply<cluster_status> done) override {
    on_membership<cluster_status>(std::move(done), [this](membership_state& m, auto& answer) {
      auto status = view_cluster(m);
      node([status = std::move(status), answer](result<node_status> here) mutable {
        if (!here)
          return answer(failure{here.error()});
        status.slots = here->slots;
        status.slots_busy = here->slots_busy;
        status.shards_ready = here->shards_ready;
        status.runs_live = here->runs_live;
        status.runs_queued = here->runs_queued;
        status.warnings.insert(status.warnings.end(), here->warnings.begin(), here->warnings.end());
        answer(std::move(status));
      });
    });
  }

  void set_node_mode(std::string name, node_mode mode, std::string reason,
                     std::optional<timestamp> deadline, reply<void> done) override {
    change_membership(std::move(done), [=, this](membership_state& m) {
      auto step = m.core->set_mode(now(), name, mode, reason, deadline);
      if (step && mode == node_mode::active)
        m.blame.forget(name); // an operator trusts it
      return step;
    });
  }

  void label_node(std::string name, std::map<std::string, std::string> set,
                  std::vector<std::string> removed, reply<void> done) override {
    change_membership(std::move(done), [=, this](membership_state& m) -> result<membership::step> {
      const auto* record = m.core->find(name);
      auto labels = record ? record->labels : std::map<std::string, std::string>{};
      for (const auto& [key, value] : set)
        labels[key] = value;
      for (const auto& key : removed)
        labels.erase(key);
      return m.core->set_labels(now(), name, std::move(labels));
    });
  }

  void remove_node(std::string name, reply<void> done) override {
    change_membership(std::move(done),
                      [=, this](membership_state& m) { return m.core->remove(now(), name); });
  }

  void make_join_token(std::int32_t uses, std::chrono::seconds ttl,
                       reply<join_offer> done) override {
    on_membership<join_offer>(std::move(done), [=, this](membership_state& m, auto& answer) {
      join_token token{random_hex(4), random_hex(16), m.life.keys.public_key};
      join_offer offer;
      offer.token = to_text(token);
      offer.uses = uses;
      offer.expires = now() + microseconds{ttl};
      offer.command = fmt::format("framemilld --role worker --join {}:{} --token {}",
                                  dialled_host(m.endpoints.host), m.endpoints.enrolment, offer.token);
      join_token_record record{token.id, sha256_of(token.secret), uses, offer.expires};
      m.apply(m.core->add_token(now(), std::move(record)),
              [offer = std::move(offer), answer](result<void> r) {
                r ? answer(offer) : answer(failure{r.error()});
              });
    });
  }

  void order_node(std::string name, std::string what, std::vector<std::string> arguments,
                  reply<std::string> done) override {
    if (name == services_.config.name)
      return carry_out(services_, {0, what, arguments}, std::move(done));
    on_membership<std::string>(std::move(done), [=](membership_state& m, auto& answer) {
      m.order(name, what, arguments, answer);
    });
  }

  void explain_run(run_id id, reply<run_explanation> done) override {
    attempt_sights sights;
    sights.own_node = services_.config.name;
    if (!membership_)
      return explain_run(id, std::move(sights), done);
    on_membership<run_explanation>(
        std::move(done),
        [this, id, sights = std::move(sights)](membership_state& m, auto& answer) mutable {
          sights.told = told_of(m, id);
          explain_run(id, std::move(sights), answer);
        });
  }

  void backup(std::string directory, reply<void> done) override {
    on_coordinator([this, directory = std::move(directory), done = std::move(done)](
                       coordinator_state&) { done(copy_state(services_, directory)); });
  }

  void certificate(run_id id, std::uint32_t index, reply<std::string> done) override {
    auto books = read_books(id);
    if (!books)
      return done(failure{books.error()});
    if (index >= books->jobs.size())
      return done(fail_field(errc::not_found, "Job", "run {} has no job {}", id.value, index));
    auto made = certify(books->run, books->jobs[index], books->shards);
    if (!made)
      return done(failure{made.error()});
    done(to_text(to_json_value(*made)));
  }

  void release_run(run_id id, reply<run_id> done) override {
    auto run = find_record<run_record>(*services_.store, family::runs, keys::of(id));
    if (!run)
      return done(failure{run.error()});
    if (!*run)
      return done(fail_field(errc::not_found, "RunId", "no run {}", id.value));
    if (!(*run)->failure || (*run)->failure->code != errc::input_quarantined)
      return done(fail_field(errc::conflict, "RunId", "run {} is not quarantined", id.value));
    if (!membership_)
      return retry(id, std::move(done));
    on_membership<run_id>(std::move(done),
                          [this, id, run = **run](membership_state& m, auto& answer) {
                            for (std::uint32_t i = 0; i < run.source_count(); ++i)
                              m.blame.release(run.object_of(i)); // another chance, not a last
                            retry(id, answer);
                          });
  }

  [[nodiscard]] queue_service* queues() override { return services_.queues.get(); }
  void sinks(reply<std::vector<sink_status>> done) override {
    on_placer([done = std::move(done)](placer_state& s) { done(describe_sinks(s)); });
  }

  void redrive(std::string sink, event_id event, reply<std::uint64_t> done) override {
    on_outbox(std::move(done), [=](outbox_state& s, auto& answer) { s.redrive(sink, event, answer); });
  }

  void replay(event_id from, std::string sink, reply<std::uint64_t> done) override {
    on_outbox(std::move(done), [=](outbox_state& s, auto& answer) { s.replay(from, sink, answer); });
  }

  void rotate_signing_key(reply<signing_key_record> done) override {
    on_outbox(std::move(done), [](outbox_state& s, auto& answer) { s.rotate_signing_key(answer); });
  }

  void create_function(std::string name, std::string from_template, function_edit edit,
                       reply<void> done) override {
    tell_functions(functions_, [=](functions_state& s) {
      framemill::create_function(s, name, from_template, edit, done);
    });
  }

  void update_function(std::string name, function_edit edit, reply<void> done) override {
    tell_functions(functions_,
                   [=](functions_state& s) { framemill::update_function(s, name, edit, done); });
  }

  void delete_function(std::string name, reply<void> done) override {
    change_functions([=](function_catalog& c) { return c.remove(name); }, std::move(done));
  }

  void bind_function(std::string event_type, std::string name, reply<void> done) override {
    change_functions([=, this](function_catalog& c) { return c.bind(now(), event_type, name); },
                     std::move(done));
  }

  void unbind_function(std::string event_type, reply<void> done) override {
    change_functions([=](function_catalog& c) { return c.unbind(event_type); }, std::move(done));
  }

  void set_trigger_enabled(std::string event_type, bool enabled, reply<void> done) override {
    change_functions(
        [=](function_catalog& c) { return c.set_trigger_enabled(event_type, enabled); },
        std::move(done));
  }

  void invoke_function(function_invocation what, reply<invocation_result> done) override {
    tell_functions(functions_, [=](functions_state& s) { s.invoke(what, done); });
  }

  void functions(reply<function_status> done) override {
    tell_functions(functions_, [done = std::move(done)](functions_state& s) { done(s.status()); });
  }

  [[nodiscard]] const state_store& store() const override { return *services_.store; }

  [[nodiscard]] std::unique_ptr<event_feed> follow(feed_options options) override {
    auto feed = std::make_unique<actor_event_feed>();
    auto wanted = options.run;
    if (options.on_progress)
      feed->progress = services_.progress.follow(
          [wanted, tell = options.on_progress](const run_progress& p) {
            if (!wanted || p.run == wanted)
              tell(p);
          });
    if (options.on_event)
      feed->events = services_.journal->follow(
          options.after, [wanted, tell = options.on_event](const event_record& e) {
            if (!wanted || e.run == wanted)
              tell(e);
          });
    return feed;
  }

private:
  [[nodiscard]] timestamp now() const { return services_.clock.now(); }

  void on_coordinator(std::function<void(coordinator_state&)> call) {
    caf::anon_send(coordinator_,
                   gateway_call{std::make_shared<std::function<void(coordinator_state&)>>(
                       std::move(call))});
  }

  void on_placer(std::function<void(placer_state&)> call) {
    on_coordinator([call = std::move(call)](coordinator_state& s) {
      caf::anon_send(s.placer,
                     placer_call{std::make_shared<std::function<void(placer_state&)>>(call)});
    });
  }

  /// What was told comes first: what ends meanwhile is ended in the books.
  void explain_run(run_id id, attempt_sights sights, const reply<run_explanation>& done) {
    sights.marks = services_.progress.marks_of(id);
    auto books = read_books(id);
    if (!books)
      return done(failure{books.error()});
    auto out = explain_books(*books, sights, now());
    on_scheduler([out = std::move(out), at = now(), done](scheduler_state& s) mutable {
      add_queue(out, s.core, at);
      done(std::move(out));
    });
  }

  [[nodiscard]] result<run_books> read_books(run_id id) const {
    FM_TRY(auto run, find_record<run_record>(*services_.store, family::runs, keys::of(id)));
    if (!run)
      return fail_field(errc::not_found, "RunId", "no run {}", id.value);
    FM_TRY(auto jobs, records_of<job_record>(*services_.store, family::jobs, id));
    FM_TRY(auto shards, records_of<shard_record>(*services_.store, family::shards, id));
    return run_books{std::move(*run), std::move(jobs), std::move(shards)};
  }

  void on_scheduler(std::function<void(scheduler_state&)> call) {
    caf::anon_send(scheduler_, scheduler_call{std::make_shared<std::function<void(scheduler_state&)>>(
                                   std::move(call))});
  }

  template <class T, class Call>
  void on_outbox(reply<T> done, Call call) {
    auto whole = [done, call = std::move(call)](outbox_state& s) { call(s, done); };
    if (!services_.notices.outbox.send(std::move(whole)))
      done(no_outbox());
  }

  template <class T>
  void on_membership(reply<T> done,
                     std::function<void(membership_state&, const reply<T>&)> call) {
    if (!membership_)
      return done(no_cluster());
    auto whole = [call = std::move(call), done = std::move(done)](membership_state& m) {
      call(m, done);
    };
    caf::anon_send(membership_,
                   membership_call{std::make_shared<std::function<void(membership_state&)>>(
                       std::move(whole))});
  }

  void change_membership(reply<void> done,
                         std::function<result<membership::step>(membership_state&)> decide) {
    on_membership<void>(std::move(done),
                        [decide = std::move(decide)](membership_state& m, const reply<void>& answer) {
                          auto step = decide(m);
                          if (!step)
                            return answer(failure{step.error()});
                          m.apply(std::move(*step), answer);
                        });
  }

  void change_functions(functions_state::change_fn decide, reply<void> done) {
    tell_functions(functions_, [=](functions_state& s) { s.make_change(decide, done); });
  }

  /// Decide, write, answer.
  void change(std::function<result<changes>(coordinator_state&)> decide, reply<void> done) {
    on_coordinator([decide = std::move(decide), done = std::move(done)](coordinator_state& s) {
      auto c = decide(s);
      if (!c)
        return done(failure{c.error()});
      s.commit(std::move(*c), done);
    });
  }

  /// Every bucket that a workflow reads from or writes to must be here.
  [[nodiscard]] result<std::set<bucket*>> buckets_of(const workflow_spec& spec) const {
    FM_CHECK(services_.find_bucket(spec.trigger.bucket));
    return output_buckets(services_, spec, spec.trigger.bucket);
  }

  /// Every place that it names is known here.
  [[nodiscard]] result<void> places_of(const workflow_spec& spec) const {
    FM_CHECK(buckets_of(spec));
    return check_sink(services_.notices, spec.notify);
  }

  /// At enable time the outputs must be writable too.
  [[nodiscard]] result<void> check_buckets(const coordinator_state& s,
                                           definition_ref which) const {
    FM_TRY(const auto* w, s.definitions.get(which));
    FM_TRY(auto outputs, buckets_of(w->spec));
    for (auto* b : outputs)
      FM_CHECK(b->check_writable());
    return {};
  }

  void inspect(std::string name, std::string raw_key,
               std::function<void(const object_ref&, run_id, result<inspection>)> done) {
    object_ref object{name, {}, {}};
    auto found = services_.find_bucket(name);
    if (!found)
      return done(object, {}, failure{found.error()});
    auto key = normalize_key(raw_key);
    if (!key)
      return done(object, {}, failure{key.error()});
    auto g = (*found)->stat(*key);
    if (!g)
      return done(object, {}, fail_field(g.error().code, "Object", "{}/{}: {}", name, *key,
                                         g.error().message));
    object.key = *key;
    object.generation = *g;
    run_id id{inspection_ids_of(services_.started) + ++inspections_};
    system_.spawn(inspector, &services_, id, object, scheduler_,
                  [object, id, done = std::move(done)](result<inspection> i) {
                    done(object, id, std::move(i));
                  });
  }

  [[nodiscard]] node_status describe_node() const {
    auto facts = services_.facts();
    node_status out;
    out.name = services_.config.name;
    out.version = std::move(facts.version);
    out.cores = facts.cores;
    out.memory_bytes = facts.memory_bytes;
    out.scratch_bytes_free = facts.scratch_bytes;
    out.fingerprint = std::move(facts.fingerprint);
    out.sandbox = std::move(facts.sandbox);
    out.warnings = std::move(facts.warnings);
    out.started = services_.started;
    out.cpu = std::move(facts.cpu);
    out.encoders = std::move(facts.encoders);
    out.device_sessions = std::move(facts.device_sessions);
    out.scratch_floor_bytes = facts.scratch_floor_bytes;
    return out;
  }

  [[nodiscard]] std::vector<metric> measure(const node_status& s) const {
    const auto& n = services_.counters;
    auto counter = [](std::string name, std::string help, std::uint64_t value,
                      std::map<std::string, std::string> labels = {}) {
      return metric{std::move(name), std::move(help), true, std::move(labels),
                    static_cast<double>(value)};
    };
    auto gauge = [](std::string name, std::string help, std::int64_t value) {
      return metric{std::move(name), std::move(help), false, {}, static_cast<double>(value)};
    };
    const std::string ended = "framemill_runs_ended_total", ended_help = "Runs that have ended";
    std::vector<metric> out{
        counter("framemill_runs_created_total", "Runs made or resumed since start", n.runs_created),
        counter(ended, ended_help, n.runs_succeeded, {{"state", "succeeded"}}),
        counter(ended, ended_help, n.runs_failed, {{"state", "failed"}}),
        counter(ended, ended_help, n.runs_cancelled, {{"state", "cancelled"}}),
        counter("framemill_attempts_total", "Attempts of shards", n.attempts),
        counter("framemill_attempts_failed_total", "Attempts that failed", n.attempts_failed),
        counter("framemill_frames_encoded_total", "Frames encoded by attempts that succeeded",
                n.frames_encoded),
        counter("framemill_objects_settled_total", "Objects booked", n.objects_settled),
        counter("framemill_outputs_published_total", "Files published", n.outputs_published),
        counter("framemill_bytes_published_total", "Bytes published", n.bytes_published),
        counter("framemill_function_calls_total", "Calls of functions", n.function_calls),
        counter("framemill_function_calls_failed_total", "Calls of functions that failed",
                n.function_calls_failed),
        gauge("framemill_runs_live", "Runs with a WORKFLOW actor", s.runs_live),
        gauge("framemill_runs_queued", "Runs waiting to be admitted", s.runs_queued),
        gauge("framemill_slots", "Slots of this node", s.slots),
        gauge("framemill_slots_busy", "Slots at work", s.slots_busy),
        gauge("framemill_shards_ready", "Shards waiting for a slot", s.shards_ready),
        gauge("framemill_scratch_free_bytes", "Free bytes of the scratch file system",
              s.scratch_bytes_free),
    };
    add_notifications(services_.notices.board, out);
    return out;
  }

  caf::actor_system& system_;
  node_services& services_;
  caf::actor coordinator_, scheduler_;
  caf::actor membership_; ///< empty: this node is alone
  caf::actor functions_;
  std::atomic<std::uint64_t> inspections_{0};
};

} // namespace

std::unique_ptr<gateway> make_actor_gateway(caf::actor_system& system, node_services& services,
                                            gateway_actors to) {
  return std::make_unique<actor_gateway>(system, services, std::move(to));
}

} // namespace framemill
