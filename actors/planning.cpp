#include "actors/planning.hpp"

#include "core/base64.hpp"
#include "core/object_path.hpp"

#include <unistd.h>

#include <fstream>
#include <sstream>

namespace framemill {

namespace {

constexpr std::size_t image_bytes_max = 10u << 20;

result<std::string> read_all(int fd, std::size_t bytes_max, const std::string& what) {
  std::string out;
  char buffer[65536];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) != 0;) {
    if (n < 0)
      return fail_errno(errno, "read " + what);
    out.append(buffer, static_cast<std::size_t>(n));
    if (out.size() > bytes_max)
      return fail(errc::too_large, "{} is larger than {} bytes", what, bytes_max);
  }
  return out;
}

result<std::string> fetch(node_services& services, const run_record& run,
                          const plan_asset& asset) {
  if (!asset.object)
    return decode_base64(asset.base64);
  const auto& place = asset.object->cos;
  if (!place)
    return fail(errc::unsupported, "watermark images can only be read from buckets");
  auto name = place->bucket.empty() ? run.object.bucket : place->bucket;
  FM_TRY(auto* b, services.find_bucket(name));
  FM_TRY(auto key, normalize_key(place->object));
  FM_TRY(auto generation, b->stat(key));
  FM_TRY(auto file, b->open({name, key, generation}));
  return read_all(file.get(), image_bytes_max, name + "/" + key);
}

/// As its author wrote it; our own name of it says nothing to him.
std::string place_of(const plan_asset& asset) {
  if (!asset.object || !asset.object->cos)
    return "of a template";
  return fmt::format("{}:{}", asset.object->cos->bucket, asset.object->cos->object);
}

result<packet_index> read_index(const node_services& services, const std::string& sha256) {
  if (auto whole = services.artifacts->verify(sha256); !whole)
    return fail_field(errc::artifact_lost, sha256, "the index of the source is lost: {}",
                      whole.error().message);
  std::ifstream in{services.artifacts->path_of(sha256), std::ios::binary};
  std::stringstream bytes;
  bytes << in.rdbuf();
  return decode_index(bytes.str());
}

} // namespace

result<physical_plan> plan_for(node_services& services, const run_record& run,
                               const std::vector<std::string>& indexes, bool trust_index) {
  auto templates = services.templates.current();
  std::map<std::string, std::string> assets;
  for (const auto& asset : required_assets(run, *templates)) {
    auto bytes = fetch(services, run, asset);
    if (!bytes) {
      auto lasting = retry_of(bytes.error().code) == retry_class::never;
      return fail_field(lasting ? errc::invalid_argument : bytes.error().code, "WatermarkSet",
                        "the watermark image {}: {}", place_of(asset), bytes.error().message);
    }
    services.pins.pin(run.id, sha256_of(*bytes)); // live before it is there
    FM_TRY(assets[asset.name], services.artifacts->put(*bytes));
  }
  auto options = services.config.planning;
  // What is ours counts from the start, before its TASK WORKERs have joined: a plan of
  // a daemon that has just begun is the plan of any other moment.
  const auto& own = services.config;
  options.slots = std::max({services.slots_here.load(), own.roles.worker ? own.slots : 0, 1});
  options.cores = std::max({services.cores_here.load(), own.roles.worker ? own.cores : 0, 1});
  options.trust_index = trust_index;
  std::vector<std::optional<packet_index>> read(indexes.size());
  std::vector<const packet_index*> given(indexes.size(), nullptr);
  for (std::size_t i = 0; i < indexes.size(); ++i)
    if (!indexes[i].empty()) {
      FM_TRY(read[i], read_index(services, indexes[i]));
      given[i] = &*read[i];
    }
  if (given.size() > 1)
    return make_edit_plan(run, given, *templates, assets, options);
  return make_plan(run, given.at(0), *templates, assets, options);
}

} // namespace framemill
