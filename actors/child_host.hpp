#pragma once

#include "cluster/stall_clock.hpp"
#include "core/media_message.hpp"
#include "storage/bucket.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace framemill {

/// How children are shut in.
struct sandbox_status {
  bool bubblewrap = false; ///< own namespaces, no network, own scratch only
  std::string summary;     ///< "bubblewrap + seccomp", or what is missing and why
};

struct child_spec {
  std::string scratch;       ///< absolute; has `in/` and `out/`
  file_handle source;        ///< becomes fd 3; may be empty
  media_request request;
  std::int64_t memory_bytes_max = 0; ///< resident; 0 = unlimited
};

/// How a child ended.
struct child_exit {
  int code = -1;             ///< exit code, or −1
  int signal = 0;
  bool over_memory = false;  ///< we killed it for its memory
  bool stopped = false;      ///< we killed it because we were asked to
  std::string spawn_error;   ///< it never ran: why
  std::string violation;     ///< we killed it for not speaking the protocol: how
  [[nodiscard]] std::string text() const; ///< "exit 0", "signal 9 (Killed)"
};

/// What a child says. All run on the host's thread and must not block. Of what
/// was said since the last look, only the last watermark and the last lines of
/// the log are told: a child cannot flood its listener.
struct child_listener {
  std::function<void(child_message)> on_message;
  std::function<void(std::string line)> on_log;
  std::function<void(child_exit)> on_exit; ///< last, exactly once
};

using child_key = std::uint64_t;

/// The door to child processes. Thread-safe. Owned by node_services.
class child_host {
public:
  virtual ~child_host() = default;

  [[nodiscard]] virtual child_key spawn(child_spec spec, child_listener listener) = 0;
  virtual void stop(child_key key) = 0;
  /// For faults on purpose: a signal to the child, or to the bubblewrap around it,
  /// which takes it along when it dies.
  virtual void signal(child_key key, int number) = 0;
  /// As of a moment ago; nothing of one that has not begun, or has ended.
  [[nodiscard]] virtual cpu_use use_of(child_key key) const = 0;
  /// Kills and reaps all children; what is spawned later never starts.
  virtual void close() = 0;

  [[nodiscard]] virtual const sandbox_status& sandbox() const = 0;
  /// What decides on the bytes that the program makes, in one line; or why it
  /// does not run.
  [[nodiscard]] virtual const result<std::string>& fingerprint() const = 0;
  /// Features that it uses of this CPU; "" = it does not say.
  [[nodiscard]] virtual std::string cpu() const { return {}; }
  /// That outputs can be made with, by libavcodec's names; {} = it does not say.
  [[nodiscard]] virtual std::vector<std::string> encoders() const { return {}; }
};

/// framemill-media, shut in. One thread spawns all of them (so that they die
/// with it: PR_SET_PDEATHSIG is tied to the thread), feeds and reads their
/// pipes and watches their memory. Children run at lower priority but in our
/// session: encoders in another scheduling group would delay commits by
/// milliseconds (performance notes §3.5).
class sandboxed_child_host final : public child_host {
public:
  struct options {
    std::string program;     ///< framemill-media, absolute
    bool sandbox = true;     ///< false: only for tests of refusal
  };
  explicit sandboxed_child_host(options o);
  ~sandboxed_child_host() override; ///< kills and reaps what is left

  [[nodiscard]] child_key spawn(child_spec spec, child_listener listener) override;
  void stop(child_key key) override;
  void signal(child_key key, int number) override;
  [[nodiscard]] cpu_use use_of(child_key key) const override;
  void close() override;
  [[nodiscard]] const sandbox_status& sandbox() const override { return sandbox_; }
  [[nodiscard]] const result<std::string>& fingerprint() const override { return fingerprint_; }
  [[nodiscard]] std::string cpu() const override { return cpu_; }
  [[nodiscard]] std::vector<std::string> encoders() const override { return encoders_; }

private:
  class loop;
  sandbox_status sandbox_;
  result<std::string> fingerprint_;
  std::string cpu_;
  std::vector<std::string> encoders_;
  std::unique_ptr<loop> loop_;
};

/// Kills processes that still work below `scratch_root` for a former life of
/// this daemon. Returns how many.
[[nodiscard]] std::size_t kill_orphans(const std::string& scratch_root);

} // namespace framemill
