#include "actors/cluster_books.hpp"

#include "cluster/shard_work.hpp"
#include "storage/records.hpp"

namespace framemill {

result<membership> load_membership(const state_store& store, membership::options o) {
  FM_TRY(auto nodes, records_below<node_record>(store, family::nodes, ""));
  FM_TRY(auto tokens, records_below<join_token_record>(store, family::meta, keys::join_token("")));
  return membership{std::move(nodes), std::move(tokens), o};
}

result<blame_matrix> load_blame(const state_store& store, timestamp now) {
  FM_TRY(auto inputs, records_below<input_blame>(store, family::blame, "input/"));
  FM_TRY(auto nodes, records_below<node_blame>(store, family::blame, "node/"));
  return blame_matrix{now, std::move(inputs), std::move(nodes), {}};
}

result<reservation> booked_reservation(const state_store& store, shard_id id) {
  FM_TRY(auto run, find_record<run_record>(store, family::runs, keys::of(id.run)));
  FM_TRY(auto shard, find_record<shard_record>(store, family::shards, keys::of(id)));
  return run && shard ? reservation_of(*run, *shard) : reservation{id};
}

} // namespace framemill
