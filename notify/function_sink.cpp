#include "notify/function_sink.hpp"

#include <fmt/format.h>

namespace framemill {

namespace {

delivery_answer judge(const std::string& function, const function_sink::outcome& o) {
  if (o.error.empty())
    return {delivery_answer::verdict::delivered, {}, {}};
  auto where = o.request_id.empty() ? "" : ", request " + o.request_id;
  return {delivery_answer::verdict::again,
          fmt::format("function {}: {}{}", function, o.error, where),
          {}};
}

} // namespace

function_sink::function_sink(bound_fn bound, invoke_fn invoke)
    : bound_(std::move(bound)), invoke_(std::move(invoke)) {}

function_sink::~function_sink() {
  std::map<std::uint64_t, done_fn> left;
  {
    std::lock_guard lock{pending_->mutex};
    left.swap(pending_->calls);
  }
  for (const auto& [call, done] : left)
    done({delivery_answer::verdict::again, "the sink was closed", {}});
}

function_sink::done_fn function_sink::pending::take(std::uint64_t call) {
  std::lock_guard lock{mutex};
  auto entry = calls.extract(call);
  return entry.empty() ? done_fn{} : std::move(entry.mapped());
}

void function_sink::deliver(notification n, done_fn done) {
  auto function = bound_(n.event_type);
  if (!function || function->empty())
    return done({delivery_answer::verdict::again,
                 function ? fmt::format("no function is bound to {}, or its trigger is disabled",
                                        n.event_type)
                          : function.error().message,
                 {}});
  std::uint64_t call = 0;
  {
    std::lock_guard lock{pending_->mutex};
    call = ++pending_->last;
    pending_->calls.emplace(call, std::move(done));
  }
  invoke_(*function, std::move(n), [waiting = pending_, call, name = *function](outcome o) {
    if (auto answer = waiting->take(call))
      answer(judge(name, o));
  });
}

} // namespace framemill
