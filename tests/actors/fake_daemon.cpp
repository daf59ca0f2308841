#include "actors/child_host.hpp"
#include "actors/function_host.hpp"

#include <cstdio>
#include <cstring>

#include <unistd.h>

// A daemon with one child that hangs, to be killed: `fake_daemon CHILD SCRATCH
// sandbox|plain`. Says "ready" when the child works. Or with one function:
// `fake_daemon function CODE RUNTIME`, of which CODE/run is the program.

[[noreturn]] void hold_function(const std::string& code, const std::string& runtime) {
  framemill::function_host host{{runtime}};
  framemill::function_process p;
  p.code = code;
  p.command = {"/fn/code/run"};
  p.environment = {{"PATH", "/usr/bin"}};
  p.memory_bytes_max = 64 << 20;
  (void)host.start(p, {"", std::chrono::minutes{10}, 1000},
                   {[](const framemill::call_outcome&) { ::_exit(1); },
                    [](const framemill::function_end&) { ::_exit(1); }});
  for (;;)
    ::pause();
}

int main(int argc, char** argv) {
  if (argc != 4)
    return 2;
  if (std::strcmp(argv[1], "function") == 0)
    hold_function(argv[2], argv[3]);
  framemill::sandboxed_child_host host{{argv[1], std::strcmp(argv[3], "sandbox") == 0}};
  framemill::child_spec spec;
  spec.scratch = argv[2];
  spec.request.source_name = "hang";
  framemill::child_listener listener;
  listener.on_message = [](const framemill::child_message&) {};
  listener.on_log = [](const std::string&) {
    std::puts("ready");
    std::fflush(stdout);
  };
  listener.on_exit = [](const framemill::child_exit&) { ::_exit(1); };
  (void)host.spawn(std::move(spec), std::move(listener));
  for (;;)
    ::pause();
}
