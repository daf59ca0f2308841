#include "tools/framemill/message_input.hpp"

#include <CLI/CLI.hpp>

#include <fstream>
#include <iostream>
#include <iterator>

namespace framemill::cli {

namespace {

result<std::string> read_all(const std::string& file) {
  std::ifstream opened;
  if (file != "-")
    opened.open(file, std::ios::binary);
  std::istream& in = file == "-" ? std::cin : opened;
  std::string out{std::istreambuf_iterator<char>{in}, {}};
  if (in.bad() || (file != "-" && !opened.is_open()))
    return fail(errc::io_failed, "{} cannot be read", file);
  return out;
}

result<std::string> body_of(const message_input& in) {
  if (in.body.has_value() == !in.file.empty())
    return fail(errc::invalid_argument, "give the message as BODY or with --file, one of them");
  return in.body ? result<std::string>{*in.body} : read_all(in.file);
}

} // namespace

void add_message_input(CLI::App& verb, message_input& to) {
  verb.add_option("BODY", to.body, "The message");
  verb.add_option("--file", to.file, "Or a file that holds it; - for stdin");
  verb.add_option("--attribute", to.attributes, "NAME=VALUE beside the body; may be repeated")
      ->expected(1)
      ->take_all();
}

result<json> message_of(const message_input& in) {
  json out{{"Tags", in.tags}, {"Attributes", json::object()}};
  FM_TRY(out["Body"], body_of(in));
  for (const auto& text : in.attributes) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(errc::invalid_argument, "`{}` is not NAME=VALUE", text);
    out["Attributes"][text.substr(0, equals)] = {{"Type", "String"},
                                                 {"Value", text.substr(equals + 1)}};
  }
  return out;
}

} // namespace framemill::cli
