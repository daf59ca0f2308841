#include "media/pictures.hpp"
#include "media/tasks/tasks.hpp"

#include <optional>

namespace framemill::tasks {
namespace {

constexpr auto gif_encoder = "gif", webp_encoder = "libwebp_anim";

/// Writes one animated image frame by frame.
class animation_writer {
public:
  animation_writer(const animation_step& step, work& w) : step_(step), work_(w) {}

  result<void> add(AVFrame& frame) {
    if (!codec_)
      FM_CHECK(start(frame));
    ++frames_;
    work_.progress().encoded();
    return encode(&frame);
  }

  result<void> finish() {
    if (!codec_)
      return fail(errc::contract_broken, "the animation has no picture");
    FM_CHECK(encode(nullptr));
    FM_CHECK(
        av::check(av_write_trailer(format_.get()), "writing the animation", errc::io_failed));
    FM_CHECK(av::check(avio_closep(&format_->pb), "writing the animation", errc::io_failed));
    result_file file;
    file.name = step_.name;
    file.width = codec_->width;
    file.height = codec_->height;
    file.frames = frames_;
    work_.described.push_back(std::move(file));
    return {};
  }

private:
  bool is_gif() const noexcept { return step_.format == "gif"; }

  result<void> start(const AVFrame& like) {
    auto encoder = avcodec_find_encoder_by_name(is_gif() ? gif_encoder : webp_encoder);
    if (!encoder || (!is_gif() && step_.format != "webp"))
      return fail(errc::unsupported, "there is no animated `{}`", step_.format);
    FM_TRY(codec_, av::make_codec(encoder));
    codec_->width = like.width;
    codec_->height = like.height;
    codec_->pix_fmt = AVPixelFormat(like.format);
    codec_->time_base = av_inv_q(av::ratio(step_.fps));
    codec_->framerate = av::ratio(step_.fps);
    codec_->thread_count = 1;
    codec_->flags |= AV_CODEC_FLAG_BITEXACT;
    av::options o;
    if (!is_gif())
      o.set("quality", std::to_string(step_.quality > 0 ? step_.quality : 75));
    FM_CHECK(av::check(avcodec_open2(codec_.get(), encoder, o.pass()),
                       "cannot start the animation encoder", errc::invalid_argument));
    FM_TRY(packet_, av::make_packet());
    return open_file();
  }

  result<void> open_file() {
    AVFormatContext* context = nullptr;
    FM_CHECK(av::check(avformat_alloc_output_context2(&context, nullptr, step_.format.c_str(),
                                                      work_.output(step_.name).c_str()),
                       "cannot make the animation"));
    format_.reset(context);
    context->flags |= AVFMT_FLAG_BITEXACT;
    auto s = avformat_new_stream(context, nullptr);
    if (!s)
      return fail(errc::no_memory, "no memory for a stream");
    FM_CHECK(av::check(avcodec_parameters_from_context(s->codecpar, codec_.get()),
                       "codec parameters"));
    s->time_base = codec_->time_base;
    s->avg_frame_rate = codec_->framerate;
    FM_CHECK(av::check(avio_open(&context->pb, context->url, AVIO_FLAG_WRITE), context->url,
                       errc::io_failed));
    av::options o{{"loop", "0"}};
    FM_CHECK(av::check(avformat_write_header(context, o.pass()), "writing the animation",
                       errc::io_failed));
    return o.all_used(step_.format);
  }

  result<void> encode(AVFrame* frame) {
    FM_CHECK(av::check(avcodec_send_frame(codec_.get(), frame), "encoding the animation"));
    while (true) {
      av_packet_unref(packet_.get());
      auto n = avcodec_receive_packet(codec_.get(), packet_.get());
      if (n == AVERROR(EAGAIN) || n == AVERROR_EOF)
        return {};
      FM_CHECK(av::check(n, "encoding the animation"));
      packet_->duration = is_gif() ? 1 : packet_->duration;
      work_.progress().wrote(packet_->size);
      av_packet_rescale_ts(packet_.get(), codec_->time_base, format_->streams[0]->time_base);
      FM_CHECK(av::check(av_write_frame(format_.get(), packet_.get()), "writing the animation",
                         errc::io_failed));
    }
  }

