#include "tools/framemilld/daemon_config.hpp"

#include <toml++/toml.h>

#include <filesystem>
#include <set>

namespace framemill {

namespace {

/// Reads the keys of one table; what nobody asked for is an error.
class table_reader {
public:
  table_reader(const toml::table& t, std::string where) : table_(t), where_(std::move(where)) {}

  template <class T>
  void read(std::string_view key, T& to) {
    known_.insert(std::string{key});
    const auto* node = table_.get(key);
    if (node == nullptr || !status)
      return;
    if (auto value = node->value_exact<T>())
      to = *value;
    else
      status = fail_field(errc::malformed, std::string{key}, "{}{}: `{}` has the wrong type",
                          where_, line_of(*node), key);
  }
  template <class Duration>
  void read_seconds(std::string_view key, Duration& to) {
    double seconds = 0;
    std::int64_t whole = 0;
    if (const auto* node = table_.get(key); node != nullptr && node->is_integer()) {
      read(key, whole);
      seconds = static_cast<double>(whole);
    } else {
      read(key, seconds);
    }
    if (table_.contains(key) && status)
      to = Duration{static_cast<std::int64_t>(seconds * 1000)};
  }
  void allow(std::string_view key) { known_.insert(std::string{key}); }
  void refuse_unknown() {
    for (const auto& [key, node] : table_)
      if (status && !known_.contains(std::string{key.str()}))
        status = fail_field(errc::unknown_argument, std::string{key.str()},
                            "{}{}: unknown key `{}`", where_, line_of(node), key.str());
  }

  result<void> status;

private:
  static std::string line_of(const toml::node& n) {
    return fmt::format(":{}", n.source().begin.line);
  }
  const toml::table& table_;
  std::string where_;
  std::set<std::string> known_;
};

} // namespace

result<void> read_config_file(const std::string& path, daemon_config& into) {
  toml::table file;
  try {
    file = toml::parse_file(path);
  } catch (const toml::parse_error& e) {
    return fail(errc::malformed, "{}:{}: {}", path, e.source().begin.line, e.description());
  }
  table_reader r{file, path};
  auto& n = into.node;
  std::int64_t slots = n.slots, memory_mib = n.memory_bytes >> 20;
  r.read("name", n.name);
  r.read("data_dir", n.data_dir);
  r.read("api_listen", into.api_listen);
  r.read("log_level", into.log_level);
  r.read("slots", slots);
  r.read("memory_mib", memory_mib);
  r.read("media_program", n.media_program);
  r.read("allow_faults", n.allow_faults);
  r.read_seconds("scan_interval_seconds", n.scan_interval);
  r.read_seconds("settle_seconds", n.settle_quiet);
  r.read_seconds("stall_seconds", n.stall_limit);
  r.allow("bucket");
  r.refuse_unknown();
  FM_CHECK(r.status);
  n.slots = static_cast<int>(slots);
  n.memory_bytes = memory_mib << 20;
  const auto* buckets = file["bucket"].as_array();
  if (file.contains("bucket") && buckets == nullptr)
    return fail_field(errc::malformed, "bucket", "{}: write buckets as [[bucket]] tables", path);
  if (buckets == nullptr)
    return {};
  for (const auto& item : *buckets) {
    const auto* table = item.as_table();
    if (table == nullptr)
      return fail_field(errc::malformed, "bucket", "{}: write buckets as [[bucket]] tables", path);
    std::string name, directory;
    table_reader b{*table, path};
    b.read("name", name);
    b.read("path", directory);
    b.refuse_unknown();
    FM_CHECK(b.status);
    FM_CHECK(add_bucket(name + "=" + directory, n));
  }
  return {};
}

result<void> add_bucket(const std::string& text, node_config& into) {
  auto at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    return fail_field(errc::malformed, "bucket", "`{}` is not NAME=PATH", text);
  auto path = std::filesystem::absolute(text.substr(at + 1)).lexically_normal().string();
  into.buckets[text.substr(0, at)] = path;
  return {};
}

result<void> add_default_bucket(node_config& into) {
  if (!into.buckets.empty())
    return {};
  auto path = std::filesystem::absolute(into.data_dir) / "buckets" / "media";
  std::error_code ec;
  std::filesystem::create_directories(path, ec);
  if (ec)
    return fail_errno(ec.value(), path.string());
  into.buckets["media"] = path.lexically_normal().string();
  return {};
}

} // namespace framemill
