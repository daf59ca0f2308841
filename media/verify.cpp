#include "media/verify.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

namespace framemill {
namespace {

template <class... Args>
failure broken(const std::string& file, fmt::format_string<Args...> text, Args&&... args) {
  return fail(errc::contract_broken, "{}: {}", file,
              fmt::format(text, std::forward<Args>(args)...));
}

struct stream_facts {
  std::int64_t packets = 0;
  double begin = 0, end = 0; ///< seconds
};

/// One pass over all packets of an output.
class output_reader {
public:
  output_reader(source& s, std::string name, const media_info& info,
                std::vector<std::int64_t> segment_begins, seam_check* seams)
      : source_(s), name_(std::move(name)), segment_begins_(std::move(segment_begins)),
        seams_(seams) {
    video_ = info.video() ? info.video()->index : -1;
    audio_ = info.audio() ? info.audio()->index : -1;
    last_dts_.assign(info.streams.size(), AV_NOPTS_VALUE);
  }

  result<void> run(work& w) {
    FM_TRY(auto packet, av::make_packet());
    while (true) {
      FM_TRY(auto more, source_.read(*packet));
      if (!more)
        break;
      w.progress().read(packet->size);
      FM_CHECK(add(*packet));
    }
    if (source_.broken())
      return broken(name_, "it cannot be read to its end");
    return {};
  }

  stream_facts video, audio;
  key_place last_key;

private:
  result<void> add(const AVPacket& p) {
    const auto i = static_cast<std::size_t>(p.stream_index);
    if (p.dts == AV_NOPTS_VALUE || p.pts == AV_NOPTS_VALUE)
      return broken(name_, "stream {} has a packet without times", i);
    if (i < last_dts_.size()) {
      if (last_dts_[i] != AV_NOPTS_VALUE && p.dts <= last_dts_[i])
        return broken(name_, "decoding times of stream {} do not rise at {}", i, p.dts);
      last_dts_[i] = p.dts;
    }
    if (p.stream_index == video_)
      return add_picture(p);
    if (p.stream_index == audio_)
      note(audio, p);
    return {};
  }

  void note(stream_facts& f, const AVPacket& p) {
    const auto tb = source_.stream(p.stream_index).time_base;
    const auto at = av::seconds(p.pts, tb);
    f.begin = f.packets == 0 ? at : std::min(f.begin, at);
    f.end = std::max(f.end, at + av::seconds(p.duration, tb));
    ++f.packets;
  }

  result<void> add_picture(const AVPacket& p) {
    note(video, p);
    const bool key = p.flags & AV_PKT_FLAG_KEY;
    if (key)
      last_key = {p.pts, p.dts, p.pos};
    if (key && seams_)
      seams_->pass(last_key);
    if (video.packets == 1 && !key)
      return broken(name_, "it does not begin with a key frame");
    if (p.pts < p.dts)
      return broken(name_, "a frame is shown before it is decoded");
    // What was shown before this frame is decoded cannot be shown again.
    to_show_.erase(to_show_.begin(), to_show_.lower_bound(p.dts));
    if (!to_show_.insert(p.pts).second)
      return broken(name_, "two frames have the same presentation time");
    if (next_segment_ < segment_begins_.size() && p.pos >= segment_begins_[next_segment_]) {
      if (!key)
        return broken(name_, "segment {} does not begin with a key frame", next_segment_);
      ++next_segment_;
    }
    return {};
  }

