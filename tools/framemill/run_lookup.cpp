#include "tools/framemill/run_lookup.hpp"

#include "core/run.hpp"
#include "tools/framemill/interrupt.hpp"
#include "tools/framemill/json_path.hpp"

#include <algorithm>
#include <thread>

namespace framemill::cli {

namespace {

using namespace std::chrono_literals;

/// The newest run of exactly this object; 0 when there is none.
result<std::uint64_t> newest_run(const client& server, const object_name& object) {
  json query{{"Bucket", object.bucket}, {"KeyPrefix", object.key}, {"Limit", 100}};
  for (;;) {
    FM_TRY(auto page, server.own("DescribeRuns", query));
    for (const auto& run : list_at(page, "Runs"))
      if (text_at(run, "Key") == object.key)
        return static_cast<std::uint64_t>(integer_at(run, "Id"));
    if (integer_at(page, "Next") == 0)
      return 0;
    query["Before"] = integer_at(page, "Next");
  }
}

result<std::uint64_t> run_of_object(const client& server, const object_name& object,
                                    std::chrono::seconds patience) {
  auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    FM_TRY(auto id, newest_run(server, object));
    if (id != 0)
      return id;
    if (is_interrupted())
      return fail(errc::cancelled, "interrupted");
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(
          errc::not_found,
          "no run of {}:{}; `framemill bucket objects {} --prefix {}` says what is known "
          "of the object",
          object.bucket, object.key, object.bucket, object.key);
    std::this_thread::sleep_for(200ms); // asking a server again, not waiting for a thread
  }
}

} // namespace

result<object_name> parse_object_name(const std::string& text) {
  auto cut = text.find_first_of(":/");
  if (cut == std::string::npos || cut == 0 || cut + 1 == text.size())
    return fail(errc::malformed, "`{}` is not an object; write BUCKET:KEY", text);
  auto key = text.substr(cut + 1);
  key.erase(0, key.find_first_not_of('/'));
  return object_name{text.substr(0, cut), key};
}

result<std::uint64_t> find_run(const client& server, const std::string& what,
                               std::chrono::seconds patience) {
  if (what.find_first_of(":/") != std::string::npos) {
    FM_TRY(auto object, parse_object_name(what));
    return run_of_object(server, object, patience);
  }
  FM_TRY(auto id, run_of_task_id(what));
  return id.value;
}

} // namespace framemill::cli
