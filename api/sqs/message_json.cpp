#include "api/sqs/message_json.hpp"

#include "api/sqs/sqs_action.hpp"
#include "core/base64.hpp"
#include "storage/digest.hpp"

#include <algorithm>
#include <array>

namespace framemill {

namespace {

bool is_binary(std::string_view type) { return type == "Binary" || type.starts_with("Binary."); }

void append_sized(std::string& to, std::string_view text) {
  const auto n = static_cast<std::uint32_t>(text.size());
  for (int shift = 24; shift >= 0; shift -= 8)
    to.push_back(static_cast<char>(n >> shift));
  to += text;
}

json attribute_json(const message_attribute& a) {
  json out{{"DataType", a.type}};
  if (is_binary(a.type))
    out["BinaryValue"] = encode_base64(a.value);
  else
    out["StringValue"] = a.value;
  return out;
}

std::string milliseconds(timestamp t) { return std::to_string(t.us / 1000); }

/// Those that exist for messages of queues without order.
json system_attributes(const received_message& m) {
  json all{{"ApproximateReceiveCount", std::to_string(m.receives)},
           {"ApproximateFirstReceiveTimestamp", milliseconds(m.first_received)},
           {"SentTimestamp", milliseconds(m.message.sent)},
           {"SenderId", m.message.sender.empty() ? "framemill" : m.message.sender}};
  if (!m.source.empty())
    all["DeadLetterQueueSourceArn"] = arn_of(m.source);
  return all;
}

constexpr auto system_names = std::to_array<std::string_view>(
    {"ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "SentTimestamp", "SenderId",
     "DeadLetterQueueSourceArn", "AWSTraceHeader", "SequenceNumber", "MessageDeduplicationId",
     "MessageGroupId"});

} // namespace

std::string message_id_text(message_id id) { return fmt::format("{:016x}", id.value); }

std::string md5_hex(std::string_view text) {
  digest d{digest::kind::md5};
  d.update(text);
  return d.hex();
}

std::string md5_of(const message_attributes& attributes) {
  std::string all;
  for (const auto& [name, a] : attributes) {
    append_sized(all, name);
    append_sized(all, a.type);
    all.push_back(is_binary(a.type) ? 2 : 1);
    append_sized(all, a.value);
  }
  return md5_hex(all);
}

result<message_attributes> read_attributes(const std::map<std::string, attribute_value>& from) {
  message_attributes out;
  for (const auto& [name, a] : from) {
    if (a.type.empty())
      return fail_field(errc::missing_argument, "MessageAttributes." + name,
                        "the attribute has no DataType");
    const auto& value = is_binary(a.type) ? a.binary : a.text;
    if (!value || (a.text && a.binary))
      return fail_field(errc::invalid_argument, "MessageAttributes." + name,
                        "a {} has one value, in {}", a.type,
                        is_binary(a.type) ? "BinaryValue" : "StringValue");
    if (!is_binary(a.type)) {
      out[name] = {a.type, *value};
    } else if (auto bytes = decode_base64(*value)) {
      out[name] = {a.type, std::move(*bytes)};
    } else {
      return fail_field(errc::malformed, "MessageAttributes." + name, "BinaryValue is not base64");
    }
  }
  return out;
}

message_attributes wanted_attributes(const message_attributes& all,
                                     const std::vector<std::string>& names) {
  const auto is_wanted = [&](const std::string& name) {
    return std::any_of(names.begin(), names.end(), [&](std::string_view wanted) {
      if (wanted == "All" || wanted == name)
        return true;
      return wanted.ends_with(".*") && name.starts_with(wanted.substr(0, wanted.size() - 2));
    });
  };
  message_attributes out;
  std::copy_if(all.begin(), all.end(), std::inserter(out, out.end()),
               [&](const auto& a) { return is_wanted(a.first); });
  return out;
}

tl::expected<void, sqs_error> check_system_names(std::string_view parameter,
                                                 const std::vector<std::string>& names) {
  for (const auto& name : names)
    if (name != "All"
        && std::find(system_names.begin(), system_names.end(), name) == system_names.end())
      return refuse_sqs("InvalidAttributeName",
                        fmt::format("{}: messages have no attribute `{}`", parameter, name));
  return {};
}

json message_json(const received_message& m, const std::vector<std::string>& wanted,
                  const std::vector<std::string>& attribute_names) {
  json out{{"MessageId", message_id_text(m.message.id)},
           {"ReceiptHandle", m.receipt},
           {"Body", m.message.body},
           {"MD5OfBody", md5_hex(m.message.body)}};
  const auto all = system_attributes(m);
  for (const auto& name : wanted) {
    if (name == "All")
      out["Attributes"] = all;
    else if (all.contains(name))
      out["Attributes"][name] = all[name];
  }
  const auto attributes = wanted_attributes(m.message.attributes, attribute_names);
  for (const auto& [name, a] : attributes)
    out["MessageAttributes"][name] = attribute_json(a);
  if (!attributes.empty())
    out["MD5OfMessageAttributes"] = md5_of(attributes);
  return out;
}

} // namespace framemill
