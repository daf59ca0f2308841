#include "notify/http_sink.hpp"

#include "notify/signature.hpp"

#include <fmt/format.h>

namespace framemill {

namespace {

using verdict = delivery_answer::verdict;

class http_sink final : public sink {
public:
  http_sink(std::shared_ptr<http_door> door, http_sink_options o)
      : door_(std::move(door)), options_(std::move(o)) {}

  void deliver(notification n, done_fn done) override {
    auto url = n.config.notify_url;
    door_->post(
        std::move(url), [o = options_, n = std::move(n)] { return content_of(n, o); },
        [done = std::move(done)](const http_answer& a) { done(judge(a)); });
  }

private:
  static std::optional<http_content> content_of(const notification& n,
                                                const http_sink_options& o) {
    if (n.may_begin && !n.may_begin())
      return std::nullopt;
    http_content out;
    out.body = with_mps_sign(n.body, n.config.notify_key, o.now());
    out.headers = {"Content-Type: application/json",
                   fmt::format("Framemill-Event-Id: {}", n.event.value),
                   fmt::format("Framemill-Run-Id: {}", n.run.value),
                   fmt::format("Framemill-Attempt: {}", n.attempt)};
    if (auto s = signature_header(out.body, o.secrets(), o.now()); !s.empty())
      out.headers.push_back("Framemill-Signature: " + s);
    return out;
  }

  std::shared_ptr<http_door> door_;
  const http_sink_options options_;
};

} // namespace

delivery_answer judge(const http_answer& a) {
  if (a.status == 0)
    return {a.is_hopeless ? verdict::parked : verdict::again, a.problem, {}};
  if (a.status >= 200 && a.status < 300)
    return {verdict::delivered, {}, {}};
  auto why = fmt::format("HTTP {}", a.status);
  if (a.status < 400)
    return {verdict::parked, why + ": redirects are not followed", {}};
  if (!a.body.empty())
    why += ": " + printable(a.body);
  const bool again =
      a.status >= 500 || a.status == 408 || a.status == 425 || a.status == 429;
  return {again ? verdict::again : verdict::parked, std::move(why), a.retry_after};
}

std::unique_ptr<sink> make_http_sink(std::shared_ptr<http_door> door, http_sink_options options) {
  return std::make_unique<http_sink>(std::move(door), std::move(options));
}

} // namespace framemill
