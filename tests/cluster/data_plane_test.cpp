#include "cluster/data_hash.hpp"
#include "cluster/data_message.hpp"
#include "cluster/data_plane.hpp"
#include "core/range_message.hpp"
#include "tests/cluster/tcp_tap.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <random>
#include <utility>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t small_chunk = 16 << 10;
constexpr run_id a_run{7};
using way = tcp_tap::way;

std::string random_bytes(std::size_t size, unsigned seed = 1) {
  std::mt19937_64 random{seed};
  std::string out(size, '\0');
  for (auto& c : out)
    c = static_cast<char>(random());
  return out;
}

std::string sha256_of_path(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  auto hash = data::sha256_of_file(fd, path);
  ::close(fd);
  return *hash;
}

generation generation_of(const std::string& path) {
  struct stat s {};
  ::stat(path.c_str(), &s);
  return {static_cast<std::uint64_t>(s.st_size),
          s.st_mtim.tv_sec * 1'000'000'000 + s.st_mtim.tv_nsec, s.st_ino, ""};
}

result<int> open_file_at(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail_errno(errno, path);
  return fd;
}

/// A node with a bucket, an artifact store and a data server.
struct serving_node {
  temp_dir dir;
  key_pair keys = make_key_pair();
  std::string stranger; ///< a key that is not admitted
  std::atomic<bool> admits{true};
  std::function<void(const std::string& key)> before_open = [](const std::string&) {};
  std::atomic<int> adopted{0};
  std::function<result<void>(run_id, const std::string& sha256)> on_wanted =
      [](run_id, const std::string&) -> result<void> { return {}; };
  std::unique_ptr<data_server> server;

  serving_node() {
    for (auto name : {"bucket", "artifacts", "incoming"})
      fs::create_directory(dir / name);
    open();
  }

  void open(std::uint16_t port = 0) {
    data_source source;
    source.incoming_directory = dir / "incoming";
    source.open_object = [this](const object_ref& o) { return open_object(o); };
    source.open_artifact = [this](const std::string& sha256) {
      return open_file_at(artifact(sha256));
    };
    source.want_artifact = [this](run_id run, const std::string& sha256) {
      return on_wanted(run, sha256);
    };
    source.adopt_artifact = [this](const std::string& path,
                                   const std::string& sha256) -> result<void> {
      ++adopted;
      fs::rename(path, artifact(sha256));
      return {};
    };
    data_server::options o{.port = port, .keys = keys, .source = std::move(source)};
    o.admit = [this](std::string_view key) {
      using enum hub::options::verdict;
      return admits && key != stranger ? yes : no;
    };
    auto opened = data_server::open(std::move(o));
    REQUIRE(opened);
    server = std::move(*opened);
  }

  result<int> open_object(const object_ref& o) {
    before_open(o.key);
    const auto path = dir / ("bucket/" + o.key);
    if (generation_of(path) != o.generation)
      return fail(errc::input_changed, "{} is another one", o.key);
    return open_file_at(path);
  }

  [[nodiscard]] std::string artifact(const std::string& sha256) const {
    return dir / ("artifacts/" + sha256);
  }
  [[nodiscard]] std::string part(const std::string& sha256) const {
    return dir / ("incoming/" + sha256 + ".part");
  }

  object_ref add_object(const std::string& key, const std::string& bytes) {
    return {"b", key, generation_of(dir.write("bucket/" + key, bytes))};
  }
  std::string add_artifact(const std::string& bytes) {
    const auto path = dir.write("artifacts/new", bytes);
    auto sha256 = sha256_of_path(path);
    fs::rename(path, artifact(sha256));
    return sha256;
  }

  [[nodiscard]] data_client::options client_options(std::uint16_t port = 0) const {
    return {.host = "127.0.0.1",
            .port = port ? port : server->port(),
            .server_key = keys.public_key,
            .keys = make_key_pair(),
            .chunk_bytes = small_chunk};
  }
  [[nodiscard]] std::unique_ptr<data_client> client(std::uint16_t port = 0) const {
    return std::move(*data_client::open(client_options(port)));
  }
};

struct local_file {
  std::string path, sha256;
};
local_file make_file(const temp_dir& dir, const std::string& name, const std::string& bytes) {
  const auto path = dir.write(name, bytes);
  return {path, sha256_of_path(path)};
}

} // namespace

// ---- reading -------------------------------------------------------------------

