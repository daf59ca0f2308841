#include "media/plan/overlays.hpp"

#include "media/plan/geometry.hpp"

#include <algorithm>

namespace framemill {
namespace {

std::string asset_name(std::uint64_t definition) { return fmt::format("wm-{}", definition); }

/// Equal objects have equal names, so that their renditions are shared (FNV-1a).
std::string asset_name(const media_input& input) {
  auto text = input.cos ? input.cos->bucket + '\0' + input.cos->object : std::string{};
  std::uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text)
    hash = (hash ^ c) * 0x100000001b3;
  return fmt::format("wm-o{:016x}", hash);
}

/// A watermark whichever way it was given.
struct mark {
  framemill::coordinate_origin origin = coordinate_origin::top_left;
  std::string x, y;
  std::string image, width, height; ///< asset name; "" for text
  std::optional<text_watermark_template> text;
};

result<mark> stored_mark(const watermark_input& w, const template_source& templates) {
  const auto* record = templates.find(template_family::watermark, w.definition);
  if (!record || !record->watermark)
    return fail_field(errc::not_found, "Definition", "there is no watermark template {}",
                      w.definition);
  const auto& t = *record->watermark;
  mark m{t.coordinate_origin, t.x_pos, t.y_pos, {}, {}, {}, t.text};
  if (t.image) {
    m.image = asset_name(w.definition);
    m.width = t.image->width;
    m.height = t.image->height;
  }
  if (m.text && !w.text_content.empty())
    m.text->text_content = w.text_content;
  return m;
}

result<mark> find_mark(const watermark_input& w, const template_source& templates) {
  if (w.definition != 0)
    return stored_mark(w, templates);
  if (!w.raw || !w.raw->image)
    return fail_field(errc::missing_argument, "RawParameter.ImageTemplate",
                      "a watermark with Definition 0 needs its image");
  const auto& image = *w.raw->image;
  return mark{w.raw->coordinate_origin,
              w.raw->x_pos,
              w.raw->y_pos,
              asset_name(image.image_content),
              image.width,
              image.height,
              std::nullopt};
}

result<std::int32_t> pixels(const std::string& text, std::int32_t whole) {
  FM_TRY(auto m, parse_measure(text));
  return to_pixels(m, whole);
}

result<void> place_text(overlay& o, const text_watermark_template& t,
                        const overlay_canvas& canvas,
                        const std::map<std::string, std::string>& fonts) {
  if (t.text_content.empty())
    return fail_field(errc::missing_argument, "TextContent", "the text watermark has no text");
  auto font = fonts.find(t.font_type);
  o.text = t.text_content;
  o.font = font == fonts.end() ? t.font_type : font->second;
  FM_TRY(auto size, pixels(t.font_size, canvas.height));
  o.font_size = std::max(size, 1);
  o.color = t.font_color.starts_with("0x") ? t.font_color.substr(2) : t.font_color;
  o.alpha = t.font_alpha;
  return {};
}

result<void> place_image(overlay& o, const mark& m, const overlay_canvas& canvas,
                         const std::map<std::string, std::string>& assets) {
  if (!assets.contains(m.image))
    return fail_field(errc::not_found, "ImageContent", "the watermark image is not available");
  FM_TRY(auto width, pixels(m.width, canvas.width));
  FM_TRY(auto height, pixels(m.height, canvas.height));
  o.image = m.image;
  o.width = std::max(width, height > 0 ? 0 : 1);
  o.height = std::max(height, 0);
  return {};
}

result<double> window_edge(double offset, double length, const char* field) {
  if (offset >= 0)
    return offset;
  if (length <= 0)
    return fail_field(errc::invalid_argument, field,
                      "the source does not say how long it is, so nothing is before its end");
  return std::max(0.0, length + offset);
}

result<void> place_window(overlay& o, const watermark_input& w, double length) {
  FM_TRY(auto begin, window_edge(w.start_offset, length, "StartTimeOffset"));
  FM_TRY(auto end, window_edge(w.end_offset, length, "EndTimeOffset"));
  if (w.end_offset != 0 && end <= begin)
    return fail_field(errc::invalid_argument, "EndTimeOffset",
                      "the watermark ends at {} s, not after its start at {} s", end, begin);
  o.begin = begin;
  o.end = end;
  return {};
}

result<overlay> make_overlay(const watermark_input& w, const overlay_canvas& canvas,
                             const template_source& templates,
                             const std::map<std::string, std::string>& assets,
                             const std::map<std::string, std::string>& fonts) {
  FM_TRY(auto m, find_mark(w, templates));
  overlay o;
  o.origin = static_cast<std::int32_t>(m.origin);
  FM_TRY(o.x, pixels(m.x, canvas.width));
  FM_TRY(o.y, pixels(m.y, canvas.height));
  FM_CHECK(m.text ? place_text(o, *m.text, canvas, fonts) : place_image(o, m, canvas, assets));
  FM_CHECK(place_window(o, w, canvas.length));
  return o;
}

/// The image of a watermark, unless it is text or its template is gone: that
/// is the job's failure, told by make_plan.
std::optional<plan_asset> asset_of(const watermark_input& w, const template_source& templates) {
  if (w.definition == 0) {
    if (!w.raw || !w.raw->image)
      return std::nullopt;
    const auto& content = w.raw->image->image_content;
    return plan_asset{asset_name(content), {}, content};
  }
  const auto* record = templates.find(template_family::watermark, w.definition);
  if (!record || !record->watermark || !record->watermark->image)
    return std::nullopt;
  return plan_asset{asset_name(w.definition), record->watermark->image->image_content, {}};
}

/// Offsets are inward from a corner, so no mark is so large that it reaches in.
bool is_outside(const overlay& o, const overlay_canvas& canvas) {
  return o.x >= canvas.width || o.y >= canvas.height;
}

bool is_too_late(const overlay& o, const overlay_canvas& canvas) {
  return canvas.length > 0 && o.begin >= canvas.length;
}

std::string repeat_type_of(const watermark_input& w, const template_source& templates) {
  if (w.definition == 0)
    return w.raw && w.raw->image ? w.raw->image->repeat_type : std::string{};
  const auto* record = templates.find(template_family::watermark, w.definition);
  return record && record->watermark && record->watermark->image
             ? record->watermark->image->repeat_type
             : std::string{};
}

} // namespace

