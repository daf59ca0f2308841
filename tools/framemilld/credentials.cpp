#include "tools/framemilld/credentials.hpp"

#include "core/json.hpp"
#include "storage/posix_file.hpp"

#include <openssl/rand.h>

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
  FM_CHECK(write_whole_file(path, document.dump(2) + "\n", 0600));
  return c;
}

} // namespace framemill
