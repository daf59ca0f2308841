#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

/// Every maximum of the system that is not configurable, with its unit.
namespace framemill::limits {

using namespace std::chrono_literals;

// Names and documents
inline constexpr std::size_t workflow_name_chars_max = 128; ///< MPS
inline constexpr std::size_t object_key_bytes_max = 1024;   ///< S3 and COS
inline constexpr std::size_t object_name_bytes_max = 255;   ///< one path component (POSIX)
inline constexpr std::size_t activities_max = 64;           ///< per workflow
inline constexpr std::size_t edit_clips_max = 64;           ///< files of an EditMedia
inline constexpr std::size_t request_items_max = 10'000;    ///< of any list in a request
inline constexpr std::size_t request_body_bytes_max = 10u << 20; ///< MPS: TC3 POST
inline constexpr std::size_t json_depth_max = 64; ///< objects and arrays in each other
inline constexpr std::size_t watermarks_max = 10;           ///< per activity, MPS
inline constexpr int priority_min = -10;
inline constexpr int priority_max = 10;
inline constexpr std::size_t notify_url_bytes_max = 2048;
inline constexpr std::size_t notify_key_bytes_max = 1024;
inline constexpr std::size_t queue_name_chars_max = 80; ///< SQS; CMQ has 64

inline constexpr double workflow_weight_min = 0.01;
inline constexpr double workflow_weight_max = 100;

// Messages
inline constexpr std::size_t message_items_max = 1u << 20;
inline constexpr std::size_t message_bytes_max = 64u << 20;
inline constexpr std::size_t message_depth_max = 32;
inline constexpr std::size_t child_frame_bytes_max = 64u << 20;

// Sources: beyond these a file is refused before it is decoded
inline constexpr std::int64_t source_pixels_max = 8192LL * 8192;
inline constexpr int source_dimension_max = 16384;
inline constexpr int source_streams_max = 64;
inline constexpr double source_seconds_max = 48 * 3600.0;
inline constexpr std::size_t source_packets_max = 50'000'000;

// Images made per job
inline constexpr std::size_t images_per_job_max = 10'000;

// Work
inline constexpr int shard_attempts_max = 5;
inline constexpr int run_shards_max = 4096;
inline constexpr int workflow_chain_depth_max = 8; ///< outputs that trigger others
inline constexpr auto retry_delay_first = 200ms;
inline constexpr auto retry_delay_max = 30s;
inline constexpr std::size_t attempt_log_lines_max = 200;

inline constexpr auto answer_time_max = 30s; ///< of a question about media
inline constexpr std::int64_t probe_memory_bytes_max = 2LL << 30; ///< resident
inline constexpr std::int64_t probe_scratch_bytes = 1 << 20; ///< for most indexes

// Nodes
inline constexpr std::size_t node_name_chars_max = 63;
inline constexpr int node_slots_max = 1024;
inline constexpr int node_cores_max = 4096;
inline constexpr std::int64_t device_sessions_max = 1024;
inline constexpr std::size_t node_facts_bytes_max = 256u << 10; ///< encoded
inline constexpr std::size_t node_labels_max = 64;
inline constexpr std::size_t label_value_bytes_max = 255;

// Notifications
inline constexpr auto delivery_window = 24h;        ///< by default
inline constexpr auto delivery_delay_first = 1s;
inline constexpr auto delivery_delay_max = 10min;
inline constexpr auto delivery_wish_max = 1h;       ///< of a Retry-After
inline constexpr std::size_t outbox_events_max = 256;       ///< looked at, and
inline constexpr std::size_t outbox_deliveries_max = 64;    ///< written at once
inline constexpr std::size_t outbox_bytes_max = 4u << 20;
inline constexpr std::size_t sinks_shown_max = 4096;
inline constexpr std::size_t signing_keys_live = 2;
// Functions
inline constexpr std::size_t function_name_chars_max = 60; ///< SCF
inline constexpr std::size_t functions_max = 256;
inline constexpr std::size_t function_versions_max = 10; ///< kept of each
inline constexpr std::size_t function_files_max = 2000;
inline constexpr std::size_t function_code_bytes_max = 5u << 20; ///< of a version
inline constexpr std::size_t function_environment_bytes_max = 32u << 10; ///< with secrets
inline constexpr std::size_t function_description_bytes_max = 1024;
inline constexpr std::size_t function_grants_max = 16;
inline constexpr auto function_timeout_max = 900s; ///< SCF
inline constexpr std::int64_t function_memory_bytes_min = 64LL << 20; ///< SCF
inline constexpr std::int64_t function_memory_bytes_max = 3072LL << 20; ///< SCF
inline constexpr int function_concurrency_max = 64;
inline constexpr std::int64_t function_output_bytes_max = 4LL << 20;
inline constexpr std::size_t function_output_kept_bytes = 64u << 10; ///< in the log
inline constexpr std::size_t function_answer_kept_bytes = 4u << 10;  ///< in the log
inline constexpr std::size_t function_event_bytes_max = 6u << 20;
inline constexpr std::size_t function_answer_bytes_max = 6u << 20;
inline constexpr std::size_t function_files_written_max = 64; ///< by one call
inline constexpr std::size_t function_calls_waiting_max = 256; ///< of one function
inline constexpr std::uint32_t function_calls_per_process_max = 1000;
inline constexpr auto function_start_max = 10s; ///< of a process, before its first call
inline constexpr auto function_idle_max = 300s; ///< of a warm process
inline constexpr int function_processes_inside_max = 64; ///< and threads
inline constexpr std::int64_t function_work_bytes_max = 64LL << 20; ///< its own files

// Queues
inline constexpr std::size_t live_runs_max = 64;     ///< WORKFLOW actors at once
inline constexpr std::size_t ingest_batch_max = 512; ///< objects in one commit
inline constexpr std::size_t objects_remembered_max = 1'000'000; ///< per remote watcher
inline constexpr std::size_t settling_page_max = 4096; ///< keys in one answer
inline constexpr std::size_t commit_batches_max = 1024; ///< merged into one fsync
inline constexpr std::size_t event_subscribers_max = 256;
inline constexpr std::size_t event_backlog_max = 4096;  ///< queued per slow reader

// The embedded queue: CMQ's bounds, or SQS's where they are wider
inline constexpr std::size_t queues_max = 1000;
inline constexpr std::size_t topics_max = 1000;
inline constexpr std::size_t topic_subscriptions_max = 100;
inline constexpr std::int64_t queue_visibility_seconds_max = 43'200;
inline constexpr std::int64_t queue_delay_seconds_max = 3'600;
inline constexpr std::int64_t queue_wait_seconds_max = 30;
inline constexpr std::int64_t queue_retention_seconds_min = 60;
inline constexpr std::int64_t queue_retention_seconds_max = 15 * 24 * 3600;
inline constexpr std::int64_t queue_receives_max = 1000;
inline constexpr std::int64_t queue_messages_max = 10'000'000;
inline constexpr std::int64_t queue_message_bytes_max = 1 << 20; ///< of a batch too
inline constexpr std::size_t queue_batch_max = 16;          ///< messages in one call
inline constexpr std::size_t queue_in_flight_max = 120'000; ///< per queue; delayed ones too
inline constexpr std::size_t queue_waiters_max = 1000;      ///< receives that wait, of all queues
inline constexpr auto push_time_max = 24h;                  ///< from publishing to giving up
inline constexpr auto push_trouble_log_every = 1min;        ///< of one subscription
inline constexpr std::size_t message_attributes_max = 10;
inline constexpr std::size_t message_attribute_name_chars_max = 256;
inline constexpr std::size_t message_tags_max = 5;
inline constexpr std::size_t message_tag_chars_max = 16;

} // namespace framemill::limits
