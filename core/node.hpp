#pragma once

#include "core/error.hpp"
#include "core/fields.hpp"
#include "core/time.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// A bucket directory that a node sees too, proven by the id in its sentinel
/// file: the node reads such objects directly.
struct mounted_bucket {
  std::string name;
  std::string sentinel;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Sentinel", s.sentinel);
  }
  bool operator==(const mounted_bucket&) const = default;
};

/// What a machine has and can do, as it tells itself each time it connects.
struct node_facts {
  std::string version;            ///< of framemilld
  std::int64_t cores = 0;         ///< that it offers
  std::int32_t slots = 0;         ///< children at once
  std::int64_t memory_bytes = 0;  ///< for children together
  std::int64_t scratch_bytes = 0; ///< free below its scratch directory
  std::string fingerprint;        ///< libav*, encoders; one output never mixes two
  std::vector<std::string> encoders;
  std::vector<std::string> devices;
  std::vector<mounted_bucket> buckets;
  std::string sandbox;
  std::vector<std::string> warnings;
  std::string self_test;          ///< "" = passed; else what failed
  std::string cpu;                ///< features that codecs and filters use
  /// Sessions of each of `devices` at once; 1 of those that are not here.
  std::map<std::string, std::int64_t> device_sessions;
  std::int64_t scratch_total_bytes = 0; ///< of the file system; 0 = not told
  std::int64_t scratch_floor_bytes = 0; ///< that stay free of it
  std::vector<std::string> service_kinds; ///< that it can host
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Version", s.version);
    v("Cores", s.cores);
    v("Slots", s.slots);
    v("MemoryBytes", s.memory_bytes);
    v("ScratchBytes", s.scratch_bytes);
    v("Fingerprint", s.fingerprint);
    v("Encoders", s.encoders);
    v("Devices", s.devices);
    v("Buckets", s.buckets);
    v("Sandbox", s.sandbox);
    v("Warnings", s.warnings);
    v("SelfTest", s.self_test);
    v("Cpu", s.cpu);
    v("DeviceSessions", s.device_sessions);
    v("ScratchTotalBytes", s.scratch_total_bytes);
    v("ScratchFloorBytes", s.scratch_floor_bytes);
    v("ServiceKinds", s.service_kinds);
  }
  bool operator==(const node_facts&) const = default;
};

/// 1 to 63 of letters, digits, `-`, `_`, `.`; the first is a letter or a digit:
/// how nodes, labels and devices are named.
[[nodiscard]] bool is_plain_name(std::string_view text);
/// Their number, names, and the length of their values.
[[nodiscard]] result<void> check_labels(const std::map<std::string, std::string>& labels);

/// What is wanted of a node.
enum class node_mode : std::uint8_t {
  active,   ///< takes work
  paused,   ///< takes no new work until resumed; an operator's word
  cordoned, ///< takes no new work: in doubt (blame, a failed self-test) or by word
  draining, ///< takes no new work; is drained when nothing runs, or at the deadline
  removed,  ///< its key is refused
};

/// An enrolled machine: family `nodes`, key = name.
struct node_record {
  std::string name;
  std::string public_key;  ///< CURVE, Z85: 40 characters; its identity
  node_mode mode = node_mode::active;
  std::string mode_reason;
  bool in_doubt = false;   ///< cordoned by us, not by an operator's word
  std::optional<timestamp> drain_deadline; ///< what still runs then is stopped
  std::map<std::string, std::string> labels;
  node_facts facts;        ///< as last told
  timestamp enrolled;
  timestamp last_seen;     ///< written when it comes and goes, not by each beat
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("PublicKey", s.public_key);
    v("Mode", s.mode);
    v("ModeReason", s.mode_reason);
    v("InDoubt", s.in_doubt);
    v("DrainDeadline", s.drain_deadline);
    v("Labels", s.labels);
    v("Facts", s.facts);
    v("Enrolled", s.enrolled);
    v("LastSeen", s.last_seen);
  }
  bool operator==(const node_record&) const = default;
};

/// Leave to enrol: family `meta`, key = "join-token/" + id. Only a hash of the
/// secret is kept.
struct join_token_record {
  std::string id;
  std::string secret_sha256;
  std::int32_t uses_left = 1;
  timestamp expires;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("SecretSha256", s.secret_sha256);
    v("UsesLeft", s.uses_left);
    v("Expires", s.expires);
  }
  bool operator==(const join_token_record&) const = default;
};

} // namespace framemill

FM_ENUM_NAMES(framemill::node_mode, "active", "paused", "cordoned", "draining", "removed")
