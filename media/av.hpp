#pragma once

#include "core/error.hpp"
#include "core/media_message.hpp"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <libavutil/channel_layout.h>
#include <libavutil/cpu.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>
#include <string_view>
#include <utility>

// The only door to libav*: owners for its types, checked calls, timestamps.
// Nothing else of the project includes a libav header.

namespace framemill::av {

/// Frees through libav's `void f(T**)` functions.
template <auto Free>
struct free_by_pointer {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(&p);
  }
};
struct output_closer {
  void operator()(AVFormatContext* c) const noexcept;
};
struct io_closer { ///< of our own AVIO contexts: frees the buffer too
  void operator()(AVIOContext* c) const noexcept;
};
struct dictionary_freer {
  void operator()(AVDictionary* d) const noexcept { av_dict_free(&d); }
};

using frame_ptr = std::unique_ptr<AVFrame, free_by_pointer<av_frame_free>>;
using packet_ptr = std::unique_ptr<AVPacket, free_by_pointer<av_packet_free>>;
using codec_ptr = std::unique_ptr<AVCodecContext, free_by_pointer<avcodec_free_context>>;
using parameters_ptr =
    std::unique_ptr<AVCodecParameters, free_by_pointer<avcodec_parameters_free>>;
using input_ptr = std::unique_ptr<AVFormatContext, free_by_pointer<avformat_close_input>>;
using output_ptr = std::unique_ptr<AVFormatContext, output_closer>;
using io_ptr = std::unique_ptr<AVIOContext, io_closer>;
using bsf_ptr = std::unique_ptr<AVBSFContext, free_by_pointer<av_bsf_free>>;
using graph_ptr = std::unique_ptr<AVFilterGraph, free_by_pointer<avfilter_graph_free>>;

/// Non-null or errc::no_memory.
[[nodiscard]] result<frame_ptr> make_frame();
[[nodiscard]] result<packet_ptr> make_packet();
[[nodiscard]] result<graph_ptr> make_graph();
[[nodiscard]] result<codec_ptr> make_codec(const AVCodec* codec);
/// A new reference to the same picture or samples.
[[nodiscard]] result<frame_ptr> share(const AVFrame& frame);
[[nodiscard]] result<frame_ptr> silence(AVSampleFormat format, const AVChannelLayout& layout,
                                        int sample_rate, int samples);

/// "Invalid data found when processing input"
[[nodiscard]] std::string message_of(int code);
/// A negative libav return as an error. Numbers of the system keep their own
/// code (ENOSPC is errc::no_space); libav's own numbers become `code`.
[[nodiscard]] failure fail_av(int number, errc code, std::string_view what);
/// The return value of a libav call, or the failure it stands for.
[[nodiscard]] result<int> check(int number, std::string_view what, errc code = errc::internal);

[[nodiscard]] AVRational ratio(const rational& r);
[[nodiscard]] rational ratio(AVRational r);
[[nodiscard]] double seconds(std::int64_t ticks, AVRational time_base);

/// Options by name and value; nothing is ever escaped or parsed.
class options {
public:
  options() = default;
  options(std::initializer_list<std::pair<const char*, std::string>> list);
  options(const options&) = delete;
  options& operator=(const options&) = delete;
  ~options() { av_dict_free(&dictionary_); }
  options& set(const char* name, const std::string& value);
  [[nodiscard]] AVDictionary** pass() noexcept { return &dictionary_; }
  /// Fails with errc::internal when the callee left an option untouched.
  [[nodiscard]] result<void> all_used(std::string_view by) const;

private:
  AVDictionary* dictionary_ = nullptr;
};

/// Builds a filter graph node by node; each node follows the last one.
class graph_builder {
public:
  [[nodiscard]] static result<graph_builder> make();
  /// A picture source; becomes the last node.
  [[nodiscard]] result<AVFilterContext*> picture_source(const AVFrame& like,
                                                        AVRational time_base);
  [[nodiscard]] result<AVFilterContext*> sound_source(const AVFrame& like);
  /// Adds `filter` after the last node; becomes the last node.
  [[nodiscard]] result<AVFilterContext*>
  add(const char* filter, std::initializer_list<std::pair<const char*, std::string>> args = {});
  /// Connects output `pad` of `from` to input `input` of `to`.
  [[nodiscard]] static result<void> link(AVFilterContext* from, unsigned pad,
                                         AVFilterContext* to, unsigned input);
  /// Creates a node without connecting it.
  [[nodiscard]] result<AVFilterContext*>
  create(const char* filter,
         std::initializer_list<std::pair<const char*, std::string>> args = {});
  void continue_from(AVFilterContext* node, unsigned pad = 0) noexcept;
  /// Adds the sink and checks the whole; the builder is spent.
  [[nodiscard]] result<std::pair<graph_ptr, AVFilterContext*>> finish(const char* sink);

private:
  explicit graph_builder(graph_ptr graph) : graph_(std::move(graph)) {}
  graph_ptr graph_;
  AVFilterContext* last_ = nullptr;
  unsigned last_pad_ = 0;
};

/// Sends libav's log lines of level warning and worse to `line`; one consumer
/// per process.
void log_to(void (*line)(std::string_view text));

} // namespace framemill::av
