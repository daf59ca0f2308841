#pragma once

#include "core/function.hpp"

// What can be asked of functions, and what is said of them beside the records.

namespace framemill {

/// A file of code as it is handed in.
struct function_source {
  std::string name;
  std::string content; ///< its bytes
  bool executable = false;
  std::string sha256;  ///< lower hex, of the content
};

/// A change to a function, or all of a new one: what is absent stays as it is,
/// or has its default.
struct function_edit {
  std::optional<std::string> description;
  std::optional<bool> enabled;
  std::uint64_t from_version = 0; ///< begin with this one, not with the newest
  std::string made_from;
  std::optional<function_runtime> runtime;
  std::optional<std::string> handler;
  std::optional<std::vector<function_source>> files; ///< all of them
  std::map<std::string, std::string> set_environment, set_secrets;
  std::vector<std::string> remove_environment, remove_secrets;
  std::optional<microseconds> timeout;
  std::optional<std::int64_t> memory_bytes, output_bytes_max;
  std::optional<std::int32_t> concurrency;
  std::optional<bool> network;
  std::optional<std::vector<bucket_grant>> buckets;
};

/// A variable that a built-in template takes.
struct function_setting {
  std::string name;
  bool is_secret = false;
  bool is_required = false;
  std::string meaning; ///< a sentence; with the default, when there is one
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Secret", s.is_secret);
    v("Required", s.is_required);
    v("Meaning", s.meaning);
  }
};

/// Code that comes with the program, to make a function of.
struct function_template {
  std::string name;
  std::string description;
  bool network = false;      ///< what it needs
  bool writes_files = false; ///< needs the grant of a bucket
  std::vector<function_setting> settings;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Description", s.description);
    v("Network", s.network);
    v("WritesFiles", s.writes_files);
    v("Settings", s.settings);
  }
};

/// Where functions run, and what they do now.
struct function_status {
  std::string sandbox; ///< what there is, or why there is none
  std::string node;    ///< the program, or why there is none
  std::uint64_t processes = 0, idle = 0, waiting = 0;
  std::vector<function_template> templates;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sandbox", s.sandbox);
    v("Node", s.node);
    v("Processes", s.processes);
    v("Idle", s.idle);
    v("Waiting", s.waiting);
    v("Templates", s.templates);
  }
};

/// One call of a function.
struct function_invocation {
  std::string function;
  std::string event_type;  ///< "" = by hand
  event_id event;
  run_id run;
  std::uint32_t attempt = 1;
  std::string body;        ///< JSON
};

/// How it went. A call that failed is a result, too: `record.error` says why.
struct invocation_result {
  invocation_record record;
  std::string answer; ///< JSON, whole
};

/// Which calls of a function are looked for. `""` and 0 ask for nothing.
struct log_query {
  timestamp since;
  timestamp until;
  std::string grep;      ///< stands in the output, the error, the answer or the request id
  bool failed = false;   ///< only calls that failed
};
[[nodiscard]] bool matches(const invocation_record& r, const log_query& q);

} // namespace framemill
