"""Measurement 2 of the cluster: the scheduler core alone, over queues of several sizes."""

import json
import os
import subprocess

from harness import load, table


def measure(options, say):
    sizes = ["1000", "10000"] if options.quick else ["1000", "10000", "100000", "1000000"]
    decisions = "20000" if options.quick else "200000"
    rounds = []
    for round in range(options.rounds):
        say(f"scheduler_core: round {round + 1}")
        out = subprocess.check_output([os.path.join(options.bin_dir, "scheduler_core"), "--decisions",
                                       decisions, "--shards", *sizes], text=True)
        rounds.append([json.loads(line) for line in out.splitlines()])
    # The best of the rounds: whatever disturbs a loop of 200,000 only makes it slower.
    best = [max(of_size, key=lambda r: r["decisions_per_second"]) for of_size in zip(*rounds)]
    table(f"The scheduler core: {best[0]['nodes']} nodes, {best[0]['slots']} slots, "
          f"best of {len(rounds)} (load {load()})",
          ["queued shards", "decisions/s", "p50 µs", "p99 µs", "queues looked at", "offers/s",
           "bytes/shard", "explain ms"],
          [[f"{r['shards']:,}", f"{r['decisions_per_second']:,}", f"{r['p50_us']:.1f}",
            f"{r['p99_us']:.1f}", f"{r['looked_per_decision']:.0f}", f"{r['offers_per_second']:,}",
            str(r["bytes_per_shard"]), f"{r['explain_ms']:.1f}"] for r in best])
