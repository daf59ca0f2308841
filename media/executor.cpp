#include "media/executor.hpp"

#include "media/av.hpp"
#include "media/digest.hpp"
#include "media/fingerprint.hpp"
#include "media/tasks/tasks.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <set>

namespace framemill {
namespace {

/// Packet files, indexes and raw pictures stay inside of the system.
bool is_publishable(const result_file& f) {
  for (auto suffix : {".ts", ".mp4", ".m4a", ".mp3", ".mov", ".flv", ".init", ".vtt", ".m3u8"})
    if (f.name.ends_with(suffix))
      return true;
  return f.media || f.width > 0;
}

result<void> run_steps(const media_request& request, work& w) {
  for (std::size_t i = 0; i < request.steps.size(); ++i) {
    w.progress().step(static_cast<std::uint32_t>(i));
    FM_CHECK(std::visit([&](const auto& step) { return tasks::run(step, w); },
                        request.steps[i]));
  }
  return {};
}

result<std::vector<std::string>> files_in(const std::string& path) {
  std::vector<std::string> out;
  std::unique_ptr<DIR, int (*)(DIR*)> directory{::opendir(path.c_str()), ::closedir};
  if (!directory)
    return fail_errno(errno, path);
  while (auto entry = ::readdir(directory.get()))
    if (entry->d_name[0] != '.')
      out.emplace_back(entry->d_name);
  return out;
}

bool is_kept(const std::string& name, const std::string& pattern) {
  return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1))
                                : name == pattern;
}

result<std::set<std::string>> kept_names(const media_request& request, work& w) {
  std::set<std::string> out;
  FM_TRY(auto files, files_in(w.output("")));
  for (const auto& pattern : request.keep) {
    for (const auto& name : files)
      if (is_kept(name, pattern))
        out.insert(name);
    if (!pattern.ends_with('*') && !out.contains(pattern))
      return fail(errc::internal, "no step made the result `{}`", pattern);
  }
  return out;
}

result<void> collect(const media_request& request, work& w, media_result& out) {
  w.progress().enter(work_phase::writing);
  FM_TRY(auto names, kept_names(request, w));
  for (const auto& name : names) {
    result_file file;
    for (auto& d : w.described)
      if (d.name == name)
        file = d;
    file.name = name;
    FM_TRY(auto digests, digests_of(w.output(name)));
    file.size = digests.size;
    file.sha256 = std::move(digests.sha256);
    if (is_publishable(file))
      file.md5 = std::move(digests.md5);
    if (file.media) {
      file.media->size = std::max(file.media->size, file.size);
    }
    out.files.push_back(std::move(file));
  }
  return {};
}

void account(media_result& out, work& w) {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  out.cpu_seconds = seconds(u.ru_utime) + seconds(u.ru_stime);
  out.peak_rss_bytes = std::int64_t{u.ru_maxrss} * 1024;
  out.frames_decoded = w.progress().now().frames_decoded;
  out.warnings = w.warnings();
  out.fingerprint = fingerprint();
  out.cpu = cpu_features();
}

result<void> attempt(const media_request& request, work& w, media_result& out) {
  ::mkdir(w.output("").c_str(), 0700); // exists already when the daemon made it
  FM_CHECK(run_steps(request, w));
  return collect(request, w, out);
}

} // namespace

media_result execute(const media_request& request, const executor_options& options) {
  media_result out;
  work w{request, options.source_fd, options.directory, options.sink};
  try {
    if (auto done = attempt(request, w, out); !done)
      out.failure = std::move(done).error();
  } catch (const std::bad_alloc&) {
    out.failure = error{errc::no_memory, "no memory left for the attempt", {}};
  } catch (const std::exception& e) {
    out.failure = error{errc::internal, e.what(), {}};
  }
  if (out.failure)
    out.files.clear();
  out.probe = std::move(w.probed);
  account(out, w);
  return out;
}

} // namespace framemill