  source& source_;
  std::string name_;
  std::vector<std::int64_t> segment_begins_;
  std::size_t next_segment_ = 0;
  int video_ = -1, audio_ = -1;
  std::vector<std::int64_t> last_dts_;
  std::set<std::int64_t> to_show_; ///< presentation times not passed by decoding yet
  seam_check* seams_;
};

std::vector<byte_stream::piece> pieces_of(const std::vector<std::string>& files, work& w) {
  std::vector<byte_stream::piece> out;
  for (std::size_t i = files.size() > 1 ? 1 : 0; i < files.size(); ++i)
    out.push_back({w.output(files[i]), -1, 0});
  return out;
}

result<void> check_streams(const media_info& info, const std::string& name,
                           const output_contract& c) {
  if (c.has_video != (info.video() != nullptr))
    return broken(name, "video is {}", c.has_video ? "missing" : "there but was not planned");
  if (c.has_audio != (info.audio() != nullptr))
    return broken(name, "audio is {}", c.has_audio ? "missing" : "there but was not planned");
  if (c.has_video && c.width > 0
      && (info.video()->width != c.width || info.video()->height != c.height))
    return broken(name, "the picture is {}x{}, planned was {}x{}", info.video()->width,
                  info.video()->height, c.width, c.height);
  return {};
}

result<void> check_times(const output_reader& r, const std::string& name,
                         const output_contract& c) {
  if (c.video_frames >= 0 && r.video.packets != c.video_frames)
    return broken(name, "it has {} frames, planned were {}", r.video.packets, c.video_frames);
  if (c.has_audio && r.audio.packets == 0)
    return broken(name, "its audio is empty");
  const auto& main = c.has_video ? r.video : r.audio;
  const auto duration = main.end - main.begin;
  if (c.duration > 0 && std::abs(duration - c.duration) > c.duration_tolerance)
    return broken(name, "it lasts {:.3f} s, planned were {:.3f} s ± {:.3f}", duration,
                  c.duration, c.duration_tolerance);
  return {};
}

result<video_decoder> decoder_of(source s, int stream) {
  return video_decoder::open(std::move(s), stream, decode_extent::all_frames, 1);
}

/// The last group of pictures decodes without damage.
result<void> check_tail(video_decoder d, const key_place& last_key, const std::string& name) {
  FM_CHECK(d.seek(last_key));
  FM_TRY(auto frame, av::make_frame());
  std::int64_t frames = 0;
  while (true) {
    FM_TRY(auto more, d.next(*frame));
    if (!more)
      break;
    ++frames;
  }
  if (frames == 0 || d.broken())
    return broken(name, "its last group of pictures does not decode");
  return {};
}

} // namespace

result<source> open_output(const std::vector<std::string>& files, work& w) {
  auto s = source::open(pieces_of(files, w), files.front());
  if (!s)
    return broken(files.front(), "it cannot be opened again: {}", s.error().message);
  return s;
}

result<verified_output> verify_contract(const std::vector<std::string>& files,
                                        const std::string& container, const output_contract& c,
                                        const seam_list& seams, work& w) {
  w.progress().enter(work_phase::verifying);
  const auto& name = files.front();
  FM_TRY(auto s, open_output(files, w));
  auto info = describe(s);
  FM_CHECK(check_streams(info, name, c));
  std::vector<std::int64_t> begins;
  std::int64_t at = 0;
  if (container == "hls")
    for (const auto& p : pieces_of(files, w)) {
      if (!p.path.ends_with(".init"))
        begins.push_back(at);
      at += static_cast<std::int64_t>(std::filesystem::file_size(p.path));
    }
  std::optional<seam_check> meet;
  if (c.has_video)
    meet.emplace(seams, s.stream(info.video()->index), name);
  output_reader reader{s, name, info, std::move(begins), meet ? &*meet : nullptr};
  FM_CHECK(reader.run(w));
  FM_CHECK(check_times(reader, name, c));
  if (c.has_video) {
    const auto stream = info.video()->index;
    FM_TRY(auto decoder, decoder_of(std::move(s), stream));
    FM_CHECK(meet->run(decoder, [&]() -> result<video_decoder> {
      FM_TRY(auto again, open_output(files, w));
      return decoder_of(std::move(again), stream);
    }));
    FM_CHECK(check_tail(std::move(decoder), reader.last_key, name));
  }
  const auto& main = c.has_video ? reader.video : reader.audio;
  info.duration = std::max(main.end - main.begin, 0.0);
  return verified_output{std::move(info),
                         meet ? meet->frames() : std::vector<seam_frame>{}};
}

} // namespace framemill
