#include "tests/support/daemon_process.hpp"

#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace framemill::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string program(const std::string& name) { return FRAMEMILL_BIN_DIR "/" + name; }

daemon_process::daemon_process(daemon_options o)
    : options_(std::move(o)), log_file_(options_.data_dir + ".log") {
  for (const auto& [name, directory] : options_.buckets)
    fs::create_directories(directory);
  write_config();
}

daemon_process::~daemon_process() {
  if (process_ && process_->is_running()) {
    process_->signal(SIGTERM);
    (void)process_->wait(20s); // past that, its owner kills it
  }
  if (!failure_listener::has_failed && std::uncaught_exceptions() == 0)
    return;
  auto text = log();
  constexpr std::size_t shown = 12'000;
  std::fprintf(stderr, "---- log of framemilld on %s\n%s----\n", options_.data_dir.c_str(),
               text.substr(text.size() > shown ? text.size() - shown : 0).c_str());
}

/// Impatient, so that tests are quick; nothing here changes what is done.
void daemon_process::write_config() const {
  std::ofstream file{options_.data_dir + ".toml"};
  file << "name = \"under-test\"\nslots = 2\n";
  if (options_.config.find("scan_interval_seconds") == std::string::npos)
    file << "scan_interval_seconds = 1\n";
  if (options_.config.find("settle_seconds") == std::string::npos)
    file << "settle_seconds = 0.5\n";
  if (options_.config.find("drain_seconds") == std::string::npos)
    file << "drain_seconds = 0\n";
  file << options_.config << "\n";
  for (const auto& [name, directory] : options_.buckets)
    file << "[[bucket]]\nname = \"" << name << "\"\npath = \"" << directory << "\"\n";
}

void daemon_process::launch(const std::vector<std::string>& arguments) {
  log_seen_ = log().size();
  auto words = options_.wrapper;
  words.insert(words.end(), {program("framemilld"), "--config", options_.data_dir + ".toml",
                             "--data-dir", options_.data_dir});
  if (std::find(arguments.begin(), arguments.end(), "--api-listen") == arguments.end())
    words.insert(words.end(), {"--api-listen", "127.0.0.1:0"});
  words.insert(words.end(), arguments.begin(), arguments.end());
  process_ = std::make_unique<process>(process_options{words, {}, log_file_});
}

void daemon_process::start(const std::vector<std::string>& arguments) {
  launch(arguments);
  auto is_ready = [&] {
    return log().find("framemilld: ready", log_seen_) != std::string::npos;
  };
  REQUIRE_MESSAGE(eventually([&] { return is_ready() || !process_->is_running(); }, 60s),
                  "framemilld does not get ready");
  REQUIRE_MESSAGE(is_ready(), "framemilld ended before it was ready:\n" << log());
}

process_end daemon_process::start_refused(const std::vector<std::string>& arguments) {
  launch(arguments);
  return wait_for_end();
}

void daemon_process::kill9() {
  process_->signal(SIGKILL);
  (void)wait_for_end();
}

void daemon_process::stop() {
  process_->signal(SIGTERM);
  auto end = wait_for_end();
  CHECK(end.signal == 0);
  CHECK(end.exit_code == 0);
}

void daemon_process::restart(const std::vector<std::string>& arguments) {
  if (is_running())
    stop();
  start(arguments);
}

process_end daemon_process::wait_for_end(std::chrono::seconds limit) {
  auto end = process_->wait(limit);
  REQUIRE_MESSAGE(end.has_value(), "framemilld does not end");
  return *end;
}

bool daemon_process::is_running() { return process_ && process_->is_running(); }
pid_t daemon_process::pid() const { return process_->pid(); }

std::string daemon_process::endpoint() const {
  std::ifstream file{options_.data_dir + "/endpoint"};
  std::string text;
  std::getline(file, text);
  return text;
}

std::string daemon_process::log() const {
  std::ifstream file{log_file_, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

std::vector<pid_t> daemon_process::children() const {
  return descendants(process_->pid(), "framemill-media");
}

std::vector<pid_t> daemon_process::orphans() const {
  return users_of(options_.data_dir + "/scratch");
}

std::vector<std::string> daemon_process::scratch() const {
  std::vector<std::string> out;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator{options_.data_dir + "/scratch", ec})
    out.push_back(entry.path().filename());
  return out;
}

} // namespace framemill::test
