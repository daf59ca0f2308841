#include "tools/framemill/completion.hpp"

#include <CLI/CLI.hpp>

#include <vector>

namespace framemill::cli {

namespace {

struct word {
  std::string text;
  std::string help;
};

/// A command by its path ("workflow create"), and what may follow it.
struct node {
  std::string path;
  std::vector<word> commands;
  std::vector<word> options;
};

std::string first_line(std::string text) {
  text.erase(std::min(text.find('\n'), text.size()));
  return text;
}

void add_options(const CLI::App& app, std::vector<word>& to) {
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames())
      to.push_back({"--" + name, first_line(option->get_description())});
}

void collect(const CLI::App& app, const std::string& path, std::vector<node>& out) {
  node n{path, {}, {}};
  add_options(app, n.options);
  std::vector<const CLI::App*> commands;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name().empty()) { // CLI11's way of grouping options
      add_options(*command, n.options);
      continue;
    }
    commands.push_back(command);
    n.commands.push_back({command->get_name(), first_line(command->get_description())});
  }
  out.push_back(std::move(n));
  for (const auto* command : commands)
    collect(*command, path.empty() ? command->get_name() : path + " " + command->get_name(),
            out);
}

std::string joined(const std::vector<word>& words) {
  std::string out;
  for (const auto& w : words)
    out += (out.empty() ? "" : " ") + w.text;
  return out;
}

/// The word list of each command, and a loop that finds the command in what
/// has been typed so far.
std::string bash_script(const std::vector<node>& nodes) {
  std::string cases, paths;
  for (const auto& n : nodes) {
    auto words = joined(n.commands) + (n.commands.empty() ? "" : " ") + joined(n.options);
    if (!n.path.empty())
      words += " " + joined(nodes.front().options);
    cases += "    '" + n.path + "') words='" + words + "' ;;\n";
    if (!n.path.empty())
      paths += (paths.empty() ? "" : "|") + std::string{"'"} + n.path + "'";
  }
  return "# source <(framemill completion bash)\n"
         "_framemill() {\n"
         "  local path= next words i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    next=\"${path:+$path }${COMP_WORDS[i]}\"\n"
         "    case \"$next\" in " +
         paths +
         ") path=$next ;; esac\n"
         "  done\n"
         "  case \"$path\" in\n" +
         cases +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o default -F _framemill framemill\n";
}

std::string zsh_script(const std::vector<node>& nodes) {
  return "#compdef framemill\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         bash_script(nodes);
}

std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\')
      out += '\\';
    out += c;
  }
  return out + "'";
}

/// True in fish when exactly the commands of `path` have been typed and none below.
std::string fish_condition(const node& n) {
  if (n.path.empty())
    return "__fish_use_subcommand";
  std::string out;
  std::string rest = n.path;
  for (auto cut = rest.find(' ');; cut = rest.find(' ')) {
    out += (out.empty() ? "" : "; and ") + std::string{"__fish_seen_subcommand_from "} +
           rest.substr(0, cut);
    if (cut == std::string::npos)
      break;
    rest.erase(0, cut + 1);
  }
  if (!n.commands.empty())
    out += "; and not __fish_seen_subcommand_from " + joined(n.commands);
  return out;
}

std::string fish_script(const std::vector<node>& nodes) {
  std::string out = "# framemill completion fish | source\n";
  for (const auto& n : nodes) {
    auto head = "complete -c framemill -n " + fish_quoted(fish_condition(n));
    for (const auto& c : n.commands)
      out += head + " -f -a " + c.text + " -d " + fish_quoted(c.help) + "\n";
    for (const auto& o : n.options)
      out += (n.path.empty() ? "complete -c framemill" : head) + " -l " + o.text.substr(2) +
             " -d " + fish_quoted(o.help) + "\n";
  }
  return out;
}

} // namespace

result<std::string> completion_script(const CLI::App& app, std::string_view shell) {
  std::vector<node> nodes;
  collect(app, "", nodes);
  if (shell == "bash")
    return bash_script(nodes);
  if (shell == "zsh")
    return zsh_script(nodes);
  if (shell == "fish")
    return fish_script(nodes);
  return fail(errc::invalid_argument, "no completion for the shell `{}`: bash, zsh, fish",
              shell);
}

} // namespace framemill::cli
