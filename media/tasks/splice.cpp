#include "media/audio_branch.hpp"
#include "media/audio_decoder.hpp"
#include "media/tasks/tasks.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace framemill::tasks {
namespace {

constexpr std::int32_t unspecified = 2; ///< of primaries, transfer and matrix alike

struct clip {
  std::string name, path;
  int video = -1, audio = -1; ///< streams; −1 = none
  colour_tags colours;
  std::int64_t first = 0, frames = 0; ///< of the whole
};

// ---- colours -----------------------------------------------------------------------

/// H.264 calls pictures limited unless it says that they are full.
colour_tags colours_of(const AVCodecParameters& p) {
  return {p.color_range == AVCOL_RANGE_JPEG ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG,
          p.color_primaries, p.color_trc, p.color_space};
}

bool are_stated(const colour_tags& c) {
  return c.range == AVCOL_RANGE_JPEG || c.primaries != unspecified || c.transfer != unspecified
         || c.matrix != unspecified;
}

bool contradict(const colour_tags& a, const colour_tags& b) {
  const auto differ = [](std::int32_t x, std::int32_t y) {
    return x != y && x != unspecified && y != unspecified;
  };
  return a.range != b.range || differ(a.primaries, b.primaries)
         || differ(a.transfer, b.transfer) || differ(a.matrix, b.matrix);
}

/// `c`, and what `other` says where `c` says nothing.
colour_tags completed(colour_tags c, const colour_tags& other) {
  for (auto part : {&colour_tags::primaries, &colour_tags::transfer, &colour_tags::matrix})
    if (c.*part == unspecified)
      c.*part = other.*part;
  return c;
}

std::string text_of(const colour_tags& c) {
  const auto named = [](const char* name) { return name ? name : "unknown"; };
  return fmt::format("primaries {}, transfer {}, matrix {}, {} range",
                     named(av_color_primaries_name(AVColorPrimaries(c.primaries))),
                     named(av_color_transfer_name(AVColorTransferCharacteristic(c.transfer))),
                     named(av_color_space_name(AVColorSpace(c.matrix))),
                     c.range == AVCOL_RANGE_JPEG ? "full" : "limited");
}

/// H.264 of any packing → start codes, parameter sets with these colours.
result<av::bsf_ptr> recolouring(const AVStream& s, const colour_tags& colours) {
  auto filter = av_bsf_get_by_name("h264_metadata");
  AVBSFContext* raw = nullptr;
  if (!filter)
    return fail(errc::internal, "this libavcodec has no filter h264_metadata");
  FM_CHECK(av::check(av_bsf_alloc(filter, &raw), "a bitstream filter"));
  av::bsf_ptr out{raw};
  FM_CHECK(av::check(avcodec_parameters_copy(raw->par_in, s.codecpar), "codec parameters"));
  raw->time_base_in = s.time_base;
  const auto set = [&](const char* option, std::int64_t value) {
    return av::check(av_opt_set_int(raw->priv_data, option, value, 0), option);
  };
  if (are_stated(colours)) {
    FM_CHECK(set("video_full_range_flag", colours.range == AVCOL_RANGE_JPEG));
    FM_CHECK(set("colour_primaries", colours.primaries));
    FM_CHECK(set("transfer_characteristics", colours.transfer));
    FM_CHECK(set("matrix_coefficients", colours.matrix));
  }
  FM_CHECK(av::check(av_bsf_init(raw), "the H.264 parameters cannot be read",
                     errc::contract_broken));
  return out;
}

// ---- sound -------------------------------------------------------------------------

/// The sound of all clips as one row of samples, without gap, on its way to the encoder.
class sound_row {
public:
  sound_row(const audio_output& output, work& w) : output_(output), branch_(output_, w) {
    output_.begin = output_.end = 0;
    av_channel_layout_default(&layout_, output.channels);
  }
  sound_row(const sound_row&) = delete;
  sound_row& operator=(const sound_row&) = delete;

  /// Is a frame of the form that all have?
  bool fits(const AVFrame& f) const noexcept {
    return f.format == AV_SAMPLE_FMT_S16 && f.sample_rate == output_.sample_rate
           && f.ch_layout.nb_channels == output_.channels;
  }

  /// What of the frame, which begins at sample `at` of the row, lies before `end` and is
  /// not taken already.
  result<void> take(const AVFrame& frame, std::int64_t at, std::int64_t end) {
    const auto from = std::max(at, taken_), to = std::min(at + frame.nb_samples, end);
    if (from >= to)
      return {};
    FM_CHECK(silence_until(from));
    FM_TRY(auto part, silence(to - from));
    av_samples_copy(part->extended_data, frame.extended_data, 0, static_cast<int>(from - at),
                    part->nb_samples, output_.channels, AV_SAMPLE_FMT_S16);
    return emit(*part);
  }

