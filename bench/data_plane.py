"""Measurement 5: the data plane against plain TCP on loopback, and the beats of
the control plane beside it."""

import os
import statistics
import subprocess

from harness import load, table

WAYS = {"tcp": "plain TCP (iperf-like)", "zmq": "bare ZeroMQ, no CURVE", "curve": "bare ZeroMQ, CURVE",
        "ours": "data plane (CURVE, hash, file)"}


def run(options, way, path, *more):
    program = os.path.join(options.bin_dir, "data_plane_bench")
    done = subprocess.run([program, way, path, *more], check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def throughput(options, path, say):
    """Seconds by way, one per round; the order turns round each time."""
    seconds = {way: [] for way in WAYS}
    for number in range(options.rounds):
        for way in list(WAYS)[:: 1 if number % 2 == 0 else -1]:
            seconds[way] += run(options, way, path)
            say(f"round {number + 1}: {way} {seconds[way][-1]:.2f} s")
    return seconds


def measure(options, say):
    path = os.path.join(options.work, "bulk")
    size = (64 if options.quick else 1024) << 20
    with open(path, "wb") as f:
        for _ in range(size >> 20):
            f.write(os.urandom(1 << 20))
    seconds = throughput(options, path, say)
    rows = []
    for way, name in WAYS.items():
        ratios = [tcp / mine for tcp, mine in zip(seconds["tcp"], seconds[way])]
        rate = size / statistics.median(seconds[way]) / 1e6
        rows.append([name, f"{rate:.0f}", f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"])
    table(f"{size >> 20} MiB over loopback in chunks of 256 KiB (load {load()})", ["way", "MB/s", "× TCP"], rows)
    time = ["--seconds", "1" if options.quick else "10"]
    alone = run(options, "beats", path, *time)
    beside = run(options, "beats-beside-bulk", path, *time)
    table(f"Round trip of a control beat each 10 ms, ms (load {load()})", ["", "p50", "p99", "largest"],
          [["alone", *(f"{x:.2f}" for x in alone)],
           [f"beside bulk at {beside[3]:.0f} MB/s", *(f"{x:.2f}" for x in beside[:3])]])