  const animation_step& step_;
  work& work_;
  av::codec_ptr codec_;
  av::output_ptr format_;
  av::packet_ptr packet_;
  std::int64_t frames_ = 0;
};

/// First pass: the 256 colours that serve all pictures.
result<av::frame_ptr> palette_of(std::vector<std::string> paths, AVRational clock) {
  raw_reader pictures{std::move(paths)};
  av::graph_ptr graph;
  AVFilterContext *source = nullptr, *sink = nullptr;
  while (true) {
    FM_TRY(auto picture, pictures.next());
    if (!picture)
      break;
    if (!graph) {
      FM_TRY(auto g, av::graph_builder::make());
      FM_TRY(source, g.picture_source(*picture, clock));
      FM_CHECK(g.add("palettegen", {{"stats_mode", "full"}, {"reserve_transparent", "0"}}));
      FM_TRY(auto built, g.finish("buffersink"));
      graph = std::move(built.first);
      sink = built.second;
    }
    FM_CHECK(av::check(av_buffersrc_add_frame_flags(source, picture.get(), 0), "the palette"));
  }
  if (!graph)
    return fail(errc::contract_broken, "the animation has no picture");
  FM_CHECK(av::check(av_buffersrc_close(source, 0, 0), "the palette"));
  FM_TRY(auto palette, av::make_frame());
  FM_CHECK(av::check(av_buffersink_get_frame(sink, palette.get()), "the palette"));
  return palette;
}

/// Second pass: one picture in, one picture in the palette's colours out.
class palette_filter {
public:
  result<void> open(const AVFrame& like, AVFrame& palette, AVRational clock) {
    FM_TRY(auto g, av::graph_builder::make());
    FM_TRY(source_, g.picture_source(like, clock));
    FM_TRY(auto colours, g.picture_source(palette, clock));
    FM_TRY(auto use,
           g.create("paletteuse", {{"dither", "sierra2_4a"}, {"diff_mode", "rectangle"}}));
    FM_CHECK(av::graph_builder::link(source_, 0, use, 0));
    FM_CHECK(av::graph_builder::link(colours, 0, use, 1));
    g.continue_from(use);
    FM_TRY(auto built, g.finish("buffersink"));
    graph_ = std::move(built.first);
    sink_ = built.second;
    palette.pts = 0;
    FM_CHECK(av::check(av_buffersrc_add_frame_flags(colours, &palette, 0), "the palette"));
    FM_CHECK(av::check(av_buffersrc_close(colours, 0, 0), "the palette"));
    return {};
  }
  result<void> push(AVFrame* frame) {
    FM_CHECK(av::check(frame ? av_buffersrc_add_frame_flags(source_, frame, 0)
                             : av_buffersrc_close(source_, 0, 0),
                       "colouring the animation"));
    return {};
  }
  result<bool> pull(AVFrame& frame) {
    av_frame_unref(&frame);
    auto n = av_buffersink_get_frame(sink_, &frame);
    if (n == AVERROR(EAGAIN) || n == AVERROR_EOF)
      return false;
    FM_CHECK(av::check(n, "colouring the animation"));
    return true;
  }

private:
  av::graph_ptr graph_;
  AVFilterContext *source_ = nullptr, *sink_ = nullptr;
};

result<void> drain(palette_filter& filter, animation_writer& out) {
  FM_TRY(auto frame, av::make_frame());
  while (true) {
    FM_TRY(auto more, filter.pull(*frame));
    if (!more)
      return {};
    FM_CHECK(out.add(*frame));
  }
}

result<void> make_gif(const std::vector<std::string>& paths, const animation_step& step,
                      work& w) {
  const auto clock = av_inv_q(av::ratio(step.fps));
  FM_TRY(auto palette, palette_of(paths, clock));
  raw_reader pictures{paths};
  animation_writer out{step, w};
  std::optional<palette_filter> filter;
  while (true) {
    FM_TRY(auto picture, pictures.next());
    if (!picture)
      break;
    if (!filter)
      FM_CHECK(filter.emplace().open(*picture, *palette, clock));
    FM_CHECK(filter->push(picture.get()));
    FM_CHECK(drain(*filter, out));
  }
  if (filter) {
    FM_CHECK(filter->push(nullptr));
    FM_CHECK(drain(*filter, out));
  }
  return out.finish();
}

/// libwebp works from packed BGRA.
result<void> make_webp(const std::vector<std::string>& paths, const animation_step& step,
                       work& w) {
  raw_reader pictures{paths};
  animation_writer out{step, w};
  av::graph_ptr graph;
  AVFilterContext *source = nullptr, *sink = nullptr;
  FM_TRY(auto frame, av::make_frame());
  while (true) {
    FM_TRY(auto picture, pictures.next());
    if (!picture)
      return out.finish();
    if (!graph) {
      FM_TRY(auto g, av::graph_builder::make());
      FM_TRY(source, g.picture_source(*picture, av_inv_q(av::ratio(step.fps))));
      FM_CHECK(g.add("format", {{"pix_fmts", "bgra"}}));
      FM_TRY(auto built, g.finish("buffersink"));
      graph = std::move(built.first);
      sink = built.second;
    }
    FM_CHECK(
        av::check(av_buffersrc_add_frame_flags(source, picture.get(), 0), "the animation"));
    FM_CHECK(av::check(av_buffersink_get_frame(sink, frame.get()), "the animation"));
    FM_CHECK(out.add(*frame));
    av_frame_unref(frame.get());
  }
}

} // namespace

std::vector<const char*> animation_encoder_names() { return {gif_encoder, webp_encoder}; }

result<void> run(const animation_step& step, work& w) {
  w.progress().enter(work_phase::assembling);
  if (step.fps.num <= 0 || step.fps.den <= 0)
    return fail(errc::invalid_argument, "an animation needs a frame rate");
  std::vector<std::string> paths;
  for (const auto& name : step.pictures) {
    FM_TRY(auto path, w.find(name));
    paths.push_back(std::move(path));
  }
  if (step.format != "gif" && step.format != "webp")
    return fail(errc::unsupported, "there is no animated `{}`", step.format);
  return step.format == "gif" ? make_gif(paths, step, w) : make_webp(paths, step, w);
}

} // namespace framemill::tasks