  result<void> silence_until(std::int64_t end) {
    constexpr std::int64_t samples_max = 4096; // at a time
    while (taken_ < end) {
      FM_TRY(auto part, silence(std::min(end - taken_, samples_max)));
      FM_CHECK(emit(*part));
    }
    return {};
  }

  result<void> finish() { return branch_.finish(); }

private:
  result<av::frame_ptr> silence(std::int64_t samples) {
    return av::silence(AV_SAMPLE_FMT_S16, layout_, output_.sample_rate,
                       static_cast<int>(samples));
  }

  result<void> emit(AVFrame& frame) {
    frame.pts = taken_;
    taken_ += frame.nb_samples;
    return branch_.take(frame);
  }

  audio_output output_;
  AVChannelLayout layout_{}; ///< a native one: it owns nothing
  audio_branch branch_;      ///< reads output_
  std::int64_t taken_ = 0;   ///< samples
};

// ---- the whole ---------------------------------------------------------------------

/// Puts clips one after the other: first the pictures, which tell how long each is.
class splicing {
public:
  splicing(const splice_step& step, work& w)
      : step_(step), work_(w), fps_(av::ratio(step.fps)), frame_clock_(av_inv_q(fps_)) {}

  result<void> run() {
    FM_CHECK(validate());
    FM_TRY(packet_, av::make_packet());
    FM_CHECK(survey());
    FM_CHECK(splice_pictures());
    return step_.sound ? splice_sound() : result<void>{};
  }

private:
  result<void> validate() const {
    if (step_.clips.empty() || fps_.num <= 0)
      return fail(errc::internal, "a splice of {} clips at {}/{} frames per second",
                  step_.clips.size(), step_.fps.num, step_.fps.den);
    if (step_.sound && (step_.sound->sample_rate <= 0 || step_.sound->channels <= 0))
      return fail(errc::internal, "the sound of a splice has no rate or channels");
    return {};
  }

  result<source> open(const clip& c) const {
    auto s = source::open({{c.path, -1, 0}}, c.name);
    if (!s)
      return fail(errc::contract_broken, "the clip `{}` cannot be opened: {}", c.name,
                  s.error().message);
    return s;
  }

  // ---- survey: streams and colours ---------------------------------------------------

  result<void> survey() {
    for (const auto& name : step_.clips) {
      FM_TRY(auto path, work_.find(name));
      FM_TRY(auto c, survey_clip({name, std::move(path)}));
      FM_CHECK(agree_on_colours(c));
      clips_.push_back(std::move(c));
    }
    return {};
  }

  result<clip> survey_clip(clip c) const {
    FM_TRY(auto s, open(c));
    const auto info = describe(s);
    if (!info.video())
      return fail(errc::contract_broken, "the clip `{}` has no pictures", c.name);
    c.video = info.video()->index;
    c.audio = info.audio() ? info.audio()->index : -1;
    const auto& p = *s.stream(c.video).codecpar;
    if (p.codec_id != AV_CODEC_ID_H264)
      return fail(errc::contract_broken, "the clip `{}` is {}, not h264", c.name,
                  avcodec_get_name(p.codec_id));
    c.colours = colours_of(p);
    return c;
  }

  result<void> agree_on_colours(const clip& c) {
    auto other = std::find_if(clips_.begin(), clips_.end(),
                              [&](const clip& o) { return contradict(o.colours, c.colours); });
    if (other != clips_.end())
      return fail(errc::unsupported,
                  "the clips `{}` and `{}` have different colours ({}; {}), and one video can "
                  "have only one kind; leave one of them out, or convert it before",
                  other->name, c.name, text_of(other->colours), text_of(c.colours));
    colours_ = clips_.empty() ? c.colours : completed(colours_, c.colours);
    return {};
  }

  // ---- pictures ------------------------------------------------------------------------

  result<void> splice_pictures() {
    std::int64_t frames = 0;
    for (auto& c : clips_) {
      c.first = frames;
      FM_CHECK(copy_pictures(c));
      frames += c.frames;
    }
    stream_foot foot;
    foot.end = frames;
    return writer_->finish(foot);
  }

  result<void> copy_pictures(clip& c) {
    FM_TRY(auto s, open(c));
    s.select({c.video});
    FM_TRY(auto filter, recolouring(s.stream(c.video), colours_));
    FM_CHECK(begin_clip(c, *filter->par_out));
    std::vector<std::int64_t> numbers;
    for (bool more = true; more;) {
      FM_TRY(more, s.read(*packet_));
      FM_CHECK(av::check(av_bsf_send_packet(filter.get(), more ? packet_.get() : nullptr),
                         "the clip's H.264 cannot be read", errc::contract_broken));
      FM_CHECK(copy_filtered(c, *filter, numbers));
    }
    if (s.broken())
      return fail(errc::contract_broken, "the clip `{}` cannot be read to its end", c.name);
    return check_grid(c, std::move(numbers));
  }

