#include "actors/function_orders.hpp"

#include "notify/function_templates.hpp"
#include "storage/artifact_store.hpp"
#include "storage/posix_file.hpp"

#include <fcntl.h>

namespace framemill {

namespace {

result<std::string> content_of(const std::string& path) {
  FM_TRY(auto file, open_at(AT_FDCWD, path, O_RDONLY, path));
  std::string out;
  FM_CHECK(read_all(file.get(), path, [&](std::string_view piece) {
    out += piece;
    return result<void>{};
  }));
  return out;
}

result<function_edit> with_template(const node_services& services, const std::string& name,
                                    function_edit edit) {
  if (name.empty())
    return edit;
  FM_TRY(const auto* t, find_template(name));
  FM_TRY(auto content,
         content_of(fmt::format("{}/{}.js", services.config.functions.directory, name)));
  return from_template(*t, {"index.js", std::move(content), false, {}}, std::move(edit));
}

/// What only this machine knows of it.
result<void> complete(const functions_state& s, function_edit& edit) {
  if (!s.host->sandbox().is_available)
    return fail(errc::unsupported, "{}", s.host->sandbox().summary);
  if (edit.runtime == function_runtime::nodejs)
    FM_CHECK(find_node());
  if (edit.buckets)
    for (const auto& g : *edit.buckets)
      if (auto b = s.services->find_bucket(g.bucket); !b)
        return fail_field(b.error().code, "Buckets", "{}", b.error().message);
  if (edit.files)
    for (auto& f : *edit.files)
      f.sha256 = sha256_of(f.content);
  return {};
}

} // namespace

void create_function(functions_state& s, const std::string& name,
                     const std::string& from_template, function_edit edit,
                     gateway::reply<void> done) {
  auto whole = with_template(*s.services, from_template, std::move(edit));
  auto ok = whole ? complete(s, *whole) : result<void>{failure{whole.error()}};
  if (!ok)
    return done(failure{ok.error()});
  s.make_change([name, edit = std::move(*whole), at = s.services->clock.now()](
                    function_catalog& catalog) { return catalog.create(at, name, edit); },
                std::move(done));
}

void update_function(functions_state& s, const std::string& name, function_edit edit,
                     gateway::reply<void> done) {
  if (auto ok = complete(s, edit); !ok)
    return done(failure{ok.error()});
  s.make_change([name, edit = std::move(edit), at = s.services->clock.now()](
                    function_catalog& catalog) { return catalog.update(at, name, edit); },
                std::move(done));
}

} // namespace framemill
