#include "tools/framemill/definition_page.hpp"

#include "tools/framemill/json_path.hpp"

namespace framemill::cli {

result<json> all_definitions(const client& server, const char* action, const char* set) {
  constexpr int page_items = 100;
  auto all = json::array();
  for (;;) {
    FM_TRY(auto page, server.mps(action, {{"Offset", all.size()}, {"Limit", page_items}}));
    const auto& found = list_at(page, set);
    for (const auto& definition : found)
      all.push_back(definition);
    if (found.size() < page_items)
      return all;
  }
}

std::string trigger_text(const json& definition) {
  const auto& t = at(definition, "Trigger.CosFileUploadTrigger");
  if (t.is_null())
    return {};
  auto dir = text_at(t, "Dir");
  return text_at(t, "Bucket") + (dir.starts_with('/') ? "" : "/") + dir;
}

std::string parameters_text(const json& task) {
  auto shown = task;
  for (const auto& [name, value] : task.items())
    if (value.is_null() || value == "" || value == json::array())
      shown.erase(name);
  return dump(shown, -1);
}

} // namespace framemill::cli
