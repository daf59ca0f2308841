#include "actors/supply.hpp"

#include "actors/fail_points.hpp"

namespace framemill {

namespace {

class local_supply final : public supply {
public:
  explicit local_supply(node_services& services) : services_(services) {}

  result<void> hand(const std::string& sha256, const std::string& target) override {
    return services_.artifacts->link_to(sha256, target);
  }

  result<void> verify(const std::string& sha256) override {
    return services_.artifacts->verify(sha256);
  }

  result<opened_source> open(const object_ref& object) override {
    FM_CHECK(fail_door("bucket.open"));
    FM_TRY(auto* bucket, services_.find_bucket(object.bucket));
    FM_TRY(auto file, bucket->open(object));
    opened_source out;
    out.file = std::move(file);
    return out;
  }

  result<void> deliver(run_id run, const std::string& path, const std::string& sha256) override {
    FM_CHECK(fail_door("artifact.adopt"));
    FM_CHECK(services_.want_artifact(run, sha256));
    return services_.artifacts->adopt(path, sha256);
  }

private:
  node_services& services_;
};

} // namespace

std::unique_ptr<supply> make_local_supply(node_services& services) {
  return std::make_unique<local_supply>(services);
}

} // namespace framemill
