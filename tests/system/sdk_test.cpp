#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

using namespace framemill;
using namespace framemill::test;
namespace fs = std::filesystem;

namespace {

/// Where `npm install` put Tencent's SDK; "" = nowhere.
std::string node_modules() {
  const auto* told = std::getenv("FRAMEMILL_SDK_DIR");
  for (auto place :
       {std::string{told != nullptr ? told : ""}, std::string{FRAMEMILL_BIN_DIR "/../sdk"},
        std::string{FRAMEMILL_SOURCE_DIR "/tests/sdk"}})
    if (fs::exists(place + "/node_modules/tencentcloud-sdk-nodejs-mps"))
      return place + "/node_modules";
  return {};
}

} // namespace

TEST_CASE(
    "sdk: Tencent's own Node SDK drives a real node, with only endpoint and protocol changed") {
  auto modules = node_modules();
  if (modules.empty()) {
    MESSAGE("skipped: the SDK is not installed; FRAMEMILL_SDK_DIR names its directory");
    return;
  }
  node_fixture f;
  f.drop(make_clip(), "clip.mp4");
  auto keys = parse_json(file_content(f.node.data_dir() + "/credentials.json")).value();

  auto driven = run({"env", "NODE_PATH=" + modules, "FRAMEMILL_ENDPOINT=" + f.node.endpoint(),
                     "FRAMEMILL_SECRET_ID=" + keys["SecretId"].get<std::string>(),
                     "FRAMEMILL_SECRET_KEY=" + keys["SecretKey"].get<std::string>(),
                     "FRAMEMILL_BUCKET=media", "FRAMEMILL_OBJECT=clip.mp4",
                     "FRAMEMILL_BUCKET_PATH=" + f.media, "node",
                     FRAMEMILL_SOURCE_DIR "/tests/sdk/drive.js"});

  CHECK_MESSAGE(driven.end.exit_code == 0, driven.output << driven.complaint);
  check_quiet(f);
}
