#include "media/av.hpp"

#include <fmt/format.h>

namespace framemill::av {
namespace {

template <class Ptr, class T>
result<Ptr> owned(T* raw, std::string_view what) {
  if (!raw)
    return fail(errc::no_memory, "no memory for {}", what);
  return Ptr{raw};
}

void (*log_line)(std::string_view) = nullptr;

void on_log(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_WARNING || !log_line)
    return;
  char text[1024];
  int prefix = 1;
  av_log_format_line2(context, level, format, arguments, text, sizeof text, &prefix);
  std::string_view line{text};
  while (!line.empty() && line.back() == '\n')
    line.remove_suffix(1);
  if (!line.empty())
    log_line(line);
}

} // namespace

void output_closer::operator()(AVFormatContext* c) const noexcept {
  if (c->pb && !(c->oformat->flags & AVFMT_NOFILE))
    avio_closep(&c->pb);
  avformat_free_context(c);
}

void io_closer::operator()(AVIOContext* c) const noexcept {
  av_freep(&c->buffer);
  avio_context_free(&c);
}

result<frame_ptr> make_frame() { return owned<frame_ptr>(av_frame_alloc(), "a frame"); }
result<packet_ptr> make_packet() { return owned<packet_ptr>(av_packet_alloc(), "a packet"); }
result<graph_ptr> make_graph() {
  return owned<graph_ptr>(avfilter_graph_alloc(), "a filter graph");
}
result<codec_ptr> make_codec(const AVCodec* codec) {
  return owned<codec_ptr>(avcodec_alloc_context3(codec), "a codec");
}
result<frame_ptr> share(const AVFrame& frame) {
  return owned<frame_ptr>(av_frame_clone(&frame), "a frame");
}

result<frame_ptr> silence(AVSampleFormat format, const AVChannelLayout& layout,
                          int sample_rate, int samples) {
  FM_TRY(auto out, make_frame());
  out->nb_samples = samples;
  out->format = format;
  out->sample_rate = sample_rate;
  FM_CHECK(check(av_channel_layout_copy(&out->ch_layout, &layout), "silence"));
  FM_CHECK(check(av_frame_get_buffer(out.get(), 0), "silence"));
  av_samples_set_silence(out->extended_data, 0, samples, layout.nb_channels, format);
  return out;
}

std::string message_of(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

failure fail_av(int number, errc code, std::string_view what) {
  const bool of_system = number < 0 && number > -4096 && number != AVERROR(EINVAL)
                         && number != AVERROR(ENOSYS);
  return fail(of_system ? errc_of_errno(-number, code) : code, "{}: {}", what,
              message_of(number));
}

result<int> check(int number, std::string_view what, errc code) {
  if (number < 0)
    return fail_av(number, code, what);
  return number;
}

AVRational ratio(const rational& r) {
  AVRational out{0, 1};
  av_reduce(&out.num, &out.den, r.num, r.den, INT32_MAX);
  return out;
}
rational ratio(AVRational r) { return {r.num, r.den}; }
double seconds(std::int64_t ticks, AVRational time_base) {
  return static_cast<double>(ticks) * time_base.num / time_base.den;
}

options::options(std::initializer_list<std::pair<const char*, std::string>> list) {
  for (const auto& [name, value] : list)
    set(name, value);
}
options& options::set(const char* name, const std::string& value) {
  av_dict_set(&dictionary_, name, value.c_str(), 0);
  return *this;
}
result<void> options::all_used(std::string_view by) const {
  if (auto left = av_dict_get(dictionary_, "", nullptr, AV_DICT_IGNORE_SUFFIX))
    return fail(errc::internal, "{} has no option `{}`", by, left->key);
  return {};
}

result<graph_builder> graph_builder::make() {
  FM_TRY(auto graph, make_graph());
  graph->nb_threads = 1;
  return graph_builder{std::move(graph)};
}

result<AVFilterContext*> graph_builder::picture_source(const AVFrame& like,
                                                       AVRational time_base) {
  auto source = avfilter_graph_alloc_filter(graph_.get(), avfilter_get_by_name("buffer"), "");
  auto parameters = av_buffersrc_parameters_alloc();
  if (!source || !parameters) {
    av_free(parameters);
    return fail(errc::no_memory, "no memory for a filter");
  }
  parameters->format = like.format;
  parameters->width = like.width;
  parameters->height = like.height;
  parameters->time_base = time_base;
  parameters->sample_aspect_ratio = like.sample_aspect_ratio;
  auto set = av_buffersrc_parameters_set(source, parameters);
  av_free(parameters);
  FM_CHECK(check(set, "cannot set up the picture source"));
  FM_CHECK(check(avfilter_init_str(source, nullptr), "cannot set up the picture source"));
  continue_from(source);
  return source;
}

result<AVFilterContext*> graph_builder::sound_source(const AVFrame& like) {
  char layout[128] = {};
  av_channel_layout_describe(&like.ch_layout, layout, sizeof layout);
  FM_TRY(auto source,
         create("abuffer",
                {{"sample_rate", std::to_string(like.sample_rate)},
                 {"sample_fmt", av_get_sample_fmt_name(AVSampleFormat(like.format))},
                 {"channel_layout", layout},
                 {"time_base", fmt::format("1/{}", like.sample_rate)}}));
  continue_from(source);
  return source;
}

result<AVFilterContext*>
graph_builder::create(const char* filter,
                      std::initializer_list<std::pair<const char*, std::string>> args) {
  auto node = avfilter_graph_alloc_filter(graph_.get(), avfilter_get_by_name(filter), "");
  if (!node)
    return fail(errc::internal, "the filter `{}` is missing in this libavfilter", filter);
  options o(args);
  FM_CHECK(check(avfilter_init_dict(node, o.pass()),
                 fmt::format("cannot set up the filter `{}`", filter)));
  FM_CHECK(o.all_used(filter));
  return node;
}

result<AVFilterContext*>
graph_builder::add(const char* filter,
                   std::initializer_list<std::pair<const char*, std::string>> args) {
  FM_TRY(auto node, create(filter, args));
  FM_CHECK(link(last_, last_pad_, node, 0));
  continue_from(node);
  return node;
}

result<void> graph_builder::link(AVFilterContext* from, unsigned pad, AVFilterContext* to,
                                 unsigned input) {
  FM_CHECK(check(avfilter_link(from, pad, to, input), "cannot connect two filters"));
  return {};
}

void graph_builder::continue_from(AVFilterContext* node, unsigned pad) noexcept {
  last_ = node;
  last_pad_ = pad;
}

result<std::pair<graph_ptr, AVFilterContext*>> graph_builder::finish(const char* sink) {
  FM_TRY(auto node, add(sink));
  FM_CHECK(check(avfilter_graph_config(graph_.get(), nullptr), "the filter graph does not fit",
                 errc::input_damaged));
  return std::pair{std::move(graph_), node};
}

void log_to(void (*line)(std::string_view)) {
  log_line = line;
  av_log_set_callback(on_log);
}

} // namespace framemill::av
