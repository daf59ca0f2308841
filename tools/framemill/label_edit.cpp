#include "tools/framemill/label_edit.hpp"

#include <set>

namespace framemill::cli {

result<label_edit> parse_labels(const std::vector<std::string>& words) {
  label_edit out;
  std::set<std::string> keys;
  for (const auto& word : words) {
    auto equals = word.find('=');
    bool sets = equals != std::string::npos;
    auto key = word.substr(0, sets ? equals : word.size() - !word.empty());
    if (key.empty() || (!sets && !word.ends_with('-')))
      return fail(errc::invalid_argument, "`{}` is neither KEY=VALUE nor KEY-", word);
    if (!keys.insert(key).second)
      return fail(errc::invalid_argument, "`{}` is named twice", key);
    if (sets)
      out.set[key] = word.substr(equals + 1);
    else
      out.remove.push_back(key);
  }
  return out;
}

} // namespace framemill::cli
