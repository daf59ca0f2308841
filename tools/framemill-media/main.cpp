#include "core/codec.hpp"
#include "core/limits.hpp"
#include "media/child.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

// framemill-media: one process, one attempt (core/media_message.hpp has the
// protocol). Exit code 0 when a result was sent, also one that says "failed".

using namespace framemill;

namespace {

constexpr int source_fd = 3;

int complain(const error& e) {
  std::fprintf(stderr, "framemill-media: %s\n", e.message.c_str());
  return 1;
}

int serve() {
  child c{{.directory = ".", .source_fd = ::fcntl(source_fd, F_GETFD) < 0 ? -1 : source_fd}};
  auto done = c.serve();
  return done ? 0 : complain(done.error());
}

int reproduce(const char* directory) {
  auto done = child::reproduce(directory);
  return done ? 0 : complain(done.error());
}

int usage() {
  std::fputs("usage: framemill-media                  (started by framemilld)\n"
             "       framemill-media --reproduce DIR  (DIR/request.msgpack, DIR/source)\n"
             "       framemill-media --fingerprint\n",
             stderr);
  return 64;
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 1)
    return serve();
  if (argc == 3 && std::strcmp(argv[1], "--reproduce") == 0)
    return reproduce(argv[2]);
  if (argc == 2 && std::strcmp(argv[1], "--fingerprint") == 0)
    return std::printf("%s\n%s\n%s\n", child::fingerprint().c_str(), child::cpu().c_str(),
                       child::encoders().c_str()) < 0;
  return usage();
}
