#include "actors/remote_supply.hpp"

#include "actors/fail_points.hpp"

#include <spdlog/spdlog.h>

namespace framemill {

void data_place::set(data_client::options o) {
  std::lock_guard lock{mutex_};
  *is_away_ = false;
  o.is_away = [is_away = is_away_] { return is_away->load(); };
  current_ = std::move(o);
}

void data_place::lost() { *is_away_ = true; }

result<data_client::options> data_place::current() const {
  std::lock_guard lock{mutex_};
  if (!current_)
    return fail(errc::unavailable, "the coordinator's data plane is not known yet");
  return *current_;
}

namespace {

class remote_supply final : public supply {
public:
  remote_supply(node_services& services, std::shared_ptr<data_place> place)
      : services_(services), place_(std::move(place)) {}

  result<void> hand(const std::string& sha256, const std::string& target) override {
    FM_CHECK(fail_door("data.fetch"));
    FM_TRY(auto* c, client());
    return c->fetch(sha256, target);
  }

  result<void> verify(const std::string&) override { return {}; }

  result<opened_source> open(const object_ref& object) override {
    if (auto mounted = services_.find_bucket(object.bucket)) {
      auto door = fail_door("bucket.open");
      auto file = door ? (*mounted)->open(object) : result<file_handle>{failure{door.error()}};
      if (file) {
        opened_source out;
        out.file = std::move(*file);
        return out;
      }
      // The mount may lag behind or be away: the coordinator's word counts.
      spdlog::info("{}/{}: not read from the mount: {}", object.bucket, object.key,
                   file.error().message);
    }
    FM_CHECK(fail_door("data.open"));
    FM_TRY(auto place, place_->current());
    FM_TRY(auto started, range_server::start(std::move(place), object));
    std::shared_ptr<range_server> server = std::move(started);
    opened_source out;
    out.file = file_handle{server->take_child_end()};
    out.failure = [server] { return server->failure(); };
    out.is_waited_for = [server] { return server->is_waited_for(); };
    out.served_by = std::move(server);
    return out;
  }

  result<void> deliver(run_id run, const std::string& path, const std::string& sha256) override {
    FM_CHECK(fail_door("data.deliver"));
    FM_TRY(auto* c, client());
    return c->deliver(run, path, sha256);
  }

private:
  /// One client for the life of the slot, until the data plane moves.
  result<data_client*> client() {
    FM_TRY(auto place, place_->current());
    if (!client_ || place.host != host_ || place.port != port_) {
      host_ = place.host;
      port_ = place.port;
      FM_TRY(client_, data_client::open(std::move(place)));
    }
    return client_.get();
  }

  node_services& services_;
  std::shared_ptr<data_place> place_;
  std::unique_ptr<data_client> client_;
  std::string host_;
  std::uint16_t port_ = 0;
};

} // namespace

std::unique_ptr<supply> make_remote_supply(node_services& services,
                                           std::shared_ptr<data_place> place) {
  return std::make_unique<remote_supply>(services, std::move(place));
}

} // namespace framemill
