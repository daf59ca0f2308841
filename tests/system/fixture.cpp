#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace framemill::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

daemon_options completed(daemon_options o, const std::string& data_dir,
                         const std::string& media) {
  o.data_dir = data_dir;
  if (!o.buckets.contains("media"))
    o.buckets["media"] = media;
  return o;
}

json video(std::string preset, int crf) {
  return {{"Codec", "h264"}, {"Fps", 25},   {"Bitrate", 0},
          {"Mode", "VCRF"},  {"Vcrf", crf}, {"EncoderPreset", std::move(preset)},
          {"Gop", 25}};
}

json transcode(std::string container, json picture, const std::string& path) {
  json task{{"Definition", 0},
            {"RawParameter",
             {{"Container", std::move(container)},
              {"VideoTemplate", std::move(picture)},
              {"AudioTemplate", {{"Codec", "aac"}, {"Bitrate", 64}, {"SampleRate", 44100}}}}}};
  if (!path.empty())
    task["OutputObjectPath"] = path;
  return task;
}

bool is_terminal_event(const json& e) {
  auto state = e.value("State", "");
  return e.value("Type", "") == "run.state"
         && (state == "succeeded" || state == "failed" || state == "cancelled");
}

} // namespace

node_fixture::node_fixture(daemon_options o, begin b)
    : node(completed(std::move(o), dir / "data", media)), command(dir / "data") {
  fs::create_directories(media + "/in");
  if (b == begin::started)
    node.start();
}

json node_fixture::ask(std::vector<std::string> words, std::string input) const {
  std::string line;
  for (const auto& w : words)
    line += " " + w;
  auto a = command(std::move(words), std::move(input));
  REQUIRE_MESSAGE(a.exit_code == 0, "framemill" << line << ": " << a.complaint);
  return a.last();
}

std::uint64_t node_fixture::add_workflow(const json& specification) const {
  auto id = ask({"workflow", "create", "--file", "-"}, specification.dump())["WorkflowId"];
  (void)ask({"workflow", "enable", std::to_string(id.get<std::uint64_t>())});
  return id;
}

void node_fixture::drop(const std::string& file, const std::string& key) const {
  auto path = fs::path{media} / key;
  fs::create_directories(path.parent_path());
  fs::copy_file(file, path, fs::copy_options::overwrite_existing);
}

json node_fixture::finish(const std::string& key) const {
  auto a = command({"run", "watch", "media:" + key});
  REQUIRE_MESSAGE(a.last().contains("run"), "run watch " << key << ": " << a.complaint);
  return a.last()["run"];
}

json node_fixture::finish_run(std::uint64_t run) const {
  auto a = command({"run", "watch", std::to_string(run)});
  REQUIRE_MESSAGE(a.last().contains("run"), "run watch " << run << ": " << a.complaint);
  return a.last()["run"];
}

json node_fixture::show(std::uint64_t run) const {
  return ask({"run", "show", std::to_string(run)});
}

std::vector<json> node_fixture::runs() const {
  return ask({"run", "list", "--limit", "100000"})["Runs"];
}

std::vector<json> node_fixture::events(std::uint64_t run) const {
  return ask({"event", "list", "--run", std::to_string(run), "--limit", "1000"})["Events"];
}

json node_fixture::object(const std::string& key) const {
  auto answer = ask({"bucket", "objects", "media", "--prefix", key});
  for (const auto& o : answer["Objects"])
    if (o["Object"]["Key"] == key)
      return o;
  return {};
}

bool node_fixture::object_is(const std::string& key, const std::string& state) const {
  auto line = object(key);
  return line.is_object() && line["State"] == state;
}

json node_fixture::audit() const { return command({"audit", "media"}).last()["Audit"]; }

