#include "storage/migrations.hpp"

#include <fmt/format.h>

namespace framemill {

namespace {

constexpr std::size_t operations_per_batch = 20'000; ///< two for each record

/// Moves records below `prefix` to another family, under what follows the prefix.
result<void> move_records(state_store& store, family from, std::string_view prefix, family to) {
  std::string next{prefix}; // beyond what was moved: the scan need not pass it again
  for (;;) {
    write_batch batch;
    FM_CHECK(store.scan(from, next, prefix_end(prefix),
                        [&](std::string_view key, std::string_view value) {
                          batch.put(to, std::string{key.substr(prefix.size())},
                                    std::string{value});
                          batch.erase(from, std::string{key});
                          next = key;
                          return batch.operations().size() < operations_per_batch;
                        }));
    if (batch.empty())
      return {};
    FM_CHECK(store.commit_and_wait(std::move(batch)));
  }
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