TEST_CASE("data_client: ranges of an object equal those of its file") {
  serving_node node;
  const auto bytes = random_bytes(1'000'003);
  const auto object = node.add_object("a.mp4", bytes);
  auto client = node.client();
  std::mt19937 random{7};

  for (int i = 0; i < 100; ++i) {
    const auto offset = random() % (bytes.size() + 1000), size = random() % 200'000;
    auto read = client->read(object, offset, size);
    REQUIRE(read);
    CHECK(*read == (offset < bytes.size() ? bytes.substr(offset, size) : ""));
  }
  CHECK(client->chunks_repeated() == 0);
}

TEST_CASE("data_client: fetches whole artifacts, an empty one too") {
  serving_node node;
  for (std::size_t size : {0u, 1u, 16384u, 3'000'001u}) {
    const auto sha256 = node.add_artifact(random_bytes(size));
    const auto path = node.dir / ("fetched" + std::to_string(size));

    REQUIRE(node.client()->fetch(sha256, path));

    CHECK(sha256_of_path(path) == sha256);
  }
}

TEST_CASE("data_client: an artifact that is not what its name says leaves no file") {
  serving_node node;
  const auto sha256 = node.add_artifact(random_bytes(100'000));
  node.dir.write("artifacts/" + sha256, random_bytes(100'000, 2));

  auto fetched = node.client()->fetch(sha256, node.dir / "out");

  CHECK(fetched.error().code == errc::corrupt);
  CHECK_FALSE(fs::exists(node.dir / "out"));
}

TEST_CASE("data_client: what is not there is not found, and leaves no file") {
  serving_node node;
  auto client = node.client();

  CHECK(client->fetch(std::string(64, 'a'), node.dir / "out").error().code == errc::not_found);
  CHECK(client->fetch("../../etc/passwd", node.dir / "out").error().code == errc::malformed);
  CHECK_FALSE(fs::exists(node.dir / "out"));

  node.dir.write("taken", "mine");
  const auto sha256 = node.add_artifact("bytes");
  CHECK(client->fetch(sha256, node.dir / "taken").error().code == errc::already_exists);
  CHECK(node.dir.read("taken") == "mine");
}

TEST_CASE("data_client: an object replaced or written to between chunks has changed") {
  serving_node node;
  const auto bytes = random_bytes(200'000);
  const auto object = node.add_object("a", bytes);
  auto client = node.client();
  REQUIRE(client->read(object, 0, 100'000));

  SUBCASE("replaced") {
    node.dir.write("bucket/b", random_bytes(200'000, 2));
    fs::rename(node.dir / "bucket/b", node.dir / "bucket/a");
  }
  SUBCASE("written to") {
    node.dir.write("bucket/a", random_bytes(200'000, 2));
  }

  CHECK(client->read(object, 100'000, 100'000).error().code == errc::input_changed);
}

TEST_CASE("data_client: a cut is resumed, a damaged wire costs a connection only") {
  serving_node node;
  const auto bytes = random_bytes(4'000'000);
  const auto sha256 = node.add_artifact(bytes);
  tcp_tap tap{node.server->port()};
  auto client = node.client(tap.port());

  SUBCASE("cut") {
    tap.allow(way::to_client, 1'000'000);
    auto fetched = std::async(std::launch::async,
                              [&] { return client->fetch(sha256, node.dir / "out"); });
    REQUIRE(tap.wait_until_held(way::to_client));
    tap.cut();
    tap.allow(way::to_client, tcp_tap::unlimited);
    REQUIRE(fetched.get());
  }
  SUBCASE("damaged") {
    tap.damage(way::to_client, 1'000'000);
    REQUIRE(client->fetch(sha256, node.dir / "out"));
  }

  CHECK(sha256_of_path(node.dir / "out") == sha256);
  CHECK(tap.connections() >= 2);
}

TEST_CASE("data_client: goes on when the server comes back") {
  serving_node node;
  const auto bytes = random_bytes(300'000);
  const auto object = node.add_object("a", bytes);
  auto client = node.client();
  REQUIRE(client->read(object, 0, 100'000));
  const auto port = node.server->port();
  node.server.reset();

  auto rest = std::async(std::launch::async,
                         [&] { return client->read(object, 100'000, 200'000); });
  node.open(port);

  CHECK(rest.get() == bytes.substr(100'000));
}

TEST_CASE("data_client: gives up when nobody answers for as long as its patience") {
  serving_node node;
  const auto object = node.add_object("a", "bytes");
  auto options = node.client_options();
  options.patience = 300ms;
  auto client = *data_client::open(options);
  node.server.reset();

  CHECK(client->read(object, 0, 5).error().code == errc::unavailable);
}

TEST_CASE("data_client: the silence of a server that is known to be away does not count") {
  serving_node node;
  const auto object = node.add_object("a", "bytes");
  auto options = node.client_options();
  const auto port = options.port;
  options.patience = 200ms;
  // Back after twice that patience, seen by who asks.
  const auto back_at = std::chrono::steady_clock::now() + 2 * options.patience;
  options.is_away = [&] {
    if (!node.server && std::chrono::steady_clock::now() >= back_at)
      node.open(port);
    return !node.server;
  };
  auto client = *data_client::open(options);
  node.server.reset();

  CHECK(client->read(object, 0, 5) == "bytes");
}

TEST_CASE("data_client: cancel ends the call in progress and all later ones") {
  serving_node node;
  std::promise<void> asked, gate;
  node.before_open = [&](const std::string&) {
    asked.set_value();
    gate.get_future().wait();
  };
  const auto object = node.add_object("a", "bytes");
  auto client = node.client();

  auto read = std::async(std::launch::async, [&] { return client->read(object, 0, 5); });
  asked.get_future().wait();
  client->cancel();

  CHECK(read.get().error().code == errc::cancelled);
  CHECK(client->read(object, 0, 5).error().code == errc::cancelled);
  gate.set_value();
}

TEST_CASE("data_client: options beyond what a server takes are refused") {
  serving_node node;
  auto options = node.client_options();
  SUBCASE("credit") { options.credit = data::credit_max + 1; }
  SUBCASE("chunks") { options.chunk_bytes = data::chunk_bytes_max + 1; }
  CHECK(data_client::open(options).error().code == errc::invalid_argument);
}

// ---- who may, and who waits for whom ---------------------------------------------

TEST_CASE("data_server: a stranger's key is refused, and a removed one at its next request") {
  serving_node node;
  const auto object = node.add_object("a", "bytes");
  auto options = node.client_options();
  auto client = *data_client::open(options);

  SUBCASE("a stranger") {
    node.stranger = options.keys.public_key;
    CHECK(client->read(object, 0, 5).error().code == errc::unauthorized);
  }
  SUBCASE("removed") {
    REQUIRE(client->read(object, 0, 5));
    node.admits = false;
    CHECK(client->read(object, 0, 5).error().code == errc::unauthorized);
  }
  SUBCASE("another server's key") {
    options.server_key = make_key_pair().public_key;
    options.patience = 300ms;
    CHECK((*data_client::open(options))->read(object, 0, 5).error().code == errc::unavailable);
  }
}

TEST_CASE("data_server: neither a slow reader nor a slow disk slows another") {
  serving_node node;
  const auto bytes = random_bytes(8'000'000);
  const auto object = node.add_object("fast", bytes), slow = node.add_object("slow", bytes);
  tcp_tap tap{node.server->port()};
  std::promise<void> gate;
  std::unique_ptr<data_client> waiting;

  SUBCASE("reader") {
    tap.allow(way::to_client, 200'000);
    waiting = node.client(tap.port());
  }
  SUBCASE("disk") {
    node.before_open = [&](const std::string& key) {
      if (key == "slow")
        gate.get_future().wait();
    };
    waiting = node.client();
  }
  auto read = std::async(std::launch::async, [&] { return waiting->read(slow, 0, 8'000'000); });

  CHECK(node.client()->read(object, 0, 8'000'000) == bytes);
  CHECK(read.wait_for(0s) == std::future_status::timeout);

  tap.allow(way::to_client, tcp_tap::unlimited);
  gate.set_value();
  CHECK(read.get() == bytes);
}

TEST_CASE("data_server: refuses what it was not given to serve") {
  temp_dir dir;
  const auto file = make_file(dir, "result", "bytes");
  const auto keys = make_key_pair();
  auto admit = [](std::string_view) { return hub::options::verdict::yes; };
  auto server = *data_server::open({.keys = keys, .admit = admit, .source = {}});
  auto client = *data_client::open({.host = "127.0.0.1",
                                    .port = server->port(),
                                    .server_key = keys.public_key,
                                    .keys = make_key_pair()});
  const object_ref object{"b", "k", {.size = 5}};

  CHECK(client->read(object, 0, 5).error().code == errc::unsupported);
  CHECK(client->fetch(file.sha256, dir / "out").error().code == errc::unsupported);
  CHECK(client->deliver(a_run, file.path, file.sha256).error().code == errc::unsupported);
}

// ---- delivering --------------------------------------------------------------------

TEST_CASE("data_client: delivers artifacts, an empty one too; having it already is success") {
  serving_node node;
  auto client = node.client();
  for (std::size_t size : {0u, 5u, 16384u, 2'000'001u}) {
    const auto file = make_file(node.dir, "result", random_bytes(size));

    REQUIRE(client->deliver(a_run, file.path, file.sha256));
    REQUIRE(client->deliver(a_run, file.path, file.sha256));

    CHECK(sha256_of_path(node.artifact(file.sha256)) == file.sha256);
  }
  CHECK(node.adopted == 4);
  CHECK(fs::is_empty(node.dir / "incoming"));
}

TEST_CASE("data_server: a delivery is wanted by its run before it is asked whether it is here") {
  serving_node node;
  auto client = node.client();
  const auto file = make_file(node.dir, "result", random_bytes(100'000));
  REQUIRE(client->deliver(a_run, file.path, file.sha256));
  bool removed = false;
  node.on_wanted = [&](run_id run, const std::string& sha256) -> result<void> {
    if (run != run_id{8})
      return fail(errc::cancelled, "it has ended");
    if (!std::exchange(removed, true)) // another run let it go until now
      fs::remove(node.artifact(sha256));
    return {};
  };

  REQUIRE(client->deliver({8}, file.path, file.sha256));
  CHECK(client->deliver({9}, file.path, file.sha256).error().code == errc::cancelled);

  CHECK(removed);
  CHECK(sha256_of_path(node.artifact(file.sha256)) == file.sha256);
}

TEST_CASE("data_client: a delivery goes on where it was when the server comes back") {
  serving_node node;
  const auto file = make_file(node.dir, "result", random_bytes(4'000'000));
  const auto port = node.server->port();
  tcp_tap tap{port};
  auto client = node.client(tap.port());
  tap.allow(way::to_server, 1'000'000);

  auto delivered = std::async(std::launch::async,
                              [&] { return client->deliver(a_run, file.path, file.sha256); });
  REQUIRE(tap.wait_until_held(way::to_server));
  REQUIRE(eventually([&] { return fs::file_size(node.part(file.sha256)) > 500'000; }));
  node.server.reset();
  const auto had = fs::file_size(node.part(file.sha256));
  tap.cut();
  // Enough for the rest, but not for the whole again.
  tap.allow(way::to_server, 4'000'000 - had + 100'000);
  node.open(port);

  const auto done = delivered.get();
  REQUIRE_MESSAGE(done, done.error().message << "; had " << had << ", connections "
                                             << tap.connections());
  CHECK(sha256_of_path(node.artifact(file.sha256)) == file.sha256);
  CHECK(client->chunks_repeated() == 0);
}

TEST_CASE("data_server: two clients may deliver the same artifact at once") {
  serving_node node;
  const auto file = make_file(node.dir, "result", random_bytes(4'000'000));
  auto deliver = [&] { return node.client()->deliver(a_run, file.path, file.sha256); };

  auto one = std::async(std::launch::async, deliver);
  auto two = std::async(std::launch::async, deliver);

  CHECK(one.get());
  CHECK(two.get());
  CHECK(node.adopted == 1);
  CHECK(sha256_of_path(node.artifact(file.sha256)) == file.sha256);
}

TEST_CASE("data_server: bytes that are not those of the name are not adopted") {
  serving_node node;
  const auto file = make_file(node.dir, "result", random_bytes(100'000));
  const auto other = make_file(node.dir, "other", random_bytes(100'000, 2));

  CHECK(node.client()->deliver(a_run, other.path, file.sha256).error().code == errc::corrupt);
  CHECK(node.adopted == 0);
  CHECK(fs::is_empty(node.dir / "incoming"));
  CHECK(node.client()->deliver(a_run, other.path, "../x").error().code == errc::malformed);
}

TEST_CASE("data_server: a damaged left-over of an older delivery does not stop the next") {
  serving_node node;
  const auto file = make_file(node.dir, "result", random_bytes(100'000));
  std::size_t size = 0;
  SUBCASE("shorter") { size = 50'000; }
  SUBCASE("longer") { size = 150'000; }
  node.dir.write("incoming/" + file.sha256 + ".part", std::string(size, 'x'));

  REQUIRE(node.client()->deliver(a_run, file.path, file.sha256));

  CHECK(sha256_of_path(node.artifact(file.sha256)) == file.sha256);
}

TEST_CASE("data_server: what nobody has gone on with for a day is removed at its start") {
  serving_node node;
  const auto old = node.dir.write("incoming/" + std::string(64, 'a') + ".part", "x");
  const auto young = node.dir.write("incoming/" + std::string(64, 'b') + ".part", "x");
  fs::last_write_time(old, fs::file_time_type::clock::now() - 25h);

  node.server.reset();
  node.open();

  CHECK_FALSE(fs::exists(old));
  CHECK(fs::exists(young));
}

// ---- range_server ------------------------------------------------------------------

namespace {

/// The child's end, as media/source.cpp speaks.
struct child_end {
  int fd;
  explicit child_end(range_server& s) : fd(s.take_child_end()) {}
  ~child_end() { ::close(fd); }

  /// The count, and the bytes in `out`.
  int ask(range_ask a, std::string& out) const {
    const auto question = to_wire(a);
    unsigned char head[4];
    REQUIRE(::write(fd, question.data(), question.size()) == ssize_t(question.size()));
    REQUIRE(::recv(fd, head, sizeof head, MSG_WAITALL) == 4);
    const auto count = static_cast<std::int32_t>(from_little_endian<4>(head));
    out.resize(static_cast<std::size_t>(std::max(count, 0)));
    if (count > 0)
      REQUIRE(::recv(fd, out.data(), out.size(), MSG_WAITALL) == count);
    return count;
  }
  [[nodiscard]] std::string read(std::uint64_t offset, std::uint32_t size) const {
    std::string all, piece;
    while (all.size() < size
           && ask({offset + all.size(), size - std::uint32_t(all.size())}, piece) > 0)
      all += piece;
    return all;
  }
};

} // namespace

TEST_CASE("range_server: a child reads its source straight through and at random") {
  serving_node node;
  const auto bytes = random_bytes(1'500'001);
  auto server = *range_server::start(node.client_options(), node.add_object("a", bytes));
  child_end child{*server};
  std::string size;

  CHECK(server->take_child_end() == -1);
  REQUIRE(child.ask(source_size_ask, size) == 8);
  CHECK(from_little_endian<8>(reinterpret_cast<unsigned char*>(size.data())) == bytes.size());
  CHECK(child.read(0, std::uint32_t(bytes.size())) == bytes);
  std::mt19937 random{5};
  for (int i = 0; i < 100; ++i) {
    const auto offset = random() % bytes.size(), count = random() % 50'000;
    CHECK(child.read(offset, std::uint32_t(count)) == bytes.substr(offset, count));
  }
  CHECK(child.read(bytes.size(), 10).empty());
  CHECK(child.read(UINT64_MAX - 1, 10).empty());
  CHECK_FALSE(server->failure());
  CHECK_FALSE(server->is_waited_for());
}

TEST_CASE("range_server: only about what the child asks for travels") {
  serving_node node;
  const auto object = node.add_object("a", random_bytes(10'000'000));
  auto server = *range_server::start(node.client_options(), object);
  child_end child{*server};

  for (std::uint64_t offset : {9'000'000u, 100u, 5'000'000u})
    CHECK(child.read(offset, 1000).size() == 1000);

  CHECK(server->bytes_read() <= 4 * small_chunk);
}

TEST_CASE("range_server: a failed read is an errno to the child and a reason to the worker") {
  serving_node node;
  const auto object = node.add_object("a", random_bytes(100'000));
  auto server = *range_server::start(node.client_options(), object);
  child_end child{*server};
  std::string piece;
  REQUIRE(child.read(0, 10).size() == 10);
  node.dir.write("bucket/a", "another one");

  CHECK(child.ask({90'000, 10}, piece) == -ESTALE);

  REQUIRE(server->failure());
  CHECK(server->failure()->code == errc::input_changed);
}

TEST_CASE("range_server: ends while the child waits, and when the child has gone") {
  serving_node node;
  std::promise<void> asked, gate;
  node.before_open = [&](const std::string&) {
    asked.set_value();
    gate.get_future().wait();
  };
  const auto object = node.add_object("a", random_bytes(100'000));
  auto server = *range_server::start(node.client_options(), object);
  auto child = std::make_unique<child_end>(*server);
  const auto question = to_wire({0, 10});
  REQUIRE(::write(child->fd, question.data(), question.size()) == ssize_t(question.size()));
  asked.get_future().wait();
  CHECK(server->is_waited_for());

  SUBCASE("destroyed") { server.reset(); }
  SUBCASE("the child goes first") {
    child.reset();
    server.reset();
  }
  gate.set_value();
}
