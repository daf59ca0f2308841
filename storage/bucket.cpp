#include "storage/bucket.hpp"

namespace framemill {

bool is_ignored_name(std::string_view file_name) {
  return file_name.starts_with('.') || file_name.ends_with(".part");
}

} // namespace framemill
