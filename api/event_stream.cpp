#include "api/event_stream.hpp"

#include "core/json.hpp"
#include "storage/records.hpp"

#include <spdlog/spdlog.h>

namespace framemill {

namespace {

constexpr std::size_t page_events = 500;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string text_of(const event_record& e) {
  return fmt::format("id: {}\nevent: event\ndata: {}\n\n", e.id.value, dump(to_json_value(e)));
}

std::string text_of(const run_progress& p) {
  return fmt::format("event: progress\ndata: {}\n\n", dump(to_json_value(p)));
}

/// One follower: reads the past page by page, then follows. Held by the
/// stream's queue of work, never by itself; the stream is held weakly, as it
/// holds the feed.
class follower : public std::enable_shared_from_this<follower> {
public:
  follower(gateway& system, event_stream_options options, std::weak_ptr<http_stream> to,
           std::shared_ptr<void> guard)
      : system_(system), options_(options), to_(std::move(to)), guard_(std::move(guard)) {}

  /// Runs whenever the client has taken all that was written.
  void proceed() {
    auto stream = to_.lock();
    if (!stream)
      return;
    if (write_page(*stream) < page_events)
      follow(*stream);
    else
      stream->when_drained([self = shared_from_this()] { self->proceed(); });
  }

private:
  std::size_t write_page(http_stream& stream) {
    std::size_t seen = 0;
    auto status = scan_records<event_record>(system_.store(), family::events,
                                             keys::of(event_id{options_.after.value + 1}), "",
                                             [&](const event_record& e) {
                                               options_.after = e.id;
                                               if (!options_.run || e.run == options_.run)
                                                 stream.write(text_of(e));
                                               return ++seen < page_events;
                                             });
    if (!status)
      spdlog::error("api: event stream: {}", status.error().message);
    return seen;
  }

  void follow(http_stream& stream) {
    gateway::feed_options feed{options_.after, options_.run, {}, {}};
    feed.on_event = [to = to_](const event_record& e) {
      if (auto s = to.lock())
        s->write(text_of(e));
    };
    if (options_.with_progress)
      feed.on_progress = [to = to_](const run_progress& p) {
        if (auto s = to.lock())
          s->write(text_of(p));
      };
    feed_ = system_.follow(std::move(feed));
    stream.hold(shared_from_this());
  }

  gateway& system_;
  event_stream_options options_;
  std::weak_ptr<http_stream> to_;
  std::shared_ptr<void> guard_;
  std::unique_ptr<event_feed> feed_;
};

} // namespace

void stream_events(gateway& system, const event_stream_options& options,
                   const std::shared_ptr<http_exchange>& exchange,
                   std::shared_ptr<void> guard) {
  auto stream =
      exchange->stream({200, "text/event-stream", {{"Cache-Control", "no-store"}}, ""});
  auto f = std::make_shared<follower>(system, options, stream, std::move(guard));
  stream->when_drained([f] { f->proceed(); });
}

} // namespace framemill
