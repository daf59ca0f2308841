#include "tools/framemill/cluster_page.hpp"
#include "tools/framemill/context.hpp"
#include "tools/framemill/duration.hpp"
#include "tools/framemill/file_input.hpp"
#include "tools/framemill/interrupt.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>

namespace framemill::cli {

namespace {

using namespace std::chrono_literals;

constexpr auto interval_min = 100ms;

struct top_options {
  std::string interval = "1s";
  bool once = false;
};

result<exit_code> status(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeCluster", json::object()));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(cluster_page(at(answer, "Cluster")));
  return exit_code::ok;
}

result<top_sample> take_sample(const client& server) {
  FM_TRY(auto cluster, server.own("DescribeCluster", json::object()));
  FM_TRY(auto nodes, server.own("DescribeNodes", json::object()));
  FM_TRY(auto metrics, server.own("DescribeMetrics", json::object()));
  return top_sample{at(cluster, "Cluster"), list_at(nodes, "Nodes"),
                    list_at(metrics, "Metrics"), std::chrono::steady_clock::now()};
}

json optional_json(const std::optional<double>& x) { return x ? json(*x) : json(nullptr); }

std::string json_line(const top_sample& s, const throughput& t) {
  return dump({{"Cluster", s.cluster},
               {"Nodes", s.nodes},
               {"Throughput",
                {{"FramesPerSecond", optional_json(t.frames)},
                 {"BytesPerSecond", optional_json(t.bytes)}}}},
              -1)
         + "\n";
}

/// Over what the terminal shows, without changing its modes: each line is
/// cleared behind its end, and what is below the last one.
std::string in_place(const std::string& page) {
  std::string out = "\x1b[H";
  for (char c : page)
    out += c == '\n' ? std::string{"\x1b[K\n"} : std::string(1, c);
  return out + "\x1b[J";
}

void display(const context& ctx, const top_options& o, const top_sample& s,
             const throughput& t) {
  auto columns = terminal_columns();
  if (ctx.wants_json())
    print(json_line(s, t));
  else if (o.once)
    print(top_page(s, t, columns, 0));
  else if (columns == 0)
    print(top_line(s, t) + "\n");
  else
    print(in_place(top_page(s, t, columns, terminal_rows())));
  std::fflush(stdout);
}

/// The next sample. A server that is away for a while is asked again until
/// Ctrl-C (errc::cancelled); it may come back on another port.
result<top_sample> next_sample(const context& ctx, client& server,
                               std::chrono::milliseconds interval) {
  bool said = false;
  for (;;) {
    if (!pause_for(interval))
      return fail(errc::cancelled, "interrupted");
    auto sample = take_sample(server);
    if (sample || exit_code_of(sample.error().code) != exit_code::unreachable)
      return sample;
    if (!std::exchange(said, true))
      std::fprintf(stderr, "framemill: %s; trying again\n",
                   printable(sample.error().message).c_str());
    if (auto again = ctx.connect())
      server = std::move(*again);
  }
}

/// Rates need two looks: `--once` shows the second.
result<exit_code> top(const context& ctx, const top_options& o) {
  FM_TRY(auto interval, parse_duration(o.interval));
  if (interval < interval_min)
    return fail(errc::invalid_argument, "--interval {} is shorter than {} ms", o.interval,
                interval_min.count());
  catch_interrupt();
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto before, take_sample(server));
  if (!o.once && !ctx.wants_json() && terminal_columns() > 0) {
    print("\x1b[2J");
    display(ctx, o, before, {});
  }
  for (;;) {
    auto now = next_sample(ctx, server, interval);
    if (!now && now.error().code == errc::cancelled && !o.once)
      return exit_code::ok; // this is how it ends
    FM_CHECK(now);
    display(ctx, o, *now, throughput_between(before, *now));
    if (o.once)
      return exit_code::ok;
    before = std::move(*now);
  }
}

/// The directory is on the coordinator's machine; a relative one counts from
/// here, which is right on that machine only.
result<exit_code> backup(const context& ctx, const std::string& directory) {
  std::error_code ec;
  auto path = std::filesystem::absolute(directory, ec).lexically_normal().string();
  if (ec)
    return fail_errno(ec.value(), directory);
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("BackupState", {{"Directory", path}}));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("the state is in {} on the coordinator's machine\n", printable(path)));
  return exit_code::ok;
}

} // namespace

void add_cluster(CLI::App& app, context& ctx) {
  auto* noun = app.add_subcommand("cluster", "The nodes together");
  noun->require_subcommand(1)->fallthrough();
  on_chosen(ctx, *noun->add_subcommand("status", "Who coordinates, what there is, what waits"),
            [&ctx] { return status(ctx); });
}

void add_top(CLI::App& app, context& ctx) {
  auto o = std::make_shared<top_options>();
  auto* verb = app.add_subcommand("top", "Nodes, slots, queue and throughput as they change");
  verb->add_flag("--once", o->once, "Show them once");
  verb->add_option("--interval", o->interval, "Between two looks")
      ->type_name("TIME")
      ->capture_default_str();
  on_chosen(ctx, *verb, [&ctx, o] { return top(ctx, *o); });
}

void add_backup(CLI::App& app, context& ctx) {
  auto directory = std::make_shared<std::string>();
  auto* verb = app.add_subcommand("backup", "Copy the coordinator's state while it runs");
  verb->add_option("DIR", *directory, "On the coordinator's machine; absent or empty")
      ->required()
      ->check(check_directory);
  on_chosen(ctx, *verb, [&ctx, directory] { return backup(ctx, *directory); });
}

} // namespace framemill::cli
