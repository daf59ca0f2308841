#include "core/limits.hpp"
#include "storage/migrations.hpp"
#include "storage/posix_file.hpp"
#include "storage/state_store.hpp"

#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <condition_variable>
#include <cstdarg>
#include <deque>
#include <mutex>
#include <thread>

namespace framemill {

namespace {

constexpr std::size_t bytes_beside_record = 16; ///< in a write batch: kind, family, lengths
constexpr std::size_t block_cache_bytes = 16u << 20;
constexpr std::size_t write_buffer_bytes = 4u << 20;       ///< per family
constexpr std::size_t write_buffers_bytes_max = 16u << 20; ///< of all families
constexpr std::size_t log_bytes_max = 32u << 20;

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

/// RocksDB's status as one of our errors. `directory` is the data directory.
failure failed(const rocksdb::Status& s, const std::string& directory) {
  const auto text = s.ToString();
  if (s.IsNoSpace())
    return fail(errc::no_space, "no space left for the state in {}: free some ({})", directory,
                text);
  if (s.IsCorruption())
    return fail(errc::corrupt, "the state in {} is damaged: {}", directory, text);
  if (s.IsIOError())
    return fail(errc::io_failed, "cannot read or write the state in {}: {}", directory, text);
  return fail(errc::internal, "the state in {}: {}", directory, text);
}

result<void> checked(const rocksdb::Status& s, const std::string& directory) {
  return s.ok() ? result<void>{} : failed(s, directory);
}

/// RocksDB's own recovery from a full disk looks for space every five seconds
/// and keeps ours out meanwhile; we resume with the next commit instead.
class no_auto_recovery final : public rocksdb::EventListener {
public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

/// RocksDB's own log goes nowhere: failures come to us as statuses, and a log
/// file on a full disk ends the process by an assertion in Debian's build.
class no_log final : public rocksdb::Logger {
public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::DBOptions database_options() {
  rocksdb::DBOptions o;
  o.info_log = std::make_shared<no_log>();
  o.listeners.push_back(std::make_shared<no_auto_recovery>());
  o.create_if_missing = true;
  o.create_missing_column_families = true;
  // Overwriting an old log file needs no file-system journal entry per fsync.
  o.recycle_log_file_num = 2;
  // The end of the log is the first bad record: that is a batch which was being
  // written when the machine died, so it was never acknowledged. (Stricter
  // modes cannot tell a recycled file's old tail from damage.)
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  // Flat memory: the coordinator is light beside the media children.
  o.db_write_buffer_size = write_buffers_bytes_max;
  o.max_total_wal_size = log_bytes_max;
  o.max_open_files = 256;
  o.max_background_jobs = 2;
  o.table_cache_numshardbits = 2;
  return o;
}

rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true; // counted in the cache's bound
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::ColumnFamilyOptions o;
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  o.write_buffer_size = write_buffer_bytes;
  o.max_write_buffer_number = 4; // writers do not wait for one that is being written out
  o.compression = rocksdb::kNoCompression; // small records; CPU belongs to media
  return o;
}

/// Who holds RocksDB's lock file, by fcntl; 0 when unknown. Only for locks of
/// other processes: closing the file would drop one of our own.
pid_t lock_holder(const std::string& directory) {
  auto file = open_at(AT_FDCWD, directory + "/LOCK", O_RDWR, directory);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (!file || ::fcntl(file->get(), F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
    return 0;
  return lock.l_pid;
}

failure open_failed(const rocksdb::Status& s, const std::string& directory) {
  const auto text = s.ToString();
  if (text.find("lock hold by current process") != std::string::npos)
    return fail(errc::busy, "the data directory {} is open in this process already", directory);
  if (s.IsIOError() && text.find("/LOCK") != std::string::npos) {
    if (const auto pid = lock_holder(directory); pid > 0)
      return fail(errc::busy,
                  "the data directory {} is in use by process {}: stop it, or use another "
                  "directory",
                  directory, pid);
  }
  return failed(s, directory);
}

/// RocksDB behind `state_store`. There is one writer at a time, the COMMIT thread or
/// one that was lent: it takes what is queued, writes it as one batch with one fsync,
/// and answers. While it writes, the next group gathers; nobody is ever delayed on
/// purpose.
class rocks_state_store final : public state_store {
public:
  explicit rocks_state_store(rocks_options o) : options_(std::move(o)) {}
  ~rocks_state_store() override;
  [[nodiscard]] result<void> open();

  void commit(write_batch batch, done_fn done) override;
  void enqueue(write_batch batch, done_fn done) override;
  void write_queued() override;
  [[nodiscard]] result<std::optional<std::string>> find(family f,
                                                        std::string_view key) const override;
  [[nodiscard]] result<void> scan(family f, std::string_view from, std::string_view until,
                                  const visit_fn& visit) const override;
  [[nodiscard]] result<void> scan_back(family f, std::string_view from, std::string_view until,
                                       const visit_fn& visit) const override;
  [[nodiscard]] result<void> copy_to(const std::string& directory) const override;

private:
  enum class direction { up, down };
  struct waiting_batch {
    write_batch batch;
    done_fn done;
  };

  [[nodiscard]] result<std::vector<std::string>> stored_families() const;
  [[nodiscard]] result<void> open_database(const std::vector<std::string>& names);
  [[nodiscard]] result<std::uint32_t> stored_schema();
  [[nodiscard]] result<void> walk(family f, std::string_view from, std::string_view until,
                                  direction d, const visit_fn& visit) const;
  /// Null when an older, read-only store does not have the family yet.
  [[nodiscard]] rocksdb::ColumnFamilyHandle* handle(family f) const {
    return handles_[static_cast<std::size_t>(f)];
  }

  void run();
  void write_next_group(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] std::deque<waiting_batch> next_group();
  static void refuse_void(std::deque<waiting_batch>& group);
  [[nodiscard]] result<void> write(const std::deque<waiting_batch>& group);

  rocks_options options_;
  std::unique_ptr<rocksdb::DB> database_;
  std::vector<rocksdb::ColumnFamilyHandle*> all_handles_;
  std::array<rocksdb::ColumnFamilyHandle*, family_count> handles_{};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<waiting_batch> queue_;
  bool has_writer_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

// ---- opening ---------------------------------------------------------------

result<void> rocks_state_store::open() {
  if (!options_.read_only)
    FM_CHECK(make_directories(options_.directory));
  FM_TRY(auto names, stored_families());
  FM_CHECK(open_database(names));
  FM_TRY(const auto version, stored_schema());
  thread_ = std::thread{[this] { run(); }};
  if (version < schema_version && !options_.read_only)
    return migrate(*this, version);
  return {};
}

/// Every family must be opened, also those of a newer version (which
/// stored_schema then refuses with a better sentence than RocksDB's).
result<std::vector<std::string>> rocks_state_store::stored_families() const {
  std::vector<std::string> names;
  auto status = rocksdb::DB::ListColumnFamilies(database_options(), options_.directory, &names);
  if (status.IsPathNotFound() || (status.IsIOError() && names.empty())) {
    if (options_.read_only)
      return fail(errc::not_found, "there is no state in {}", options_.directory);
    names = {rocksdb::kDefaultColumnFamilyName};
  } else if (!status.ok()) {
    return failed(status, options_.directory);
  }
  for (std::size_t i = 0; i < family_count && !options_.read_only; ++i) {
    std::string name{to_string(static_cast<family>(i))};
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  }
  return names;
}

result<void> rocks_state_store::open_database(const std::vector<std::string>& names) {
  const auto per_family = family_options(rocksdb::NewLRUCache(block_cache_bytes, 2));
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted;
  for (const auto& name : names)
    wanted.emplace_back(name, per_family);
  rocksdb::DB* database = nullptr;
  const auto& directory = options_.directory;
  const auto status =
      options_.read_only
          ? rocksdb::DB::OpenForReadOnly(database_options(), directory, wanted, &all_handles_,
                                         &database)
          : rocksdb::DB::Open(database_options(), directory, wanted, &all_handles_, &database);
  if (!status.ok())
    return open_failed(status, directory);
  database_.reset(database);
  for (std::size_t i = 0; i < family_count; ++i)
    for (auto* h : all_handles_)
      if (h->GetName() == to_string(static_cast<family>(i)))
        handles_[i] = h;
  return {};
}

/// A new store has none before and ours after.
result<std::uint32_t> rocks_state_store::stored_schema() {
  FM_TRY(auto stored, find(family::meta, schema_key));
  if (!stored) {
    if (options_.read_only)
      return fail(errc::not_found, "there is no Framemill state in {}", options_.directory);
    rocksdb::WriteOptions durable;
    durable.sync = true;
    FM_CHECK(checked(database_->Put(durable, handle(family::meta), slice(schema_key),
                                    std::to_string(schema_version)),
                     options_.directory));
    return schema_version;
  }
  std::uint32_t version = 0;
  const auto* end = stored->data() + stored->size();
  if (const auto r = std::from_chars(stored->data(), end, version);
      r.ec != std::errc{} || r.ptr != end)
    return fail(errc::corrupt, "the schema version of {} is not a number", options_.directory);
  if (version > schema_version)
    return fail(errc::schema_newer,
                "the data directory {} has schema version {}, this program knows up to {}: run "
                "the newer Framemill that wrote it, or another data directory",
                options_.directory, version, schema_version);
  return version;
}

rocks_state_store::~rocks_state_store() {
  if (thread_.joinable()) {
    {
      std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  for (auto* h : all_handles_)
    database_->DestroyColumnFamilyHandle(h);
}

// ---- writing ---------------------------------------------------------------

void rocks_state_store::commit(write_batch batch, done_fn done) {
  enqueue(std::move(batch), std::move(done));
  wake_.notify_one();
}

void rocks_state_store::enqueue(write_batch batch, done_fn done) {
  std::lock_guard lock{mutex_};
  queue_.push_back({std::move(batch), std::move(done)});
}

/// Ends when it is told to and everything is written.
void rocks_state_store::run() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [&] { return !has_writer_ && (stopping_ || !queue_.empty()); });
    if (queue_.empty())
      return;
    write_next_group(lock);
  }
}

void rocks_state_store::write_queued() {
  std::unique_lock lock{mutex_};
  if (has_writer_ || queue_.empty())
    return;
  write_next_group(lock);
  if (stopping_ || !queue_.empty())
    wake_.notify_one();
}

/// Whoever does this is the writer meanwhile; the lock is not held.
void rocks_state_store::write_next_group(std::unique_lock<std::mutex>& lock) {
  has_writer_ = true;
  auto group = next_group();
  lock.unlock();
  refuse_void(group);
  const auto answer = write(group);
  if (answer && options_.on_group && !group.empty())
    options_.on_group(group.size());
  for (auto& waiting : group)
    waiting.done(answer);
  group.clear(); // what it holds may end here, outside of the lock
  lock.lock();
  has_writer_ = false;
}

std::deque<rocks_state_store::waiting_batch> rocks_state_store::next_group() {
  if (queue_.size() <= limits::commit_batches_max)
    return std::exchange(queue_, {});
  const auto end = queue_.begin() + limits::commit_batches_max;
  std::deque<waiting_batch> group{std::make_move_iterator(queue_.begin()),
                                  std::make_move_iterator(end)};
  queue_.erase(queue_.begin(), end);
  return group;
}

/// Answers those whose chain broke while they waited. A chain breaks before it is
/// answered, so the next group knows of it; one group is written whole or not.
void rocks_state_store::refuse_void(std::deque<waiting_batch>& group) {
  std::deque<waiting_batch> kept;
  for (auto& waiting : group)
    if (auto may = waiting.batch.may_be_written(); may)
      kept.push_back(std::move(waiting));
    else
      waiting.done(std::move(may));
  group = std::move(kept);
}

result<void> rocks_state_store::write(const std::deque<waiting_batch>& group) {
  if (options_.read_only)
    return fail(errc::unsupported, "the state in {} is open for reading only",
                options_.directory);
  std::size_t bytes = 0;
  for (const auto& waiting : group)
    bytes += waiting.batch.bytes() + waiting.batch.operations().size() * bytes_beside_record;
  rocksdb::WriteBatch merged{bytes};
  for (const auto& waiting : group)
    for (const auto& op : waiting.batch.operations()) {
      const auto status = op.value ? merged.Put(handle(op.family), op.key, *op.value)
                                   : merged.Delete(handle(op.family), op.key);
      FM_CHECK(checked(status, options_.directory));
    }
  if (merged.Count() == 0)
    return {};
  rocksdb::WriteOptions durable;
  durable.sync = true;
  auto status = database_->Write(durable, &merged);
  // After any failed write, also of a table in the background, RocksDB refuses
  // all others until it is resumed, which turns to a new log without the torn
  // record. So the first write after a full disk mends it.
  if (!status.ok() && database_->Resume().ok())
    status = database_->Write(durable, &merged);
  return checked(status, options_.directory);
}

/// Tables are linked where the file system is the same, and the log is copied.
result<void> rocks_state_store::copy_to(const std::string& directory) const {
  rocksdb::Checkpoint* made = nullptr;
  FM_CHECK(checked(rocksdb::Checkpoint::Create(database_.get(), &made), options_.directory));
  std::unique_ptr<rocksdb::Checkpoint> checkpoint{made};
  return checked(checkpoint->CreateCheckpoint(directory), directory);
}

// ---- reading ---------------------------------------------------------------

result<std::optional<std::string>> rocks_state_store::find(family f,
                                                           std::string_view key) const {
  if (handle(f) == nullptr)
    return std::nullopt;
  std::string value;
  const auto status = database_->Get({}, handle(f), slice(key), &value);
  if (status.IsNotFound())
    return std::nullopt;
  if (!status.ok())
    return failed(status, options_.directory);
  return value;
}

result<void> rocks_state_store::scan(family f, std::string_view from, std::string_view until,
                                     const visit_fn& visit) const {
  return walk(f, from, until, direction::up, visit);
}

result<void> rocks_state_store::scan_back(family f, std::string_view from,
                                          std::string_view until, const visit_fn& visit) const {
  return walk(f, from, until, direction::down, visit);
}

result<void> rocks_state_store::walk(family f, std::string_view from, std::string_view until,
                                     direction d, const visit_fn& visit) const {
  if (handle(f) == nullptr)
    return {};
  const auto lower = slice(from);
  const auto upper = slice(until);
  rocksdb::ReadOptions bounds;
  bounds.iterate_lower_bound = from.empty() ? nullptr : &lower;
  bounds.iterate_upper_bound = until.empty() ? nullptr : &upper;
  std::unique_ptr<rocksdb::Iterator> i{database_->NewIterator(bounds, handle(f))};
  d == direction::up ? i->SeekToFirst() : i->SeekToLast();
  while (i->Valid() && visit(view(i->key()), view(i->value())))
    d == direction::up ? i->Next() : i->Prev();
  return checked(i->status(), options_.directory);
}

} // namespace

result<std::unique_ptr<state_store>> open_rocks_state_store(const rocks_options& o) {
  auto store = std::make_unique<rocks_state_store>(o);
  FM_CHECK(store->open());
  return store;
}

} // namespace framemill
