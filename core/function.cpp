#include "core/function_request.hpp"

namespace framemill {

bool matches(const invocation_record& r, const log_query& q) {
  auto has = [&](const std::string& text) { return text.find(q.grep) != std::string::npos; };
  return (!q.since || r.started >= q.since) && (!q.until || r.started < q.until)
         && (!q.failed || !r.error.empty())
         && (has(r.output) || has(r.error) || has(r.answer) || has(r.request_id));
}

} // namespace framemill
