#pragma once

#include <string>
#include <string_view>

namespace framemill {

/// The characters of `text` that a font file has no glyph for, each once: they
/// would be drawn as boxes. Nothing when the font cannot be read; drawing with
/// it fails then, and says so.
[[nodiscard]] std::string missing_glyphs(const std::string& font, std::string_view text);

} // namespace framemill
