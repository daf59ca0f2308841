#pragma once

#include "core/blame.hpp"
#include "core/function.hpp"
#include "core/json.hpp"
#include "core/notify.hpp"
#include "core/object.hpp"
#include "core/queue_message.hpp"
#include "core/run.hpp"
#include "core/template.hpp"
#include "core/workflow.hpp"

#include <algorithm>

// A value of any type that lists its fields, every field set to something that
// follows from its name alone: the same today and after fields were added.

namespace framemill::testing {

inline std::uint64_t hash_of(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (unsigned char c : name)
    h = (h ^ c) * 0x100000001b3ULL;
  return h;
}

template <class T>
void fill(std::string_view name, T& to);

struct sampler {
  template <class T, class... R>
  void operator()(std::string_view name, T& member, R...) {
    fill(name, member);
  }
  void unsupported(std::string_view) {}
};

/// One of each alternative, by kind: new ones come last.
template <class V, std::size_t I = 0>
void fill_alternatives(std::string_view name, std::vector<V>& to) {
  if constexpr (I < std::variant_size_v<V>) {
    std::variant_alternative_t<I, V> x;
    fill(name, x);
    to.push_back(std::move(x));
    fill_alternatives<V, I + 1>(name, to);
  } else {
    auto kind = [](const V& v) { return std::visit([](const auto& a) { return a.kind; }, v); };
    std::ranges::sort(to, {}, kind);
  }
}

template <class T>
void fill(std::string_view name, T& to) {
  auto h = hash_of(name);
  if constexpr (std::is_same_v<T, bool>) {
    to = true;
  } else if constexpr (named_enum<T>) {
    to = static_cast<T>(h % enum_names<T>::names.size());
  } else if constexpr (std::is_same_v<T, errc>) {
    to = errc::io_failed;
  } else if constexpr (std::is_integral_v<T>) {
    to = static_cast<T>(h % 90'000 + 1);
  } else if constexpr (std::is_floating_point_v<T>) {
    to = static_cast<T>(h % 9000) / 8;
  } else if constexpr (std::is_same_v<T, std::string>) {
    to = std::string{name} + " é";
  } else if constexpr (std::is_same_v<T, timestamp>) {
    to.us = 1'563'258'087'000'123 + static_cast<std::int64_t>(h % 1'000'000);
  } else if constexpr (std::is_same_v<T, microseconds>) {
    to = microseconds{h % 1'000'000};
  } else if constexpr (detail::is_strong_id<T>::value) {
    to.value = h % 1'000'000 + 1;
  } else if constexpr (detail::is_optional<T>::value) {
    fill(name, to.emplace());
  } else if constexpr (detail::is_vector<T>::value) {
    if constexpr (detail::is_variant<typename T::value_type>::value) {
      fill_alternatives(name, to);
    } else {
      to.resize(2);
      fill(name, to[0]);
      fill(std::string{name} + "!", to[1]);
    }
  } else if constexpr (detail::is_string_map<T>::value) {
    fill(name, to["a key"]);
  } else if constexpr (detail::is_variant<T>::value) {
    fill(name, to.template emplace<std::variant_size_v<T> - 1>());
  } else {
    sampler s;
    T::fields(to, s);
  }
}

template <class T>
T sample() {
  T value{};
  fill("root", value);
  return value;
}

/// Calls `f.template operator()<T>("name")` for everything that is stored, sent
/// or answered.
template <class F>
void for_each_record(F&& f) {
#define FM_RECORD(type) f.template operator()<type>(#type)
  FM_RECORD(error);
  FM_RECORD(shard_id);
  FM_RECORD(rational);
  FM_RECORD(stream_info);
  FM_RECORD(media_info);
  FM_RECORD(access_point);
  FM_RECORD(probe_step);
  FM_RECORD(picture_geometry);
  FM_RECORD(overlay);
  FM_RECORD(h264_settings);
  FM_RECORD(frame_grid);
  FM_RECORD(video_output);
  FM_RECORD(picture_pick);
  FM_RECORD(picture_output);
  FM_RECORD(decode_step);
  FM_RECORD(audio_output);
  FM_RECORD(audio_step);
  FM_RECORD(output_contract);
  FM_RECORD(assemble_step);
  FM_RECORD(remux_step);
  FM_RECORD(splice_step);
  FM_RECORD(sprite_step);
  FM_RECORD(animation_step);
  FM_RECORD(media_step);
  FM_RECORD(media_request);
  FM_RECORD(watermark);
  FM_RECORD(seam_frame);
  FM_RECORD(result_file);
  FM_RECORD(media_result);
  FM_RECORD(child_message);
  FM_RECORD(generation);
  FM_RECORD(object_ref);
  FM_RECORD(object_origin);
  FM_RECORD(object_record);
  FM_RECORD(published_file);
  FM_RECORD(attempt_record);
  FM_RECORD(handed_file);
  FM_RECORD(shard_record);
  FM_RECORD(publish_item);
  FM_RECORD(job_record);
  FM_RECORD(run_source);
  FM_RECORD(run_record);
  FM_RECORD(run_progress);
  FM_RECORD(event_record);
  FM_RECORD(cos_storage);
  FM_RECORD(output_storage);
  FM_RECORD(cos_input);
  FM_RECORD(media_input);
  FM_RECORD(number_format);
  FM_RECORD(raw_image_watermark);
  FM_RECORD(raw_watermark);
  FM_RECORD(watermark_input);
  FM_RECORD(transcode_task);
  FM_RECORD(animated_graphic_task);
  FM_RECORD(snapshot_by_time_offset_task);
  FM_RECORD(sample_snapshot_task);
  FM_RECORD(image_sprite_task);
  FM_RECORD(activity);
  FM_RECORD(trigger);
  FM_RECORD(notify_config);
  FM_RECORD(delivery_record);
  FM_RECORD(signing_key_record);
  FM_RECORD(edit_clip);
  FM_RECORD(edit_spec);
  FM_RECORD(workflow_spec);
  FM_RECORD(workflow_record);
  FM_RECORD(video_template);
  FM_RECORD(audio_template);
  FM_RECORD(transcode_template);
  FM_RECORD(snapshot_template);
  FM_RECORD(sample_snapshot_template);
  FM_RECORD(image_sprite_template);
  FM_RECORD(animated_graphics_template);
  FM_RECORD(image_watermark_template);
  FM_RECORD(text_watermark_template);
  FM_RECORD(watermark_template);
  FM_RECORD(template_record);
  FM_RECORD(strike);
  FM_RECORD(input_blame);
  FM_RECORD(node_blame);
  FM_RECORD(queue_settings);
  FM_RECORD(queue_record);
  FM_RECORD(topic_record);
  FM_RECORD(subscription_record);
  FM_RECORD(message_attribute);
  FM_RECORD(outgoing_message);
  FM_RECORD(message_record);
  FM_RECORD(message_state);
  FM_RECORD(function_file);
  FM_RECORD(bucket_grant);
  FM_RECORD(function_version);
  FM_RECORD(function_record);
  FM_RECORD(function_secrets);
  FM_RECORD(function_trigger);
  FM_RECORD(invocation_record);
#undef FM_RECORD
}

} // namespace framemill::testing
