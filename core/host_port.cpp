#include "core/host_port.hpp"

namespace framemill {

result<host_port> parse_host_port(std::string_view text, std::string_view field) {
  auto colon = text.rfind(':');
  auto digits = colon == text.npos ? std::string_view{} : text.substr(colon + 1);
  const bool number = !digits.empty() && digits.size() <= 5
                      && digits.find_first_not_of("0123456789") == digits.npos;
  auto port = number ? std::stoi(std::string{digits}) : -1;
  if (colon == 0 || port < 0 || port > 65535)
    return fail_field(errc::malformed, std::string{field}, "`{}` is not HOST:PORT", text);
  auto host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return host_port{std::string{host}, static_cast<std::uint16_t>(port)};
}

} // namespace framemill
