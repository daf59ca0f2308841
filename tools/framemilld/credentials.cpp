#include "tools/framemilld/credentials.hpp"

#include "core/json.hpp"
#include "storage/bucket.hpp"

#include <openssl/rand.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace framemill {

namespace {

result<std::string> random_text(std::size_t characters) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string bytes(characters, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(characters)) != 1)
    return fail(errc::io_failed, "the system has no randomness");
  for (auto& b : bytes)
    b = alphabet[static_cast<unsigned char>(b) % alphabet.size()];
  return bytes;
}

} // namespace

result<void> write_file(const std::string& path, const std::string& text, int mode) {
  auto temporary = path + ".new";
  file_handle f{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                       static_cast<mode_t>(mode))};
  if (!f)
    return fail_errno(errno, temporary);
  if (::write(f.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())
      || ::fchmod(f.get(), static_cast<mode_t>(mode)) != 0 || ::fsync(f.get()) != 0
      || ::rename(temporary.c_str(), path.c_str()) != 0)
    return fail_errno(errno, path);
  return {};
}

result<credentials> load_or_make_credentials(const std::string& data_dir) {
  auto path = data_dir + "/credentials.json";
  if (std::ifstream in{path}) {
    std::stringstream text;
    text << in.rdbuf();
    FM_TRY(auto document, parse_json(text.str()));
    credentials c{document.value("SecretId", ""), document.value("SecretKey", "")};
    if (c.secret_id.empty() || c.secret_key.empty())
      return fail(errc::malformed, "{} lacks SecretId or SecretKey", path);
    return c;
  }
  FM_TRY(auto id, random_text(32));
  FM_TRY(auto key, random_text(32));
  credentials c{"AKID" + id, key};
  json document{{"SecretId", c.secret_id}, {"SecretKey", c.secret_key}};
  FM_CHECK(write_file(path, document.dump(2) + "\n", 0600));
  return c;
}

} // namespace framemill
