#include "notify/function_log.hpp"

#include <fmt/format.h>

namespace framemill {

bool log_sweep::keeps(const std::string& function, timestamp started) {
  if (function != function_) {
    function_ = function;
    kept_ = 0;
  }
  if (kept_ >= rules_.count_max || now_ - started > rules_.age_max)
    return false;
  ++kept_;
  return true;
}

void output_tail::add(std::string_view bytes) {
  bytes_ += bytes.size();
  if (bytes.size() > bytes_max_)
    bytes.remove_prefix(bytes.size() - bytes_max_);
  kept_ += bytes;
  if (kept_.size() > 2 * bytes_max_)
    kept_.erase(0, kept_.size() - bytes_max_);
}

std::string output_tail::text() const {
  if (bytes_ <= bytes_max_)
    return kept_;
  auto from = kept_.size() - std::min(bytes_max_, kept_.size());
  if (auto line = kept_.find('\n', from); line != std::string::npos && line + 1 < kept_.size())
    from = line + 1;
  auto missing = bytes_ - (kept_.size() - from);
  return fmt::format("[{} bytes before this are not kept]\n", missing) + kept_.substr(from);
}

} // namespace framemill
