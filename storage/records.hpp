#pragma once

#include "core/blame.hpp"
#include "core/codec.hpp"
#include "core/queue_message.hpp"
#include "core/notify.hpp"
#include "core/function.hpp"
#include "core/run.hpp"
#include "core/service.hpp"
#include "storage/state_store.hpp"

#include <utility>

// Keys and typed access: the one place that knows where a record lives
// (docs/storage-format.md). Numbers in keys are 16 lower hex digits, so that
// byte order is numeric order.

namespace framemill {

namespace keys {
[[nodiscard]] std::string number(std::uint64_t n);
[[nodiscard]] std::string of(workflow_id id);
[[nodiscard]] std::string of(run_id id);
[[nodiscard]] std::string of(event_id id);
[[nodiscard]] std::string of(shard_id id);                      ///< run/index
[[nodiscard]] std::string job(run_id run, std::uint32_t index); ///< run/index
[[nodiscard]] std::string prefix(run_id run);                   ///< of its jobs or shards
[[nodiscard]] std::string object(std::string_view bucket, std::string_view key);
[[nodiscard]] std::string of(template_family f, std::uint64_t definition);
[[nodiscard]] std::string join_token(std::string_view id);      ///< in `meta`
[[nodiscard]] std::string of(const input_blame& b);
[[nodiscard]] std::string of(const node_blame& b);
[[nodiscard]] std::string of(const service_id& id);             ///< in `meta`
[[nodiscard]] std::string queue(std::string_view name);
[[nodiscard]] std::string topic(std::string_view name);
[[nodiscard]] std::string subscription(std::string_view topic, std::string_view name);
[[nodiscard]] std::string message_body(message_id id);
[[nodiscard]] std::string of(message_id id);                    ///< of its state
inline constexpr std::string_view queue_prefix = "queue/", topic_prefix = "topic/",
                                  subscription_prefix = "subscription/";
[[nodiscard]] std::string signing_key(std::string_view id);     ///< in `meta`
[[nodiscard]] std::string prefix(delivery_state state);         ///< of its deliveries
[[nodiscard]] std::string prefix(delivery_state state, std::string_view sink);
[[nodiscard]] std::string delivery(delivery_state state, std::string_view sink, event_id event);
[[nodiscard]] std::string function(std::string_view name);
[[nodiscard]] std::string function_secrets(std::string_view name);
[[nodiscard]] std::string function_code(std::string_view sha256);
[[nodiscard]] std::string invocation(const invocation_record& r);
[[nodiscard]] std::string invocations(std::string_view function); ///< prefix of its calls
[[nodiscard]] std::string invocations(std::string_view function, timestamp since);
} // namespace keys

template <class T>
void put_record(write_batch& batch, family f, std::string key, const T& record) {
  batch.put(f, std::move(key), encode(record));
}

template <class T>
[[nodiscard]] result<std::optional<T>> find_record(const state_store& store, family f,
                                                   std::string_view key) {
  FM_TRY(auto bytes, store.find(f, key));
  if (!bytes)
    return std::optional<T>{};
  FM_TRY(auto record, decode<T>(*bytes));
  return std::optional<T>{std::move(record)};
}

/// Visits decoded records; a record that does not decode fails the scan with
/// errc::corrupt, naming its key.
template <class T, class F>
[[nodiscard]] result<void> scan_records(const state_store& store, family f,
                                        std::string_view from, std::string_view until,
                                        F&& visit, bool backwards = false) {
  result<void> status;
  auto each = [&](std::string_view key, std::string_view value) {
    auto record = decode<T>(value);
    if (!record) {
      status =
          fail(errc::corrupt, "record {}/{}: {}", to_string(f), key, record.error().message);
      return false;
    }
    return visit(std::move(*record));
  };
  FM_CHECK(backwards ? store.scan_back(f, from, until, each)
                     : store.scan(f, from, until, each));
  return status;
}

/// All whose keys begin with `prefix`, in order.
template <class T>
[[nodiscard]] result<std::vector<T>> records_below(const state_store& store, family f,
                                                   std::string_view prefix) {
  std::vector<T> out;
  FM_CHECK(scan_records<T>(store, f, prefix, prefix_end(prefix), [&](T record) {
    out.push_back(std::move(record));
    return true;
  }));
  return out;
}

/// The jobs or the shards of a run, in order.
template <class T>
[[nodiscard]] result<std::vector<T>> records_of(const state_store& store, family f, run_id run) {
  return records_below<T>(store, f, keys::prefix(run));
}

} // namespace framemill
