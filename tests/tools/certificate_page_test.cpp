#include "tools/framemill/certificate_page.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

namespace {

json certificate() {
  return json::parse(R"json({
    "Run": 7, "Job": 1, "Source": {"Bucket": "media", "Key": "in/a.mp4"},
    "Fingerprint": "x264 r1", "PlanRevision": 0, "Finished": "2026-11-21T23:59:49.000123Z",
    "Passed": true,
    "Shards": [
      {"Shard": 2, "Role": "decode", "Node": "mill-1", "Epoch": 2, "Attempts": 3,
       "Fingerprint": "x264 r1", "Windows": [{"File": "v0.s2", "First": 50, "Last": 80}],
       "Files": [{"Name": "v0.s2", "Size": 1234, "Sha256": "abcd", "Frames": 30}]},
      {"Shard": 3, "Role": "audio", "Node": "mill-2", "Epoch": 1, "Attempts": 1,
       "Fingerprint": "x264 r2", "Windows": [], "Files": []}],
    "Outputs": [{"Object": {"Bucket": "media", "Key": "out/a.mp4"}, "Role": "media",
                 "Size": 99, "Md5": "m", "Sha256": "s", "Frames": 80}],
    "Seams": [{"File": "o1.mp4", "Seam": 50, "Frame": 49, "SourcePts": 176400,
               "Psnr": 41.5, "OtherPsnr": 30.25, "Nearest": true},
              {"File": "o1.mp4", "Seam": 50, "Frame": 50, "SourcePts": 180000,
               "Psnr": 30.0, "OtherPsnr": 42.0, "Nearest": false}],
    "Checks": [{"What": "all parts are encoded by one build", "Passed": false,
                "Found": "2 builds"}]})json");
}

/// Is there a line with all of these words, in this order?
bool has_line(const std::string& page, std::initializer_list<std::string_view> words) {
  for (std::size_t begin = 0; begin < page.size();) {
    const auto end = page.find('\n', begin);
    const auto line = page.substr(begin, end - begin);
    std::size_t at = 0;
    for (auto word : words)
      at = at == std::string::npos ? at : line.find(word, at);
    if (at != std::string::npos)
      return true;
    begin = end == std::string::npos ? page.size() : end + 1;
  }
  return false;
}

} // namespace

TEST_CASE("certificate_page: it shows shards, frames, hashes, builds, seams and checks") {
  auto page = certificate_page(certificate());

  CHECK(has_line(page, {"source", "media:in/a.mp4"}));
  CHECK(has_line(page, {"encoder build", "x264 r1"}));
  CHECK(has_line(page, {"2", "decode", "mill-1", "2", "3", "the run's", "v0.s2", "50–79", "30",
                        "1234", "abcd"}));
  CHECK(has_line(page, {"3", "audio", "mill-2", "x264 r2"}));
  CHECK(has_line(page, {"media:out/a.mp4", "media", "80", "99"}));
  CHECK(has_line(page, {"o1.mp4", "50", "49", "176400", "41.50 dB", "30.25 dB", "yes"}));
  CHECK(has_line(page, {"o1.mp4", "50", "50", "180000", "30.00 dB", "42.00 dB", "NO"}));
  CHECK(has_line(page, {"NO", "all parts are encoded by one build", "2 builds"}));
}

TEST_CASE("certificate_page: tables without a row are left out, and nothing is thrown") {
  auto c = certificate();
  c["Seams"] = json::array();

  CHECK(certificate_page(c).find("SEAM IN") == std::string::npos);
  CHECK_FALSE(certificate_page(json::object()).empty());
  CHECK_FALSE(certificate_page(nullptr).empty());
}
