#include "actors/function_files.hpp"

#include "actors/child_process.hpp"
#include "actors/ledger.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>

namespace framemill {

namespace {

/// Of the run whose event it was; of none when it was called by hand.
result<object_origin> origin_of(const node_services& services, run_id id) {
  if (!id)
    return object_origin{};
  FM_TRY(auto run, find_record<run_record>(*services.store, family::runs, keys::of(id)));
  return run ? framemill::origin_of(*run) : object_origin{id, {}};
}

result<void> write(node_services& services, const object_origin& origin,
                   const std::vector<wanted_file>& files) {
  std::vector<std::unique_ptr<staged_object>> staged;
  changes ledger;
  for (const auto& f : files) {
    FM_TRY(auto* b, services.find_bucket(f.bucket));
    FM_TRY(auto body, memory_file(f.body));
    FM_TRY(auto copy,
           b->stage(f.key, fmt::format("/proc/self/fd/{}", body.get()), sha256_of(f.body)));
    ledger.objects.push_back(ledger_line(origin, copy->object(), services.clock.now()));
    staged.push_back(std::move(copy));
  }
  FM_CHECK(commit_and_wait(services, std::move(ledger)));
  for (auto& copy : staged)
    FM_CHECK(copy->publish());
  return {};
}

} // namespace

caf::behavior function_files(caf::event_based_actor* self, node_services* services, run_id run,
                             std::vector<wanted_file> files,
                             std::function<void(const result<void>&)> done) {
  auto origin = origin_of(*services, run);
  done(origin ? write(*services, *origin, files) : result<void>{failure{origin.error()}});
  self->quit();
  return {};
}

} // namespace framemill
