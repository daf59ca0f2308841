#pragma once

#include "core/notify.hpp"
#include "core/service.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What a CREW, with its NOTIFIERs, and the coordinator say to each other, on whichever
// node it is: payloads of `host_service`, `service_word` and `service_answer`
// (cluster/protocol.hpp). Kind numbers are append-only. Times are told as durations:
// the two clocks need not agree.

namespace framemill {

/// Into how many shares the sinks are divided, each a service. For ever: a sink must
/// not be in two.
inline constexpr std::uint64_t notifier_shares = 8;
/// Who tells that sink: its share is the FNV-1a of its name.
[[nodiscard]] inline service_id notifier_of(std::string_view sink) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : sink)
    hash = (hash ^ c) * 0x100000001b3;
  return {notifier_kind, std::to_string(hash % notifier_shares + 1)};
}

inline constexpr std::size_t pending_page_max = 256; ///< deliveries in a `notify_page`
/// Of a delivery that travels; a longer one would keep beats waiting behind it.
inline constexpr std::size_t told_body_bytes_max = 4u << 20;

/// How to tell; payload of `host_service`.
struct notify_order {
  microseconds retry_window{};
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("RetryWindow", s.retry_window);
  }
  bool operator==(const notify_order&) const = default;
};

// ---- CREW and NOTIFIER → coordinator -------------------------------------------------

/// Which sinks of the share have something new? Answered when one has, or when `life`
/// is another than the coordinator's. One at a time.
struct notify_wait {
  static constexpr std::uint64_t kind = 1;
  std::uint64_t life = 0; ///< of the news heard last
  std::uint64_t seen = 0; ///< their number
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Life", s.life);
    v("Seen", s.seen);
  }
  bool operator==(const notify_wait&) const = default;
};

/// What is pending for the sink behind `after`?
struct notify_pending {
  static constexpr std::uint64_t kind = 2;
  std::string sink;
  event_id after;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink);
    v("After", s.after);
  }
  bool operator==(const notify_pending&) const = default;
};

/// May it be tried now, and what is it? Asked before each try.
struct notify_fetch {
  static constexpr std::uint64_t kind = 3;
  std::string sink;
  event_id event;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink);
    v("Event", s.event);
  }
  bool operator==(const notify_fetch&) const = default;
};

/// What became of a try. Told until it is in the books, which take it once.
struct notify_outcome {
  static constexpr std::uint64_t kind = 4;
  std::string sink;
  event_id event;
  timestamp since;         ///< of the delivery as it was fetched, and
  std::uint32_t tried = 0; ///< how often it had failed: name the try
  delivery_end what = delivery_end::again;
  microseconds wait{}; ///< of `again`: until the next try
  std::string why;     ///< "" when delivered
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink);
    v("Event", s.event);
    v("Since", s.since);
    v("Tried", s.tried);
    v("What", s.what);
    v("Wait", s.wait);
    v("Why", s.why);
  }
  bool operator==(const notify_outcome&) const = default;
};
using notify_word = std::variant<notify_wait, notify_pending, notify_fetch, notify_outcome>;

// ---- coordinator → CREW and NOTIFIER -------------------------------------------------

/// Answer to `notify_wait`. One that is lost is given again: the next one waits
/// behind what was seen.
struct notify_news {
  static constexpr std::uint64_t kind = 1;
  struct item {
    std::string sink;
    bool anew = false; ///< also before what was read of it
    template <class Self, class V>
    static void fields(Self& s, V& v) {
      v("Sink", s.sink);
      v("Anew", s.anew);
    }
    bool operator==(const item&) const = default;
  };
  std::uint64_t life = 0;
  std::uint64_t number = 0;
  std::vector<item> sinks;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Life", s.life);
    v("Number", s.number);
    v("Sinks", s.sinks);
  }
  bool operator==(const notify_news&) const = default;
};

/// Answer to `notify_pending`: in order, at most `pending_page_max`.
struct notify_page {
  static constexpr std::uint64_t kind = 2;
  struct item {
    event_id event;
    run_id run;
    std::string lane;
    microseconds age{};  ///< since its tries are counted
    microseconds wait{}; ///< until its next try
    std::uint32_t attempts = 0;
    template <class Self, class V>
    static void fields(Self& s, V& v) {
      v("Event", s.event);
      v("Run", s.run);
      v("Lane", s.lane);
      v("Age", s.age);
      v("Wait", s.wait);
      v("Attempts", s.attempts);
    }
    bool operator==(const item&) const = default;
  };
  std::vector<item> pending;
  bool is_last = true;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Pending", s.pending);
    v("IsLast", s.is_last);
  }
  bool operator==(const notify_page&) const = default;
};

/// Answer to `notify_fetch`: nothing when it is not pending any more; with the live
/// keys, whose secrets sign it.
struct notify_delivery {
  static constexpr std::uint64_t kind = 3;
  std::optional<delivery_record> delivery;
  std::vector<signing_key_record> keys;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Delivery", s.delivery);
    v("Keys", s.keys);
  }
  bool operator==(const notify_delivery&) const = default;
};

/// Answer to `notify_outcome`. Not booked: the books know another state of the
/// delivery, all is to be read again.
struct notify_booked {
  static constexpr std::uint64_t kind = 4;
  bool is_booked = true;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("IsBooked", s.is_booked);
  }
  bool operator==(const notify_booked&) const = default;
};
using notify_answer = std::variant<notify_news, notify_page, notify_delivery, notify_booked>;

} // namespace framemill
