#include "tests/support/http.hpp"

#include "api/tc3.hpp"
#include "storage/file_handle.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace framemill::test {

namespace {

file_handle connected(const std::string& endpoint) {
  auto colon = endpoint.rfind(':');
  file_handle s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(colon + 1))));
  ::inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &to.sin_addr);
  timeval patience{20, 0};
  ::setsockopt(s.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(s.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    throw std::runtime_error{"cannot connect to " + endpoint};
  return s;
}

http_answer parse(const std::string& text) {
  auto head = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || head == std::string::npos)
    return {};
  return {std::stoi(text.substr(9, 3)), text.substr(head + 4)};
}

} // namespace

http_answer http_exchange(const std::string& endpoint, const std::string& bytes) {
  auto s = connected(endpoint);
  for (std::size_t at = 0; at < bytes.size();) {
    auto n = ::send(s.get(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (n <= 0)
      break; // it refuses to hear more; its answer says why
    at += static_cast<std::size_t>(n);
  }
  std::string text;
  char buffer[65536];
  for (ssize_t n; (n = ::recv(s.get(), buffer, sizeof buffer, 0)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  return parse(text);
}

http_answer http_get(const std::string& endpoint, const std::string& path) {
  return http_exchange(endpoint, "GET " + path + " HTTP/1.1\r\nHost: " + endpoint
                                     + "\r\nConnection: close\r\n\r\n");
}

http_answer mps_caller::send(const std::string& action, const std::string& body) const {
  std::ifstream file{data_dir + "/credentials.json"};
  auto keys = parse_json(std::string{std::istreambuf_iterator<char>{file}, {}}).value();
  tc3::client_request r;
  r.host = endpoint;
  r.action = action;
  r.version = version;
  r.body = body;
  r.timestamp = std::time(nullptr) + skew_seconds;
  auto text = std::string{"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: "}
              + std::to_string(body.size()) + "\r\n";
  for (const auto& [name, value] : tc3::sign(r, {keys["SecretId"], keys["SecretKey"]}))
    text += name + ": " + value + "\r\n";
  return http_exchange(endpoint, text + "\r\n" + body);
}

json mps_caller::operator()(const std::string& action, const json& body) const {
  auto answer = send(action, body.dump());
  auto document = parse_json(answer.body);
  return document && document->contains("Response") ? (*document)["Response"] : json{};
}

} // namespace framemill::test
