#include "api/mps/definition_list.hpp"

#include "storage/records.hpp"

#include <algorithm>

namespace framemill::mps {

namespace {

bool is_wanted(const definition_query& q, const workflow_record& w) {
  return w.spec.kind == q.kind
         && (q.ids.empty() || std::ranges::find(q.ids, w.id.value) != q.ids.end())
         && (q.status.empty() || (q.status == "Enabled") == w.enabled);
}

} // namespace

result<void> check(const definition_query& q, const char* ids) {
  FM_CHECK(framemill::check(q.page, 100));
  if (q.ids.size() > 100)
    return fail_field(errc::invalid_argument, ids, "more than 100 ids");
  if (!q.status.empty() && q.status != "Enabled" && q.status != "Disabled")
    return fail_field(errc::invalid_argument, "Status", "`{}` is not one of: Enabled, Disabled",
                      q.status);
  return {};
}

result<json> list_definitions(const state_store& store, const definition_query& q,
                              const char* set, json (*show)(const workflow_record&)) {
  std::vector<workflow_record> found;
  FM_CHECK(scan_records<workflow_record>(
      store, family::workflows, "", "",
      [&](workflow_record w) {
        if (is_wanted(q, w))
          found.push_back(std::move(w));
        return true;
      },
      true)); // newest first: ids count up
  json out{{"TotalCount", found.size()}, {set, json::array()}};
  for (const auto& w : window(std::move(found), q.page))
    out[set].push_back(show(w));
  return out;
}

} // namespace framemill::mps
