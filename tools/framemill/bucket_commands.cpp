#include "tools/framemill/bucket_page.hpp"
#include "tools/framemill/context.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

namespace framemill::cli {

namespace {

struct bucket_options {
  std::string bucket;
  std::string prefix;
  std::string state;
  int limit = 100;
};
using options_ptr = std::shared_ptr<bucket_options>;

constexpr int page_items_max = 1000;

result<exit_code> list(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeBuckets", json::object()));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  print(bucket_table(list_at(answer, "Buckets")),
        "no buckets; start framemilld with --bucket NAME=PATH");
  return exit_code::ok;
}

result<exit_code> show(const context& ctx, const bucket_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeBuckets", json::object()));
  for (const auto& b : list_at(answer, "Buckets")) {
    if (text_at(b, "Name") != o.bucket)
      continue;
    if (ctx.wants_json())
      print_json({{"Bucket", b}});
    else
      print(bucket_page(b));
    return exit_code::ok;
  }
  return fail_field(errc::not_found, "Bucket", "there is no bucket {}", o.bucket);
}

result<json> objects_of(const client& server, const bucket_options& o) {
  auto objects = json::array();
  json query{{"Bucket", o.bucket}, {"Limit", std::clamp(o.limit, 1, page_items_max)}};
  if (!o.prefix.empty())
    query["Prefix"] = o.prefix;
  if (!o.state.empty())
    query["State"] = o.state;
  for (;;) {
    FM_TRY(auto page, server.own("DescribeObjects", query));
    for (const auto& object : list_at(page, "Objects"))
      if (objects.size() < static_cast<std::size_t>(o.limit))
        objects.push_back(object);
    if (text_at(page, "Next").empty() || objects.size() >= static_cast<std::size_t>(o.limit))
      return objects;
    query["After"] = text_at(page, "Next");
  }
}

std::string note_of(const json& object) {
  if (auto reason = text_at(object, "Reason"); !reason.empty())
    return reason;
  if (auto run = integer_at(object, "Origin.Run"); run != 0)
    return fmt::format("made by run {}", run);
  return joined(list_at(object, "Evidence"));
}

result<exit_code> objects(const context& ctx, const bucket_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto all, objects_of(server, o));
  if (ctx.wants_json()) {
    print_json({{"Objects", all}});
    return exit_code::ok;
  }
  table t{{{"KEY"}, {"SIZE", align::right}, {"STATE"}, {"SEEN"}, {"RUNS"}, {"WHY"}}};
  for (const auto& object : all)
    t.row({text_at(object, "Object.Key"),
           format_size(integer_at(object, "Object.Generation.Size")), text_at(object, "State"),
           format_time(text_at(object, "FirstSeen")), joined(list_at(object, "Runs")),
           note_of(object)});
  print(t, "no objects");
  return exit_code::ok;
}

std::string named_lines(const char* title, const json& keys) {
  constexpr std::size_t lines_max = 50;
  std::string out;
  for (std::size_t i = 0; i < std::min(keys.size(), lines_max); ++i)
    out += fmt::format("  {}  {}\n", title, printable(text_at(keys[i], "")));
  if (keys.size() > lines_max)
    out += fmt::format("  … and {} more; --json has all\n", keys.size() - lines_max);
  return out;
}

std::string ignored_text(const json& a) {
  auto out = text_at(a, "Ignored");
  for (const auto& [reason, count] : at(a, "IgnoredByReason").items())
    out += fmt::format("{}{} {}", out.find('(') == std::string::npos ? " (" : ", ",
                       count.dump(), reason);
  return out.find('(') == std::string::npos ? out : out + ")";
}

std::string audit_text(const json& a) {
  auto out = render_facts({{"objects seen", text_at(a, "Seen")},
                           {"settling", text_at(a, "Settling")},
                           {"settled", text_at(a, "Settled")},
                           {"ignored", ignored_text(a)},
                           {"vanished", text_at(a, "Vanished")},
                           {"made by us", text_at(a, "MadeByUs")},
                           {"runs live", text_at(a, "RunsLive")},
                           {"runs succeeded", text_at(a, "RunsSucceeded")},
                           {"runs failed", text_at(a, "RunsFailed")},
                           {"runs cancelled", text_at(a, "RunsCancelled")}});
  return out + named_lines("missing   ", list_at(a, "Missing")) +
         named_lines("duplicated", list_at(a, "Duplicated")) +
         named_lines("failed    ", list_at(a, "Failed"));
}

result<exit_code> audit(const context& ctx, const bucket_options& o) {
  auto cut = o.bucket.find_first_of(":/");
  json query{{"Bucket", o.bucket.substr(0, cut)}};
  if (cut != std::string::npos && cut + 1 < o.bucket.size())
    query["Prefix"] = o.bucket.substr(cut + 1);
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("AuditBucket", query));
  const auto& report = at(answer, "Audit");
  bool balanced = at(report, "Balanced") == true;
  if (ctx.wants_json())
    print_json(answer);
  else
    print(audit_text(report) +
          (balanced ? "the books balance\n" : "the books do NOT balance\n"));
  return balanced ? exit_code::ok : exit_code::failed;
}

} // namespace

void add_bucket(CLI::App& app, context& ctx) {
  auto o = std::make_shared<bucket_options>();
  auto* noun =
      app.add_subcommand("bucket", "Watched buckets and what is known of their objects");
  noun->require_subcommand(1)->fallthrough();
  on_chosen(ctx, *noun->add_subcommand("list", "List buckets"), [&ctx] { return list(ctx); });

  auto* one = noun->add_subcommand("show", "Who watches a bucket, why, and who else could");
  one->add_option("BUCKET", o->bucket, "Bucket")->required();
  on_chosen(ctx, *one, [&ctx, o] { return show(ctx, *o); });

  auto* verb = noun->add_subcommand("objects", "List the objects of a bucket's ledger");
  verb->add_option("BUCKET", o->bucket, "Bucket")->required();
  verb->add_option("--prefix", o->prefix, "Only keys that begin so");
  verb->add_option("--state", o->state, "Only objects in this state")
      ->check(CLI::IsMember({"settling", "settled", "ignored", "vanished"}));
  verb->add_option("--limit", o->limit, "At most so many")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  on_chosen(ctx, *verb, [&ctx, o] { return objects(ctx, *o); });
}

void add_audit(CLI::App& app, context& ctx) {
  auto o = std::make_shared<bucket_options>();
  auto* verb = app.add_subcommand("audit", "Balance the books: is every object accounted for?");
  verb->add_option("BUCKET[/PREFIX]", o->bucket, "What to balance")->required();
  on_chosen(ctx, *verb, [&ctx, o] { return audit(ctx, *o); });
}

} // namespace framemill::cli
