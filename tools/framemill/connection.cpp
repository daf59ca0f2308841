#include "tools/framemill/connection.hpp"

#include "core/json.hpp"
#include "tools/framemill/json_path.hpp"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>

namespace framemill::cli {

namespace {

constexpr std::string_view default_endpoint = "127.0.0.1:8700";

/// The text of a file; nothing when there is no such file.
result<std::optional<std::string>> read_if_there(const std::string& path) {
  errno = 0;
  std::ifstream in{path, std::ios::binary};
  if (!in && (errno == ENOENT || errno == ENOTDIR))
    return std::optional<std::string>{};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in.is_open() || in.bad())
    return fail_errno(errno, "cannot read " + path);
  return std::optional<std::string>{std::move(text)};
}

result<std::string> endpoint_of(const connection_options& options) {
  if (!options.server.empty())
    return options.server;
  FM_TRY(auto text, read_if_there(options.data_dir + "/endpoint"));
  if (!text)
    return std::string{default_endpoint};
  text->erase(text->find_last_not_of(" \r\n\t") + 1);
  if (text->empty())
    return fail(errc::malformed, "{}/endpoint is empty; give --server", options.data_dir);
  return *text;
}

} // namespace

result<connection> resolve(const connection_options& options) {
  connection out{{}, options.secret_id, options.secret_key};
  FM_TRY(out.endpoint, endpoint_of(options));
  if (!out.secret_id.empty() && !out.secret_key.empty())
    return out;
  auto path = options.data_dir + "/credentials.json";
  FM_TRY(auto text, read_if_there(path));
  if (!text)
    return fail(errc::unauthorized,
                "no credentials: there is no {}; give --data-dir of the node, or --secret-id "
                "and --secret-key",
                path);
  auto file = parse_json(*text);
  if (!file)
    return fail(errc::malformed, "{} is not JSON: {}", path, file.error().message);
  if (out.secret_id.empty())
    out.secret_id = text_at(*file, "SecretId");
  if (out.secret_key.empty())
    out.secret_key = text_at(*file, "SecretKey");
  if (out.secret_id.empty() || out.secret_key.empty())
    return fail(errc::malformed, "{} lacks SecretId or SecretKey", path);
  return out;
}

} // namespace framemill::cli
