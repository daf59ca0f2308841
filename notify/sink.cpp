#include "notify/sink.hpp"

namespace framemill {

std::string_view to_string(delivery_answer::verdict v) noexcept {
  switch (v) {
    case delivery_answer::verdict::delivered: return "delivered";
    case delivery_answer::verdict::again: return "again";
    case delivery_answer::verdict::parked: return "parked";
  }
  return "unknown";
}

} // namespace framemill
