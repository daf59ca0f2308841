"""Measurement 6: how long work stands still when a machine of the cluster does."""

import os
import signal
import time

import sources
from cluster import definition
from fleet import Fleet, starts_after
from harness import load, percentile, table

WORKERS = 4
PACE = 0.35  # seconds of waiting for a second of decoding: 2.8 s for a shard of 8 s
NAME = "recovery"


class Scene:
    """Runs of three decoding shards on four workers: one is idle."""

    def __init__(self, fleet, clip, trouble):
        self.fleet, self.clip, self.trouble = fleet, clip, trouble

    def begin(self, i):
        key = f"{NAME}/{self.trouble}{i}-pace-{PACE}.mp4"
        self.fleet.coordinator.drop(self.clip, key)
        run, shards = self.fleet.await_decoding(key, 3)
        return key, run, shards

    def until_elsewhere(self, i, strike, mend):
        """Seconds until the shard of a node that is struck begins on another."""
        key, _, shards = self.begin(i)
        node, shard = sorted(shards.items())[i % len(shards)]
        worker = self.fleet.workers[node]
        struck = time.time()
        strike(worker)
        run = self.fleet.coordinator.wait(key, 120)
        mend(worker)
        self.fleet.await_up(self.fleet.workers)
        return next(when - struck for when, who, which in starts_after(run, struck)
                    if which == shard and who != node)

    def until_dispatching(self, i):
        """Seconds from the death of the coordinator to the next attempt, with work
        waiting and a worker idle; and how many shards were done anew."""
        key, _, _ = self.begin(i)
        self.fleet.coordinator.drop(self.clip, f"{NAME}/{self.trouble}{i}-next-pace-{PACE}.mp4")
        struck = time.time()
        self.fleet.restart_coordinator()
        run = self.fleet.coordinator.wait(key, 120)
        other = self.fleet.coordinator.wait(f"{NAME}/{self.trouble}{i}-next-pace-{PACE}.mp4", 120)
        first = min(starts_after(run, struck) + starts_after(other, struck))
        anew = sum(len(s["Attempts"]) - 1 for s in run["Shards"])
        return first[0] - struck, anew


def measure(options, say):
    count = 1 if options.quick else 20
    clip = sources.small(options.cache, 24, 10)
    with Fleet(os.path.join(options.work, NAME), options.bin_dir, paced=True) as fleet:
        # Shards begin where key frames may: there are three, and the fourth worker is idle.
        fleet.coordinator.create_workflow(definition(NAME, 0, 0, 10, 80))
        fleet.grow_to(WORKERS)
        took = {}
        for trouble, strike, mend in (
                ("killed", lambda w: w.kill(), lambda w: w.start()),
                ("frozen", lambda w: w.signal(signal.SIGSTOP), lambda w: w.signal(signal.SIGCONT))):
            scene = Scene(fleet, clip, trouble)
            took[trouble] = []
            for i in range(count):
                took[trouble].append(scene.until_elsewhere(i, strike, mend))
                say(f"{trouble} {i + 1}/{count}: {1000 * took[trouble][-1]:.0f} ms, load {load()}")
        scene = Scene(fleet, clip, "restarted")
        restarts, anew = [], 0
        for i in range(count):
            seconds, again = scene.until_dispatching(i)
            restarts.append(seconds)
            anew += again
            say(f"coordinator {i + 1}/{count}: {1000 * seconds:.0f} ms, {again} shards done anew")
    row = lambda what, v, goal: [what, len(v), *(f"{1000 * percentile(v, p):.0f}" for p in (0.5, 0.99)),
                                 f"{goal} ms", "yes" if 1000 * percentile(v, 0.99) <= goal else "**no**"]
    table(f"Default settings, {WORKERS} workers, milliseconds (load {load()}; goals for p99)",
          ["trouble → end of it", "times", "p50", "p99", "goal", "met"],
          [row("worker SIGKILL → its shard runs elsewhere", took["killed"], 1000),
           row("worker SIGSTOP → its shard runs elsewhere", took["frozen"], 5000),
           row("coordinator SIGKILL, started at once → dispatching", restarts, 3000)])
    print(f"{anew} of the shards that were at work when the coordinator died were done anew.")
