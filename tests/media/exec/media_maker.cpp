#include "tests/media/exec/media_maker.hpp"

#include <cmath>
#include <cstring>
#include <numbers>
#include <stdexcept>

namespace framemill::test {
namespace {

constexpr int bits = 10;

int ok(int n, const char* what) {
  if (n < 0)
    throw std::runtime_error(std::string{what} + ": " + av::message_of(n));
  return n;
}

/// Number in blocks above, a drifting ramp below.
av::frame_ptr draw(int number, const clip& c) {
  auto grey = av::make_frame().value();
  grey->width = c.width;
  grey->height = c.height;
  grey->format = AV_PIX_FMT_YUV444P;
  ok(av_frame_get_buffer(grey.get(), 0), "picture");
  for (int y = 0; y < c.height; ++y)
    for (int x = 0; x < c.width; ++x) {
      const int bit = x * bits / c.width;
      const bool on = number >> bit & 1;
      grey->data[0][y * grey->linesize[0] + x] = static_cast<std::uint8_t>(
          y < c.height / 2 ? (on ? 220 : 30) : 40 + (x + number * 7) % 160);
      grey->data[1][y * grey->linesize[1] + x] = static_cast<std::uint8_t>(100 + number % 50);
      grey->data[2][y * grey->linesize[2] + x] = 128;
    }
  auto out = av::make_frame().value();
  out->width = c.width;
  out->height = c.height;
  out->format = c.pixels;
  ok(av_frame_get_buffer(out.get(), 0), "picture");
  auto scaler = sws_getContext(c.width, c.height, AV_PIX_FMT_YUV444P, c.width, c.height,
                               c.pixels, SWS_BICUBIC, nullptr, nullptr, nullptr);
  sws_scale(scaler, grey->data, grey->linesize, 0, c.height, out->data, out->linesize);
  sws_freeContext(scaler);
  return out;
}

struct writer {
  av::output_ptr format;
  av::codec_ptr video, audio;
  int video_stream = -1, audio_stream = -1;

