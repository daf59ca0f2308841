#include "tests/sim/plans.hpp"

#include <numeric>

namespace framemill::sim {

namespace {

constexpr std::int64_t piece_memory_bytes = 200;
constexpr std::int64_t join_memory_bytes = 100;
constexpr std::int32_t whole_cores = 2;

std::uint32_t add(sim_plan& p, shard_role role, std::vector<std::uint32_t> needs,
                  std::vector<std::uint32_t> jobs, const object_ref& object) {
  shard_record s;
  s.id.index = static_cast<std::uint32_t>(p.shards.size()) + 1;
  s.role = role;
  s.needs = std::move(needs);
  s.jobs = std::move(jobs);
  s.memory_bytes = role == shard_role::join ? join_memory_bytes : piece_memory_bytes;
  s.request.memory_bytes_max = s.memory_bytes;
  s.cores = role == shard_role::whole ? whole_cores : 1;
  if (role != shard_role::join)
    s.request.source_bytes = static_cast<std::int64_t>(object.generation.size);
  p.shards.push_back(std::move(s));
  return p.shards.back().id.index;
}

void add_job(sim_plan& p, const object_ref& object, const std::vector<std::uint32_t>& parts) {
  job_record j;
  j.index = static_cast<std::uint32_t>(p.jobs.size());
  for (auto part : parts)
    j.items.push_back({"out", part, "out",
                       fmt::format("{}.{}/{}.{}", object.key, object.generation.mtime_ns,
                                   j.index, j.items.size()),
                       "media"});
  p.jobs.push_back(std::move(j));
}

} // namespace

/// Pieces and sound for all jobs, joined for each; or one whole when the index
/// cannot be trusted.
sim_plan plan_of(const object_ref& object, const input_nature& n, bool trusts_index) {
  sim_plan p;
  std::vector<std::uint32_t> all(n.jobs), parts;
  std::iota(all.begin(), all.end(), 0U);
  if (trusts_index) {
    if (n.has_audio)
      parts.push_back(add(p, shard_role::audio, {0}, all, object));
    for (std::uint32_t i = 0; i < n.pieces; ++i)
      parts.push_back(add(p, shard_role::decode, {0}, all, object));
  } else {
    parts.push_back(add(p, shard_role::whole, {}, all, object));
  }
  for (std::uint32_t j = 0; j < n.jobs; ++j)
    if (trusts_index && n.has_joins)
      add_job(p, object, {add(p, shard_role::join, parts, {j}, object)});
    else
      add_job(p, object, parts);
  return p;
}

} // namespace framemill::sim
