#include "storage/migrations.hpp"

#include <fmt/format.h>

namespace framemill {

namespace {

constexpr std::size_t moves_per_batch = 10'000;

/// Moves records below `prefix` to another family, under what follows the prefix.
result<void> move_records(state_store& store, family from, std::string_view prefix, family to) {
  for (bool more = true; more;) {
    write_batch batch;
    std::size_t moved = 0;
    FM_CHECK(store.scan(from, prefix, prefix_end(prefix),
                        [&](std::string_view key, std::string_view value) {
                          batch.put(to, std::string{key.substr(prefix.size())},
                                    std::string{value});
                          batch.erase(from, std::string{key});
                          return ++moved < moves_per_batch;
                        }));
    more = moved == moves_per_batch;
    if (moved > 0)
      FM_CHECK(store.commit_and_wait(std::move(batch)));
  }
  return {};
}

} // namespace

result<void> migrate(state_store& store, std::uint32_t from) {
  if (from < 2)
    FM_CHECK(move_records(store, family::messages, "state/", family::message_states));
  write_batch done;
  done.put(family::meta, std::string{schema_key}, std::to_string(schema_version));
  return store.commit_and_wait(std::move(done));
}

} // namespace framemill
