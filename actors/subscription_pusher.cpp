#include "actors/subscription_pusher.hpp"

#include "actors/manners.hpp"
#include "notify/push.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <random>

namespace framemill {

namespace {

constexpr std::size_t batch_max = 10;
constexpr std::int64_t hold_seconds = 120; ///< longer than any delivery takes
constexpr std::int64_t wait_seconds = 30;
constexpr auto pause = std::chrono::seconds{1};

double chance() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>{0, 1}(random);
}

} // namespace

void subscription_pusher_state::ask() {
  auto me = caf::actor_cast<caf::actor>(self);
  queues->receive(queue, {batch_max, hold_seconds, wait_seconds},
                  [me](result<std::vector<received_message>> r) {
                    caf::anon_send(me, push_batch{std::move(r)});
                  });
}

void subscription_pusher_state::push(std::vector<received_message> messages) {
  under_way = messages.size();
  auto me = caf::actor_cast<caf::actor>(self);
  for (const auto& m : messages)
    to->deliver(push_of(subscription, m),
                [me, receipt = m.receipt, tries = m.receives](delivery_answer a) {
                  caf::anon_send(me, push_answered{receipt, tries, std::move(a)});
                });
}

/// Delivered: gone. Else later, or, after the last try, to the dead letters.
void subscription_pusher_state::conclude(const std::string& receipt, std::uint32_t tries,
                                         const delivery_answer& a) {
  const auto complain = [who = queue](const auto& r) { // it is received again then
    if (!r || !r->at(0))
      spdlog::warn("SUBSCRIPTION PUSHER: {}: {}", who,
                   r ? r->at(0).error().message : r.error().message);
  };
  const bool is_last = tries >= push_tries_max(subscription.retry);
  if (is_last && a.what != delivery_answer::verdict::delivered)
    spdlog::warn("SUBSCRIPTION PUSHER: {}: given up after {} tries, {}: {}", queue, tries,
                 has_dead_letters ? "it goes to the dead letters" : "the message is dropped", a.why);
  if (a.what == delivery_answer::verdict::delivered || (is_last && !has_dead_letters))
    return queues->erase(queue, {receipt}, complain);
  auto delay = is_last ? 0 : push_delay_seconds(subscription.retry, tries, chance());
  if (!is_last && a.not_before)
    delay = std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(*a.not_before).count(),
                                     delay, 3600);
  queues->hide(queue, {{receipt, delay}}, complain);
}

caf::behavior subscription_pusher(caf::stateful_actor<subscription_pusher_state>* self,
                                  std::shared_ptr<queue_service> queues, sink* to,
                                  subscription_record subscription, bool has_dead_letters) {
  tolerate_strangers(self, "SUBSCRIPTION PUSHER");
  auto& s = self->state;
  s.self = self;
  s.queues = std::move(queues);
  s.to = to;
  s.queue = subscription.topic + "/" + subscription.name;
  s.subscription = std::move(subscription);
  s.has_dead_letters = has_dead_letters;
  s.ask();
  return {
      [=](push_batch& m) {
        auto& state = self->state;
        if (!m.messages && m.messages.error().code == errc::not_found)
          return self->quit(); // unsubscribed
        if (!m.messages)
          return self->delayed_send(self, pause, push_again{});
        m.messages->empty() ? state.ask() : state.push(std::move(*m.messages));
      },
      [=](const push_answered& m) {
        self->state.conclude(m.receipt, m.tries, m.answer);
        if (--self->state.under_way == 0)
          self->state.ask();
      },
      [=](push_again) { self->state.ask(); },
  };
}

} // namespace framemill
