#!/usr/bin/env python3
"""Measures Framemill against named peers, interleaved in one run (README.md)."""

import argparse
import os
import sys
import time

import cluster
import cluster_dispatch
import control
import data_plane
import functions
import harness
import memory
import notify
import overhead
import quality
import queue_rate
import recovery
import scheduler_core
import workflow

MEASUREMENTS = {"workflow": workflow, "overhead": overhead, "control": control, "memory": memory,
                "cluster": cluster, "cluster_dispatch": cluster_dispatch, "recovery": recovery,
                "data_plane": data_plane, "scheduler_core": scheduler_core,
                "quality": quality, "queue": queue_rate, "notify": notify, "functions": functions}
ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[[], *MEASUREMENTS], help="default: all of them")
    parser.add_argument("--quick", action="store_true", help="small sources, one round: does it still run?")
    parser.add_argument("--rounds", type=int, help="default 3, with --quick 1")
    parser.add_argument("--case", default="", help="workflow: only cases whose title matches this pattern")
    parser.add_argument("--without", action="append", default=[], choices=["a", "b"],
                        help="workflow: leaves this peer out; repeatable")
    parser.add_argument("--workers", action="append", type=int, default=[],
                        help="cluster: waits with so many alone; repeatable")
    parser.add_argument("--bin-dir", default=os.environ.get("FRAMEMILL_BIN_DIR", f"{ROOT}/build/release/bin"))
    parser.add_argument("--work", default=f"{ROOT}/build/bench", help="scratch, on the disk to measure")
    parser.add_argument("--cache", default=f"{ROOT}/.cache/bench", help="generated sources are kept here")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.work = harness.empty_directory(f"{options.work}/{os.getpid()}")
    begin = time.monotonic()
    say = lambda text: print(f"[{time.monotonic() - begin:5.0f} s] {text}", file=sys.stderr, flush=True)
    harness.adopt_orphans()
    print(f"{os.cpu_count()} cores, load {harness.load()}, {options.rounds} rounds, "
          f"{time.strftime('%Y-%m-%d %H:%M')} UTC" + (", quick: the numbers mean little" * options.quick))
    try:
        for name in options.what or MEASUREMENTS:
            say(f"measuring {name}")
            MEASUREMENTS[name].measure(options, say)
    finally:
        harness.shutil.rmtree(options.work)


if __name__ == "__main__":
    main()
