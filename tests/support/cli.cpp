#include "tests/support/cli.hpp"

#include "tests/support/daemon_process.hpp"

#include <sstream>

namespace framemill::test {

std::vector<json> documents_of(const std::string& text) {
  if (auto whole = parse_json(text))
    return {*whole};
  std::vector<json> out;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);)
    if (auto document = parse_json(line))
      out.push_back(*document);
  return out;
}

process_options cli::command(std::vector<std::string> words) const {
  words.insert(words.begin(), {program("framemill"), "--data-dir", data_dir_, "--json"});
  return {std::move(words), {}, {}};
}

cli_answer cli::operator()(std::vector<std::string> words, std::string input) const {
  auto r = run(command(std::move(words)).words, std::move(input));
  return {r.end.exit_code, documents_of(r.output), r.output, r.complaint};
}

outcome cli::plain(std::vector<std::string> words) const {
  words.insert(words.begin(), {program("framemill"), "--data-dir", data_dir_});
  return run(std::move(words));
}

} // namespace framemill::test
