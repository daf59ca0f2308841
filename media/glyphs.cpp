#include "media/glyphs.hpp"

#include "core/utf8.hpp"

#include <ft2build.h>
#include FT_FREETYPE_H

#include <memory>

namespace framemill {
namespace {

using library_ptr = std::unique_ptr<FT_LibraryRec_, FT_Error (*)(FT_Library)>;
using face_ptr = std::unique_ptr<FT_FaceRec_, FT_Error (*)(FT_Face)>;

library_ptr open_library() {
  FT_Library library = nullptr;
  return {FT_Init_FreeType(&library) == 0 ? library : nullptr, FT_Done_FreeType};
}

face_ptr open_face(FT_Library library, const std::string& font) {
  FT_Face face = nullptr;
  return {FT_New_Face(library, font.c_str(), 0, &face) == 0 ? face : nullptr, FT_Done_Face};
}

} // namespace

std::string missing_glyphs(const std::string& font, std::string_view text) {
  const auto library = open_library();
  const auto face = library ? open_face(library.get(), font) : face_ptr{nullptr, FT_Done_Face};
  std::string out;
  while (face && !text.empty()) {
    const auto before = text;
    const auto c = take_code_point(text);
    if (!c)
      break;
    const auto letter = before.substr(0, before.size() - text.size());
    if (!is_control(*c) && FT_Get_Char_Index(face.get(), *c) == 0
        && out.find(letter) == out.npos)
      out += letter;
  }
  return out;
}

} // namespace framemill
