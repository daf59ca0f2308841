#include "api/action.hpp"
#include "core/mps/notification_json.hpp"

namespace framemill {

namespace {

constexpr code_rule content_rules[] = {
    {errc::malformed, "", "InvalidParameterValue.InvalidContent"},
    {errc::too_large, "", "InvalidParameterValue.InvalidContent"},
};

struct parse_notification {
  std::string content;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Content", s.content, required);
  }
};

/// For clients that would rather not read the body themselves: nothing of it is
/// looked up.
void parse(const action_context&, parse_notification request, api_reply done) {
  auto event = mps::parse_notification(request.content);
  if (!event) {
    auto e = event.error();
    e.field = "Content";
    return done(refuse(e, content_rules));
  }
  done(std::move(*event));
}

} // namespace

void add_notification_actions(action_table& table) {
  table["ParseNotification"] = make_action(effect::reads, parse);
}

} // namespace framemill
