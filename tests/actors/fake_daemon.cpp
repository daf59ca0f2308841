#include "actors/child_host.hpp"

#include <cstdio>
#include <cstring>

#include <unistd.h>

// A daemon with one child that hangs, to be killed: `fake_daemon CHILD SCRATCH
// sandbox|plain`. Says "ready" when the child works.

int main(int argc, char** argv) {
  if (argc != 4)
    return 2;
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
