#include "storage/timeline.hpp"

#include "storage/records.hpp"

#include <algorithm>

namespace framemill {

namespace {

constexpr std::string_view timeline_key = "timeline";
constexpr std::string_view counter_prefix = "counter/";
constexpr std::string_view event_counter = "counter/last_event"; ///< as of the last restore
constexpr std::uint64_t numbers_passed_over = 1'000'000;

std::uint64_t number_in(std::string_view hex) {
  return std::stoull(std::string{hex}, nullptr, 16);
}

} // namespace

result<std::string> timeline_of(const state_store& store) {
  FM_TRY(auto id, store.find(family::meta, timeline_key));
  return id.value_or("");
}

result<std::uint64_t> last_event_number(const state_store& store) {
  std::uint64_t last = 0;
  FM_CHECK(store.scan_back(family::events, "", "", [&](std::string_view key, std::string_view) {
    last = number_in(key);
    return false;
  }));
  FM_TRY(auto restored, store.find(family::meta, event_counter));
  return restored ? std::max(last, number_in(*restored)) : last;
}

result<void> begin_timeline(state_store& store, std::string id) {
  write_batch batch;
  FM_CHECK(store.scan(family::meta, counter_prefix, prefix_end(counter_prefix),
                      [&](std::string_view key, std::string_view value) {
                        batch.put(family::meta, std::string{key},
                                  keys::number(number_in(value) + numbers_passed_over));
                        return true;
                      }));
  FM_TRY(auto last, last_event_number(store));
  batch.put(family::meta, std::string{event_counter}, keys::number(last + numbers_passed_over));
  batch.put(family::meta, std::string{timeline_key}, std::move(id));
  return store.commit_and_wait(std::move(batch));
}

} // namespace framemill
