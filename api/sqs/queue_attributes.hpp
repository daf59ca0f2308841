#pragma once

#include "api/sqs/sqs_error.hpp"
#include "core/queue.hpp"

#include <map>
#include <string>
#include <vector>

namespace framemill {

using attribute_map = std::map<std::string, std::string>;

/// Sets what the attributes say. InvalidAttributeName: SQS has none of that name;
/// UnsupportedOperation: we have none; InvalidAttributeValue: not a number, not a
/// redrive policy. Bounds are the queue's business.
[[nodiscard]] tl::expected<void, sqs_error> apply_attributes(const attribute_map& attributes,
                                                             queue_settings& to);

/// What the queue refuses of its settings, in the words of the attributes.
[[nodiscard]] sqs_error attribute_error(const error& e);

/// The attributes of these names; `All` stands for all. InvalidAttributeName.
[[nodiscard]] tl::expected<attribute_map, sqs_error>
attributes_of(const queue_view& v, const std::vector<std::string>& names);

} // namespace framemill
