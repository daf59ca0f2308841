#include "core/codec.hpp"
#include "media/child.hpp"
#include "media/executor.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

// A stand-in for framemill-media (`media_program` of a node's config) that does
// what its source's name asks for, besides the real work:
//
//   pace-S    decoding takes S seconds in all for each second it makes, waiting
//             for what is left after the real work. With a tiny picture the work
//             of shards is then waiting, and many can wait at once on few cores:
//             what is measured is how the cluster shares them out.
//   poison    decoding dies by SIGSEGV, as with a picture that breaks libav.
//
// It speaks the child's protocol (core/media_message.hpp) and gives real results;
// only the sandbox of the process itself is left out.

using namespace framemill;

namespace {

using steady = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

constexpr int request_fd = 0, result_fd = 1, source_fd = 3;
constexpr auto mark_every = std::chrono::milliseconds{100};

/// Output seconds that the longest rendition of the request makes.
double planned_seconds(const media_request& request) {
  double out = 0;
  for (const auto& step : request.steps)
    if (const auto* decode = std::get_if<decode_step>(&step))
      for (const auto& v : decode->videos)
        if (v.grid.fps.num > 0)
          out = std::max(out, static_cast<double>((v.last - v.first) * v.grid.fps.den)
                                  / static_cast<double>(v.grid.fps.num));
  return out;
}

double pace_of(const std::string& name) {
  auto at = name.find("pace-");
  return at == std::string::npos ? 0 : std::strtod(name.c_str() + at + 5, nullptr);
}

void exit_when_abandoned() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_IGN);
  std::thread{[] {
    char byte;
    while (::read(request_fd, &byte, 1) > 0) {
    }
    ::_exit(3);
  }}.detach();
}

void say(const child_message& m) {
  if (!write_frame(result_fd, encode(m)))
    ::_exit(3);
}

/// Waits as an encoder works: it moves.
void wait_until(steady::time_point end, watermark mark) {
  for (; steady::now() < end; ++mark.frames_encoded) {
    std::this_thread::sleep_until(std::min(end, steady::now() + mark_every));
    say(mark);
  }
}

int serve() {
  const auto begin = steady::now();
  auto body = read_frame(request_fd);
  auto request = body ? decode<media_request>(*body) : failure{body.error()};
  if (!request)
    return 1;
  exit_when_abandoned();
  auto planned = planned_seconds(*request);
  if (planned > 0 && request->source_name.find("poison") != std::string::npos)
    ::raise(SIGSEGV);
  watermark last;
  auto source = ::fcntl(source_fd, F_GETFD) < 0 ? -1 : source_fd;
  auto done = execute(*request, {source, ".", [&](const watermark& w) { say(last = w); }});
  if (!done.failure)
    wait_until(begin
                   + std::chrono::duration_cast<steady::duration>(
                       seconds{planned * pace_of(request->source_name)}),
               last);
  say(done);
  ::_exit(0);
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--fingerprint") == 0)
    return std::puts(child::fingerprint().c_str()) < 0;
  return argc == 1 ? serve() : 64;
}
