#include "media/muxer.hpp"
#include "media/tasks/tasks.hpp"
#include "media/timeline.hpp"
#include "media/verify.hpp"

#include <algorithm>
#include <optional>

namespace framemill::tasks {
namespace {

enum class shard_half : std::uint8_t { first, second };

/// All shards of one rendition as one stream of packets.
class joined_video {
public:
  explicit joined_video(std::vector<std::string> paths) : paths_(std::move(paths)) {}

  /// First pass: parameters, times, order of the shards.
  result<void> survey() {
    std::vector<std::int64_t> pts;
    std::int64_t end = 0;
    for (const auto& path : paths_) {
      FM_TRY(auto r, packet_reader::open(path));
      if (auto sound = survey_shard(r, path, pts, end); !sound) {
        FM_CHECK(r.drain());
        return sound;
      }
      feet_.push_back(r.foot());
    }
    FM_TRY(timeline_, timeline::make(std::move(pts), end));
    return check_grid();
  }

  const stream_head& head() const noexcept { return *head_; }
  std::int64_t frames() const noexcept { return static_cast<std::int64_t>(timeline_.size()); }

  /// Second pass: the packets with their new times; false at the end.
  result<bool> next(AVPacket& packet) {
    while (true) {
      if (!reader_) {
        if (file_ == paths_.size())
          return false;
        FM_TRY(reader_, packet_reader::open(paths_[file_++]));
      }
      FM_TRY(auto more, reader_->next(packet));
      if (more)
        break;
      reader_.reset();
    }
    packet.dts = timeline_.dts(number_);
    packet.duration = timeline_.duration(number_);
    ++number_;
    return true;
  }

  /// The first shard's start is at no seam: its end is always compared.
  result<seam_list> seams(seam_sides sides) const {
    seam_list out{head_->time_base, {}};
    std::int64_t frame = 0;
    for (std::size_t i = 1; i < feet_.size(); ++i) {
      const auto &a = feet_[i - 1], &b = feet_[i];
      frame += a.packets;
      if (a.last_shown.empty() || b.first_shown.empty())
        return fail(errc::corrupt, "{}: the shard does not tell what it shows", paths_[i]);
      out.list.push_back({frame, a.last_shown, b.first_shown, of_half(a, shard_half::second),
                          of_half(b, shard_half::first), i == 1 ? seam_sides::both : sides});
    }
    return out;
  }

private:
  result<void> agree(const stream_head& head, const std::string& path) {
    if (!head_)
      head_ = head;
    else if (*head_ != head)
      return fail(errc::contract_broken, "{}: its codec parameters are not those of the first "
                                         "shard; the shards cannot be joined", path);
    return {};
  }

  /// Shards follow each other and each begins with a key frame.
  result<void> survey_shard(packet_reader& r, const std::string& path,
                            std::vector<std::int64_t>& pts, std::int64_t& end) {
    FM_CHECK(agree(r.head(), path));
    packet_head p;
    const auto begin = pts.size();
    const auto before = end;
    while (true) {
      FM_TRY(auto more, r.next(p));
      if (!more)
        break;
      if (begin == pts.size() && !(p.flags & AV_PKT_FLAG_KEY))
        return fail(errc::contract_broken, "{}: the shard begins without a key frame", path);
      if (begin > 0 && p.pts < before)
        return fail(errc::contract_broken, "{}: a frame at {} lies before the shard's begin {}",
                    path, p.pts, before);
      pts.push_back(p.pts);
    }
    if (pts.size() == begin)
      return fail(errc::contract_broken, "{}: the shard is empty", path);
    end = r.foot().end;
    return {};
  }

  /// A shard has witnesses of both its ends: those of the first or second half.
  static std::vector<witness> of_half(const stream_foot& f, shard_half half) {
    const auto begin = f.first_shown.front().source, end = f.last_shown.back().source;
    auto out = f.witnesses;
    std::erase_if(out, [&](const witness& w) {
      return (w.source < begin + (end - begin) / 2) != (half == shard_half::first);
    });
    return out;
  }

