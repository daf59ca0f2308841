#include "tests/api/fake_gateway.hpp"

#include "core/object_path.hpp"
#include "storage/records.hpp"

namespace framemill::test {

namespace {

class catalogue final : public template_source {
public:
  std::map<std::pair<template_family, std::uint64_t>, template_record> own;

  [[nodiscard]] const template_record* find(template_family family,
                                            std::uint64_t definition) const override {
    auto found = own.find({family, definition});
    return found != own.end() ? &found->second : find_preset(family, definition);
  }
};

published_file published(const run_record& run, std::string role, std::string key) {
  published_file f;
  f.object = {run.object.bucket, std::move(key), {}};
  f.role = std::move(role);
  f.size = 1000;
  f.md5 = "0123456789abcdef0123456789abcdef";
  f.width = 640;
  f.height = 360;
  if (f.role == "media")
    f.media = sample_media();
  return f;
}

job_record finished_job(const run_record& run, std::uint32_t index, timestamp now) {
  job_record job;
  job.run = run.id;
  job.index = index;
  job.state = job_state::succeeded;
  job.started = job.finished = now;
  auto stem = split_key(run.object.key).stem;
  switch (run.spec.activities[index].kind) {
    case activity_kind::transcode:
      job.outputs = {published(run, "media", stem + ".mp4")};
      break;
    case activity_kind::image_sprite:
      job.outputs = {published(run, "sheet", stem + "_0.jpg"),
                     published(run, "vtt", stem + ".vtt")};
      break;
    default: job.outputs = {published(run, "picture", stem + "_0.jpg")};
  }
  return job;
}

} // namespace

media_info sample_media() {
  stream_info video;
  video.kind = stream_kind::video;
  video.codec = "h264";
  video.codec_tag = "avc1.64001f";
  video.width = 1280;
  video.height = 720;
  video.frame_rate = {30000, 1001};
  video.time_base = {1, 1000};
  video.duration_pts = 2500;
  video.rotation = 90;
  stream_info audio;
  audio.index = 1;
  audio.kind = stream_kind::audio;
  audio.codec = "aac";
  audio.sample_rate = 44100;
  audio.channels = 2;
  return {"mov,mp4,m4a,3gp,3g2,mj2", 123456, 2.5, 395059, {video, audio}};
}

struct fake_gateway::feed final : event_feed {
  fake_gateway* owner;
  feed_options options;
  feed(fake_gateway* g, feed_options o) : owner(g), options(std::move(o)) {
    std::lock_guard lock{owner->mutex_};
    owner->feeds_.insert(this);
  }
  ~feed() override {
    std::lock_guard lock{owner->mutex_};
    owner->feeds_.erase(this);
  }
};

fake_gateway::fake_gateway(const clock& time) : time_(time) {
  for (const auto* name : {"one", "two"})
    nodes_[name].record.name = name;
  nodes_["one"].presence = node_presence::up;
  nodes_["one"].running = {{{run_id{7}, 3}, 2, shard_role::decode, "one", "encoding", 0.25}};
  worker_ = std::thread{[this] { work(); }};
}

fake_gateway::~fake_gateway() {
  {
    std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_all();
  worker_.join();
}

void fake_gateway::work() {
  for (;;) {
    std::unique_lock lock{mutex_};
    wake_.wait(lock, [&] { return stopping_ || (!held_ && !jobs_.empty()); });
    if (stopping_)
      return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
  }
}

void fake_gateway::later(std::function<void()> job) {
  {
    std::lock_guard lock{mutex_};
    jobs_.push_back(std::move(job));
  }
  wake_.notify_all();
}

void fake_gateway::hold() {
  std::lock_guard lock{mutex_};
  held_ = true;
}

void fake_gateway::release() {
  {
    std::lock_guard lock{mutex_};
    held_ = false;
  }
  wake_.notify_all();
}

template <class T>
void fake_gateway::put(family f, std::string key, const T& record) {
  write_batch batch;
  put_record(batch, f, std::move(key), record);
  static_cast<void>(store_.commit_and_wait(std::move(batch)));
}
template void fake_gateway::put(family, std::string, const object_record&);
template void fake_gateway::put(family, std::string, const event_record&);
template void fake_gateway::put(family, std::string, const run_record&);
template void fake_gateway::put(family, std::string, const job_record&);
template void fake_gateway::put(family, std::string, const shard_record&);
template void fake_gateway::put(family, std::string, const invocation_record&);
template void fake_gateway::put(family, std::string, const function_record&);

workflow_record* fake_gateway::find(workflow_id id) {
  auto found = workflows_.find(id.value);
  return found == workflows_.end() ? nullptr : &found->second;
}

result<workflow_record*> fake_gateway::find(definition_ref which, bool to_change) {
  auto* w = find(which.id);
  if (!w || w->spec.kind != which.kind)
    return fail(errc::not_found, "there is no definition {}", which.id.value);
  if (w->enabled && to_change)
    return fail(errc::in_use, "{} is enabled; disable it first",
                which.kind == task_kind::workflow ? "workflow" : "scheme");
  return w;
}

void fake_gateway::create_workflow(workflow_spec spec, reply<workflow_id> done) {
  later([=, this] {
    if (auto ok = validate(spec, *templates()); !ok)
      return done(failure{ok.error()});
    for (const auto& [id, w] : workflows_)
      if (w.spec.kind == spec.kind && w.spec.name == spec.name)
        return done(fail_field(errc::already_exists, "Name", "a workflow named {} is there",
                               spec.name));
    workflow_record w{{++workflow_count_}, 1, false, time_.now(), time_.now(), spec};
    workflows_[w.id.value] = w;
    put(family::workflows, keys::of(w.id), w);
    done(w.id);
  });
}

void fake_gateway::reset_workflow(workflow_id id, workflow_spec spec, reply<void> done) {
  later([=, this] { replace({id, spec.kind}, [&](const workflow_spec&) { return spec; }, done); });
}

void fake_gateway::modify_workflow(definition_ref which, workflow_change change,
                                   reply<void> done) {
  later([=, this] {
    replace(which, [&](const workflow_spec& old) { return changed(old, change); }, done);
  });
}

void fake_gateway::replace(definition_ref which,
                           const std::function<workflow_spec(const workflow_spec&)>& by,
                           const reply<void>& done) {
  auto w = find(which, true);
  if (!w)
    return done(failure{w.error()});
  auto spec = by((*w)->spec);
  if (auto ok = validate(spec, *templates()); !ok)
    return done(failure{ok.error()});
  (*w)->spec = std::move(spec);
  ++(*w)->revision;
  put(family::workflows, keys::of(which.id), **w);
  done({});
}

void fake_gateway::set_enabled(definition_ref which, bool enabled, reply<void> done) {
  later([=, this] {
    auto w = find(which, false);
    if (!w)
      return done(failure{w.error()});
    (*w)->enabled = enabled;
    put(family::workflows, keys::of(which.id), **w);
    done({});
  });
}

void fake_gateway::delete_workflow(definition_ref which, reply<void> done) {
  later([=, this] {
    if (auto w = find(which, true); !w)
      return done(failure{w.error()});
    workflows_.erase(which.id.value);
    write_batch batch;
    batch.erase(family::workflows, keys::of(which.id));
    done(store_.commit_and_wait(std::move(batch)));
  });
}

void fake_gateway::put_template(template_record record, reply<std::uint64_t> done) {
  later([=, this]() mutable {
    if (auto ok = validate(record); !ok)
      return done(failure{ok.error()});
    if (record.definition == 0)
      record.definition = definition_count_++;
    {
      std::lock_guard lock{mutex_};
      templates_[{record.family, record.definition}] = record;
    }
    write_batch batch;
    put_record(batch, family::templates, keys::of(record.family, record.definition), record);
    static_cast<void>(store_.commit_and_wait(std::move(batch)));
    done(record.definition);
  });
}

void fake_gateway::delete_template(template_family f, std::uint64_t definition,
                                   reply<void> done) {
  later([=, this] {
    {
      std::lock_guard lock{mutex_};
      templates_.erase({f, definition});
    }
    write_batch batch;
    batch.erase(family::templates, keys::of(f, definition));
    done(store_.commit_and_wait(std::move(batch)));
  });
}

std::shared_ptr<const template_source> fake_gateway::templates() const {
  auto out = std::make_shared<catalogue>();
  std::lock_guard lock{mutex_};
  out->own = templates_;
  return out;
}

void fake_gateway::save(const run_record& run) {
  runs_[run.id.value] = run;
  put(family::runs, keys::of(run.id), run);
}

run_record fake_gateway::make_run(const run_request& request) {
  run_record run;
  run.id = {++run_count_};
  run.cause = run_cause::call;
  run.workflow = request.workflow;
  run.spec = request.spec;
  if (auto* w = find(request.workflow))
    run.spec = changed(w->spec, request.change);
  run.object = {request.bucket, request.key, {}};
  run.state = run_state_;
  run.created = time_.now();
  run.session_id = request.session_id;
  run.session_context = request.session_context;
  if (run.state != run_state::waiting)
    run.started = time_.now();
  if (is_terminal(run.state)) {
    run.finished = time_.now();
    run.media = sample_media();
  }
  return run;
}

void fake_gateway::submit(run_request request, reply<run_id> done) {
  later([=, this] {
    if (request.workflow && !find(request.workflow))
      return done(fail_field(errc::not_found, "WorkflowId", "there is no workflow {}",
                             request.workflow.value));
    if (auto ok = validate_call(request.spec, *templates()); !request.workflow && !ok)
      return done(failure{ok.error()});
    if (!request.session_id.empty() && !sessions_.insert(request.session_id).second)
      return done(fail_field(errc::conflict, "SessionId", "this SessionId was used already"));
    auto run = make_run(request);
    save(run);
    if (run.state == run_state::succeeded)
      for (std::uint32_t i = 0; i < run.spec.activities.size(); ++i)
        put(family::jobs, keys::job(run.id, i), finished_job(run, i, time_.now()));
    done(run.id);
  });
}

void fake_gateway::cancel(run_id id, reply<void> done) {
  later([=, this] {
    auto found = runs_.find(id.value);
    if (found == runs_.end())
      return done(fail_field(errc::not_found, "RunId", "there is no run {}", id.value));
    if (is_terminal(found->second.state))
      return done(fail(errc::conflict, "the run has ended"));
    found->second.state = run_state::cancelled;
    save(found->second);
    done({});
  });
}

void fake_gateway::retry(run_id id, reply<run_id> done) {
  later([=, this] {
    auto found = runs_.find(id.value);
    if (found == runs_.end())
      return done(fail_field(errc::not_found, "RunId", "there is no run {}", id.value));
    auto run = found->second;
    run.id = {++run_count_};
    run.cause = run_cause::retry;
    save(run);
    done(run.id);
  });
}

void fake_gateway::progress(run_id id, reply<run_progress> done) {
  later([=, this] {
    auto found = runs_.find(id.value);
    if (found == runs_.end() || is_terminal(found->second.state))
      return done(fail(errc::not_found, "run {} is not live", id.value));
    run_progress p;
    p.run = id;
    p.state = found->second.state;
    p.phase = "encoding";
    p.fraction = 0.5;
    p.jobs.assign(found->second.spec.activities.size(), 0.417);
    done(std::move(p));
  });
}

std::string fake_gateway::reproduce_directory(shard_id id) const {
  return id.index == 1 ? "/var/lib/framemill/failed/1" : "";
}

void fake_gateway::probe(std::string bucket, std::string key, reply<media_info> done) {
  later([=] {
    if (bucket != "in")
      return done(fail(errc::not_found, "there is no bucket {}", bucket));
    if (key == "text.mp4")
      return done(fail(errc::input_not_media, "{} is not media", key));
    done(sample_media());
  });
}

void fake_gateway::explain(run_request request, reply<physical_plan> done) {
  later([=, this] {
    if (!find(request.workflow))
      return done(fail_field(errc::not_found, "WorkflowId", "there is no workflow {}",
                             request.workflow.value));
    physical_plan plan;
    plan.cost = 12.5;
    shard_record shard;
    shard.id = {run_id{0}, 1};
    shard.request.steps = {decode_step{}};
    plan.shards = {shard};
    done(std::move(plan));
  });
}

void fake_gateway::buckets(reply<std::vector<bucket_status>> done) {
  later([=] {
    bucket_status in{"in", "memory", "scan"};
    in.wish = "any";
    in.watched_by = "one";
    in.nodes = {{"one", ""}, {"two", "it is away"}};
    done(std::vector<bucket_status>{in});
  });
}

void fake_gateway::audit(std::string bucket, std::string prefix, reply<audit_report> done) {
  later([=] {
    if (bucket != "in")
      return done(fail_field(errc::not_found, "Bucket", "there is no bucket {}", bucket));
    audit_report report;
    report.bucket = bucket;
    report.prefix = prefix;
    done(std::move(report));
  });
}

void fake_gateway::node(reply<node_status> done) {
  later([=] {
    node_status n;
    n.name = "node-1";
    done(std::move(n));
  });
}

void fake_gateway::metrics(reply<std::vector<metric>> done) {
  later([=] {
    done(std::vector<metric>{{"framemill_runs_finished_total",
                              "Runs that ended",
                              true,
                              {{"state", "a\"b\\c\nd"}},
                              3}});
  });
}

void fake_gateway::nodes(reply<std::vector<node_view>> done) {
  later([=, this] {
    std::vector<node_view> all;
    for (const auto& [name, node] : nodes_)
      all.push_back(node);
    done(std::move(all));
  });
}

void fake_gateway::cluster(reply<cluster_status> done) {
  later([=, this] {
    cluster_status s;
    s.id = "c1";
    s.term = 3;
    s.nodes_up = 1;
    s.nodes_away = static_cast<std::int64_t>(nodes_.size()) - 1;
    s.fingerprints = {{"libavcodec 59", {"one", "two"}}};
    done(std::move(s));
  });
}

void fake_gateway::change_node(std::string name, reply<void> done,
                               std::function<void(node_record&)> change) {
  later([=, this] {
    auto found = nodes_.find(name);
    if (found == nodes_.end())
      return done(fail_field(errc::not_found, "Name", "there is no node named {}", name));
    change(found->second.record);
    done({});
  });
}

void fake_gateway::set_node_mode(std::string name, node_mode mode, std::string reason,
                                 std::optional<timestamp> drain_deadline, reply<void> done) {
  change_node(std::move(name), std::move(done), [=](node_record& n) {
    n.mode = mode;
    n.mode_reason = reason;
    n.drain_deadline = drain_deadline;
  });
}

void fake_gateway::label_node(std::string name, std::map<std::string, std::string> set,
                              std::vector<std::string> removed, reply<void> done) {
  change_node(std::move(name), std::move(done), [=](node_record& n) {
    for (const auto& [key, value] : set)
      n.labels[key] = value;
    for (const auto& key : removed)
      n.labels.erase(key);
  });
}

void fake_gateway::remove_node(std::string name, reply<void> done) {
  change_node(
      name,
      [=, this](result<void> r) {
        if (r)
          nodes_.erase(name);
        done(std::move(r));
      },
      [](node_record&) {});
}

void fake_gateway::make_join_token(std::int32_t uses, std::chrono::seconds ttl,
                                   reply<join_offer> done) {
  later([=, this] {
    done(join_offer{"t.secret", "framemilld --role worker --join 127.0.0.1:7 --token t.secret",
                    time_.now() + ttl, uses});
  });
}

void fake_gateway::order_node(std::string name, std::string what,
                              std::vector<std::string> arguments, reply<std::string> done) {
  auto said = std::make_shared<std::string>(what);
  for (const auto& argument : arguments)
    *said += " " + argument;
  change_node(
      std::move(name),
      [=](result<void> r) { done(r ? result<std::string>{*said} : failure{r.error()}); },
      [](node_record&) {});
}

void fake_gateway::explain_run(run_id id, reply<run_explanation> done) {
  later([=, this] {
    if (!runs_.contains(id.value))
      return done(fail_field(errc::not_found, "RunId", "there is no run {}", id.value));
    run_explanation e;
    e.run = id;
    e.state = runs_[id.value].state;
    e.shards.push_back({3,
                        shard_role::decode,
                        shard_state::ready,
                        "every slot is busy",
                        "",
                        2,
                        time_.now(),
                        {{"one", true, "busy: 2 of 2 slots"}}});
    done(std::move(e));
  });
}

void fake_gateway::release_run(run_id id, reply<run_id> done) {
  later([=, this] {
    auto found = runs_.find(id.value);
    if (found == runs_.end())
      return done(fail_field(errc::not_found, "RunId", "there is no run {}", id.value));
    if (found->second.state != run_state::failed)
      return done(fail(errc::conflict, "run {} is not quarantined", id.value));
    auto run = found->second;
    run.id = {++run_count_};
    save(run);
    done(run.id);
  });
}

void fake_gateway::certificate(run_id id, std::uint32_t job, reply<std::string> done) {
  later([=, this] {
    if (!runs_.contains(id.value) || job > 1)
      return done(fail_field(errc::not_found, "Job", "job {} has no certificate", job));
    done(job == 0 ? R"({"Frames":100,"Shards":[{"Index":1}]})" : "{\"Frames\":");
  });
}

void fake_gateway::backup(std::string directory, reply<void> done) {
  later([=, this] {
    {
      std::lock_guard lock{mutex_};
      backup_directory_ = directory;
    }
    done({});
  });
}

void fake_gateway::invoke_function(function_invocation call, reply<invocation_result> done) {
  later([=] {
    invocation_result out;
    out.record.function = call.function;
    out.answer = R"("done")";
    done(std::move(out));
  });
}

std::string fake_gateway::backed_up_to() const {
  std::lock_guard lock{mutex_};
  return backup_directory_;
}

std::unique_ptr<event_feed> fake_gateway::follow(feed_options options) {
  return std::make_unique<feed>(this, std::move(options));
}

void fake_gateway::publish(event_record e) {
  put(family::events, keys::of(e.id), e);
  std::lock_guard lock{mutex_};
  for (auto* f : feeds_)
    if (e.id > f->options.after && (!f->options.run || f->options.run == e.run))
      f->options.on_event(e);
}

std::size_t fake_gateway::followers() const {
  std::lock_guard lock{mutex_};
  return feeds_.size();
}

} // namespace framemill::test
