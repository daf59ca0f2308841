#include "core/queue_message.hpp"

#include "core/bounds.hpp"
#include "core/limits.hpp"
#include "core/utf8.hpp"

#include <algorithm>

namespace framemill {

namespace {

/// XML 1.0's characters: what SQS takes.
bool is_allowed(char32_t c) {
  return c == 0x9 || c == 0xa || c == 0xd || (c >= 0x20 && c <= 0xd7ff) ||
         (c >= 0xe000 && c <= 0xfffd) || c >= 0x10000;
}

/// How many bytes of printable ASCII it begins with: of most texts, all.
std::size_t plain_bytes(std::string_view text) {
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f; };
  return static_cast<std::size_t>(
      std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
}

result<void> check_text(std::string_view text, const std::string& field) {
  for (auto rest = text.substr(plain_bytes(text)); !rest.empty();
       rest.remove_prefix(plain_bytes(rest))) {
    const auto at = text.size() - rest.size();
    const auto c = take_code_point(rest);
    if (!c || !is_allowed(*c))
      return fail_field(errc::malformed, field,
                        "byte {} is not of a character that messages may hold (UTF-8; of the "
                        "control characters tab, line feed and carriage return)",
                        at);
  }
  return {};
}

bool is_attribute_name(std::string_view name) {
  const auto is_char = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= limits::message_attribute_name_chars_max &&
         std::all_of(name.begin(), name.end(), is_char) && !name.starts_with('.') &&
         !name.ends_with('.') && name.find("..") == name.npos && !name.starts_with("AWS.") &&
         !name.starts_with("Amazon.");
}

result<void> check_attribute(const std::string& name, const message_attribute& a) {
  const auto field = "Attributes." + name;
  if (!is_attribute_name(name))
    return fail_field(errc::invalid_argument, field,
                      "the name is not 1 to {} of letters, digits, `-`, `_` and single inner "
                      "dots, or begins with AWS. or Amazon.",
                      limits::message_attribute_name_chars_max);
  const auto base = a.type.substr(0, a.type.find('.'));
  if ((base != "String" && base != "Number" && base != "Binary") ||
      a.type.size() > limits::message_attribute_name_chars_max)
    return fail_field(errc::invalid_argument, field,
                      "the type `{}` is not String, Number or Binary", a.type);
  if (a.value.empty())
    return fail_field(errc::invalid_argument, field, "the value is empty");
  return base == "Binary" ? result<void>{} : check_text(a.value, field);
}

} // namespace

std::size_t size_of(const outgoing_message& m) {
  auto bytes = m.body.size();
  for (const auto& [name, a] : m.attributes)
    bytes += name.size() + a.type.size() + a.value.size();
  return bytes;
}

result<void> check_tags(const std::vector<std::string>& tags) {
  if (tags.size() > limits::message_tags_max)
    return fail_field(errc::invalid_argument, "Tags", "{} tags are more than {}", tags.size(),
                      limits::message_tags_max);
  for (const auto& tag : tags) {
    const auto chars = code_points(tag);
    if (!chars || *chars == 0 || *chars > limits::message_tag_chars_max)
      return fail_field(errc::invalid_argument, "Tags", "`{}` is not 1 to {} characters", tag,
                        limits::message_tag_chars_max);
  }
  return {};
}

result<void> check(const outgoing_message& m, std::int64_t bytes_max) {
  if (m.body.empty())
    return fail_field(errc::missing_argument, "Body", "the body of a message is empty");
  if (const auto bytes = size_of(m); bytes > static_cast<std::size_t>(bytes_max))
    return fail_field(errc::too_large, "Body",
                      "the message has {} bytes with its attributes; the queue takes {}", bytes,
                      bytes_max);
  if (m.attributes.size() > limits::message_attributes_max)
    return fail_field(errc::invalid_argument, "Attributes", "{} are more than {}",
                      m.attributes.size(), limits::message_attributes_max);
  FM_CHECK(check_text(m.body, "Body"));
  for (const auto& [name, a] : m.attributes)
    FM_CHECK(check_attribute(name, a));
  FM_CHECK(check_within("DelaySeconds", m.delay_seconds.value_or(0), 0,
                        limits::queue_delay_seconds_max));
  return check_tags(m.tags);
}

} // namespace framemill
