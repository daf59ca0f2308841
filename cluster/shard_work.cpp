#include "cluster/shard_work.hpp"

namespace framemill {

namespace {

/// Only such work is a device's.
bool works_on_pictures(shard_role role) {
  return role == shard_role::decode || role == shard_role::whole;
}

} // namespace

shard_offer offer_of(const run_record& run, const shard_record& shard) {
  shard_offer out;
  out.id = shard.id;
  out.workflow = run.workflow.value;
  out.priority = run.priority;
  out.since = run.created;
  out.first = shard.role == shard_role::audio || shard.role == shard_role::probe;
  out.cost = shard.cost;
  out.memory_bytes = shard.memory_bytes;
  out.scratch_bytes = shard.scratch_bytes;
  out.cores = shard.cores;
  const auto& wish = run.spec.scheduling;
  out.weight = wish.weight;
  out.labels = wish.required_labels;
  out.preferred_labels = wish.preferred_labels;
  out.device = wish.device;
  out.sessions = !wish.device.empty() && works_on_pictures(shard.role);
  out.avoid_nodes = nodes_to_avoid(shard);
  out.bucket = run.object_of(shard.source).bucket;
  if (encodes(shard.role))
    out.fingerprint = run.fingerprint;
  return out;
}

reservation reservation_of(const run_record& run, const shard_record& shard) {
  auto offer = offer_of(run, shard);
  reservation out{shard.id, size_of(offer), std::move(offer.device), offer.cost, {}};
  if (!shard.attempts.empty())
    out.since = shard.attempts.back().started;
  return out;
}

assign_attempt order_of(const run_record& run, const std::vector<shard_record>& shards,
                        std::uint32_t index, std::uint32_t epoch) {
  const auto& shard = shards[index];
  assign_attempt out;
  out.shard = shard.id;
  out.epoch = epoch;
  out.request = shard.request;
  if (shard.request.source_bytes > 0 || shard.role == shard_role::probe)
    out.source = run.object_of(shard.source);
  for (auto need : shard.needs)
    for (const auto& f : shards[need].files)
      out.inputs.push_back({f.name, f.sha256});
  out.inputs.insert(out.inputs.end(), shard.assets.begin(), shard.assets.end());
  out.memory_bytes = shard.request.memory_bytes_max;
  return out;
}

} // namespace framemill
