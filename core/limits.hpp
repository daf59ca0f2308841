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
inline constexpr std::size_t request_body_bytes_max = 10u << 20; ///< MPS: TC3 POST
inline constexpr std::size_t json_depth_max = 64; ///< objects and arrays in each other
inline constexpr std::size_t watermarks_max = 10;           ///< per activity, MPS
inline constexpr int priority_min = -10;
inline constexpr int priority_max = 10;

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

// Queues
inline constexpr std::size_t live_runs_max = 64;     ///< WORKFLOW actors at once
inline constexpr std::size_t ingest_batch_max = 512; ///< objects in one commit
inline constexpr std::size_t objects_remembered_max = 1'000'000; ///< per remote watcher
inline constexpr std::size_t settling_page_max = 4096; ///< keys in one answer
inline constexpr std::size_t commit_batches_max = 1024; ///< merged into one fsync
inline constexpr std::size_t event_subscribers_max = 256;
inline constexpr std::size_t event_backlog_max = 4096;  ///< queued per slow reader

} // namespace framemill::limits
