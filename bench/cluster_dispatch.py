"""Measurement 3: durable dispatch and completion of shards that do nothing,
through a real cluster, against BullMQ on a Redis that syncs each write."""

import json
import os
import subprocess
import tempfile

from control import LOADS, BullMQ, flags
from harness import empty_directory, load, median, ratios, rounds, spread, table

NODES, SLOTS = 4, 52
GOALS = {"1 run in flight": 3, "50 runs in flight": 10, "5 flows of 10 + join in flight": 10}


def _cluster(options, shape, runs):
    directory = empty_directory(os.path.join(options.work, "dispatch"))
    # Workers keep nothing durable; their scratch is in memory, as the peer's has none.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        return json.loads(subprocess.check_output(
            [os.path.join(options.bin_dir, "noop_cluster"), "--directory", directory,
             "--worker-directory", scratch, "--nodes", str(NODES),
             "--media-program", os.path.abspath(os.path.join(options.bin_dir, "framemill-media")),
             *flags(shape | {"slots": SLOTS}, runs)], text=True))


def measure(options, say):
    if not os.path.exists(os.path.join(options.bin_dir, "noop_cluster")):
        return say("noop_cluster is not built: dispatch through the cluster not measured")
    with BullMQ(options.work, wanted=not options.quick) as bullmq:
        if not bullmq.available and not options.quick:
            say("no redis-server, node or bullmq: the cluster is measured alone")
        rows = []
        for name, shape in LOADS.items():
            runs = shape["runs"] // (20 if options.quick else 1)
            ways = {"framemill": lambda _: _cluster(options, shape, runs)}
            if bullmq.available:
                ways["BullMQ"] = lambda _: bullmq.run(shape, runs)
            rows += _rows(name, rounds(ways, options.rounds, say))
    table(f"Durable no-op through {NODES} worker processes, CURVE over loopback (load {load()})",
          ["", "", "shards/s", "p50 ms", "p99 ms", "CPU µs/shard", "fsyncs/shard", "framemill / BullMQ",
           "goal", "met"], rows)


def _rows(name, results):
    of = lambda way, what: [r[what] for r in results[way]]
    rate = "shards_per_second"
    for way in results:
        row = [name, way, f"{median(of(way, rate)):,.0f}", f"{median(of(way, 'p50_ms')):.2f}",
               f"{median(of(way, 'p99_ms')):.2f}", f"{median(of(way, 'cpu_us_per_shard')):.0f}"]
        if way == "framemill":
            row.append(f"{median(of(way, 'fsyncs_per_shard')):.2f}")
            if "BullMQ" in results:
                ahead = ratios(of(way, rate), of("BullMQ", rate))
                met = "yes" if median(ahead) >= GOALS[name] else "**no**"
                row += [spread(ahead), f"≥ {GOALS[name]}", met]
        yield row + [""] * (10 - len(row))
