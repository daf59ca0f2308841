#include "actors/delivery_desk.hpp"

#include "actors/fail_points.hpp"
#include "notify/settlement.hpp"
#include "storage/records.hpp"

namespace framemill {

namespace {

class store_desk final : public delivery_desk {
public:
  store_desk(node_services& services, std::string sink)
      : services_(services), sink_(std::move(sink)) {}

  void read(event_id after, reply<pending_page> done) override {
    done(read_pending(*services_.store, sink_, after));
  }
  void fetch(event_id event, reply<std::optional<delivery_record>> done) override {
    done(find_pending(*services_.store, sink_, event));
  }
  [[nodiscard]] std::optional<microseconds> leave() const override { return std::nullopt; }
  void settle(const delivery_record& tried, const delivery_outcome& outcome,
              reply<bool> done) override {
    book_outcome(services_, tried, outcome, [done = std::move(done)](const result<void>& r) {
      done(r ? result<bool>{true} : result<bool>{failure{r.error()}});
    });
  }

private:
  node_services& services_;
  const std::string sink_;
};

class asked_desk final : public delivery_desk {
public:
  asked_desk(node_services& services, service_line line, std::string sink)
      : services_(services), line_(std::move(line)), sink_(std::move(sink)) {}

  void read(event_id after, reply<pending_page> done) override {
    ask<notify_page>(notify_pending{sink_, after},
                     [this_clock = &services_.clock,
                      done = std::move(done)](const result<notify_page>& page) {
                       done(page ? result<pending_page>{as_read(*page, this_clock->now())}
                                 : result<pending_page>{failure{page.error()}});
                     });
  }
  void fetch(event_id event, reply<std::optional<delivery_record>> done) override {
    using answer = result<std::optional<delivery_record>>;
    ask<notify_delivery>(
        notify_fetch{sink_, event},
        [&services = services_, done = std::move(done)](result<notify_delivery> fetched) {
          if (!fetched)
            return done(failure{fetched.error()});
          if (!services.store && fetched->delivery) // else they are its own
            services.notices.keys.set(std::move(fetched->keys));
          done(answer{std::move(fetched->delivery)});
        });
  }
  /// A node that was frozen meanwhile may have been replaced: less than the silence
  /// after which a node counts as gone.
  [[nodiscard]] std::optional<microseconds> leave() const override {
    return microseconds{std::chrono::seconds{2}};
  }
  void settle(const delivery_record& tried, const delivery_outcome& outcome,
              reply<bool> done) override {
    notify_outcome word{sink_, tried.event, tried.since, tried.attempts, outcome.what};
    if (outcome.what == delivery_end::again)
      word.wait = outcome.next_try - services_.clock.now();
    word.why = outcome.why;
    ask<notify_booked>(word, [done = std::move(done)](const result<notify_booked>& booked) {
      done(booked ? result<bool>{booked->is_booked} : result<bool>{failure{booked.error()}});
    });
  }

private:
  template <class Wanted>
  void ask(const notify_word& word, std::function<void(result<Wanted>)> answered) const {
    line_.say(encode(word), "",
              [answered = std::move(answered)](const result<std::string>& payload) {
                answered(answer_as<Wanted, notify_answer>(payload));
              });
  }

  /// By the clock of this machine.
  static pending_page as_read(const notify_page& page, timestamp now) {
    pending_page out;
    out.is_last = page.is_last;
    for (const auto& d : page.pending)
      out.deliveries.push_back(
          {d.event, d.run, d.lane, now + -d.age, now + d.wait, d.attempts});
    return out;
  }

  node_services& services_;
  const service_line line_;
  const std::string sink_;
};

} // namespace

std::unique_ptr<delivery_desk> make_store_desk(node_services& services, std::string sink) {
  return std::make_unique<store_desk>(services, std::move(sink));
}

std::unique_ptr<delivery_desk> make_asked_desk(node_services& services, service_line line,
                                               std::string sink) {
  return std::make_unique<asked_desk>(services, std::move(line), std::move(sink));
}

result<pending_page> read_pending(const state_store& store, const std::string& sink,
                                  event_id after) {
  pending_page out;
  const auto from = keys::delivery(delivery_state::pending, sink, event_id{after.value + 1});
  const auto end = prefix_end(keys::prefix(delivery_state::pending, sink));
  FM_CHECK(scan_records<delivery_line>(
      store, family::deliveries, from, end, [&](const delivery_line& d) {
        out.deliveries.push_back(
            {d.event, d.run, lane_of(d.config), d.since, d.next_try, d.attempts});
        return out.deliveries.size() < pending_page_max;
      }));
  out.is_last = out.deliveries.size() < pending_page_max;
  return out;
}

result<std::optional<delivery_record>> find_pending(const state_store& store,
                                                    const std::string& sink, event_id event) {
  return find_record<delivery_record>(store, family::deliveries,
                                      keys::delivery(delivery_state::pending, sink, event));
}

void book_outcome(node_services& services, delivery_record tried, delivery_outcome outcome,
                  std::function<void(result<void>)> done) {
  const auto now = services.clock.now();
  auto record = settle(tried, outcome, now);
  services.journal->commit(std::move(record),
                           [&services, sink = tried.sink, happened = tried.happened,
                            outcome = std::move(outcome), now,
                            done = std::move(done)](const result<void>& written) {
                             if (written)
                               services.notices.board.tried(sink, outcome, now, happened);
                             done(written);
                           });
}

void pass_outcome(delivery_end what) {
  switch (what) {
    case delivery_end::delivered: return fail_point("delivery.delivered.written");
    case delivery_end::again: return fail_point("delivery.retry.written");
    case delivery_end::dead: return fail_point("delivery.dead.written");
  }
}

} // namespace framemill