result<std::vector<overlay>> make_overlays(const std::vector<watermark_input>& marks,
                                           const overlay_canvas& canvas,
                                           const template_source& templates,
                                           const std::map<std::string, std::string>& assets,
                                           const std::map<std::string, std::string>& fonts) {
  std::vector<overlay> out;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    auto o = make_overlay(marks[i], canvas, templates, assets, fonts);
    if (!o) {
      auto e = std::move(o).error();
      e.field = fmt::format("WatermarkSet[{}]{}{}", i, e.field.empty() ? "" : ".", e.field);
      return failure{std::move(e)};
    }
    out.push_back(std::move(*o));
  }
  return out;
}

std::vector<std::string> idle_marks(const std::vector<watermark_input>& marks,
                                    const std::vector<overlay>& placed,
                                    const overlay_canvas& canvas,
                                    const template_source& templates) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < marks.size() && i < placed.size(); ++i) {
    const auto& o = placed[i];
    if (is_outside(o, canvas))
      out.push_back(fmt::format("WatermarkSet[{}] is not seen: it begins {} and {} px into a "
                                "picture of {}×{}",
                                i, o.x, o.y, canvas.width, canvas.height));
    if (is_too_late(o, canvas))
      out.push_back(fmt::format("WatermarkSet[{}] is not seen: it begins at {:.3f} s, the "
                                "video ends at {:.3f} s",
                                i, o.begin, canvas.length));
    if (auto type = repeat_type_of(marks[i], templates); !type.empty() && type != "repeat")
      out.push_back(fmt::format("WatermarkSet[{}]: RepeatType {} does nothing, its image does "
                                "not move",
                                i, type));
  }
  return out;
}

std::vector<plan_asset> required_assets(const run_record& run,
                                        const template_source& templates) {
  std::map<std::string, plan_asset> by_name;
  for (const auto& a : run.spec.activities)
    for (const auto& w : watermarks_of(a))
      if (auto asset = asset_of(w, templates))
        by_name.emplace(asset->name, std::move(*asset));
  std::vector<plan_asset> out;
  for (auto& [name, asset] : by_name)
    out.push_back(std::move(asset));
  return out;
}

} // namespace framemill
