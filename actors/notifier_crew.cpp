#include "actors/notifier_crew.hpp"

#include "actors/manners.hpp"
#include "actors/notifier.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<notifier_crew_state>*;
constexpr std::chrono::seconds listen_again_after{1};

void listen(self_ptr self) {
  const auto& s = self->state;
  s.line.say(encode(notify_word{notify_wait{s.life, s.seen}}), "news",
             [me = caf::actor_cast<caf::actor>(self)](const result<std::string>& answer) {
               caf::anon_send(me, news_heard{answer_as<notify_news, notify_answer>(answer)});
             });
}

void hear(self_ptr self, const news_heard& m) {
  auto& s = self->state;
  if (!m.news && m.news.error().code == errc::cancelled)
    return self->quit(); // the share is told elsewhere
  if (!m.news) {
    spdlog::error("CREW {}: {}", s.line.service.name, m.news.error().message);
    return self->delayed_send(self, listen_again_after, listen_again{});
  }
  for (const auto& item : m.news->sinks)
    s.notifiers->wake(item.sink, item.anew);
  s.life = m.news->life;
  s.seen = m.news->number;
  listen(self);
}

} // namespace

caf::behavior notifier_crew(self_ptr self, node_services* services, service_line line,
                            notify_order how) {
  auto& s = self->state;
  s.line = std::move(line);
  s.how = how;
  s.notifiers.emplace(self, "CREW", [=](const std::string& sink) {
    const auto& state = self->state;
    notifier_place place{sink, make_asked_desk(*services, state.line, sink),
                         state.how.retry_window};
    return self->spawn(notifier, services, std::move(place), caf::actor_cast<caf::actor>(self));
  });
  tolerate_strangers(self, "CREW");
  const auto host = s.line.host.address();
  self->monitor(s.line.host); // nobody would hear us
  self->set_down_handler([=](const caf::down_msg& down) {
    down.source == host ? self->quit() : self->state.notifiers->ended(down);
  });
  listen(self);
  return {
      [=](const news_heard& m) { hear(self, m); },
      [=](const listen_again&) { listen(self); },
      [=](const start_notifier& m) { self->state.notifiers->wake(m.sink, false); },
      [=](const ask_service& m) {
        m.done(fail(errc::unknown_argument, "a CREW does not know `{}`", m.question));
      },
  };
}

} // namespace framemill
