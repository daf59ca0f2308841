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

/// Of a call for one message that failed.
template <class T>
const std::string& reason_of(const result<queue_service::each<T>>& r) {
  return r ? r->at(0).error().message : r.error().message;
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
    to->deliver(push_of(subscription, m), [me, id = m.message.id, sent = m.message.sent,
                                           receipt = m.receipt,
                                           tries = m.receives](delivery_answer a) {
      caf::anon_send(me, push_answered{id, sent, receipt, tries, std::move(a)});
    });
}

/// Delivered: gone. Else later, for whatever reason, as CMQ has it: the other side
/// may be mended within the day.
void subscription_pusher_state::conclude(const push_answered& m) {
  const auto complain = [who = queue](const auto& r) { // it is received again then
    if (!r || !r->at(0))
      spdlog::warn("SUBSCRIPTION PUSHER: {}: {}", who, reason_of(r));
  };
  self->send(broker, push_tried{subscription.queue, m.answer});
  if (m.answer.what == delivery_answer::verdict::delivered)
    return queues->erase(queue, {m.receipt}, complain);
  if (is_last_push(subscription.retry, m.tries, time->now() - m.sent))
    return give_up(m);
  auto delay = push_delay_seconds(subscription.retry, m.tries, chance());
  if (m.answer.not_before)
    delay = std::clamp<std::int64_t>(
        std::chrono::ceil<std::chrono::seconds>(*m.answer.not_before).count(), delay, 3600);
  queues->hide(queue, {{m.receipt, delay}}, complain);
}

/// The queue knows now, and not when we began, where its dead letters go.
void subscription_pusher_state::give_up(const push_answered& m) {
  queues->give_up(
      queue, {m.receipt},
      [who = queue, id = m.message, tries = m.tries,
       why = m.answer.why](const result<queue_service::each<std::string>>& r) {
        if (!r || !r->at(0)) // it is received again
          return spdlog::warn("SUBSCRIPTION PUSHER: {}: message {} is not given up: {}", who,
                              id.value, reason_of(r));
        const auto& to = *r->at(0);
        spdlog::warn("SUBSCRIPTION PUSHER: {}: message {} is given up after {} tries and {}: {}",
                     who, id.value, tries, to.empty() ? "dropped" : "goes to queue " + to, why);
      });
}

caf::behavior subscription_pusher(caf::stateful_actor<subscription_pusher_state>* self,
                                  std::shared_ptr<queue_service> queues, caf::actor broker,
                                  const clock* time, sink* to,
                                  subscription_record subscription) {
  tolerate_strangers(self, "SUBSCRIPTION PUSHER");
  auto& s = self->state;
  s.self = self;
  s.queues = std::move(queues);
  s.broker = std::move(broker);
  s.time = time;
  s.to = to;
  s.queue = subscription.topic + "/" + subscription.name;
  s.subscription = std::move(subscription);
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
        self->state.conclude(m);
        if (--self->state.under_way == 0)
          self->state.ask();
      },
      [=](push_again) { self->state.ask(); },
  };
}

} // namespace framemill
