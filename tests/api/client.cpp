#include "tests/api/client.hpp"

#include <spdlog/spdlog.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace framemill::test {

raw_client::raw_client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
  timeval limit{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    throw std::runtime_error{"cannot connect to the server under test"};
}

raw_client::~raw_client() { ::close(fd_); }

bool raw_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool raw_client::fill() {
  char bytes[16384];
  auto n = ::recv(fd_, bytes, sizeof bytes, 0);
  if (n <= 0)
    return false;
  buffer_.append(bytes, static_cast<std::size_t>(n));
  return true;
}

std::string raw_client::read_until(std::string_view text) {
  std::size_t at;
  while ((at = buffer_.find(text)) == std::string::npos)
    if (!fill())
      return {};
  auto out = buffer_.substr(0, at + text.size());
  buffer_.erase(0, at + text.size());
  return out;
}

answer raw_client::read() {
  answer out;
  std::string_view head_end = "\r\n\r\n";
  auto head = read_until(head_end);
  if (head.size() < 12)
    return out;
  out.status = std::stoi(head.substr(9, 3));
  for (std::size_t at = head.find("\r\n") + 2; at + 2 < head.size();) {
    auto end = head.find("\r\n", at);
    auto line = head.substr(at, end - at);
    auto colon = line.find(':');
    auto name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    out.headers[name] = line.substr(std::min(colon + 2, line.size()));
    at = end + 2;
  }
  auto length =
      out.headers.count("content-length") ? std::stoul(out.headers["content-length"]) : 0;
  while (buffer_.size() < length)
    if (!fill())
      return {};
  out.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return out;
}

bool raw_client::is_closed() {
  char byte;
  return buffer_.empty() && ::recv(fd_, &byte, 1, 0) == 0;
}

void raw_client::shutdown() { ::shutdown(fd_, SHUT_WR); }

api_fixture::api_fixture(http_server_options http) {
  spdlog::set_level(spdlog::level::warn); // the audit lines are not for test output
  api_options options;
  options.credentials = {{credential.secret_id, credential.secret_key}};
  options.http = http;
  auto started = api_server::start(std::move(options), system, time);
  if (!started)
    throw std::runtime_error{started.error().message};
  server = std::move(*started);
}

api_fixture::~api_fixture() { server->stop(); }

std::string api_fixture::host() const { return fmt::format("127.0.0.1:{}", server->port()); }

tc3::client_request api_fixture::request(std::string action, std::string body,
                                         std::string version) const {
  tc3::client_request r;
  r.host = host();
  r.body = std::move(body);
  r.action = std::move(action);
  r.version = std::move(version);
  r.timestamp = time.now().us / 1'000'000;
  return r;
}

std::string bytes_of(const std::string& head_line, const tc3::header_list& headers,
                     std::string_view body) {
  auto out = head_line + " HTTP/1.1\r\n";
  for (const auto& [name, value] : headers)
    out += name + ": " + value + "\r\n";
  out += fmt::format("Content-Length: {}\r\n\r\n", body.size());
  return out.append(body);
}

std::string api_fixture::signed_bytes(const tc3::client_request& r,
                                      const tc3::header_list& more) const {
  auto headers = tc3::sign(r, credential);
  headers.insert(headers.end(), more.begin(), more.end());
  auto line = r.method + " " + r.path + (r.query.empty() ? "" : "?" + r.query);
  return bytes_of(line, headers, r.body);
}

answer api_fixture::exchange(std::string_view bytes) const {
  raw_client client{server->port()};
  client.send(bytes);
  return client.read();
}

json api_fixture::call(std::string action, const json& parameters, std::string version) const {
  auto a =
      exchange(signed_bytes(request(std::move(action), parameters.dump(), std::move(version))));
  if (a.status != 200 || a.headers["content-type"] != "application/json")
    return {{"Error", {{"Code", fmt::format("HTTP {}", a.status)}, {"Message", a.body}}}};
  return json::parse(a.body)["Response"];
}

json api_fixture::cluster(std::string action, const json& parameters) const {
  return call(std::move(action), parameters, "2026-11-01");
}

std::string code_of(const json& response) {
  return response.contains("Error") ? response["Error"]["Code"].get<std::string>() : "";
}

std::string message_of(const json& response) {
  return response.contains("Error") ? response["Error"]["Message"].get<std::string>() : "";
}

std::string code_in(const answer& a) {
  auto body = json::parse(a.body, nullptr, false);
  return body.is_object() && body.contains("Response") ? code_of(body["Response"])
                                                       : "no envelope: " + a.body;
}

json with(json in, const char* pointer, json value) {
  in[json::json_pointer{pointer}] = std::move(value);
  return in;
}

json workflow_parameters(const std::string& name) {
  return {{"WorkflowName", name},
          {"Trigger",
           {{"Type", "CosFileUpload"},
            {"CosFileUploadTrigger",
             {{"Bucket", "in"}, {"Region", "ap-guangzhou"}, {"Dir", "/in/"}}}}},
          {"MediaProcessTask", {{"TranscodeTaskSet", {{{"Definition", 100020}}}}}}};
}

} // namespace framemill::test
