#include "tools/framemill/file_input.hpp"

#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>

namespace framemill::cli {

namespace {

std::string place_of(const std::string& file) { return file == "-" ? "standard input" : file; }

} // namespace

std::string check_directory(const std::string& text) {
  return text.empty() ? "a directory is needed, and this is no name" : "";
}

result<std::string> read_file(const std::string& path) {
  if (path == "-")
    return std::string{std::istreambuf_iterator<char>{std::cin}, {}};
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return fail_errno(errno, "cannot read " + path);
  std::string out{std::istreambuf_iterator<char>{in}, {}};
  if (in.bad())
    return fail(errc::io_failed, "{} cannot be read", path);
  return out;
}

result<json> read_json_file(const std::string& file) {
  FM_TRY(auto text, read_file(file));
  if (text.find_first_not_of(" \t\r\n") == text.npos)
    return fail(errc::malformed, "{} is empty: JSON is expected", place_of(file));
  auto read = parse_json(text);
  if (!read)
    return fail(errc::malformed, "{}: {}", place_of(file), read.error().message);
  return read;
}

result<json> read_specification(const std::string& file) {
  FM_TRY(auto spec, read_json_file(file));
  if (!spec.is_object())
    return fail(errc::malformed, "{}: a specification is a JSON object", place_of(file));
  return spec;
}

} // namespace framemill::cli
