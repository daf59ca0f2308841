#include "notify/function_templates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace framemill {

namespace {

constexpr bool secret = true, plain = false, required = true, optional = false;

const std::vector<function_template>& all() {
  static const std::vector<function_template> templates{
      {"webhook",
       "Tells a WeCom group robot, or anything that takes its messages, of finished tasks",
       true,
       false,
       {{"WEBHOOK_URL", secret, required, "where to: it holds the robot's key"},
        {"WEBHOOK_FORMAT", plain, optional, "markdown (the default) or text"},
        {"MENTION", plain, optional,
         "user ids to mention when a task failed, with commas; @all for everyone"}}},
      {"email",
       "Sends a mail for each finished task through an SMTP server",
       true,
       false,
       {{"SMTP_URL", plain, required,
         "smtp://HOST[:25], which takes STARTTLS where it is offered, or smtps://HOST[:465]"},
        {"SMTP_USER", plain, optional, "to log in as; then SMTP_PASSWORD is needed too"},
        {"SMTP_PASSWORD", secret, optional, ""},
        {"SMTP_INSECURE", plain, optional,
         "yes: log in without TLS, and take certificates that nobody vouches for"},
        {"MAIL_FROM", plain, required, "address of the sender"},
        {"MAIL_TO", plain, required, "addresses, with commas"},
        {"MAIL_ONLY", plain, optional, "failed: only tasks that failed; all (the default)"}}},
      {"backup",
       "Keeps the record of each finished task as a file in a bucket",
       false,
       true,
       {{"BACKUP_BUCKET", plain, required, "the bucket; the function needs its grant"},
        {"BACKUP_DIR", plain, optional, "the directory; backup/ is the default"}}},
  };
  return templates;
}

} // namespace

std::span<const function_template> function_templates() { return all(); }

result<const function_template*> find_template(std::string_view name) {
  std::string names;
  for (const auto& t : all()) {
    if (t.name == name)
      return &t;
    names += (names.empty() ? "" : ", ") + t.name;
  }
  return fail_field(errc::not_found, "Template", "there is no template `{}`: there are {}",
                    name, names);
}

result<function_edit> from_template(const function_template& t, function_source code,
                                    function_edit edit) {
  if (edit.files)
    return fail_field(errc::conflict, "Template",
                      "a template brings its own code: leave out Files");
  if (edit.runtime || edit.handler)
    return fail_field(errc::conflict, "Template",
                      "a template brings its own code: leave out Runtime and Handler");
  for (const auto& s : t.settings) {
    const auto& given = s.is_secret ? edit.set_secrets : edit.set_environment;
    if (s.is_required && !given.contains(s.name))
      return fail_field(errc::missing_argument, s.is_secret ? "Secrets" : "Environment",
                        "template {} needs the {} {}: {}", t.name,
                        s.is_secret ? "secret" : "variable", s.name, s.meaning);
  }
  if (t.writes_files && (!edit.buckets || edit.buckets->empty()))
    return fail_field(errc::missing_argument, "Buckets",
                      "template {} writes files: grant it a bucket", t.name);
  edit.made_from = t.name;
  edit.runtime = function_runtime::nodejs;
  edit.files = {std::move(code)};
  edit.network = edit.network.value_or(t.network);
  if (!edit.description)
    edit.description = t.description;
  if (t.network && !edit.timeout)
    edit.timeout = microseconds{30'000'000}; // other people's servers
  return edit;
}

} // namespace framemill
