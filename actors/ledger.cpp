#include "actors/ledger.hpp"

#include <future>

namespace framemill {

object_origin origin_of(const run_record& run) {
  object_origin out{run.id, run.lineage};
  if (run.workflow)
    out.workflows.push_back(run.workflow.value);
  return out;
}

object_record ledger_line(const object_origin& origin, const object_ref& object,
                          timestamp now) {
  object_record line;
  line.object = object;
  line.first_seen = line.last_change = now;
  line.origin = origin;
  return line;
}

result<void> commit_and_wait(node_services& services, changes c) {
  std::promise<result<void>> promise;
  auto future = promise.get_future();
  services.journal->commit(std::move(c),
                           [&](result<void> r) { promise.set_value(std::move(r)); });
  return future.get();
}

} // namespace framemill
