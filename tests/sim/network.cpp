#include "tests/sim/network.hpp"

namespace framemill::sim {

namespace {

/// Until TCP or ZeroMQ's own heartbeats find that nobody answers.
constexpr microseconds nobody_answers{5'000'000};
constexpr microseconds refused_rests{2'000'000};

} // namespace

// ---- The hub ---------------------------------------------------------------------------

void network::open_hub(process& owner, endpoint& e, admit_fn admit) {
  hub_process_ = &owner;
  hub_ = &e;
  admit_ = std::move(admit);
}

void network::close_hub() {
  hub_ = nullptr;
  admit_ = {};
  for (auto& [key, c] : connections_) {
    c.hub_end = false;
    sever(c);
  }
}

void network::send_to_node(connection_key key, std::string frame) {
  auto* c = find(key);
  if (!c || !c->hub_end || c->to_node.ends)
    return;
  put(*c, direction::to_node, std::move(frame));
}

void network::drop(connection_key key) {
  auto* c = find(key);
  if (!c || !c->hub_end)
    return;
  c->hub_end = false;
  c->to_hub.frames.clear();
  c->to_node.ends = true;
  move(key, direction::to_node);
  if (c->was_heard)
    world_.after(1us, hub_process_, [this, key] { hub_->on_gone(key); });
}

std::string network::key_of(connection_key key) const {
  auto c = connections_.find(key);
  return c == connections_.end() ? std::string{} : links_.at(c->second.node).key;
}

// ---- A node ----------------------------------------------------------------------------

void network::open_link(const std::string& node, std::string key, process& owner,
                        endpoint& e) {
  auto& l = links_[node];
  l.key = std::move(key);
  l.owner = &owner;
  l.listener = &e;
  l.is_open = true;
  l.current = 0;
  dial_later(node, world_.dice.between(1ms, 30ms));
}

void network::close_link(const std::string& node) {
  auto& l = links_[node];
  l.is_open = false;
  ++l.dials;
  if (auto* c = find(std::exchange(l.current, 0))) {
    c->node_end = false;
    sever(*c);
  }
}

void network::send_to_hub(const std::string& node, std::string frame) {
  auto key = links_[node].current;
  auto* c = find(key);
  if (!c || !c->node_end)
    return;
  put(*c, direction::to_hub, std::move(frame));
}

void network::reconnect(const std::string& node) {
  auto& l = links_[node];
  if (auto* c = find(l.current); c && c->node_end) {
    c->node_end = false;
    sever(*c);
    l.listener->on_gone(c->key);
  }
  l.current = 0;
  dial_later(node, world_.dice.between(20ms, 200ms));
}

bool network::is_blocked(const std::string& node, direction d) const {
  auto l = links_.find(node);
  return l != links_.end() && l->second.blocked[static_cast<int>(d)];
}

bool network::reaches(const std::string& node) const {
  return hub_ && !hub_process_->is_frozen && !is_blocked(node, direction::to_hub)
         && !is_blocked(node, direction::to_node);
}

bool network::is_whole(const std::string& node) const {
  auto l = links_.find(node);
  auto c = l == links_.end() ? connections_.end() : connections_.find(l->second.current);
  return c != connections_.end() && !c->second.is_cut && c->second.hub_end
         && !c->second.to_hub.overtaken && reaches(node);
}

void network::dial_later(const std::string& node, microseconds delay) {
  auto& l = links_[node];
  auto number = ++l.dials;
  world_.after(delay, l.owner, [this, node, number] {
    auto& link = links_[node];
    if (link.is_open && link.current == 0 && link.dials == number)
      dial(node);
  });
}

void network::dial(const std::string& node) {
  auto& l = links_[node];
  if (!reaches(node))
    return dial_later(node, world_.dice.between(50ms, 400ms));
  if (!admit_(l.key))
    return dial_later(node, refused_rests);
  auto& c = connections_[++last_];
  c.key = last_;
  c.node = node;
  l.current = last_;
  world_.note("NETWORK: {} is connected ({})", node, last_);
  l.listener->on_up(last_);
}

// ---- Frames ------------------------------------------------------------------------------

network::connection* network::find(connection_key key) {
  auto c = connections_.find(key);
  return c == connections_.end() ? nullptr : &c->second;
}

microseconds network::latency() {
  return world_.dice.one_in(20) ? world_.dice.between(50us, 10 * latency_max_)
                                : world_.dice.between(50us, latency_max_);
}

/// As frame_door (actors/fail_points.hpp) lets them through.
void network::put(connection& c, direction d, std::string frame) {
  auto& p = d == direction::to_hub ? c.to_hub : c.to_node;
  const auto how = links_[c.node].jumbled[static_cast<int>(d)];
  const bool hit = how != jumbling::none && world_.dice.one_in(2);
  if (hit && how == jumbling::reorder && !p.overtaken) {
    p.overtaken = std::move(frame);
    return;
  }
  if (hit && how == jumbling::duplicate)
    p.frames.push_back(frame);
  p.frames.push_back(std::move(frame));
  if (auto late = std::exchange(p.overtaken, std::nullopt))
    p.frames.push_back(std::move(*late));
  move(c.key, d);
}

void network::jumble(const std::string& node, direction d, jumbling how) {
  links_[node].jumbled[static_cast<int>(d)] = how;
  world_.note("NETWORK: frames {} {} are jumbled",
              d == direction::to_hub ? "from" : "to", node);
}

/// One delivery at a time is under way per direction, so that order is kept.
void network::move(connection_key key, direction d) {
  auto* c = find(key);
  auto& p = d == direction::to_hub ? c->to_hub : c->to_node;
  if (p.is_moving || c->is_cut || is_blocked(c->node, d) || (p.frames.empty() && !p.ends))
    return;
  p.is_moving = true;
  world_.after(latency(), nullptr, [this, key, d] {
    if (auto* now = find(key)) {
      (d == direction::to_hub ? now->to_hub : now->to_node).is_moving = false;
      if (!now->is_cut && !is_blocked(now->node, d))
        deliver(key, d);
    }
  });
}

/// All that has come up to now.
void network::deliver(connection_key key, direction d) {
  auto* c = find(key);
  auto is_to_hub = d == direction::to_hub;
  auto& p = is_to_hub ? c->to_hub : c->to_node;
  auto* who = is_to_hub ? hub_ : links_[c->node].listener;
  auto* where = is_to_hub ? hub_process_ : links_[c->node].owner;
  auto is_there = is_to_hub ? c->hub_end : c->node_end;
  auto frames = std::exchange(p.frames, {});
  if (!is_there)
    return;
  if (is_to_hub)
    c->was_heard = true;
  for (auto& frame : frames)
    world_.after(0us, where, [this, who, key, is_to_hub, f = std::move(frame)] {
      auto* now = find(key);
      if (now && (is_to_hub ? now->hub_end : now->node_end))
        who->on_frame(key, f);
    });
  if (p.ends) {
    tell_node(key, 0us);
    c->is_cut = true;
  }
}

// ---- Breaking ----------------------------------------------------------------------------

void network::tell_hub(connection_key key, microseconds delay) {
  world_.after(delay, hub_process_, [this, key] {
    auto* c = find(key);
    if (!c || !std::exchange(c->hub_end, false))
      return;
    if (c->was_heard)
      hub_->on_gone(key);
  });
}

void network::tell_node(connection_key key, microseconds delay) {
  auto* c = find(key);
  world_.after(delay, links_[c->node].owner, [this, key] {
    auto* now = find(key);
    if (!now || !std::exchange(now->node_end, false))
      return;
    auto& l = links_[now->node];
    if (l.current != key)
      return;
    l.current = 0;
    l.listener->on_gone(key);
    dial_later(now->node, world_.dice.between(20ms, 200ms));
  });
}

void network::sever(connection& c) {
  c.is_cut = true;
  auto hears = [&](direction d) {
    if (is_blocked(c.node, d) || world_.dice.one_in(6))
      return nobody_answers;
    return world_.dice.between(100us, 20ms);
  };
  if (c.hub_end && hub_)
    tell_hub(c.key, hears(direction::to_hub));
  if (c.node_end)
    tell_node(c.key, hears(direction::to_node));
}

void network::cut(const std::string& node) {
  if (auto* c = find(links_[node].current); c && !c->is_cut) {
    world_.note("NETWORK: the connection of {} breaks", node);
    sever(*c);
  }
}

void network::block(const std::string& node, direction d) {
  auto& l = links_[node];
  if (std::exchange(l.blocked[static_cast<int>(d)], true))
    return;
  world_.note("NETWORK: nothing gets {} {}", d == direction::to_hub ? "away from" : "to", node);
  world_.after(nobody_answers, nullptr, [this, node, number = ++l.blocks] {
    auto& now = links_[node];
    if (now.blocks == number && (now.blocked[0] || now.blocked[1]))
      cut(node);
  });
}

void network::heal(const std::string& node) {
  auto& l = links_[node];
  l.blocked[0] = l.blocked[1] = false;
  l.jumbled[0] = l.jumbled[1] = jumbling::none;
  ++l.blocks;
  for (auto& [key, c] : connections_)
    if (c.node == node) {
      move(key, direction::to_hub);
      move(key, direction::to_node);
    }
}

void network::heal_all() {
  for (auto& [node, l] : links_)
    heal(node);
}

} // namespace framemill::sim
