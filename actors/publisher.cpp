#include "actors/publisher.hpp"

#include "actors/fail_points.hpp"
#include "actors/ledger.hpp"
#include "actors/manners.hpp"
#include "core/object_path.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace framemill {

namespace {

/// One file to publish.
struct target {
  const result_file* file = nullptr;
  std::string bucket;
  std::string key;
  std::string role;
};

/// The number in `prefix<number>…`; files of one item are ordered by it.
std::int64_t ordinal_of(std::string_view name, std::size_t prefix) {
  std::int64_t n = 0;
  for (auto i = prefix; i < name.size() && name[i] >= '0' && name[i] <= '9'; ++i)
    n = n * 10 + (name[i] - '0');
  return n;
}

std::string with_number(std::string key, const number_format& f, std::int64_t ordinal) {
  constexpr std::string_view variable = "{number}";
  for (auto at = key.find(variable); at != key.npos; at = key.find(variable))
    key.replace(at, variable.size(), render_number(f, ordinal));
  return key;
}

/// Each file of a shard goes to the first item that takes it: `<name>.init`
/// before `<name>.*`. Every item has a copy of its shard's list, so a file is
/// known by its name.
result<std::vector<target>> targets_of(const publish_order& order) {
  std::vector<target> out;
  std::set<std::pair<std::uint32_t, std::string_view>> taken;
  for (std::size_t i = 0; i < order.job.items.size(); ++i) {
    const auto& item = order.job.items[i];
    auto many = item.file.ends_with('*');
    auto prefix = many ? item.file.substr(0, item.file.size() - 1) : item.file;
    auto first = out.size();
    for (const auto& f : order.files[i])
      if ((many ? f.name.starts_with(prefix) : f.name == prefix)
          && taken.emplace(item.shard, f.name).second)
        out.push_back({&f, item.bucket,
                       with_number(item.key, order.job.numbers, ordinal_of(f.name, prefix.size())),
                       item.role});
    if (out.size() == first)
      return fail(errc::contract_broken, "the work made no file `{}`", item.file);
    std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                     [&](const auto& x, const auto& y) {
                       return ordinal_of(x.file->name, prefix.size())
                              < ordinal_of(y.file->name, prefix.size());
                     });
  }
  return out;
}

/// Two files under one name would be one lost file.
result<void> check_distinct(const std::vector<target>& targets) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const auto& t : targets)
    if (!seen.emplace(t.bucket, t.key).second)
      return fail(errc::contract_broken, "two outputs have the name {}/{}", t.bucket, t.key);
  return {};
}

published_file describe(const target& t, object_ref object) {
  published_file out;
  out.object = std::move(object);
  out.role = t.role;
  out.size = t.file->size;
  out.md5 = t.file->md5;
  out.media = t.file->media;
  out.width = t.file->width;
  out.height = t.file->height;
  out.time = t.file->time;
  return out;
}

/// Published by this run before a crash, and still what is there?
result<std::optional<object_ref>> already_there(node_services& services,
                                                const publish_order& order, const target& t,
                                                const bucket& b) {
  FM_TRY(auto line, find_record<object_record>(*services.store, family::objects,
                                               keys::object(t.bucket, t.key)));
  if (!line || !line->origin || line->origin->run != order.run.id)
    return std::optional<object_ref>{};
  auto now = b.stat(t.key);
  if (now && *now == line->object.generation
      && now->size == static_cast<std::uint64_t>(t.file->size))
    return std::optional{line->object};
  return std::optional<object_ref>{};
}

result<void> check_source(node_services& services, const object_ref& object) {
  FM_TRY(auto* b, services.find_bucket(object.bucket));
  auto now = b->stat(object.key);
  if (now && *now != object.generation)
    return fail(errc::input_changed, "{}/{} was replaced while this run worked on it",
                object.bucket, object.key);
  return {}; // gone is fine: what was made of it is still right
}

/// A copy beside the final name, its hash compared on the way.
result<std::unique_ptr<staged_object>> stage(node_services& services, const target& t,
                                             bucket& b) {
  auto& artifacts = *services.artifacts;
  auto copy = b.stage(t.key, artifacts.path_of(t.file->sha256), t.file->sha256);
  if (copy)
    return copy;
  // Whose fault was it: the artifact's, or the bucket's?
  if (auto whole = artifacts.verify(t.file->sha256); !whole)
    return fail_field(errc::artifact_lost, t.file->sha256, "the result {} is lost: {}",
                      t.file->name, whole.error().message);
  return copy;
}

result<std::vector<published_file>> publish(node_services& services,
                                            const publish_order& order) {
  for (std::uint32_t i = 0; i < order.run.source_count(); ++i)
    FM_CHECK(check_source(services, order.run.object_of(i)));
  FM_TRY(auto targets, targets_of(order));
  FM_CHECK(check_distinct(targets));
  std::vector<published_file> done(targets.size());
  std::vector<std::pair<std::size_t, std::unique_ptr<staged_object>>> staged;
  changes ledger;
  const auto origin = origin_of(order.run);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto& t = targets[i];
    FM_TRY(auto* b, services.find_bucket(t.bucket));
    FM_TRY(auto there, already_there(services, order, t, *b));
    if (there) {
      done[i] = describe(t, *there);
      continue;
    }
    FM_CHECK(fail_door("bucket.stage"));
    FM_TRY(auto copy, stage(services, t, *b));
    fail_point("publish.staged");
    ledger.objects.push_back(ledger_line(origin, copy->object(), services.clock.now()));
    done[i] = describe(t, copy->object());
    staged.emplace_back(i, std::move(copy));
  }
  if (!ledger.objects.empty())
    FM_CHECK(commit_and_wait(services, std::move(ledger)));
  fail_point("publish.booked");
  for (auto& [i, copy] : staged) {
    FM_CHECK(fail_door("bucket.publish"));
    FM_CHECK(copy->publish());
    fail_point("publish.renamed");
    ++services.counters.outputs_published;
    services.counters.bytes_published += static_cast<std::uint64_t>(done[i].size);
  }
  return done;
}

} // namespace

caf::behavior publisher(caf::event_based_actor* self, node_services* services) {
  tolerate_strangers(self, "PUBLISHER");
  return {
      [=](publish_order& order) {
        auto files = publish(*services, order);
        if (!files)
          spdlog::warn("PUBLISHER: run {} job {}: {}", order.run.id.value, order.job.index,
                       files.error().message);
        self->send(order.reply_to, publish_done{order.job.index, std::move(files)});
      },
  };
}

} // namespace framemill
