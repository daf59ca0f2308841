#include "tools/framemill/sse_parser.hpp"

namespace framemill::cli {

namespace {
constexpr std::size_t line_bytes_max = 4 << 20;
} // namespace

bool sse_parser::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    auto end = bytes.find('\n');
    pending_ += bytes.substr(0, end);
    if (pending_.size() + message_.data.size() > line_bytes_max)
      return false;
    if (end == std::string_view::npos)
      return true;
    bytes.remove_prefix(end + 1);
    if (pending_.ends_with('\r'))
      pending_.pop_back();
    line(pending_);
    pending_.clear();
  }
  return true;
}

void sse_parser::line(std::string_view text) {
  if (text.empty()) {
    if (!message_.data.empty())
      on_message_(message_);
    message_ = {};
    return;
  }
  auto colon = text.find(':');
  auto name = text.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  if (value.starts_with(' '))
    value.remove_prefix(1);
  if (name == "data") {
    message_.data += message_.data.empty() ? "" : "\n";
    message_.data += value;
  } else if (name == "event") {
    message_.event = value;
  } else if (name == "id") {
    message_.id = value;
  }
}

} // namespace framemill::cli
