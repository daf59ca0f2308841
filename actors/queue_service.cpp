#include "actors/queue_broker.hpp"

#include <caf/all.hpp>

namespace framemill {

namespace {

failure not_now(const error& e) {
  return fail(errc::unavailable, "the queues are being read back, try again: {}", e.message);
}

/// The queue service over the actor: each call is a function on its state, and is
/// called once.
class broker_queue_service final : public queue_service {
public:
  explicit broker_queue_service(caf::actor broker) : broker_(std::move(broker)) {}

  void create_queue(std::string name, queue_settings s, reply<void> done) override {
    change(std::move(done),
           [=](queue_broker_state& b) { return b.core.create(b.now(), name, s); });
  }
  void reset_queue(std::string name, queue_settings s, reply<void> done) override {
    change(std::move(done),
           [=](queue_broker_state& b) { return b.core.reset(b.now(), name, s); });
  }
  void remove_queue(std::string name, reply<void> done) override {
    change(std::move(done),
           [=](queue_broker_state& b) { return b.core.remove(b.now(), name); });
  }
  void purge_queue(std::string name, reply<void> done) override {
    change(std::move(done), [=](queue_broker_state& b) { return b.core.purge(b.now(), name); });
  }
  void queue(std::string name, reply<queue_view> done) override {
    ask(std::move(done), [=](queue_broker_state& b) { return b.core.view(name); });
  }
  void queues(std::string prefix, reply<std::vector<queue_view>> done) override {
    ask(std::move(done), [=](queue_broker_state& b) {
      return result<std::vector<queue_view>>{b.core.views(prefix)};
    });
  }

  void send(std::string queue, std::vector<outgoing_message> messages, std::string sender,
            reply<each<message_id>> done) override {
    change_each(std::move(done), [queue = std::move(queue), messages = std::move(messages),
                                  sender = std::move(sender)](queue_broker_state& b) mutable {
      return b.core.send(b.now(), queue, std::move(messages), sender);
    });
  }
  void receive(std::string queue, receive_request r,
               reply<std::vector<received_message>> done) override {
    call([queue = std::move(queue), r, done = std::move(done)](queue_broker_state& b) {
      b.refused ? done(not_now(*b.refused)) : b.receive(queue, r, done);
    });
  }
  void erase(std::string queue, std::vector<std::string> receipts,
             reply<each<void>> done) override {
    change_each(std::move(done),
                [=](queue_broker_state& b) { return b.core.erase(b.now(), queue, receipts); });
  }
  void hide(std::string queue, std::vector<hide_request> orders,
            reply<each<void>> done) override {
    change_each(std::move(done), [=](queue_broker_state& b) {
      std::vector<queue_machine::hide_order> all;
      for (const auto& o : orders)
        all.push_back({o.receipt, o.seconds});
      return b.core.hide(b.now(), queue, all);
    });
  }

  void give_up(std::string queue, std::vector<std::string> receipts,
               reply<each<std::string>> done) override {
    change_each(std::move(done),
                [=](queue_broker_state& b) { return b.core.give_up(b.now(), queue, receipts); });
  }

  void create_topic(std::string name, reply<void> done) override {
    change(std::move(done),
           [=](queue_broker_state& b) { return b.core.create_topic(b.now(), name); });
  }
  void remove_topic(std::string name, reply<void> done) override {
    change(std::move(done), [=](queue_broker_state& b) { return b.core.remove_topic(name); });
  }
  void topics(reply<std::vector<topic_view>> done) override {
    ask(std::move(done),
        [](queue_broker_state& b) { return result<std::vector<topic_view>>{b.topics()}; });
  }
  void topic(std::string name, reply<topic_view> done) override {
    ask(std::move(done), [=](queue_broker_state& b) { return b.topic(name); });
  }
  void subscribe(subscription_record s, std::string dead_letter_queue,
                 reply<void> done) override {
    change(std::move(done), [=](queue_broker_state& b) -> result<queue_machine::step> {
      if (b.services->notices.find(sink_kind::http) == nullptr
          && s.endpoint.starts_with("http"))
        return fail_field(errc::unsupported, "Endpoint", "this node does not post to URLs");
      return b.core.subscribe(b.now(), s, dead_letter_queue);
    });
  }
  void unsubscribe(std::string topic, std::string name, reply<void> done) override {
    change(std::move(done),
           [=](queue_broker_state& b) { return b.core.unsubscribe(topic, name); });
  }
  void publish(std::string topic, outgoing_message m, std::string sender,
               reply<std::vector<message_id>> done) override {
    auto ids = [done = std::move(done)](result<each<message_id>> r) {
      if (!r)
        return done(failure{r.error()});
      std::vector<message_id> all;
      for (const auto& id : *r)
        all.push_back(*id); // all or none
      done(std::move(all));
    };
    change_each<message_id>(std::move(ids), [=](queue_broker_state& b) {
      return b.core.publish(b.now(), topic, m, sender);
    });
  }

private:
  void call(queue_call what) {
    if (calls_->put(std::move(what)))
      caf::anon_send(broker_, queue_calls{calls_});
  }

  template <class T, class Question>
  void ask(reply<T> done, Question question) {
    call([done = std::move(done), question = std::move(question)](queue_broker_state& b) {
      b.refused ? done(not_now(*b.refused)) : done(question(b));
    });
  }

  template <class Decision>
  void change(reply<void> done, Decision decide) {
    call([done = std::move(done), decide = std::move(decide)](queue_broker_state& b) mutable {
      if (b.refused)
        return done(not_now(*b.refused));
      auto made = decide(b);
      if (!made)
        return done(failure{made.error()});
      b.apply(std::move(*made), std::move(done));
    });
  }

  /// As above, with an answer for each of what was asked.
  template <class T, class Decision>
  void change_each(reply<each<T>> done, Decision decide) {
    call([done = std::move(done), decide = std::move(decide)](queue_broker_state& b) mutable {
      if (b.refused)
        return done(not_now(*b.refused));
      auto made = decide(b);
      if (!made)
        return done(failure{made.error()});
      b.apply(std::move(made->made),
              [done = std::move(done), each = std::move(made->each)](const result<void>& r) mutable {
                r ? done(std::move(each)) : done(failure{r.error()});
              });
    });
  }

  caf::actor broker_;
  std::shared_ptr<mailbag<queue_call>> calls_ = std::make_shared<mailbag<queue_call>>();
};

/// One message at a time, sent by nobody in particular.
class embedded_queue final : public queue_driver {
public:
  explicit embedded_queue(queue_service& queues) : queues_(queues) {}

  void send(std::string queue, outgoing_message m, done_fn done) override {
    queues_.send(std::move(queue), {std::move(m)}, "",
                 [done = std::move(done)](const result<queue_service::each<message_id>>& r) {
                   if (!r)
                     return done(failure{r.error()});
                   r->at(0) ? done({}) : done(failure{r->at(0).error()});
                 });
  }
  void publish(std::string topic, outgoing_message m, done_fn done) override {
    queues_.publish(std::move(topic), std::move(m), "",
                    [done = std::move(done)](const result<std::vector<message_id>>& r) {
                      r ? done({}) : done(failure{r.error()});
                    });
  }

private:
  queue_service& queues_;
};

} // namespace

std::unique_ptr<queue_service> make_queue_service(caf::actor broker) {
  return std::make_unique<broker_queue_service>(std::move(broker));
}

std::unique_ptr<queue_driver> make_embedded_queue(queue_service& queues) {
  return std::make_unique<embedded_queue>(queues);
}

} // namespace framemill
