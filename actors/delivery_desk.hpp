#pragma once

#include "actors/service_line.hpp"
#include "actors/services.hpp"
#include "cluster/notify_words.hpp"
#include "notify/delivery.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// The part of a delivery_record that is read of all that are pending: the body
/// is read when it is sent.
struct delivery_line {
  std::string sink;
  event_id event;
  run_id run;
  notify_config config;
  timestamp happened, since, next_try;
  std::uint32_t attempts = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink);
    v("Event", s.event);
    v("Run", s.run);
    v("TaskNotifyConfig", s.config);
    v("Happened", s.happened);
    v("Since", s.since);
    v("NextTry", s.next_try);
    v("Attempts", s.attempts);
  }
};

/// Deliveries of a sink, in order.
struct pending_page {
  std::vector<delivery_brief> deliveries;
  bool is_last = true; ///< there are no more behind it
};

/// What a NOTIFIER needs of the coordinator, wherever it is: what is pending for its
/// sink, and the books for what became of it. Used by that alone. What it is given to
/// call back is called once, on any thread, perhaps before the call returns;
/// errc::cancelled: whoever asks is not the one that tells this sink any more.
class delivery_desk {
public:
  template <class T>
  using reply = std::function<void(result<T>)>;

  virtual ~delivery_desk() = default;
  /// Those behind `after`, at most pending_page_max.
  virtual void read(event_id after, reply<pending_page> done) = 0;
  /// Before each try: a whole one; nothing when it is not pending any more.
  virtual void fetch(event_id event, reply<std::optional<delivery_record>> done) = 0;
  /// So long may be tried what was fetched; then it is fetched again, for somebody else
  /// may tell this sink by then. Nothing: nobody else will.
  [[nodiscard]] virtual std::optional<microseconds> leave() const = 0;
  /// Books what became of a try of what was fetched. False: the books know another
  /// state of it, and all is to be read again.
  virtual void settle(const delivery_record& tried, const delivery_outcome& outcome,
                      reply<bool> done) = 0;
};

/// On the coordinator's machine: its store and its journal, without a detour.
[[nodiscard]] std::unique_ptr<delivery_desk> make_store_desk(node_services& services,
                                                             std::string sink);
/// Anywhere: asks over the line of the CREW, and keeps the signing keys that come with
/// what it fetches.
[[nodiscard]] std::unique_ptr<delivery_desk>
make_asked_desk(node_services& services, service_line line, std::string sink);

// The same from the books, for both sides of that line.
[[nodiscard]] result<pending_page> read_pending(const state_store& store,
                                                const std::string& sink, event_id after);
[[nodiscard]] result<std::optional<delivery_record>>
find_pending(const state_store& store, const std::string& sink, event_id event);
/// Writes it, and how the sink fares by it.
void book_outcome(node_services& services, delivery_record tried, delivery_outcome outcome,
                  std::function<void(result<void>)> done);
/// The fail point of such an outcome in the books.
void pass_outcome(delivery_end what);

} // namespace framemill
