"""Measurement 3: durable shards that do nothing, against an append + fdatasync
loop, and against BullMQ on a Redis that syncs each write."""

import json
import os
import shutil
import subprocess
import tempfile
import time

from harness import empty_directory, load, median, ratios, rounds, spread, table

HERE = os.path.dirname(os.path.abspath(__file__))

#        name                                 noop_shards' load
LOADS = {"1 run in flight":                   {"runs": 1500, "window": 1, "slots": 1},
         "50 runs in flight":                 {"runs": 6000, "window": 50, "slots": 50},
         "5 flows of 10 + join in flight":    {"runs": 400, "shards": 10, "join-shard": True, "window": 5,
                                               "slots": 50}}


def _program(options, *arguments):
    directory = empty_directory(os.path.join(options.work, "control"))
    out = subprocess.check_output([os.path.join(options.bin_dir, "noop_shards"), "--directory",
                                   directory, *arguments], text=True)
    return json.loads(out)


def flags(shape, runs):
    out = []
    for name, value in (shape | {"runs": runs}).items():
        out += [f"--{name}"] + ([] if value is True else [str(value)])
    return out


class BullMQ:
    """Redis on a socket of its own, and the client in bullmq/."""

    def __init__(self, work, wanted=True):
        self.available = wanted and self._install()
        self.directory = tempfile.mkdtemp(prefix="redis-", dir=work)

    def _install(self):
        if not shutil.which("redis-server") or not shutil.which("node"):
            return False
        place = os.path.join(HERE, "../build/bench/bullmq")
        if not os.path.isdir(os.path.join(place, "node_modules/bullmq")):
            os.makedirs(place, exist_ok=True)
            shutil.copy(os.path.join(HERE, "bullmq/package.json"), place)
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=place)
        shutil.copy(os.path.join(HERE, "bullmq/measure.mjs"), place)
        self.place = place
        return os.path.isdir(os.path.join(place, "node_modules/bullmq"))

    def __enter__(self):
        if self.available:
            self.socket = os.path.join(self.directory, "socket")
            self.redis = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.directory,
                 "--appendonly", "yes", "--appendfsync", "always", "--save", ""],
                stdout=subprocess.DEVNULL)
            while not os.path.exists(self.socket):
                time.sleep(0.02)
        return self

    def __exit__(self, *_):
        if self.available:
            self.redis.terminate()
            self.redis.wait(10)
        shutil.rmtree(self.directory)

    def _redis_cpu(self):
        with open(f"/proc/{self.redis.pid}/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
        return sum(int(x) for x in fields[11:13]) / os.sysconf("SC_CLK_TCK")

    def run(self, shape, runs):
        cpu = self._redis_cpu()
        out = json.loads(subprocess.check_output(
            ["node", "measure.mjs", self.socket, str(runs), str(shape["window"]),
             str(shape.get("shards", 1)), str(shape.get("join-shard", False)).lower()],
            cwd=self.place, text=True))
        out["cpu_us_per_shard"] += 1e6 * (self._redis_cpu() - cpu) / out["shards"]
        return out


def measure(options, say):
    if not os.path.exists(os.path.join(options.bin_dir, "noop_shards")):
        return say("noop_shards is not built: control plane not measured")
    with BullMQ(options.work, wanted=not options.quick) as bullmq:
        if not bullmq.available and not options.quick:
            say("no redis-server, node or bullmq: the peer is the append + fdatasync loop alone")
        for name, shape in LOADS.items():
            runs = shape["runs"] // (20 if options.quick else 1)
            ways = {"framemill": lambda _: _program(options, *flags(shape, runs)),
                    "append + fdatasync": lambda _: _program(
                        options, "--append", "--runs", str(runs), "--window", str(shape["window"]))}
            if bullmq.available:
                ways["BullMQ, AOF always"] = lambda _: bullmq.run(shape, runs)
            _report(name, rounds(ways, options.rounds, say))


def _report(name, results):
    of = lambda way, what: [r[what] for r in results[way]]
    rows = []
    for way in results:
        rate = "shards_per_second"
        rows.append([way, f"{median(of(way, rate)):,.0f}", f"{median(of(way, 'p50_ms')):.2f}",
                     f"{median(of(way, 'p99_ms')):.2f}", f"{median(of(way, 'cpu_us_per_shard')):.0f}",
                     f"{median(of(way, 'fsyncs_per_shard')):.2f}" if way != "BullMQ, AOF always" else "–",
                     "1" if way == "framemill" else spread(ratios(of("framemill", rate), of(way, rate)))])
    table(f"Durable no-op: {name} (load {load()})",
          ["", "shards/s", "p50 ms", "p99 ms", "CPU µs/shard", "fsyncs/shard", "framemill's rate / its"],
          rows)
