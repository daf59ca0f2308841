#include "media/picture_filter.hpp"

#include "media/source.hpp"
#include "media/video_decoder.hpp"

#include <algorithm>

namespace framemill {
namespace {

using std::to_string;
using node = AVFilterContext*;

/// Which x puts a mark of width `w` at an inward offset from its corner.
std::string place_x(const overlay& o, const char* canvas, const char* mark) {
  const bool right = o.origin == 1 || o.origin == 3;
  return right ? fmt::format("{}-{}-({})", canvas, mark, o.x) : to_string(o.x);
}
std::string place_y(const overlay& o, const char* canvas, const char* mark) {
  const bool bottom = o.origin == 2 || o.origin == 3;
  return bottom ? fmt::format("{}-{}-({})", canvas, mark, o.y) : to_string(o.y);
}

std::string while_shown(const overlay& o) {
  return o.end > 0 ? fmt::format("gte(t,{:.6f})*lt(t,{:.6f})", o.begin, o.end)
                   : fmt::format("gte(t,{:.6f})", o.begin);
}

result<void> add_rotation(av::graph_builder& g, int degrees) {
  if (degrees == 90 || degrees == 270)
    FM_CHECK(g.add("transpose", {{"dir", degrees == 90 ? "clock" : "cclock"}}));
  if (degrees == 180) {
    FM_CHECK(g.add("hflip"));
    FM_CHECK(g.add("vflip"));
  }
  return {};
}

/// HDR (PQ or HLG) to BT.709: to linear light, hable curve, back.
result<void> add_tonemap(av::graph_builder& g, const AVFrame& like) {
  const bool hlg = like.color_trc == AVCOL_TRC_ARIB_STD_B67;
  FM_CHECK(
      g.add("zscale", {{"t", "linear"},
                       {"npl", "100"},
                       {"tin", hlg ? "arib-std-b67" : "smpte2084"},
                       {"pin", "2020"},
                       {"min", "2020_ncl"},
                       {"rin", like.color_range == AVCOL_RANGE_JPEG ? "full" : "limited"}}));
  FM_CHECK(g.add("format", {{"pix_fmts", "gbrpf32le"}}));
  FM_CHECK(g.add("zscale", {{"p", "709"}}));
  FM_CHECK(g.add("tonemap", {{"tonemap", "hable"}, {"desat", "0"}}));
  FM_CHECK(g.add("zscale", {{"t", "709"}, {"m", "709"}, {"r", "limited"}}));
  FM_CHECK(g.add("format", {{"pix_fmts", "yuv420p"}}));
  return {};
}

const char* format_name(pixel_layout layout) {
  switch (layout) {
    case pixel_layout::video: return "yuv420p";
    case pixel_layout::jpeg: return "yuvj420p";
    case pixel_layout::rgb: return "rgb24";
    case pixel_layout::rgba: return "rgba";
  }
  return "yuv420p";
}

/// zimg scales what most sources are, for less than half of swscale's cost.
bool suits_zimg(const AVFrame& like, int w, int h) {
  const auto even = [](int a, int b) { return a % 2 == 0 && b % 2 == 0; };
  return like.format == AV_PIX_FMT_YUV420P && like.color_range != AVCOL_RANGE_JPEG
         && like.colorspace != AVCOL_SPC_RGB && even(like.width, like.height) && even(w, h);
}

/// The kernel and the place of chroma samples are those of swscale's bicubic:
/// the pictures agree within its rounding, so that either may be taken.
result<node> add_zimg_scale(av::graph_builder& g, int w, int h) {
  return g.add("zscale", {{"w", to_string(w)},
                          {"h", to_string(h)},
                          {"f", "bicubic"},
                          {"param_a", "0"},
                          {"param_b", "0.6"},
                          {"cin", "center"},
                          {"c", "center"}});
}

/// Scaling to w×h. RGB sources become BT.709, and others that are to; the rest keeps its
/// matrix.
result<node> add_scale(av::graph_builder& g, int w, int h, bool from_rgb, bool full_range) {
  return g.add("scale", {{"w", to_string(w)},
                         {"h", to_string(h)},
                         {"flags", from_rgb || full_range ? "bicubic+accurate_rnd" : "bicubic"},
                         {"out_color_matrix", from_rgb ? "bt709" : "auto"},
                         {"out_range", full_range ? "pc" : "tv"}});
}

/// The picture in the middle of a blurred copy of itself that fills the canvas.
result<void> add_blurred_canvas(av::graph_builder& g, const picture_geometry& p,
                                bool from_rgb) {
  FM_TRY(auto split, g.add("split"));
  const auto w = std::max(p.width / 8, 2), h = std::max(p.height / 8, 2);
  FM_CHECK(g.add("scale", {{"w", to_string(w)},
                           {"h", to_string(h)},
                           {"force_original_aspect_ratio", "increase"},
                           {"flags", "bilinear"},
                           {"out_range", "tv"}}));
  FM_CHECK(g.add("crop", {{"w", to_string(w)}, {"h", to_string(h)}}));
  FM_CHECK(g.add("gblur", {{"sigma", "4"}}));
  FM_CHECK(add_scale(g, p.width, p.height, from_rgb, false));
  FM_CHECK(g.add("setsar", {{"sar", "1"}}));
  FM_TRY(auto canvas, g.add("format", {{"pix_fmts", "yuv420p"}}));
  g.continue_from(split, 1);
  FM_CHECK(add_scale(g, p.inner_width, p.inner_height, from_rgb, false));
  FM_CHECK(g.add("setsar", {{"sar", "1"}}));
  FM_TRY(auto picture, g.add("format", {{"pix_fmts", "yuv420p"}}));
  FM_TRY(auto both, g.create("overlay", {{"x", "(W-w)/2"}, {"y", "(H-h)/2"}}));
  FM_CHECK(av::graph_builder::link(canvas, 0, both, 0));
  FM_CHECK(av::graph_builder::link(picture, 0, both, 1));
  g.continue_from(both);
  return {};
}

bool has_other_matrix(const AVFrame& f) {
  return f.colorspace != AVCOL_SPC_BT709 && f.colorspace != AVCOL_SPC_UNSPECIFIED
         && f.colorspace != AVCOL_SPC_RGB;
}

result<void> add_canvas(av::graph_builder& g, const picture_recipe& r, const AVFrame& like,
                        bool full_range) {
  const auto& p = r.geometry;
  auto d = av_pix_fmt_desc_get(AVPixelFormat(like.format));
  const bool from_rgb = d && d->flags & AV_PIX_FMT_FLAG_RGB;
  if (r.tonemap) { // after scaling: its cost follows the output's size
    FM_CHECK(g.add("scale", {{"w", to_string(p.inner_width)},
                             {"h", to_string(p.inner_height)},
                             {"flags", "bicubic"}}));
    FM_CHECK(add_tonemap(g, like));
  }
  const bool whole =
      p.fill == fill_mode::stretch || (p.inner_width == p.width && p.inner_height == p.height);
  if (!whole && p.fill == fill_mode::gauss)
    return add_blurred_canvas(g, p, from_rgb);
  const auto w = whole ? p.width : p.inner_width, h = whole ? p.height : p.inner_height;
  const bool becomes_bt709 = r.bt709 && !r.tonemap && has_other_matrix(like);
  const bool by_zimg = r.layout == pixel_layout::video && !r.tonemap && !becomes_bt709
                       && suits_zimg(like, w, h);
  FM_CHECK(by_zimg ? add_zimg_scale(g, w, h)
                   : add_scale(g, w, h, from_rgb || becomes_bt709, full_range));
  FM_CHECK(g.add("setsar", {{"sar", "1"}}));
  if (r.bt709) // primaries and transfer of SD are so near that only their names change
    FM_CHECK(g.add("setparams", {{"colorspace", "bt709"},
                                 {"color_primaries", "bt709"},
                                 {"color_trc", "bt709"}}));
  if (whole)
    return {};
  FM_CHECK(g.add("pad", {{"w", to_string(p.width)},
                         {"h", to_string(p.height)},
                         {"x", "(ow-iw)/2"},
                         {"y", "(oh-ih)/2"},
                         {"color", p.fill == fill_mode::white ? "white" : "black"}}));
  return {};
}

result<void> add_text(av::graph_builder& g, const overlay& o) {
  FM_CHECK(g.add("drawtext", {{"text", o.text},
                              {"expansion", "none"},
                              {"fontfile", o.font},
                              {"fontsize", to_string(o.font_size)},
                              {"fontcolor", fmt::format("0x{}@{:.4f}", o.color, o.alpha)},
                              {"x", place_x(o, "w", "text_w")},
                              {"y", place_y(o, "h", "text_h")},
                              {"enable", while_shown(o)}}));
  return {};
}

/// An image is a second source with one picture that stays.
result<node> add_image(av::graph_builder& g, node below, const overlay& o, const AVFrame& image,
                       AVRational clock) {
  FM_TRY(auto input, g.picture_source(image, clock));
  FM_CHECK(g.add("scale", {{"w", to_string(o.width > 0    ? o.width
                                           : o.height > 0 ? -1
                                                          : 0)},
                           {"h", to_string(o.height > 0  ? o.height
                                           : o.width > 0 ? -1
                                                         : 0)},
                           {"flags", "bicubic"}}));
  FM_CHECK(g.add("format", {{"pix_fmts", "yuva420p"}}));
  FM_TRY(auto mark, g.add("colorchannelmixer", {{"aa", fmt::format("{:.4f}", o.alpha)}}));
  FM_TRY(auto both, g.create("overlay", {{"x", place_x(o, "W", "w")},
                                         {"y", place_y(o, "H", "h")},
                                         {"format", "yuv420"},
                                         {"enable", while_shown(o)}}));
  FM_CHECK(av::graph_builder::link(below, 0, both, 0));
  FM_CHECK(av::graph_builder::link(mark, 0, both, 1));
  g.continue_from(both);
  return input;
}

result<void> show(node input, AVFrame& image) {
  image.pts = 0;
  FM_CHECK(av::check(av_buffersrc_add_frame_flags(input, &image, 0), "an overlay image"));
  FM_CHECK(av::check(av_buffersrc_close(input, 0, 0), "an overlay image"));
  return {};
}

int colour_key(const AVFrame& f) {
  return f.color_range << 24 | f.colorspace << 16 | f.color_trc << 8 | f.color_primaries;
}

} // namespace

bool picture_filter::fits(const AVFrame& p) const noexcept {
  return graph_ && p.width == width_ && p.height == height_ && p.format == format_
         && colour_key(p) == colour_;
}

result<void> picture_filter::build(const AVFrame& like) {
  FM_TRY(auto g, av::graph_builder::make());
  const bool marked = !recipe_.overlays.empty();
  const bool full_range = recipe_.layout == pixel_layout::jpeg && !marked;
  std::vector<std::pair<node, av::frame_ptr>> images;
  FM_TRY(source_, g.picture_source(like, recipe_.clock));
  FM_CHECK(add_rotation(g, recipe_.rotation));
  FM_CHECK(add_canvas(g, recipe_, like, full_range));
  if (marked) {
    FM_TRY(auto last, g.add("format", {{"pix_fmts", "yuv420p"}}));
    for (const auto& o : recipe_.overlays) {
      if (o.image.empty()) {
        FM_CHECK(add_text(g, o));
      } else {
        FM_TRY(auto image, load_image(o.image));
        FM_TRY(auto input, add_image(g, last, o, *image, recipe_.clock));
        images.emplace_back(input, std::move(image));
      }
      FM_TRY(last, g.add("null"));
    }
  }
  if (recipe_.layout == pixel_layout::jpeg && !full_range)
    FM_CHECK(g.add("scale", {{"out_range", "pc"}}));
  FM_CHECK(g.add("format", {{"pix_fmts", format_name(recipe_.layout)}}));
  FM_TRY(auto built, g.finish("buffersink"));
  graph_ = std::move(built.first);
  sink_ = built.second;
  for (auto& [input, image] : images)
    FM_CHECK(show(input, *image));
  width_ = like.width;
  height_ = like.height;
  format_ = like.format;
  colour_ = colour_key(like);
  return {};
}

result<av::frame_ptr> picture_filter::apply(const AVFrame& picture, std::int64_t pts) {
  if (!fits(picture))
    FM_CHECK(build(picture));
  FM_TRY(auto in, av::share(picture));
  in->pts = pts;
  in->pict_type = AV_PICTURE_TYPE_NONE;
  in->interlaced_frame = 0;
  FM_CHECK(
      av::check(av_buffersrc_add_frame_flags(source_, in.get(), AV_BUFFERSRC_FLAG_KEEP_REF),
                "filtering a picture", errc::input_damaged));
  FM_TRY(auto out, av::make_frame());
  FM_CHECK(av::check(av_buffersink_get_frame(sink_, out.get()), "filtering a picture"));
  out->pts = pts;
  out->pict_type = AV_PICTURE_TYPE_NONE;
  return out;
}

// ---- deinterlacer ---------------------------------------------------------------

result<void> deinterlacer::build(const AVFrame& like) {
  FM_TRY(auto g, av::graph_builder::make());
  FM_TRY(source_, g.picture_source(like, {1, 1'000'000}));
  FM_CHECK(g.add("bwdif", {{"mode", "send_frame"}, {"deint", "interlaced"}}));
  FM_TRY(auto built, g.finish("buffersink"));
  graph_ = std::move(built.first);
  sink_ = built.second;
  width_ = like.width;
  height_ = like.height;
  format_ = like.format;
  return {};
}

result<void> deinterlacer::push(const AVFrame* picture) {
  if (!picture)
    return graph_
               ? av::check(av_buffersrc_close(source_, 0, 0), "deinterlacing").map([](int) {})
               : result<void>{};
  if (!graph_ || picture->width != width_ || picture->height != height_
      || picture->format != format_)
    FM_CHECK(build(*picture));
  FM_TRY(auto in, av::share(*picture));
  FM_CHECK(av::check(av_buffersrc_add_frame_flags(source_, in.get(), 0), "deinterlacing",
                     errc::input_damaged));
  return {};
}

result<av::frame_ptr> deinterlacer::pull() {
  if (!graph_)
    return av::frame_ptr{};
  FM_TRY(auto out, av::make_frame());
  auto n = av_buffersink_get_frame(sink_, out.get());
  if (n == AVERROR(EAGAIN) || n == AVERROR_EOF)
    return av::frame_ptr{};
  FM_CHECK(av::check(n, "deinterlacing"));
  out->pts /= 2; // bwdif counts fields
  return out;
}

namespace {

/// One picture and no second: a mark that moves would stand still.
result<av::frame_ptr> still_picture(const std::string& path) {
  FM_TRY(auto s, source::open({{path, -1, 0}}, "not a picture"));
  FM_TRY(auto decoder, video_decoder::open(std::move(s), 0, decode_extent::all_frames));
  FM_TRY(auto frame, av::make_frame());
  FM_TRY(auto found, decoder.next(*frame));
  if (!found)
    return fail(errc::invalid_argument, "it cannot be decoded");
  FM_TRY(auto second, av::make_frame());
  FM_TRY(auto moves, decoder.next(*second));
  if (moves)
    return fail(errc::unsupported, "it is animated; only still images are supported");
  return frame;
}

} // namespace

result<av::frame_ptr> load_image(const std::string& path) {
  auto picture = still_picture(path);
  if (picture)
    return picture;
  auto code = picture.error().code;
  if (class_of(code) == failure_class::input) // the source is not at fault
    code = errc::invalid_argument;
  return fail_field(code, "WatermarkSet", "the watermark image: {}", picture.error().message);
}

} // namespace framemill
