#include "cluster/service_book.hpp"

#include <algorithm>

namespace framemill {

service_book::actions service_book::ordered(host_service order) {
  actions out;
  auto ended = ended_.find(order.service);
  if (ended != ended_.end() && order.epoch <= ended->second)
    return out;
  auto known = hosted_.find(order.service);
  if (known != hosted_.end()) {
    const auto& present = known->second.order;
    if (order.epoch < present.epoch || order == present)
      return out;
    out.push_back(cease_service{present.service, present.epoch});
  }
  hosted_.insert_or_assign(order.service, entry{order, {}, {}});
  out.push_back(begin_service{std::move(order)});
  return out;
}

service_book::actions service_book::ended(const end_service& order) {
  actions out;
  auto& newest = ended_[order.service];
  newest = std::max(newest, order.epoch);
  auto known = hosted_.find(order.service);
  if (known == hosted_.end() || known->second.order.epoch > order.epoch)
    return out;
  out.push_back(cease_service{order.service, known->second.order.epoch});
  hosted_.erase(known);
  return out;
}

bool service_book::answered(const service_answer& a) {
  auto known = hosted_.find(a.service);
  return known != hosted_.end() && known->second.order.epoch == a.epoch
         && known->second.words.erase(a.number) > 0;
}

service_book::actions service_book::unanswered() const {
  actions out;
  for (const auto& [id, e] : hosted_)
    for (const auto& [number, word] : e.words)
      out.push_back(say_word{{id, e.order.epoch, number, word.payload}});
  return out;
}

std::optional<service_book::saying> service_book::said(const service_id& service,
                                                       std::uint64_t epoch, std::string payload,
                                                       const std::string& topic) {
  if (!hosts(service, epoch))
    return std::nullopt;
  saying out;
  auto& words = hosted_.at(service).words;
  auto older = std::find_if(words.begin(), words.end(), [&](const auto& w) {
    return !topic.empty() && w.second.topic == topic;
  });
  if (older != words.end()) {
    out.replaced = older->first;
    words.erase(older);
  }
  out.word = {service, epoch, ++last_number_, std::move(payload)};
  words.emplace(out.word.number, entry::kept{out.word.payload, topic});
  return out;
}

bool service_book::told_problem(const service_id& service, std::uint64_t epoch,
                                std::string problem) {
  if (!hosts(service, epoch))
    return false;
  auto& known = hosted_.at(service).problem;
  return std::exchange(known, problem) != problem;
}

std::vector<hosted_service> service_book::hosted() const {
  std::vector<hosted_service> out;
  for (const auto& [id, e] : hosted_)
    out.push_back({id, e.order.epoch, e.problem});
  return out;
}

bool service_book::hosts(const service_id& service, std::uint64_t epoch) const {
  auto known = hosted_.find(service);
  return known != hosted_.end() && known->second.order.epoch == epoch;
}

} // namespace framemill
