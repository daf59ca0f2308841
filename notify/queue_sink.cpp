#include "notify/queue_sink.hpp"

#include <map>
#include <mutex>

namespace framemill {

namespace {

outgoing_message message_of(notification n, queue_model model) {
  outgoing_message m;
  m.attributes["EventId"] = {"Number", std::to_string(n.event.value)};
  m.attributes["RunId"] = {"Number", std::to_string(n.run.value)};
  m.attributes["EventType"] = {"String", n.event_type};
  if (model == queue_model::topic)
    m.tags.push_back(std::move(n.event_type));
  m.body = std::move(n.body);
  return m;
}

delivery_answer answer_of(const result<void>& r) {
  using enum delivery_answer::verdict;
  if (r)
    return {delivered, {}, {}};
  const auto code = r.error().code;
  const bool is_hopeless =
      code == errc::too_large || code == errc::malformed || code == errc::invalid_argument;
  return {is_hopeless ? parked : again, r.error().message, {}};
}

/// Who waits for an answer. Outlives the sink while the driver still answers.
class outstanding {
public:
  std::uint64_t add(sink::done_fn done) {
    std::lock_guard lock{mutex_};
    waiting_.emplace(++last_, std::move(done));
    return last_;
  }
  void answer(std::uint64_t number, delivery_answer a) {
    std::unique_lock lock{mutex_};
    auto found = waiting_.extract(number);
    lock.unlock();
    if (!found.empty())
      found.mapped()(std::move(a));
  }
  void give_up() {
    std::unique_lock lock{mutex_};
    auto all = std::exchange(waiting_, {});
    lock.unlock();
    for (auto& [number, done] : all)
      done({delivery_answer::verdict::again, "the sender stops", {}});
  }

private:
  std::mutex mutex_;
  std::map<std::uint64_t, sink::done_fn> waiting_;
  std::uint64_t last_ = 0;
};

class queue_sink final : public sink {
public:
  queue_sink(queue_driver& driver, queue_model model) : driver_(driver), model_(model) {}
  ~queue_sink() override { outstanding_->give_up(); }

  void deliver(notification n, done_fn done) override {
    auto sent = [waiting = outstanding_, number = outstanding_->add(std::move(done))](
                    const result<void>& r) { waiting->answer(number, answer_of(r)); };
    const bool is_topic = model_ == queue_model::topic;
    auto name = is_topic ? n.config.topic_name : n.config.queue_name;
    auto m = message_of(std::move(n), model_);
    if (is_topic)
      driver_.publish(std::move(name), std::move(m), std::move(sent));
    else
      driver_.send(std::move(name), std::move(m), std::move(sent));
  }

private:
  queue_driver& driver_;
  queue_model model_;
  std::shared_ptr<outstanding> outstanding_ = std::make_shared<outstanding>();
};

} // namespace

std::unique_ptr<sink> make_queue_sink(queue_driver& driver, queue_model model) {
  return std::make_unique<queue_sink>(driver, model);
}

} // namespace framemill