std::map<std::string, std::string> node_fixture::content(const std::string& prefix) const {
  std::map<std::string, std::string> out;
  std::error_code ec;
  for (const auto& entry : fs::recursive_directory_iterator{fs::path{media} / prefix, ec})
    if (entry.is_regular_file() && entry.path().filename() != ".framemill-bucket")
      out[fs::relative(entry.path(), media)] = sha256_of_file(entry.path());
  return out;
}

json workflow(const std::string& name, json tasks) {
  return {
      {"WorkflowName", name},
      {"Trigger",
       {{"Type", "CosFileUpload"},
        {"CosFileUploadTrigger", {{"Bucket", "media"}, {"Region", "local"}, {"Dir", "/in/"}}}}},
      {"OutputDir", "/out/"},
      {"MediaProcessTask", std::move(tasks)}};
}

json quick_mp4(const std::string& path) {
  return {{"TranscodeTaskSet", {transcode("mp4", video("ultrafast", 32), path)}}};
}

json quick_everything() {
  auto tasks = quick_mp4("{inputName}_mp4.{format}");
  tasks["TranscodeTaskSet"].push_back(
      transcode("hls", video("ultrafast", 36), "{inputName}_hls.{format}"));
  tasks["SnapshotByTimeOffsetTaskSet"] = {
      {{"Definition", 10}, {"ExtTimeOffsetSet", {"1s", "50%"}}}};
  tasks["ImageSpriteTaskSet"] = {{{"Definition", 10}}};
  tasks["AnimatedGraphicTaskSet"] = {
      {{"Definition", 20000}, {"StartTimeOffset", 0}, {"EndTimeOffset", 1}}};
  return tasks;
}

json slow_mp4() {
  auto picture = video("veryslow", 18);
  return {{"TranscodeTaskSet", {transcode("mp4", picture, {})}}};
}

std::string state_of(const json& run) { return run["Run"].value("State", ""); }

namespace {
const json& failure_of(const json& run) {
  static const json none = json::object();
  if (run["Run"].contains("Failure") && run["Run"]["Failure"].is_object())
    return run["Run"]["Failure"];
  return none;
}
} // namespace

std::string failure_code(const json& run) { return failure_of(run).value("Code", ""); }
std::string failure_message(const json& run) { return failure_of(run).value("Message", ""); }

std::vector<std::string> artifacts(const daemon_process& d) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator{d.data_dir() + "/artifacts"})
    if (entry.is_regular_file())
      out.push_back(entry.path());
  return out;
}

std::size_t damage_artifacts(const daemon_process& d) {
  const auto all = artifacts(d);
  for (const auto& path : all) {
    fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
    std::fstream file{path, std::ios::binary | std::ios::in | std::ios::out};
    const auto middle = static_cast<std::streamoff>(fs::file_size(path) / 2);
    file.seekg(middle);
    const auto byte = static_cast<char>(file.peek() ^ 1);
    file.seekp(middle);
    file.put(byte);
  }
  return all.size();
}

void check_quiet(const node_fixture& f) {
  CHECK(eventually([&] { return f.audit().value("Settling", 1) == 0; }));
  auto books = f.audit();
  CHECK_MESSAGE(books.value("Balanced", false), books.dump(2));
  CHECK(books["Duplicated"].empty());
  for (const auto& run : f.runs()) {
    auto events = f.events(run["Id"]);
    CHECK(std::count_if(events.begin(), events.end(), is_terminal_event) == 1);
  }
  CHECK(eventually([&] { return f.node.scratch().empty(); }));
  CHECK(eventually([&] { return f.node.children().empty(); }));
  CHECK(eventually([&] { return f.node.orphans().empty(); }));
  for (const auto& [key, hash] : f.content(""))
    CHECK_MESSAGE(key.find(".framemill-tmp-") == std::string::npos, "left behind: " << key);
}

void check_one_success(const node_fixture& f) {
  auto all = f.runs();
  REQUIRE(all.size() == 1);
  CHECK(all[0]["State"] == "succeeded");
  check_quiet(f);
}

} // namespace framemill::test
