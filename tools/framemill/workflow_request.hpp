#pragma once

#include "core/json.hpp"

#include <string>
#include <vector>

namespace framemill::cli {

/// A workflow as flags give it.
struct workflow_flags {
  std::string name;
  std::string bucket;
  std::string directory;
  std::string output_bucket;
  std::string output_directory;
  std::vector<std::string> formats;
  std::vector<std::string> transcodes; ///< DEFINITION
  std::vector<std::string> snapshots;  ///< DEFINITION:TIME[,TIME…], TIME = 1.5s or 50%
  std::vector<std::string> samples;    ///< DEFINITION
  std::vector<std::string> sprites;    ///< DEFINITION
  std::vector<std::string> gifs;       ///< DEFINITION[:START:END], seconds
  int priority = 0;
  std::vector<std::string> required;   ///< KEY=VALUE
  std::vector<std::string> preferred;  ///< KEY=VALUE
  std::string device;
  double weight = 1;
};

/// The body of CreateWorkflow. Only the shape of a value is checked here
/// (malformed, with the flag's name); what it means is the server's to judge.
[[nodiscard]] result<json> workflow_request(const workflow_flags& flags);

} // namespace framemill::cli
