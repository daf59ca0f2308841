#include "tools/framemill/bucket_page.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

namespace {

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const json buckets = json::parse(R"json([
  {"Name": "media", "Location": "/srv/media", "WatchMode": "inotify", "Settling": 3,
   "LastScan": "2026-11-21T10:00:00.000000Z", "Problem": "", "Watch": "any", "WatchedBy": "w2",
   "WatchedAt": "/mnt/media", "Reason": "node w1 is gone: killed", "Epoch": 8,
   "Since": "2026-11-21T09:00:00.000000Z",
   "Nodes": [{"Node": "w1", "WhyNot": "it is away\u001b[2J"}, {"Node": "w2", "WhyNot": ""}]},
  {"Name": "other", "Location": "", "WatchedBy": "", "Problem": "nobody watches it", "Nodes": []}
])json");

} // namespace

TEST_CASE("bucket_table: who watches each bucket, or nobody") {
  auto text = bucket_table(buckets).render();

  CHECK(holds(text, "w2"));
  CHECK(holds(text, "inotify"));
  CHECK(holds(text, "nobody watches it"));
}

TEST_CASE("bucket_page: where it is watched, why, and who else could") {
  auto page = bucket_page(buckets[0]);

  CHECK(holds(page, "node w1 is gone: killed"));
  CHECK(holds(page, "w2:/mnt/media"));
  CHECK(holds(page, "2026-11-21 09:00:00"));
  CHECK(holds(page, "it is away\\x1b[2J"));
  CHECK_FALSE(holds(page, "\x1b"));
  CHECK(bucket_page(nullptr) != ""); // another server's answer is survived
}