  void drain(AVCodecContext& c, int stream) {
    auto packet = av::make_packet().value();
    while (avcodec_receive_packet(&c, packet.get()) == 0) {
      packet->stream_index = stream;
      av_packet_rescale_ts(packet.get(), c.time_base, format->streams[stream]->time_base);
      ok(av_interleaved_write_frame(format.get(), packet.get()), "write");
    }
  }
};

void add_video(writer& w, const clip& c) {
  auto encoder = avcodec_find_encoder_by_name(c.codec.c_str());
  if (!encoder)
    throw std::runtime_error("no encoder " + c.codec);
  w.video = av::make_codec(encoder).value();
  auto& v = *w.video;
  v.width = c.width;
  v.height = c.height;
  v.pix_fmt = c.pixels;
  v.time_base = c.pts ? AVRational{c.fps.den, c.fps.num * 100} : av_inv_q(c.fps);
  v.framerate = c.fps;
  v.sample_aspect_ratio = c.sar;
  v.colorspace = c.matrix;
  v.color_range = c.range;
  v.gop_size = c.gop;
  v.max_b_frames = c.bframes;
  v.thread_count = 1;
  v.bit_rate = 800'000;
  if (w.format->oformat->flags & AVFMT_GLOBALHEADER)
    v.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  if (!c.open_gop && c.codec == "libx264")
    v.flags |= AV_CODEC_FLAG_CLOSED_GOP;
  av::options o;
  if (c.codec == "libx264")
    o.set("preset", "ultrafast")
        .set("crf", "18")
        .set("x264-params",
             fmt::format("open-gop={}:scenecut=0:bframes={}:b-adapt=0", c.open_gop, c.bframes));
  ok(avcodec_open2(&v, encoder, o.pass()), "video encoder");
  auto s = avformat_new_stream(w.format.get(), nullptr);
  ok(avcodec_parameters_from_context(s->codecpar, &v), "parameters");
  s->time_base = v.time_base;
  s->avg_frame_rate = c.fps;
  s->sample_aspect_ratio = c.sar;
  if (c.rotation) {
    auto m = reinterpret_cast<std::int32_t*>(
        av_stream_new_side_data(s, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(std::int32_t)));
    av_display_rotation_set(m, c.rotation);
  }
  w.video_stream = s->index;
}

void add_audio(writer& w, const clip& c) {
  auto id = w.format->oformat->audio_codec;
  if (id == AV_CODEC_ID_NONE || id == AV_CODEC_ID_VORBIS) // the built-in Vorbis is poor
    id = AV_CODEC_ID_AAC;
  auto encoder = c.sound_codec.empty() ? avcodec_find_encoder(id)
                                       : avcodec_find_encoder_by_name(c.sound_codec.c_str());
  w.audio = av::make_codec(encoder).value();
  auto& a = *w.audio;
  a.sample_rate = c.sample_rate;
  av_channel_layout_default(&a.ch_layout, c.channels);
  a.sample_fmt = encoder->sample_fmts[0];
  a.time_base = {1, c.sample_rate};
  a.bit_rate = 128'000;
  if (w.format->oformat->flags & AVFMT_GLOBALHEADER)
    a.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  ok(avcodec_open2(&a, encoder, nullptr), "audio encoder");
  auto s = avformat_new_stream(w.format.get(), nullptr);
  ok(avcodec_parameters_from_context(s->codecpar, &a), "parameters");
  s->time_base = a.time_base;
  w.audio_stream = s->index;
}

void send_picture(writer& w, const clip& c, int number) {
  auto frame = draw(c.first_number + number, c);
  frame->pts = c.pts ? c.pts(number) : number;
  ok(avcodec_send_frame(w.video.get(), frame.get()), "encode");
  w.drain(*w.video, w.video_stream);
}

void send_tone(writer& w, const clip& c, std::int64_t at, int samples) {
  auto frame = av::make_frame().value();
  frame->nb_samples = samples;
  frame->format = w.audio->sample_fmt;
  frame->sample_rate = c.sample_rate;
  av_channel_layout_copy(&frame->ch_layout, &w.audio->ch_layout);
  ok(av_frame_get_buffer(frame.get(), 0), "sound");
  const bool planar = av_sample_fmt_is_planar(w.audio->sample_fmt);
  const bool floats = av_get_packed_sample_fmt(w.audio->sample_fmt) == AV_SAMPLE_FMT_FLT;
  for (int i = 0; i < samples; ++i)
    for (int ch = 0; ch < c.channels; ++ch) {
      auto v = 0.5 * std::sin(2 * std::numbers::pi * c.tone * double(at + i) / c.sample_rate);
      auto plane = frame->extended_data[planar ? ch : 0];
      auto n = planar ? i : i * c.channels + ch;
      if (floats)
        reinterpret_cast<float*>(plane)[n] = static_cast<float>(v);
      else
        reinterpret_cast<std::int16_t*>(plane)[n] = static_cast<std::int16_t>(v * 32767);
    }
  frame->pts = at + std::llround(c.sound_begin * c.sample_rate);
  ok(avcodec_send_frame(w.audio.get(), frame.get()), "encode");
  w.drain(*w.audio, w.audio_stream);
}

av::codec_ptr open_decoder(AVFormatContext& f, AVMediaType type, int& stream) {
  const AVCodec* codec = nullptr;
  stream = ok(av_find_best_stream(&f, type, -1, -1, &codec, 0), "stream");
  auto c = av::make_codec(codec).value();
  avcodec_parameters_to_context(c.get(), f.streams[stream]->codecpar);
  c->pkt_timebase = f.streams[stream]->time_base;
  c->thread_count = 1;
  ok(avcodec_open2(c.get(), codec, nullptr), "decoder");
  return c;
}

template <class OnFrame>
void decode_all(const std::string& path, AVMediaType type, OnFrame on_frame) {
  AVFormatContext* raw = nullptr;
  ok(avformat_open_input(&raw, path.c_str(), nullptr, nullptr), path.c_str());
  av::input_ptr f{raw};
  ok(avformat_find_stream_info(raw, nullptr), "streams");
  int stream = -1;
  auto c = open_decoder(*raw, type, stream);
  auto packet = av::make_packet().value();
  auto frame = av::make_frame().value();
  for (bool more = true; more;) {
    more = av_read_frame(raw, packet.get()) >= 0;
    if (more && packet->stream_index != stream) {
      av_packet_unref(packet.get());
      continue;
    }
    avcodec_send_packet(c.get(), more ? packet.get() : nullptr);
    av_packet_unref(packet.get());
    while (avcodec_receive_frame(c.get(), frame.get()) == 0)
      on_frame(*frame, raw->streams[stream]->time_base);
  }
}

} // namespace

void make(const clip& c) {
  av_log_set_level(AV_LOG_ERROR);
  writer w;
  AVFormatContext* raw = nullptr;
  ok(avformat_alloc_output_context2(&raw, nullptr, nullptr, c.path.c_str()), "format");
  w.format.reset(raw);
  if (!c.codec.empty())
    add_video(w, c);
  if (c.sound_seconds > 0)
    add_audio(w, c);
  if (!(raw->oformat->flags & AVFMT_NOFILE))
    ok(avio_open(&raw->pb, c.path.c_str(), AVIO_FLAG_WRITE), "open");
  av::options o;
  if (c.faststart && std::string_view{raw->oformat->name}.find("mp4") != std::string_view::npos)
    o.set("movflags", "+faststart");
  ok(avformat_write_header(raw, o.pass()), "header");
  const auto total = std::llround(c.sound_seconds * c.sample_rate);
  std::int64_t at = 0;
  const int chunk = w.audio && w.audio->frame_size > 0 ? w.audio->frame_size : 1024;
  auto tone_until = [&](double seconds) {
    while (w.audio && at < total && double(at) / c.sample_rate <= seconds) {
      send_tone(w, c, at, int(std::min<std::int64_t>(chunk, total - at)));
      at += chunk;
    }
  };
  for (int i = 0; w.video && i < c.frames; ++i) {
    send_picture(w, c, i);
    tone_until(i / av_q2d(c.fps));
  }
  tone_until(1e9);
  if (w.video) {
    ok(avcodec_send_frame(w.video.get(), nullptr), "flush");
    w.drain(*w.video, w.video_stream);
  }
  if (w.audio) {
    ok(avcodec_send_frame(w.audio.get(), nullptr), "flush");
    w.drain(*w.audio, w.audio_stream);
  }
  ok(av_write_trailer(raw), "trailer");
}

int number_of(const AVFrame& f) {
  int out = 0;
  auto d = av_pix_fmt_desc_get(AVPixelFormat(f.format));
  const int shift = d->comp[0].depth - 8, step = d->comp[0].step;
  for (int bit = 0; bit < bits; ++bit) {
    const int x = (2 * bit + 1) * f.width / (2 * bits), y = f.height / 4;
    const auto* p = f.data[0] + y * f.linesize[0] + x * step;
    const int v = shift > 0 ? *reinterpret_cast<const std::uint16_t*>(p) >> shift : *p;
    out |= (v > 125) << bit;
  }
  return out;
}

std::vector<shown> read_video(const std::string& path) {
  std::vector<shown> out;
  decode_all(path, AVMEDIA_TYPE_VIDEO, [&](const AVFrame& f, AVRational tb) {
    out.push_back(
        {number_of(f), av::seconds(f.pts, tb), f.pts, f.key_frame != 0, f.width, f.height});
  });
  return out;
}

std::vector<float> read_sound(const std::string& path, int& sample_rate) {
  std::vector<float> out;
  decode_all(path, AVMEDIA_TYPE_AUDIO, [&](const AVFrame& f, AVRational) {
    sample_rate = f.sample_rate;
    const bool floats = av_get_packed_sample_fmt(AVSampleFormat(f.format)) == AV_SAMPLE_FMT_FLT;
    for (int i = 0; i < f.nb_samples; ++i)
      out.push_back(floats
                        ? reinterpret_cast<const float*>(f.data[0])[i]
                        : float(reinterpret_cast<const std::int16_t*>(f.data[0])[i]) / 32768);
  });
  return out;
}

} // namespace framemill::test
