#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace framemill {

struct bench_load {
  std::uint64_t messages = 100'000;
  std::size_t bytes = 400;
  std::uint64_t window = 256; ///< unanswered at a time
};

struct bench_result {
  double per_second = 0, p50_ms = 0, p99_ms = 0;
  double cpu_us = 0;      ///< of this process, for a message
  std::size_t fsyncs = 0; ///< ours; 0 = not known
};

/// Times and CPU from its making to `finish`. Thread-safe.
class bench_meter {
public:
  explicit bench_meter(const bench_load& l);
  void took(std::chrono::steady_clock::duration d);
  [[nodiscard]] bench_result finish();

private:
  const std::uint64_t messages_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  const double cpu_;
  std::mutex mutex_;
  std::vector<double> ms_;
};

void print(const std::string& subject, const bench_load& l, bench_result sent,
           double received_per_second);

// The peers: sent by the leanest client there is, so that it is the server that is
// measured. Each ends the process when something is wrong.
void run_redis(const std::string& socket, const bench_load& l);
void run_rabbitmq(int port, const bench_load& l);

} // namespace framemill