  /// What an encoder of all clips would have said; each must say the same.
  result<void> begin_clip(const clip& c, const AVCodecParameters& p) {
    stream_head head;
    head.codec = avcodec_get_name(p.codec_id);
    head.time_base = av::ratio(frame_clock_);
    head.frame_rate = av::ratio(fps_);
    head.extradata.assign(reinterpret_cast<const char*>(p.extradata),
                          static_cast<std::size_t>(p.extradata_size));
    head.profile = p.profile;
    head.level = p.level;
    head.width = p.width;
    head.height = p.height;
    head.colours = colours_;
    if (writer_ && head != head_)
      return fail(
          errc::contract_broken,
          "the clips `{}` and `{}` have different H.264 parameters and cannot be joined",
          clips_.front().name, c.name);
    if (writer_)
      return {};
    head_ = std::move(head);
    FM_TRY(writer_, packet_writer::create(work_.output(step_.video), head_));
    return {};
  }

  result<void> copy_filtered(const clip& c, AVBSFContext& filter,
                             std::vector<std::int64_t>& numbers) {
    while (true) {
      auto n = av_bsf_receive_packet(&filter, packet_.get());
      if (n == AVERROR(EAGAIN) || n == AVERROR_EOF)
        return {};
      FM_CHECK(av::check(n, "the clip's H.264 cannot be read", errc::contract_broken));
      if (numbers.empty() && !(packet_->flags & AV_PKT_FLAG_KEY))
        return fail(errc::contract_broken, "the clip `{}` begins without a key frame", c.name);
      numbers.push_back(av_rescale_q(packet_->pts, filter.time_base_out, frame_clock_));
      FM_CHECK(write(c.first + numbers.back()));
    }
  }

  result<void> write(std::int64_t number) {
    constexpr std::int64_t reordered_max = 16; // of H.264; the muxed times are made anew
    auto& p = *packet_;
    work_.progress().read(p.size);
    p.pts = number;
    p.dts = writer_->packets() - reordered_max;
    p.duration = 1;
    FM_CHECK(writer_->add(p));
    work_.progress().wrote(p.size);
    return {};
  }

  /// The frames are exactly 0, 1, 2, …
  result<void> check_grid(clip& c, std::vector<std::int64_t> numbers) const {
    c.frames = static_cast<std::int64_t>(numbers.size());
    if (numbers.empty())
      return fail(errc::contract_broken, "the clip `{}` has no pictures", c.name);
    std::sort(numbers.begin(), numbers.end());
    for (std::int64_t k = 0; k < c.frames; ++k)
      if (numbers[static_cast<std::size_t>(k)] != k)
        return fail(errc::contract_broken,
                    "the clip `{}` does not have each frame from 0 on once, at {}/{} frames "
                    "per second: frame {} is amiss",
                    c.name, fps_.num, fps_.den, k);
    return {};
  }

  // ---- sound ---------------------------------------------------------------------------

  std::int64_t sample_of(std::int64_t frame) const {
    return av_rescale_q(frame, frame_clock_, {1, step_.sound->sample_rate});
  }

  result<void> splice_sound() {
    work_.progress().enter(work_phase::audio);
    sound_row row{*step_.sound, work_};
    for (const auto& c : clips_) {
      const auto end = sample_of(c.first + c.frames);
      if (c.audio >= 0)
        FM_CHECK(add_sound(c, end, row));
      FM_CHECK(row.silence_until(end));
    }
    return row.finish();
  }

  result<void> add_sound(const clip& c, std::int64_t end, sound_row& row) {
    FM_TRY(auto s, open(c));
    FM_TRY(auto decoder, audio_decoder::open(std::move(s), c.audio, c.name));
    FM_TRY(auto frame, av::make_frame());
    const auto begin = sample_of(c.first);
    while (true) {
      FM_TRY(auto more, decoder.next(*frame));
      if (!more || begin + frame->pts >= end)
        break;
      if (!row.fits(*frame))
        return fail(errc::contract_broken,
                    "the sound of the clip `{}` is not PCM of {} Hz and {} channels", c.name,
                    step_.sound->sample_rate, step_.sound->channels);
      work_.progress().decoded(av::seconds(begin + frame->pts, {1, frame->sample_rate}));
      FM_CHECK(row.take(*frame, begin + frame->pts, end));
    }
    if (decoder.failed_packets() > 0)
      return fail(errc::contract_broken, "the sound of the clip `{}` does not decode", c.name);
    return {};
  }

  const splice_step& step_;
  work& work_;
  AVRational fps_, frame_clock_;
  std::vector<clip> clips_;
  colour_tags colours_; ///< of the whole
  stream_head head_;
  std::optional<packet_writer> writer_;
  av::packet_ptr packet_;
};

} // namespace

result<void> run(const splice_step& step, work& w) {
  w.progress().enter(work_phase::assembling);
  return splicing{step, w}.run();
}

} // namespace framemill::tasks
