#include "storage/records.hpp"
#include "tests/sim/coordinator.hpp"

namespace framemill::sim {

namespace {

constexpr microseconds tick_every{500'000};
constexpr microseconds write_again_after{1'000'000};
constexpr microseconds scan_every{300'000};
const service_id watcher{bucket_watcher_kind, "in"};

} // namespace

placer_shell::placer_shell(services& s) : actor(s.on.w, s.self), services_(s) {
  auto records = records_below<service_record>(s.store, family::meta, "service/");
  if (!records)
    world_.violate("{}", records.error().message);
  core_.emplace(std::move(records).value_or(std::vector<service_record>{}));
  placement_node here;
  here.name = coordinator_name;
  here.is_here = true;
  here.standing = node_standing::open;
  here.kinds = {bucket_watcher_kind};
  here.buckets = {"in"};
  apply(core_->node_known(s.clock(), std::move(here)));
  service_spec spec;
  spec.id = watcher;
  spec.bucket = "in";
  spec.wish = *parse_wish(s.on.disks.watch);
  apply(core_->begin(s.clock(), {std::move(spec)}));
  post_after(tick_every, [this] { tick(); });
}

// ---- Steps ---------------------------------------------------------------------------

void placer_shell::apply(placement::step step) {
  const bool is_empty = step.record.empty();
  auto token = steps_.add(std::move(step.actions), is_empty);
  if (is_empty)
    return flush();
  write(std::move(step.record), token);
}

void placer_shell::write(changes record, std::uint64_t token) {
  auto kept = std::make_shared<changes>(record);
  services_.books->commit(std::move(record), [this, kept, token](const result<void>& written) {
    post([this, kept, token, is_written = written.has_value()] {
      if (is_written) {
        steps_.written(token);
        return flush();
      }
      post_after(write_again_after,
                 [this, kept, token] { write(core_->renewed(std::move(*kept)), token); });
    });
  });
}

void placer_shell::flush() {
  while (steps_.ready())
    for (const auto& a : steps_.take())
      std::visit([&](const auto& what) { act_on(what); }, a);
}

void placer_shell::act_on(const tell_host& a) {
  services_.on.facts.host_told(a.node, a.order.epoch);
  if (a.node == coordinator_name)
    return host_here(a.order.epoch);
  say(a.node, a.order);
}

void placer_shell::act_on(const tell_end& a) {
  if (a.node == coordinator_name && here_ && here_epoch_ <= a.order.epoch)
    here_.reset();
  say(a.node, a.order);
}

void placer_shell::say(const std::string& node, cluster_message word) {
  services_.members->post(
      [to = services_.members, node, word = std::move(word)] { to->tell_service(node, word); });
}

void placer_shell::tick() {
  apply(core_->tick(services_.clock()));
  post_after(tick_every, [this] { tick(); });
}

// ---- Hearing -------------------------------------------------------------------------

void placer_shell::node_placeable(placement_node n, const std::string& ended) {
  const auto now = services_.clock();
  apply(ended.empty() ? core_->node_known(now, std::move(n))
                      : core_->node_ended(now, std::move(n), ended));
}

void placer_shell::node_hosting(const std::string& node, std::vector<hosted_service> hosted) {
  apply(core_->node_hosts(services_.clock(), node, std::move(hosted)));
}

void placer_shell::node_says(const std::string& node, const service_word& word) {
  if (!core_->is_host(node, word.service, word.epoch) && world_.breaks != rule::placing)
    return say(node, end_service{word.service, word.epoch});
  auto said = decode<watch_word>(word.payload);
  if (!said)
    world_.violate("the coordinator cannot read a word: {}", said.error().message);
  if (const auto* asked = std::get_if<watch_question>(&*said))
    return answer(node, word, watch_unbooked{unbooked(*asked)});
  const auto& reports = std::get<watch_reports>(*said).reports;
  if (!in_hand_.insert({word.epoch, word.number}).second && world_.breaks != rule::booking)
    return;
  services_.on.facts.heard_from(node, word.epoch);
  book(reports, node, [this, node, word](bool is_booked) {
    in_hand_.erase({word.epoch, word.number});
    answer(node, word, watch_booked{is_booked});
  });
}

void placer_shell::answer(const std::string& node, const service_word& to,
                          const watch_answer& what) {
  say(node, service_answer{to.service, to.epoch, to.number, encode(what)});
}

void placer_shell::book(const std::vector<settled_report>& reports, const std::string& node,
                        std::function<void(bool)> done) {
  auto back = [this, done = std::move(done)](bool is_booked) {
    post([done, is_booked] { done(is_booked); });
  };
  services_.keeper->post(
      [to = services_.keeper, reports, node, back] { to->book(reports, node, back); });
}

std::vector<std::uint32_t> placer_shell::unbooked(const watch_question& m) const {
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < m.found.size(); ++i) {
    auto line = find_record<object_record>(services_.store, family::objects,
                                           keys::object("in", m.found[i].key));
    if (!line || !*line || (*line)->object.generation != m.found[i].generation)
      out.push_back(i);
  }
  return out;
}

// ---- SERVICE HOST here: actors/service_host.cpp -------------------------------------------

void placer_shell::host_here(std::uint64_t epoch) {
  if (here_ && here_epoch_ >= epoch)
    return;
  here_.emplace(services_.on.disks);
  here_epoch_ = epoch;
  post([this, epoch] {
    node_hosting(coordinator_name, {{watcher, epoch, ""}});
    scan_here(epoch);
  });
}

void placer_shell::scan_here(std::uint64_t epoch) {
  if (!here_ || here_epoch_ != epoch)
    return;
  auto asked = here_->scan();
  auto reports = here_->found(asked, {unbooked(asked)}, services_.clock());
  if (!reports.reports.empty())
    book(reports.reports, "", [this, epoch, reports](bool) {
      if (here_ && here_epoch_ == epoch)
        here_->told(reports);
    });
  post_after(scan_every, [this, epoch] { scan_here(epoch); });
}

std::string placer_shell::restlessness() const {
  auto v = core_->services().at(0);
  if (v.record.host.empty())
    return "nobody watches";
  return v.is_confirmed ? "" : fmt::format("{} does not say that it watches", v.record.host);
}

} // namespace framemill::sim
