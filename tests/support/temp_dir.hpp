#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <stdexcept>
#include <string>

#include <unistd.h>

namespace framemill::test {

/// Knows whether an assertion of the running test failed.
class failure_listener final : public doctest::IReporter {
public:
  explicit failure_listener(const doctest::ContextOptions&) {}
  static inline std::atomic<bool> has_failed{false};

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override { has_failed = false; }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override { has_failed = true; }
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData& a) override {
    if (a.m_failed)
      has_failed = true;
  }
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("failure", 1, failure_listener);

/// A fresh directory of one test, removed at its end; kept, and named in the
/// output, when the test failed.
class temp_dir {
public:
  temp_dir() {
    std::string path = std::filesystem::temp_directory_path() / "framemill-test-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
      throw std::runtime_error{"mkdtemp failed: " + path};
    path_ = path;
  }
  temp_dir(const temp_dir&) = delete;
  temp_dir& operator=(const temp_dir&) = delete;
  ~temp_dir() {
    if (failure_listener::has_failed || std::uncaught_exceptions() > 0) {
      MESSAGE("kept: " << path_.string());
      return;
    }
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ / name; }

  /// Writes a file below, and the directories to it; returns its path.
  std::string write(const std::string& name, const std::string& content) const {
    const auto path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream{path, std::ios::binary} << content;
    return path;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file{path_ / name, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
  }

private:
  std::filesystem::path path_;
};

} // namespace framemill::test
