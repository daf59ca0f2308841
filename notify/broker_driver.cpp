#include "notify/broker_driver.hpp"

#include <fmt/ranges.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

namespace framemill {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr auto idle_wait = 1000ms; ///< at most, so that heartbeats are sent
constexpr auto full_wait = 20ms;   ///< while the broker does not read

failure not_for_brokers(std::string field, std::string_view why) {
  return fail_field(errc::malformed, field, "{}: {}", field, why);
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool is_word_of_subject(std::string_view tag) {
  return !tag.empty() && !has_control(tag) && tag.find_first_of(" .*>#") == tag.npos;
}

/// A message from `send` until it is answered.
struct pending_message {
  broker_message message;
  queue_driver::done_fn done;
  steady::time_point deadline;
  bool is_written = false; ///< on this connection
  bool was_missed = false; ///< its queue was not there, and was made
};

class broker_driver final : public queue_driver {
public:
  broker_driver(connect_fn connect, broker_options options)
      : connect_(std::move(connect)), options_(std::move(options)),
        back_off_(options_.reconnect_min), thread_([this] { run(); }) {}

  ~broker_driver() override {
    {
      std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    wake_.give();
    thread_.join();
  }

  void send(std::string queue, outgoing_message m, done_fn done) override {
    accept(queue_model::queue, std::move(queue), std::move(m), std::move(done));
  }
  void publish(std::string topic, outgoing_message m, done_fn done) override {
    accept(queue_model::topic, std::move(topic), std::move(m), std::move(done));
  }

private:
  void accept(queue_model model, std::string name, outgoing_message m, done_fn done) {
    auto message = broker_message_of(model, std::move(name), std::move(m), options_.origin);
    if (!message)
      return done(failure{message.error()});
    {
      std::lock_guard lock{mutex_};
      if (!stopping_ && accepted_.size() + under_way_ < options_.waiting_max) {
        accepted_.push_back(
            {std::move(*message), std::move(done), steady::now() + options_.answer_limit});
        done = nullptr;
      }
    }
    if (done)
      return done(fail(errc::busy, "{}: {} messages wait already", shown(options_.address),
                       options_.waiting_max));
    wake_.give();
  }

  void run() {
    while (!stopping_) {
      take_accepted();
      connect_if_due();
      if (link_)
        write_waiting();
      else
        refuse_all(why_);
      expire();
      pause();
    }
    link_.reset();
    take_accepted();
    refuse_all("this node was stopping");
  }

  void take_accepted() {
    std::lock_guard lock{mutex_};
    for (auto& p : accepted_) {
      p.message.ticket = ++last_ticket_;
      waiting_.push_back(last_ticket_);
      pending_.emplace(last_ticket_, std::move(p));
    }
    accepted_.clear();
    under_way_ = pending_.size();
  }

  void connect_if_due() {
    if (link_ || steady::now() < next_connect_)
      return;
    auto link = connect_(wake_);
    if (link) {
      link_ = std::move(*link);
      has_answered_ = false;
      return;
    }
    why_ = fmt::format("{}: {}", shown(options_.address), link.error().message);
    wait_to_reconnect();
  }

  void wait_to_reconnect() {
    next_connect_ = steady::now() + back_off_;
    back_off_ = std::min(2 * back_off_, options_.reconnect_max);
  }

  /// What was written may be stored or not; what was not waits for the next one.
  void lose_link(const error& e) {
    why_ = fmt::format("{}: {}", shown(options_.address), e.message);
    link_.reset();
    next_connect_ = steady::now();
    if (!has_answered_)
      wait_to_reconnect();
    answer_all(why_ + "; not confirmed before", &pending_message::is_written);
    unanswered_ = 0;
  }

  void write_waiting() {
    while (link_ && !waiting_.empty() && unanswered_ < options_.unanswered_max
           && link_->is_ready()) {
      auto found = pending_.find(waiting_.front());
      waiting_.pop_front();
      if (found != pending_.end()) // else it was answered
        write(found->second);
    }
  }

  void write(pending_message& p) {
    p.is_written = true;
    ++unanswered_;
    if (auto written = link_->write(p.message, answer_); !written)
      lose_link(written.error());
  }

  void pause() {
    auto wait = idle_wait;
    if (link_ && !waiting_.empty() && unanswered_ < options_.unanswered_max)
      wait = full_wait;
    auto until = steady::now() + wait;
    if (!pending_.empty())
      until = std::min(until, pending_.begin()->second.deadline);
    if (!link_)
      until = std::min(until, next_connect_);
    wait = std::max(0ms, std::chrono::ceil<std::chrono::milliseconds>(until - steady::now()));
    if (!link_)
      return wake_.wait(wait);
    if (auto collected = link_->collect(wait, answer_); !collected)
      lose_link(collected.error());
  }

  void on_answer(std::uint64_t ticket, result<void> r) {
    has_answered_ = true;
    back_off_ = options_.reconnect_min;
    auto found = pending_.find(ticket);
    if (found == pending_.end())
      return; // too late: it was told so
    auto& p = found->second;
    --unanswered_;
    if (!r && r.error().code == errc::not_found && options_.create && !p.was_missed) {
      p.was_missed = true;
      p.is_written = false;
      if (r = link_->create(p.message); r)
        return waiting_.push_front(ticket);
    }
    finish(found, std::move(r));
  }

  using pending_map = std::map<std::uint64_t, pending_message>; ///< in the order of deadlines

  pending_map::iterator finish(pending_map::iterator which, result<void> r) {
    auto done = std::move(which->second.done);
    auto next = pending_.erase(which);
    done(std::move(r));
    return next;
  }

  template <class Which>
  void answer_all(const std::string& why, Which which) {
    for (auto i = pending_.begin(); i != pending_.end();)
      i = std::invoke(which, i->second) ? finish(i, fail(errc::unavailable, "{}", why))
                                        : std::next(i);
  }
  void refuse_all(const std::string& why) {
    answer_all(why, [](const auto&) { return true; });
    waiting_.clear();
  }

  void expire() {
    const auto now = steady::now();
    while (!pending_.empty() && pending_.begin()->second.deadline <= now) {
      auto first = pending_.begin();
      unanswered_ -= first->second.is_written;
      finish(first, fail(errc::timed_out, "{}: not confirmed within {} s",
                         shown(options_.address), options_.answer_limit.count() / 1000.0));
    }
  }

  const connect_fn connect_;
  const broker_options options_;
  const wake_signal wake_;
  std::mutex mutex_;
  std::deque<pending_message> accepted_; ///< not yet seen by the thread
  std::size_t under_way_ = 0;            ///< beside those
  std::atomic<bool> stopping_{false};

  // The thread's own.
  std::unique_ptr<broker_link> link_; ///< null: not connected
  std::string why_ = "not connected yet";
  std::chrono::milliseconds back_off_;
  steady::time_point next_connect_;
  bool has_answered_ = false; ///< this connection
  pending_map pending_;
  std::deque<std::uint64_t> waiting_; ///< to be written
  std::size_t unanswered_ = 0;        ///< written
  std::uint64_t last_ticket_ = 0;
  const broker_link::answer_fn answer_ = [this](std::uint64_t ticket, result<void> r) {
    on_answer(ticket, std::move(r));
  };
  std::thread thread_;
};

} // namespace

result<broker_message> broker_message_of(queue_model model, std::string name,
                                         outgoing_message m, std::string_view origin) {
  const bool is_topic = model == queue_model::topic;
  if (auto named = check_queue_name(name, is_topic ? "TopicName" : "QueueName"); !named)
    return not_for_brokers(named.error().field, named.error().message);
  if (m.delay_seconds.value_or(0) != 0)
    return not_for_brokers("DelaySeconds", "a broker does not delay messages");
  for (const auto& tag : m.tags)
    if (!is_word_of_subject(tag))
      return not_for_brokers("Tags", "a broker's filters need tags without dots, wildcards, "
                                     "spaces and control characters");
  for (const auto& [key, a] : m.attributes)
    if (has_control(key) || key.find_first_of(" :") != key.npos
        || (!a.type.starts_with("Binary") && has_control(a.value)))
      return not_for_brokers("Attributes", "one is not a line of text");
  broker_message out;
  out.model = model;
  out.name = std::move(name);
  if (is_topic)
    out.key = fmt::format("{}", fmt::join(m.tags, "."));
  if (auto event = m.attributes.find("EventId"); event != m.attributes.end())
    out.id = fmt::format("{}-{}", origin, event->second.value);
  out.body = std::move(m.body);
  out.attributes = std::move(m.attributes);
  return out;
}

wake_signal::wake_signal() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
wake_signal::~wake_signal() { ::close(descriptor_); }

void wake_signal::give() const {
  const std::uint64_t one = 1;
  (void)!::write(descriptor_, &one, sizeof one);
}

void wake_signal::take() const {
  std::uint64_t taken = 0;
  (void)!::read(descriptor_, &taken, sizeof taken);
}

void wake_signal::wait(std::chrono::milliseconds limit) const {
  pollfd waited{descriptor_, POLLIN, 0};
  ::poll(&waited, 1, static_cast<int>(limit.count()));
  take();
}

std::unique_ptr<queue_driver> make_broker_driver(connect_fn connect, broker_options options) {
  return std::make_unique<broker_driver>(std::move(connect), std::move(options));
}

} // namespace framemill
