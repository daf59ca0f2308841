#include "core/object_path.hpp"
#include "tests/core/sample.hpp"
#include "tests/support/mutated.hpp"

#include <doctest/doctest.h>

#include <random>

// Bounded and of a fixed seed: the same bytes every time. What is looked for is
// a crash, a hang or a sanitizer's word; a result or an error are both fine.

using namespace framemill;
using namespace framemill::testing;

namespace {

constexpr std::uint32_t seed = 20261101;

std::string random_bytes(std::mt19937& random, std::size_t bytes_max) {
  std::string out(random() % (bytes_max + 1), '\0');
  for (auto& c : out)
    c = static_cast<char>(random());
  return out;
}

/// What decodes is a value like any other: it encodes and decodes again.
template <class T>
bool is_stable(std::string_view bytes) {
  auto value = decode<T>(bytes);
  return !value || decode<T>(encode(*value)).has_value();
}

template <class T>
void read_as_json(const std::string& text) {
  if (auto parsed = parse_json(text))
    if (auto value = from_json_value<T>(*parsed))
      CHECK(!to_text(to_json_value(*value)).empty());
}

} // namespace

TEST_CASE("fuzz: random bytes decode to an error or a value") {
  std::mt19937 random{seed};
  bool stable = true;
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = random_bytes(random, 96);
    stable = stable && is_stable<child_message>(bytes) && is_stable<media_request>(bytes)
             && !decode_index(bytes).has_value();
  }
  CHECK(stable);
}

TEST_CASE("fuzz: changed records decode to an error or a value") {
  std::mt19937 random{seed};
  for_each_record([&]<class T>(const char* name) {
    CAPTURE(name);
    auto bytes = encode(sample<T>());
    bool stable = true;
    for (int i = 0; i < 200; ++i)
      stable = stable && is_stable<T>(mutated(bytes, random));
    CHECK(stable);
  });
}

TEST_CASE("fuzz: changed indexes are refused") {
  std::mt19937 random{seed};
  packet_index index;
  for (int i = 0; i < 50; ++i)
    index.pts.push_back(i * 3000);
  auto bytes = encode_index(index);
  for (int i = 0; i < 5'000; ++i) {
    auto other = mutated(bytes, random);
    if (other != bytes)
      CHECK(!decode_index(other).has_value());
  }
}

TEST_CASE("fuzz: changed requests parse to an error or a value") {
  std::mt19937 random{seed};
  auto spec = to_text(to_json_value(sample<workflow_spec>()));
  auto record = to_text(to_json_value(sample<template_record>()));
  for (int i = 0; i < 1'000; ++i) {
    read_as_json<workflow_spec>(mutated(spec, random));
    read_as_json<template_record>(mutated(record, random));
  }
}

TEST_CASE("fuzz: what passes as a key is safe as one") {
  std::mt19937 random{seed};
  constexpr std::string_view alphabet = "./a\\{}:\n\xc2\x85\xf0\x9f";
  for (int i = 0; i < 50'000; ++i) {
    std::string text(random() % 12, '\0');
    for (auto& c : text)
      c = alphabet[random() % alphabet.size()];
    if (auto key = normalize_key(text)) {
      auto framed = "/" + *key + "/";
      CHECK(framed.find("/../") == std::string::npos);
      CHECK(framed.find("//") == std::string::npos);
      CHECK(normalize_key(*key).value() == *key);
    }
  }
}
