#include "actors/ledger_view.hpp"

#include "core/limits.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>

#include <future>
#include <unordered_map>

namespace framemill {

namespace {

class store_ledger final : public ledger_view {
public:
  store_ledger(const state_store& store, std::string bucket)
      : store_(store), bucket_(std::move(bucket)) {}

  result<std::vector<std::uint32_t>> unbooked(const candidates& found) override {
    return find_unbooked(store_, bucket_, found);
  }

private:
  const state_store& store_;
  std::string bucket_;
};

class asked_ledger final : public ledger_view {
public:
  explicit asked_ledger(ledger_line line) : line_(std::move(line)) {}

  result<std::vector<std::uint32_t>> unbooked(const candidates& found) override {
    forget_if_stale(found.size());
    watch_question question;
    std::vector<std::uint32_t> places; // of what is asked, in `found`
    for (std::uint32_t i = 0; i < found.size(); ++i)
      if (!remembers(found[i])) {
        question.found.push_back(found[i]);
        places.push_back(i);
      }
    if (places.empty())
      return places;
    FM_TRY(auto unbooked, ask(question));
    std::vector<std::uint32_t> out;
    auto next = unbooked.begin(); // in order
    for (std::uint32_t i = 0; i < places.size(); ++i)
      if (next != unbooked.end() && *next == i) {
        out.push_back(places[i]);
        ++next;
      } else {
        booked_.insert_or_assign(found[places[i]].key, found[places[i]].generation);
      }
    return out;
  }

private:
  [[nodiscard]] bool remembers(const watch_question::candidate& c) const {
    auto known = booked_.find(c.key);
    return known != booked_.end() && known->second == c.generation;
  }

  void forget_if_stale(std::size_t more) {
    const auto term = line_.term->load();
    if (term != term_ || booked_.size() + more > limits::objects_remembered_max)
      booked_.clear();
    term_ = term;
  }

  result<std::vector<std::uint32_t>> ask(const watch_question& question) {
    auto answered = std::make_shared<std::promise<result<std::string>>>();
    auto answer = answered->get_future();
    line_.to.say(encode(watch_word{question}), "question", [answered](result<std::string> r) {
      answered->set_value(std::move(r));
    });
    if (answer.wait_for(line_.patience) != std::future_status::ready)
      return fail(errc::unavailable, "the coordinator does not say what is in the books");
    FM_TRY(auto unbooked, (answer_as<watch_unbooked, watch_answer>(answer.get())));
    return std::move(unbooked.places);
  }

  ledger_line line_;
  std::uint64_t term_ = 0;
  std::unordered_map<std::string, generation> booked_;
};

} // namespace

result<std::vector<std::uint32_t>> find_unbooked(const state_store& store,
                                                 const std::string& bucket,
                                                 const ledger_view::candidates& found) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < found.size(); ++i) {
    FM_TRY(auto line, find_record<object_record>(store, family::objects,
                                                 keys::object(bucket, found[i].key)));
    if (!line || line->object.generation != found[i].generation
        || line->state == object_state::settling)
      out.push_back(i);
  }
  return out;
}

std::unique_ptr<ledger_view> make_store_ledger(const state_store& store, std::string bucket) {
  return std::make_unique<store_ledger>(store, std::move(bucket));
}

std::unique_ptr<ledger_view> make_asked_ledger(ledger_line line) {
  return std::make_unique<asked_ledger>(std::move(line));
}

} // namespace framemill
