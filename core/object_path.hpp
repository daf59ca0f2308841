#pragma once

#include "core/workflow.hpp"

#include <map>
#include <string>

// Names of outputs: MPS's path templates, and the rules a key must keep.

namespace framemill {

/// A key as stored: no leading '/', no empty, `.` or `..` component, no control
/// characters, valid UTF-8, components ≤ 255 bytes, ≤ 1024 bytes in all.
[[nodiscard]] result<std::string> normalize_key(std::string_view key);

/// A directory as users give it: "" or "/", or a key followed by '/'; the leading
/// '/' is optional (it is stored as given, and dropped on use).
[[nodiscard]] result<void> validate_directory(std::string_view dir);

/// `a/b/c.mov` → directory `a/b/` ("" at the top), stem `c`, extension `mov`.
struct key_parts {
  std::string directory;
  std::string stem;
  std::string extension;
};
[[nodiscard]] key_parts split_key(std::string_view key);

/// Fails on an unknown {variable}, an empty, `.` or `..` component, a control
/// character. Variables may still render to more than a key may be: what
/// `render_path` gives has to pass `normalize_key`.
[[nodiscard]] result<void> validate_path_template(std::string_view text);

/// The default OutputObjectPath of an activity kind.
[[nodiscard]] std::string_view default_path_template(activity_kind kind);

/// Of the segments of a transcode to HLS, relative to the manifest's directory.
[[nodiscard]] std::string_view default_segment_template();
/// Of the WebVTT file of a sprite, relative to the directory of its images.
[[nodiscard]] std::string_view default_vtt_template();

struct path_variables {
  std::string input_name;   ///< source name without extension
  std::string input_format; ///< source extension
  std::string format;       ///< output extension
  std::string definition;
  std::string input_dir;    ///< the workflow's OutputDir
  std::string number;       ///< rendered by `render_number`
};
/// Without a leading '/', and never with two in a row.
[[nodiscard]] std::string render_path(std::string_view text, const path_variables& v);
[[nodiscard]] std::string render_number(const number_format& f, std::int64_t ordinal);

/// Where an activity's files go: bucket, and the directory + template to render.
struct output_place {
  std::string bucket;
  std::string directory;     ///< "" or ends in '/', no leading '/'
  std::string path_template; ///< relative to `directory`, unless it began with '/'
};

/// Resolution chain: activity → workflow or call → the input's bucket and
/// directory. `default_storage` and `output_dir` are the workflow's.
[[nodiscard]] output_place place_output(const activity& a,
                                        const std::optional<output_storage>& default_storage,
                                        std::string_view output_dir,
                                        std::string_view input_bucket,
                                        std::string_view input_key);

} // namespace framemill
