#include "tools/framemill/function_request.hpp"

#include "tools/framemill/file_input.hpp"

#include "core/base64.hpp"
#include "core/limits.hpp"
#include "tools/framemill/duration.hpp"
#include "tools/framemill/label_edit.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace framemill::cli {

namespace fs = std::filesystem;

namespace {

result<json> file_json(const fs::path& path, const std::string& name) {
  FM_TRY(auto content, read_file(path.string()));
  std::error_code ec;
  auto mode = fs::status(path, ec).permissions();
  const bool is_executable = (mode & fs::perms::owner_exec) != fs::perms::none;
  return json{
      {"Name", name}, {"Content", encode_base64(content)}, {"Executable", is_executable}};
}

/// A secret that is only named has its value in our own environment, where no
/// list of processes shows it.
result<std::vector<std::string>> with_values(std::vector<std::string> words) {
  for (auto& word : words) {
    if (word.find('=') != std::string::npos || word.ends_with('-'))
      continue;
    const char* value = std::getenv(word.c_str());
    if (value == nullptr)
      return fail(errc::invalid_argument,
                  "the secret {} has no value: write {}=VALUE, or set the variable {}", word,
                  word, word);
    word += std::string{"="} + value;
  }
  return words;
}

result<void> add_variables(json& to, const function_flags& f) {
  FM_TRY(auto environment, parse_labels(f.environment));
  FM_TRY(auto words, with_values(f.secrets));
  FM_TRY(auto secrets, parse_labels(words));
  auto put = [&](const char* name, const auto& value) {
    if (!value.empty())
      to[name] = value;
  };
  put("Environment", environment.set);
  put("RemoveEnvironment", environment.remove);
  put("Secrets", secrets.set);
  put("RemoveSecrets", secrets.remove);
  return {};
}

json grants_of(const std::vector<std::string>& words) {
  auto out = json::array();
  for (const auto& word : words) {
    auto colon = word.find(':');
    out.push_back({{"Bucket", word.substr(0, colon)},
                   {"Dir", colon == std::string::npos ? "" : word.substr(colon + 1)}});
  }
  return out;
}

result<json> common_request(const function_flags& f) {
  json out{{"Name", f.name}};
  auto put = [&](const char* name, const std::string& value) {
    if (!value.empty())
      out[name] = value;
  };
  put("Runtime", f.runtime);
  put("Handler", f.handler);
  if (f.description)
    out["Description"] = *f.description;
  if (!f.code.empty()) {
    FM_TRY(out["Files"], read_code(f.code));
  }
  FM_CHECK(add_variables(out, f));
  if (!f.grants.empty() || f.no_grants)
    out["Buckets"] = grants_of(f.grants);
  if (!f.timeout.empty()) {
    FM_TRY(auto time, parse_duration(f.timeout));
    out["Timeout"] = static_cast<double>(time.count()) / 1000;
  }
  if (f.memory_mib)
    out["MemoryBytes"] = *f.memory_mib << 20;
  if (f.output_kib)
    out["OutputBytesMax"] = *f.output_kib << 10;
  if (f.concurrency)
    out["Concurrency"] = *f.concurrency;
  if (f.network)
    out["Network"] = *f.network;
  return out;
}

} // namespace

result<json> read_code(const std::string& path) {
  std::error_code ec;
  auto out = json::array();
  if (!fs::is_directory(path, ec)) {
    FM_TRY(auto file, file_json(path, fs::path{path}.filename().string()));
    out.push_back(std::move(file));
    return out;
  }
  for (auto entry = fs::recursive_directory_iterator{path, ec};
       !ec && entry != fs::recursive_directory_iterator{}; entry.increment(ec)) {
    auto name = fs::relative(entry->path(), path).string();
    if (entry->is_symlink())
      return fail(errc::unsupported, "{} is a link: code is files and directories", name);
    if (!entry->is_regular_file())
      continue;
    if (out.size() >= limits::function_files_max)
      return fail(errc::too_large, "{} has more than {} files", path,
                  limits::function_files_max);
    FM_TRY(auto file, file_json(entry->path(), name));
    out.push_back(std::move(file));
  }
  if (ec)
    return fail_errno(ec.value(), path);
  return out;
}

result<json> create_function_request(const function_flags& f) {
  if (f.from_template.empty() == f.code.empty())
    return fail(errc::invalid_argument, "give --code or --template, one of them");
  FM_TRY(auto out, common_request(f));
  if (!f.from_template.empty())
    out["Template"] = f.from_template;
  for (auto gone : {"RemoveEnvironment", "RemoveSecrets"})
    if (out.contains(gone))
      return fail(errc::invalid_argument, "a new function has no variables to remove");
  return out;
}

result<json> update_function_request(const function_flags& f) {
  FM_TRY(auto out, common_request(f));
  if (f.from_version != 0)
    out["FromVersion"] = f.from_version;
  if (out.size() == 1)
    return fail(errc::invalid_argument, "nothing to change: name what shall be different");
  return out;
}

} // namespace framemill::cli
