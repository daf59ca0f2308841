#pragma once

#include "core/object.hpp"
#include "storage/memory_state_store.hpp"
#include "tests/sim/world.hpp"

#include <map>
#include <set>

namespace framemill::sim {

class network;
class truth;

/// How an input behaves, and what is planned for it.
struct input_nature {
  bool is_poison = false;      ///< brings down whatever decodes it
  bool is_poison_to_probes = false;
  bool damages_index = false;  ///< its first plan cannot be carried out
  std::int64_t memory_bytes = 0; ///< needed; more than planned for some
  std::uint32_t jobs = 1, pieces = 1;
  bool has_audio = false, has_joins = true;
};

/// What outlives every process: disks, buckets, and the inputs in them.
struct machines {
  memory_state_store store{true};
  std::set<std::string> artifacts;
  struct input {
    object_ref object; ///< as it is now
    input_nature nature;
  };
  std::map<std::string, input> inputs;                              ///< by key
  std::map<std::string, std::pair<generation, std::string>> outputs; ///< by key; its artifact
  microseconds clock_skew{0}; ///< of the coordinator's machine
  bool store_is_slow = false;
  std::string watch = "coordinator"; ///< where the bucket of the inputs shall be watched
};

/// What all share.
struct stage {
  world& w;
  truth& facts;
  network& net;
  machines& disks;
};

} // namespace framemill::sim
