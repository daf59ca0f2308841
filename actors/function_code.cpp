#include "actors/function_code.hpp"

#include "actors/child_host.hpp"
#include "storage/artifact_store.hpp"
#include "storage/posix_file.hpp"
#include "storage/records.hpp"

#include <spdlog/spdlog.h>

#include <filesystem>

namespace framemill {

namespace fs = std::filesystem;

namespace {

result<void> lay_out(const state_store& store, const function_file& f,
                     const std::string& path) {
  FM_TRY(auto content, store.find(family::functions, keys::function_code(f.sha256)));
  if (!content || sha256_of(*content) != f.sha256)
    return fail(errc::corrupt, "the code of {} is not what it was", f.name);
  std::error_code ec;
  fs::create_directories(fs::path{path}.parent_path(), ec);
  FM_TRY(auto file, open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, path,
                            f.executable ? 0755 : 0644));
  return write_all(file.get(), *content, path);
}

} // namespace

result<void> function_code::open(std::string root, const state_store& store) {
  root_ = std::move(root);
  store_ = &store;
  if (auto killed = kill_orphans(root_); killed > 0)
    spdlog::warn("{} orphaned functions killed", killed);
  std::error_code ec;
  fs::remove_all(root_, ec);
  if (!ec)
    fs::create_directories(root_, ec);
  if (!ec)
    fs::permissions(root_, fs::perms::owner_all, ec);
  return ec ? result<void>{fail_errno(ec.value(), "directory " + root_)} : result<void>{};
}

/// A function that is made anew has other times: its old code may still run.
std::string function_code::name_of(const std::string& function,
                                   const function_version& v) const {
  return fmt::format("{}/{}-{}-{}", root_, function, v.number, v.created.us);
}

result<std::string> function_code::directory(const std::string& function,
                                             const function_version& v) {
  auto path = name_of(function, v);
  if (made_.contains(path))
    return path;
  for (const auto& f : v.files)
    if (auto r = lay_out(*store_, f, path + "/" + f.name); !r) {
      std::error_code ignored; // half of it must not be taken for all
      fs::remove_all(path, ignored);
      return failure{r.error()};
    }
  made_.insert(path);
  return path;
}

void function_code::keep(const std::set<std::string>& wanted) {
  std::erase_if(made_, [&](const std::string& d) {
    if (wanted.contains(d))
      return false;
    std::error_code ignored; // what stays is removed at the next start
    fs::remove_all(d, ignored);
    return true;
  });
}

} // namespace framemill
