#pragma once

#include "core/fields.hpp"
#include "core/id.hpp"
#include "core/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// How a function's code is run.
enum class function_runtime : std::uint8_t {
  nodejs,     ///< `exports.NAME = async (event, context)` in a process kept warm
  executable, ///< a process per call, the event on its standard input
};

/// One file of a function's code, by content: its bytes are stored once.
struct function_file {
  std::string name; ///< a normalised key; `lib/a.js` is in a directory
  std::string sha256;
  std::uint64_t bytes = 0;
  bool executable = false;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Sha256", s.sha256);
    v("Bytes", s.bytes);
    v("Executable", s.executable);
  }
  bool operator==(const function_file&) const = default;
};

/// Leave to write files below a directory of a bucket.
struct bucket_grant {
  std::string bucket;
  std::string dir; ///< "" = all of it, else ends in '/'
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.bucket);
    v("Dir", s.dir);
  }
  bool operator==(const bucket_grant&) const = default;
};

/// What is run: never changes once it is there.
struct function_version {
  std::uint64_t number = 0;
  timestamp created;
  function_runtime runtime = function_runtime::nodejs;
  std::string made_from;               ///< the built-in template's name, or ""
  std::string handler;                 ///< `index.main_handler`; the program's file
  std::vector<function_file> files;
  std::map<std::string, std::string> environment;
  microseconds timeout{3'000'000};     ///< of one call
  std::int64_t memory_bytes = 128LL << 20;
  std::int32_t concurrency = 4;        ///< calls at once
  std::int64_t output_bytes_max = 256LL << 10; ///< printed by one call
  bool network = false;                ///< the host's; else none at all
  std::vector<bucket_grant> buckets;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Number", s.number);
    v("Created", s.created);
    v("Runtime", s.runtime);
    v("MadeFrom", s.made_from);
    v("Handler", s.handler);
    v("Files", s.files);
    v("Environment", s.environment);
    v("Timeout", s.timeout);
    v("MemoryBytes", s.memory_bytes);
    v("Concurrency", s.concurrency);
    v("OutputBytesMax", s.output_bytes_max);
    v("Network", s.network);
    v("Buckets", s.buckets);
  }
  bool operator==(const function_version&) const = default;
};

/// Family `functions`, key = "function/" + name. Names its secrets only: their
/// values are in a record of their own, which nothing shows.
struct function_record {
  std::string name;
  std::string description;
  bool enabled = true;
  timestamp created;
  std::vector<std::string> secrets;       ///< names, in order
  std::vector<function_version> versions; ///< oldest first; the last one runs
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Description", s.description);
    v("Enabled", s.enabled);
    v("Created", s.created);
    v("Secrets", s.secrets);
    v("Versions", s.versions);
  }
  bool operator==(const function_record&) const = default;
};

/// Family `functions`, key = "secrets/" + name. Is never shown or logged.
struct function_secrets {
  std::string function;
  std::map<std::string, std::string> values;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Function", s.function);
    v("Values", s.values);
  }
  bool operator==(const function_secrets&) const = default;
};

/// Which function gets the events of a type: family `function_triggers`, key =
/// event type. One for all workflows.
struct function_trigger {
  std::string event_type; ///< WorkflowTask, EditMediaTask, ScheduleTask
  std::string function;
  bool enabled = true;
  timestamp bound;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("EventType", s.event_type);
    v("Function", s.function);
    v("Enabled", s.enabled);
    v("Bound", s.bound);
  }
  bool operator==(const function_trigger&) const = default;
};

/// One call: family `function_logs`, key = function NUL started NUL request id.
struct invocation_record {
  std::string request_id;
  std::string function;
  std::uint64_t version = 0;
  std::string event_type; ///< "" = called by hand
  event_id event;
  run_id run;
  std::uint32_t attempt = 1;
  timestamp started;
  microseconds duration{0};
  microseconds start_up{0};  ///< of a new process, before that; 0 = it was warm
  std::int64_t memory_peak_bytes = 0;
  std::string exit;          ///< of its process, when it ended: "exit 1", "signal 9 (Killed)"
  std::string error;         ///< why the call failed; "" = it succeeded
  std::string answer;        ///< JSON text, cut at limits::function_answer_kept_bytes
  std::string output;        ///< the end of what it printed
  std::uint64_t output_bytes = 0; ///< all that it printed
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("RequestId", s.request_id);
    v("Function", s.function);
    v("Version", s.version);
    v("EventType", s.event_type);
    v("Event", s.event);
    v("Run", s.run);
    v("Attempt", s.attempt);
    v("Started", s.started);
    v("Duration", s.duration);
    v("StartUp", s.start_up);
    v("MemoryPeakBytes", s.memory_peak_bytes);
    v("Exit", s.exit);
    v("Error", s.error);
    v("Answer", s.answer);
    v("Output", s.output);
    v("OutputBytes", s.output_bytes);
  }
  bool operator==(const invocation_record&) const = default;
};

} // namespace framemill

FM_ENUM_NAMES(framemill::function_runtime, "nodejs", "executable")
