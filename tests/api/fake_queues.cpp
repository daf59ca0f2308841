#include "tests/api/fake_queues.hpp"

namespace framemill::test {

result<void> fake_queues::take(result<queue_machine::step> made) {
  FM_CHECK(made);
  for (auto& m : made->record.messages)
    bodies_[m.id] = std::move(m);
  for (auto& w : made->served) {
    auto done = waiters_.extract(w.waiter).mapped();
    if (!w.messages) {
      done(failure{w.messages.error()});
      continue;
    }
    std::vector<received_message> out;
    for (const auto& s : *w.messages)
      out.push_back({bodies_.at(s.id), receipt_of(s), s.receives, s.first_received,
                     machine_.name_of(s.source)});
    done(std::move(out));
  }
  for (auto id : made->record.erased_messages)
    bodies_.erase(id);
  return {};
}

template <class T>
result<queue_service::each<T>> fake_queues::take_each(result<queue_machine::answers<T>> made) {
  FM_CHECK(made);
  FM_CHECK(take(std::move(made->made)));
  return std::move(made->each);
}

void fake_queues::tick() {
  std::lock_guard lock{mutex_};
  (void)take(machine_.tick(time_.now()));
}

void fake_queues::create_queue(std::string name, queue_settings s, reply<void> done) {
  std::lock_guard lock{mutex_};
  done(take(machine_.create(time_.now(), name, std::move(s))));
}
void fake_queues::reset_queue(std::string name, queue_settings s, reply<void> done) {
  std::lock_guard lock{mutex_};
  done(take(machine_.reset(time_.now(), name, std::move(s))));
}
void fake_queues::remove_queue(std::string name, reply<void> done) {
  std::lock_guard lock{mutex_};
  done(take(machine_.remove(time_.now(), name)));
}
void fake_queues::purge_queue(std::string name, reply<void> done) {
  std::lock_guard lock{mutex_};
  done(take(machine_.purge(time_.now(), name)));
}
void fake_queues::queue(std::string name, reply<queue_view> done) {
  std::lock_guard lock{mutex_};
  done(machine_.view(name));
}
void fake_queues::queues(std::string prefix, reply<std::vector<queue_view>> done) {
  std::lock_guard lock{mutex_};
  done(machine_.views(prefix));
}
void fake_queues::send(std::string queue, std::vector<outgoing_message> messages,
                       std::string sender, reply<each<message_id>> done) {
  std::lock_guard lock{mutex_};
  done(take_each(machine_.send(time_.now(), queue, std::move(messages), sender)));
}
void fake_queues::receive(std::string queue, receive_request r,
                          reply<std::vector<received_message>> done) {
  std::lock_guard lock{mutex_};
  const auto id = ++last_waiter_;
  waiters_[id] = done;
  auto taken = take(machine_.receive(time_.now(), queue,
                                     {id, r.count_max, r.visibility_seconds, r.wait_seconds}));
  if (!taken && waiters_.erase(id) == 1)
    done(failure{taken.error()});
}
void fake_queues::erase(std::string queue, std::vector<std::string> receipts,
                        reply<each<void>> done) {
  std::lock_guard lock{mutex_};
  done(take_each(machine_.erase(time_.now(), queue, receipts)));
}
void fake_queues::hide(std::string queue, std::vector<hide_request> orders,
                       reply<each<void>> done) {
  std::lock_guard lock{mutex_};
  std::vector<queue_machine::hide_order> all;
  for (const auto& o : orders)
    all.push_back({o.receipt, o.seconds});
  done(take_each(machine_.hide(time_.now(), queue, all)));
}
void fake_queues::give_up(std::string queue, std::vector<std::string> receipts,
                          reply<each<std::string>> done) {
  std::lock_guard lock{mutex_};
  done(take_each(machine_.give_up(time_.now(), queue, receipts)));
}
void fake_queues::create_topic(std::string name, reply<void> done) {
  std::lock_guard lock{mutex_};
  done(take(machine_.create_topic(time_.now(), name)));
}
void fake_queues::remove_topic(std::string name, reply<void> done) {
  std::lock_guard lock{mutex_};
  done(take(machine_.remove_topic(name)));
}
void fake_queues::topics(reply<std::vector<topic_view>> done) {
  std::lock_guard lock{mutex_};
  done(machine_.topics());
}
void fake_queues::topic(std::string name, reply<topic_view> done) {
  std::lock_guard lock{mutex_};
  done(machine_.topic(name));
}
void fake_queues::subscribe(subscription_record s, std::string dead_letter_queue,
                            reply<void> done) {
  std::lock_guard lock{mutex_};
  done(take(machine_.subscribe(time_.now(), std::move(s), dead_letter_queue)));
}
void fake_queues::unsubscribe(std::string topic, std::string name, reply<void> done) {
  std::lock_guard lock{mutex_};
  done(take(machine_.unsubscribe(topic, name)));
}
void fake_queues::publish(std::string topic, outgoing_message m, std::string sender,
                          reply<std::vector<message_id>> done) {
  std::lock_guard lock{mutex_};
  auto each = take_each(machine_.publish(time_.now(), topic, m, sender));
  if (!each)
    return done(failure{each.error()});
  std::vector<message_id> ids;
  for (const auto& id : *each)
    ids.push_back(*id);
  done(std::move(ids));
}

} // namespace framemill::test
