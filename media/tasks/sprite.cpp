#include "core/limits.hpp"
#include "media/pictures.hpp"
#include "media/picture_filter.hpp"
#include "media/tasks/tasks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace framemill::tasks {
namespace {

std::string clock_text(double seconds) {
  const auto ms = std::max<long long>(std::llround(seconds * 1000), 0);
  return fmt::format("{:02}:{:02}:{:02}.{:03}", ms / 3'600'000, ms / 60'000 % 60,
                     ms / 1000 % 60, ms % 1000);
}

/// Fills one sheet tile by tile; holds that sheet only.
class sprite_sheets {
public:
  sprite_sheets(const sprite_step& step, work& w) : step_(step), work_(w) {}

  result<void> add(const AVFrame& tile) {
    const auto per_sheet = std::int64_t{step_.rows} * step_.columns;
    const auto place = count_ % per_sheet;
    if (place == 0)
      FM_CHECK(begin_sheet(tile));
    if (tile.width != width_ || tile.height != height_)
      return fail(errc::internal, "the pictures of the sprite have different sizes");
    const auto x = place % step_.columns * width_, y = place / step_.columns * height_;
    for (int row = 0; row < height_; ++row)
      std::memcpy(sheet_->data[0] + (y + row) * sheet_->linesize[0] + x * 3,
                  tile.data[0] + std::ptrdiff_t{row} * tile.linesize[0],
                  static_cast<std::size_t>(width_) * 3);
    FM_CHECK(add_cue(x, y));
    ++count_;
    work_.progress().encoded();
    return count_ % per_sheet == 0 ? end_sheet() : result<void>{};
  }

  result<void> finish() {
    if (sheet_)
      FM_CHECK(end_sheet());
    if (count_ == 0)
      return fail(errc::contract_broken, "the sprite has no picture");
    if (count_ != static_cast<std::int64_t>(step_.times.size()))
      return fail(errc::contract_broken, "the sprite has {} pictures, planned were {}", count_,
                  step_.times.size());
    FM_CHECK(write_file(work_.output(step_.name + ".vtt"), vtt_));
    result_file file;
    file.name = step_.name + ".vtt";
    file.frames = count_;
    work_.described.push_back(std::move(file));
    return {};
  }

private:
  result<void> begin_sheet(const AVFrame& tile) {
    width_ = tile.width;
    height_ = tile.height;
    FM_TRY(sheet_, av::make_frame());
    sheet_->width = width_ * step_.columns;
    sheet_->height = height_ * step_.rows;
    sheet_->format = AV_PIX_FMT_RGB24;
    if (sheet_->width > limits::source_dimension_max
        || sheet_->height > limits::source_dimension_max)
      return fail(errc::too_large, "a sprite of {}x{} pixels; the limit is {} per side",
                  sheet_->width, sheet_->height, limits::source_dimension_max);
    FM_CHECK(av::check(av_frame_get_buffer(sheet_.get(), 0), "a sprite"));
    std::memset(sheet_->buf[0]->data, 0, sheet_->buf[0]->size);
    return {};
  }

  result<void> add_cue(std::int64_t x, std::int64_t y) {
    const auto i = static_cast<std::size_t>(count_), sheet = static_cast<std::size_t>(sheets_);
    if (i >= step_.times.size() || sheet >= step_.sheet_names.size())
      return fail(errc::contract_broken, "the sprite has more pictures than were planned");
    const auto end = i + 1 < step_.times.size() ? step_.times[i + 1]
                                                : std::max(step_.duration, step_.times[i]);
    vtt_ += fmt::format("\n{} --> {}\n{}#xywh={},{},{},{}\n", clock_text(step_.times[i]),
                        clock_text(end), step_.sheet_names[sheet], x, y, width_, height_);
    return {};
  }

  result<void> end_sheet() {
    picture_recipe r;
    r.geometry = {sheet_->width, sheet_->height, sheet_->width, sheet_->height,
                  fill_mode::stretch};
    r.layout = step_.format == "jpg"    ? pixel_layout::jpeg
               : step_.format == "webp" ? pixel_layout::video
                                        : pixel_layout::rgb;
    FM_TRY(auto picture, picture_filter{std::move(r)}.apply(*sheet_, 0));
    FM_TRY(auto bytes, encode_image(*picture, step_.format, 0));
    result_file file;
    file.name = fmt::format("{}.{}", step_.name, sheets_++);
    file.width = sheet_->width;
    file.height = sheet_->height;
    file.frames = 1;
    FM_CHECK(write_file(work_.output(file.name), bytes));
    work_.progress().wrote(static_cast<std::int64_t>(bytes.size()));
    work_.described.push_back(std::move(file));
    sheet_.reset();
    return {};
  }

  const sprite_step& step_;
  work& work_;
  av::frame_ptr sheet_;
  int width_ = 0, height_ = 0;
  std::int64_t count_ = 0, sheets_ = 0;
  std::string vtt_ = "WEBVTT\n";
};

} // namespace

result<void> run(const sprite_step& step, work& w) {
  w.progress().enter(work_phase::assembling);
  if (step.rows < 1 || step.columns < 1)
    return fail(errc::invalid_argument, "a sprite of {} rows and {} columns", step.rows,
                step.columns);
  std::vector<std::string> paths;
  for (const auto& name : step.pictures) {
    FM_TRY(auto path, w.find(name));
    paths.push_back(std::move(path));
  }
  raw_reader pictures{std::move(paths)};
  sprite_sheets sheets{step, w};
  while (true) {
    FM_TRY(auto tile, pictures.next());
    if (!tile)
      return sheets.finish();
    FM_CHECK(sheets.add(*tile));
  }
}

} // namespace framemill::tasks
