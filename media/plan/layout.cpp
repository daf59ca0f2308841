#include "media/plan/layout.hpp"

#include <algorithm>
#include <set>

namespace framemill {
namespace {

/// A child beyond this has run away: predictions are far below it.
constexpr std::int64_t memory_bytes_least = std::int64_t{1} << 30;
constexpr std::int64_t memory_headroom = 3;

/// What costs less is done by one thread: several sources at once make more of a
/// machine than several threads on one.
constexpr double wide_cpu_seconds_min = 8;
/// Of one encoder: more than the decoder and the filters can feed is idle.
constexpr int encoder_threads_max = 4, decoder_threads_max = 2;

std::string snapshot_file(const picture_output& p, std::int64_t ordinal) {
  return fmt::format("{}.{}", p.name, ordinal);
}

bool is_published(const picture_output& p) { return p.format != "raw"; }

template <class T>
void insert_sorted(std::vector<T>& to, const T& value) {
  auto at = std::lower_bound(to.begin(), to.end(), value);
  if (at == to.end() || *at != value)
    to.insert(at, value);
}

/// What a finishing step reads, by kind of step.
struct finish_inputs {
  std::vector<std::string> videos, pictures;
  std::string audio;
  seam_sides seams = seam_sides::both;

  void operator()(assemble_step& s) const {
    s.videos = videos;
    s.seams = seams;
    s.audio = audio;
  }
  void operator()(remux_step& s) const {
    s.video_file = videos.empty() ? "" : videos.front();
    s.audio_file = audio;
  }
  void operator()(sprite_step& s) const { s.pictures = pictures; }
  void operator()(animation_step& s) const { s.pictures = pictures; }
  template <class Other>
  void operator()(Other&) const {}
};

bool reads_source(const media_step& step) {
  return std::holds_alternative<decode_step>(step) ||
         std::holds_alternative<audio_step>(step) || std::holds_alternative<remux_step>(step);
}

void add_overlay_images(const std::vector<overlay>& overlays, std::set<std::string>& images) {
  for (const auto& o : overlays)
    if (!o.image.empty())
      images.insert(o.image);
}

std::set<std::string> images_of(const media_request& request) {
  std::set<std::string> out;
  for (const auto& step : request.steps)
    if (const auto* d = std::get_if<decode_step>(&step)) {
      for (const auto& v : d->videos)
        add_overlay_images(v.overlays, out);
      for (const auto& p : d->pictures)
        add_overlay_images(p.overlays, out);
    }
  return out;
}

/// Gives its encoders and decoders several threads.
void widen(media_request& request, int threads) {
  for (auto& step : request.steps)
    if (auto* d = std::get_if<decode_step>(&step)) {
      d->threads = std::min(threads, decoder_threads_max);
      for (auto& v : d->videos)
        v.encoder.threads = std::min(threads, encoder_threads_max);
    }
}

/// Threads that work at once in the step that has most. One alone works in the
/// thread that hands it its frames.
int threads_of(const media_request& request) {
  auto beside = [](int threads) { return threads > 1 ? threads : 0; };
  int most = 1;
  for (const auto& step : request.steps)
    if (const auto* d = std::get_if<decode_step>(&step)) {
      auto sum = beside(d->threads);
      for (const auto& v : d->videos)
        sum += beside(v.encoder.threads);
      most = std::max(most, sum);
    }
  return most;
}

bool reads_index(const media_request& request) {
  return std::any_of(request.steps.begin(), request.steps.end(), [](const media_step& step) {
    const auto* d = std::get_if<decode_step>(&step);
    return d && !d->index_file.empty();
  });
}

} // namespace

shard_layout::shard_layout(const source_facts& source, const shared_work& work,
                           const source_cut& cut,
                           const std::map<std::string, std::string>& assets,
                           const plan_options& options, std::uint32_t first)
    : source_(source), work_(work), cut_(cut), assets_(assets), options_(options),
      first_(first), video_files_(work.videos.size()) {
  for (const auto& v : work_.videos)
    ranges_.push_back(source_.exact ? frame_ranges(v.what, cut_, *source_.index)
                                    : std::vector<frame_range>{{0, INT64_MAX}});
}

std::vector<shard_record> shard_layout::lay_out(std::vector<job_draft>& drafts) {
  if (cut_.ticks.empty())
    lay_whole(drafts);
  else
    lay_pieces(drafts);
  place_pictures(drafts);
  for (auto& s : shards_)
    seal(s);
  return std::move(shards_);
}

void shard_layout::lay_whole(std::vector<job_draft>& drafts) {
  if (std::all_of(drafts.begin(), drafts.end(), [](const auto& d) { return d.failure; }))
    return;
  auto& shard = add(shard_role::whole);
  add_audio(shard);
  add_decode(shard, 0);
  for (auto& d : drafts)
    if (!d.failure && d.finish)
      add_finish(shard, d);
}

void shard_layout::lay_pieces(std::vector<job_draft>& drafts) {
  if (!work_.audios.empty()) {
    auto& shard = add(shard_role::audio);
    add_audio(shard);
    for (const auto& a : std::get<audio_step>(shard.request.steps.front()).outputs)
      shard.request.keep.push_back(a.name);
  }
  for (std::size_t piece = 0; piece <= cut_.ticks.size(); ++piece) {
    auto& shard = add(shard_role::decode);
    add_decode(shard, piece);
    keep_artifacts(shard);
    if (shard.request.steps.empty())
      shards_.pop_back();
  }
  for (auto& d : drafts)
    if (!d.failure && d.finish)
      add_finish(add(shard_role::join), d);
}

shard_record& shard_layout::add(shard_role role) {
  shard_record s;
  s.id = {source_.run->id, first_ + static_cast<std::uint32_t>(shards_.size())};
  s.role = role;
  s.source = source_.number;
  shards_.push_back(std::move(s));
  return shards_.back();
}

void shard_layout::add_audio(shard_record& shard) {
  if (work_.audios.empty())
    return;
  audio_step step;
  step.stream = source_.audio->index;
  for (const auto& a : work_.audios) {
    auto output = a.what;
    output.name = fmt::format("a{}", step.outputs.size());
    maker_[output.name] = shard.id.index;
    for (auto job : a.jobs)
      insert_sorted(shard.jobs, job);
    step.outputs.push_back(std::move(output));
  }
  shard.request.steps.push_back(std::move(step));
}

std::vector<picture_output> shard_layout::pictures_of(std::uint32_t shard,
                                                      std::size_t piece) const {
  auto begin = piece == 0 ? INT64_MIN : cut_.ticks[piece - 1];
  auto end = piece == cut_.ticks.size() ? INT64_MAX : cut_.ticks[piece];
  std::vector<picture_output> out;
  for (const auto& p : work_.pictures) {
    auto mine = p.what;
    std::erase_if(mine.picks, [&](const picture_pick& pick) {
      if (cut_.ticks.empty())
        return false;
      auto pts =
          source_.index->pts[static_cast<std::size_t>(shown_at(pick.ticks, *source_.index))];
      return pts < begin || pts >= end;
    });
    if (mine.picks.empty())
      continue;
    if (!is_published(mine))
      mine.name += fmt::format(".s{}", shard);
    out.push_back(std::move(mine));
  }
  return out;
}

decode_wish shard_layout::wish_of(std::uint32_t shard, std::size_t piece) const {
  decode_wish wish;
  for (std::size_t i = 0; i < work_.videos.size(); ++i) {
    auto range = ranges_[i][piece];
    if (range.first == range.last)
      continue;
    auto v = work_.videos[i].what.output;
    v.name = fmt::format("v{}.s{}", i, shard);
    v.first = range.first;
    v.last = range.last;
    wish.videos.push_back(std::move(v));
  }
  wish.pictures = pictures_of(shard, piece);
  return wish;
}

void shard_layout::add_decode(shard_record& shard, std::size_t piece) {
  auto wish = wish_of(shard.id.index, piece);
  auto steps = keys_suffice(work_, source_) ? std::vector{key_frame_step(wish, source_)}
                                            : decode_steps(wish, source_);
  for (auto& step : steps) {
    note_files(step, shard.id.index);
    shard.request.steps.push_back(std::move(step));
  }
  for (std::size_t i = 0; i < work_.videos.size(); ++i)
    if (auto name = fmt::format("v{}.s{}", i, shard.id.index); maker_.contains(name)) {
      video_files_[i].push_back(name);
      for (auto job : work_.videos[i].jobs)
        insert_sorted(shard.jobs, job);
    }
}

void shard_layout::note_files(const decode_step& step, std::uint32_t shard) {
  for (const auto& v : step.videos)
    maker_[v.name] = shard;
  for (const auto& p : step.pictures) {
    auto owner = std::find_if(work_.pictures.begin(), work_.pictures.end(), [&](const auto& w) {
      return p.name == w.what.name || p.name.starts_with(w.what.name + ".");
    });
    insert_sorted(shards_[shard - first_].jobs, owner->job);
    if (!is_published(p)) {
      maker_[p.name] = shard;
      raw_files_[owner->job].push_back(p.name);
      continue;
    }
    for (const auto& pick : p.picks)
      maker_[snapshot_file(p, pick.ordinal)] = shard;
  }
}

/// Of a decode shard: packet files and raw pictures for the joins, snapshots.
void shard_layout::keep_artifacts(shard_record& shard) {
  auto& keep = shard.request.keep;
  for (const auto& step : shard.request.steps) {
    const auto& d = std::get<decode_step>(step);
    for (const auto& v : d.videos)
      insert_sorted(keep, v.name);
    for (const auto& p : d.pictures)
      insert_sorted(keep, is_published(p) ? p.name + ".*" : p.name);
  }
}

std::string shard_layout::audio_of(std::uint32_t job) const {
  for (std::size_t i = 0; i < work_.audios.size(); ++i)
    if (std::binary_search(work_.audios[i].jobs.begin(), work_.audios[i].jobs.end(), job))
      return fmt::format("a{}", i);
  return {};
}

std::vector<std::string> shard_layout::videos_of(std::uint32_t job) const {
  for (std::size_t i = 0; i < work_.videos.size(); ++i)
    if (std::binary_search(work_.videos[i].jobs.begin(), work_.videos[i].jobs.end(), job))
      return video_files_[i];
  return {};
}

bool shard_layout::are_cut_alike(std::size_t a, std::size_t b) const {
  return work_.videos[a].what.output.grid == work_.videos[b].what.output.grid
         && ranges_[a] == ranges_[b];
}

/// The ends of shards are compared in the smallest of the renditions that are cut
/// alike: it is the cheapest to decode (media/seams.hpp).
seam_sides shard_layout::seams_of(std::uint32_t job) const {
  const auto area = [&](std::size_t i) {
    const auto& g = work_.videos[i].what.output.geometry;
    return std::pair{std::int64_t{g.width} * g.height, i};
  };
  const auto& videos = work_.videos;
  const auto own = static_cast<std::size_t>(
      std::find_if(videos.begin(), videos.end(),
                   [&](const auto& v) {
                     return std::binary_search(v.jobs.begin(), v.jobs.end(), job);
                   })
      - videos.begin());
  for (std::size_t i = 0; own < videos.size() && i < videos.size(); ++i)
    if (area(i) < area(own) && are_cut_alike(i, own))
      return seam_sides::starts;
  return seam_sides::both;
}

void shard_layout::add_finish(shard_record& shard, job_draft& d) {
  finish_inputs inputs{videos_of(d.index), {}, audio_of(d.index), seams_of(d.index)};
  if (auto raw = raw_files_.find(d.index); raw != raw_files_.end())
    inputs.pictures = raw->second;
  auto step = *d.finish;
  std::visit(inputs, step);
  shard.request.steps.push_back(std::move(step));
  insert_sorted(shard.jobs, d.index);
  auto need = [&](const std::string& file) {
    if (auto maker = maker_.at(file); maker != shard.id.index)
      insert_sorted(shard.needs, maker);
  };
  std::for_each(inputs.videos.begin(), inputs.videos.end(), need);
  std::for_each(inputs.pictures.begin(), inputs.pictures.end(), need);
  if (!inputs.audio.empty())
    need(inputs.audio);
  for (auto& item : d.items) {
    item.shard = shard.id.index;
    shard.request.keep.push_back(item.file);
  }
}

void shard_layout::place_pictures(std::vector<job_draft>& drafts) const {
  for (auto& d : drafts) {
    if (d.failure || d.finish)
      continue;
    for (auto& item : d.items)
      item.shard = maker_.at(item.file);
  }
}

/// What only the finished list of steps tells.
void shard_layout::seal(shard_record& shard) {
  auto& request = shard.request;
  request.source_name = source_.run->object.key;
  if (std::any_of(request.steps.begin(), request.steps.end(), reads_source))
    request.source_bytes = source_.media->size;
  if (shard.role == shard_role::whole)
    for (const auto& p : work_.pictures)
      if (is_published(p.what))
        request.keep.push_back(p.what.name + ".*");
  std::sort(request.keep.begin(), request.keep.end());
  if (reads_index(request))
    insert_sorted(shard.needs, source_.number);
  for (const auto& image : images_of(request))
    shard.assets.push_back({image, assets_.at(image)});
  const bool is_ready = shard.needs.empty() || shard.needs.back() < first_; // but probes
  shard.state = is_ready ? shard_state::ready : shard_state::blocked;
  auto p = predict(shard, source_, file_sizes_);
  shard.cost = p.cpu_seconds;
  shard.memory_bytes = p.memory_bytes;
  shard.scratch_bytes = p.scratch_bytes;
  if (shard.role == shard_role::whole && p.cpu_seconds >= wide_cpu_seconds_min)
    widen(request, std::min(options_.slots, options_.cores));
  shard.cores = std::min(threads_of(request), std::max(options_.cores, 1));
  request.memory_bytes_max = std::max(memory_bytes_least, memory_headroom * p.memory_bytes);
}

} // namespace framemill