  /// With a rate, the frames are exactly 0, 1, 2, …
  result<void> check_grid() const {
    const auto& tb = head_->time_base;
    const auto& rate = head_->frame_rate;
    if (rate.num <= 0 || rate.num != tb.den || rate.den != tb.num)
      return {};
    const auto& sorted = timeline_.sorted();
    for (std::size_t k = 0; k < sorted.size(); ++k)
      if (sorted[k] != static_cast<std::int64_t>(k))
        return fail(errc::contract_broken, "output frame {} is missing", k);
    return {};
  }

  std::vector<std::string> paths_;
  std::optional<stream_head> head_;
  timeline timeline_;
  std::vector<stream_foot> feet_;
  std::optional<packet_reader> reader_;
  std::size_t file_ = 0, number_ = 0;
};

struct track {
  int stream = -1;
  AVRational clock{1, 1};
  av::packet_ptr packet;
  bool more = false;
};

/// Takes packets from both sources in order of decoding time.
class assembly {
public:
  assembly(const assemble_step& step, work& w) : step_(step), work_(w) {}

  result<void> run() {
    FM_CHECK(open_parts());
    FM_CHECK(mux());
    FM_TRY(auto files, muxer_->files());
    muxer_.reset(); // its index is as large as the one that reading makes
    seam_list seams;
    if (video_) {
      FM_TRY(seams, video_->seams(step_.seams));
    }
    FM_TRY(auto v, verify_contract(files, step_.container, step_.contract, seams, work_));
    describe_files(files, std::move(v));
    return {};
  }

private:
  result<void> open_parts() {
    FM_TRY(auto m, muxer::open({step_.name, step_.container, step_.hls_seconds, step_.hls_fmp4,
                                step_.segment_pattern},
                               work_));
    muxer_.emplace(std::move(m));
    if (!step_.videos.empty())
      FM_CHECK(open_video());
    if (!step_.audio.empty())
      FM_CHECK(open_audio());
    return muxer_->start();
  }

  result<void> open_video() {
    std::vector<std::string> paths;
    for (const auto& name : step_.videos) {
      FM_TRY(auto path, work_.find(name));
      paths.push_back(std::move(path));
    }
    video_.emplace(std::move(paths));
    FM_CHECK(video_->survey());
    return add(video_track_, video_->head());
  }

  result<void> open_audio() {
    FM_TRY(auto path, work_.find(step_.audio));
    FM_TRY(audio_, packet_reader::open_whole(path));
    return add(audio_track_, audio_->head());
  }

  result<void> add(track& t, const stream_head& head) {
    FM_TRY(auto parameters, parameters_of(head));
    t.clock = av::ratio(head.time_base);
    FM_TRY(t.stream, muxer_->add_stream(*parameters, t.clock, av::ratio(head.frame_rate)));
    FM_TRY(t.packet, av::make_packet());
    return {};
  }

  result<void> advance_video() {
    if (video_) {
      FM_TRY(video_track_.more, video_->next(*video_track_.packet));
    }
    return {};
  }
  result<void> advance_audio() {
    if (audio_) {
      FM_TRY(audio_track_.more, audio_->next(*audio_track_.packet));
    }
    return {};
  }

  bool video_is_next() const {
    if (!video_track_.more || !audio_track_.more)
      return video_track_.more;
    return av_compare_ts(video_track_.packet->dts, video_track_.clock, audio_track_.packet->dts,
                         audio_track_.clock)
           <= 0;
  }

  result<void> mux() {
    FM_CHECK(advance_video());
    FM_CHECK(advance_audio());
    while (video_track_.more || audio_track_.more) {
      const bool video = video_is_next();
      auto& t = video ? video_track_ : audio_track_;
      FM_CHECK(muxer_->write(*t.packet, t.stream));
      FM_CHECK(video ? advance_video() : advance_audio());
    }
    return muxer_->finish();
  }

  void describe_files(const std::vector<std::string>& files, verified_output v) {
    result_file main;
    main.name = files.front();
    main.media = std::move(v.info);
    main.seams = std::move(v.seams);
    if (video_)
      main.frames = video_->frames();
    work_.described.push_back(std::move(main));
  }

  const assemble_step& step_;
  work& work_;
  std::optional<muxer> muxer_;
  std::optional<joined_video> video_;
  std::optional<packet_reader> audio_;
  track video_track_, audio_track_;
};

} // namespace

result<void> run(const assemble_step& step, work& w) {
  w.progress().enter(work_phase::assembling);
  return assembly{step, w}.run();
}

} // namespace framemill::tasks
