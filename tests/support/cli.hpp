#pragma once

#include "core/json.hpp"
#include "tests/support/process.hpp"

#include <string>
#include <vector>

namespace framemill::test {

struct cli_answer {
  int exit_code = -1;
  std::vector<json> documents; ///< one, or one a line of what watches
  std::string output;
  std::string complaint;

  /// The last document; null when there is none.
  [[nodiscard]] json last() const { return documents.empty() ? json{} : documents.back(); }
};

/// The real `framemill` with --json, as a user of one data directory.
class cli {
public:
  explicit cli(std::string data_dir) : data_dir_(std::move(data_dir)) {}

  [[nodiscard]] cli_answer operator()(std::vector<std::string> words,
                                      std::string input = {}) const;
  /// As people see it, without --json.
  [[nodiscard]] outcome plain(std::vector<std::string> words) const;
  /// Goes on in the background, for streams.
  [[nodiscard]] process_options command(std::vector<std::string> words) const;

private:
  std::string data_dir_;
};

/// One JSON document, or several, one a line; lines that are not JSON are left out.
[[nodiscard]] std::vector<json> documents_of(const std::string& text);

} // namespace framemill::test
