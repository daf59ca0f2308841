#pragma once

#include "api/sqs/sqs_error.hpp"
#include "core/queue_message.hpp"

#include <string>
#include <vector>

// Messages as SQS writes them, and the hashes that its clients verify.

namespace framemill {

/// A message attribute of a request.
struct attribute_value {
  std::string type;
  std::optional<std::string> text;
  std::optional<std::string> binary; ///< base64
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("DataType", s.type); // read_attributes misses it: of a batch, one entry's fault
    v("StringValue", s.text);
    v("BinaryValue", s.binary);
    v.unsupported("StringListValues");
    v.unsupported("BinaryListValues");
  }
};

/// `field` names the attribute without a type, or without a value of it.
[[nodiscard]] result<message_attributes>
read_attributes(const std::map<std::string, attribute_value>& from);

/// Which of a message's attributes a receiver wants: `All`, `.*`, `prefix.*`, names.
[[nodiscard]] message_attributes wanted_attributes(const message_attributes& all,
                                                   const std::vector<std::string>& names);

/// InvalidAttributeName: one that no message has, by the parameter it came in. To
/// be asked before messages are taken.
[[nodiscard]] tl::expected<void, sqs_error>
check_system_names(std::string_view parameter, const std::vector<std::string>& names);

/// One entry of ReceiveMessage's `Messages`, with those attributes that it has.
[[nodiscard]] json message_json(const received_message& m,
                                const std::vector<std::string>& system_names,
                                const std::vector<std::string>& attribute_names);

[[nodiscard]] std::string message_id_text(message_id id);
[[nodiscard]] std::string md5_hex(std::string_view text);
/// As SQS's clients compute it: over names, types and values in order of name,
/// each after its length.
[[nodiscard]] std::string md5_of(const message_attributes& attributes);

} // namespace framemill
