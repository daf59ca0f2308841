"""Measurement 3b: peak resident memory for 1 minute and for 2 hours of source."""

import os

import sources
from harness import load, table
from node import Node
from overhead import definition


def peaks(options, source, name):
    """A node for each, since a peak is never forgotten."""
    with Node(os.path.join(options.work, f"memory-{name}"), options.bin_dir) as node:
        workflow = definition("w", 160, 0)
        workflow["MediaProcessTask"]["SampleSnapshotTaskSet"] = [{"Definition": 10}]
        node.create_workflow(workflow)
        node.drop(source, "w/source.mp4")
        run = node.wait("w/source.mp4")
        node.tree.settle()
        child = max(a["PeakRssBytes"] for s in run["Shards"] for a in s["Attempts"])
        return node.peak_resident_bytes() / 2**20, child / 2**20, len(run["Shards"])


def measure(options, say):
    lengths = [60, 600] if options.quick else [60, 7200]
    rows = []
    for seconds in lengths:
        daemon, child, shards = peaks(options, sources.small(options.cache, seconds, 5), str(seconds))
        rows.append([f"{seconds} s", f"{daemon:.1f}", f"{child:.1f}", shards])
        say(f"memory {seconds} s: load {load()}")
    growth = [f"× {seconds / lengths[0]:.0f}" if i == 0 else f"{rows[1][i] / rows[0][i]:.2f}"
              if i == 3 else f"{float(rows[1][i]) / float(rows[0][i]):.2f}" for i in range(4)]
    table("Peak resident memory, MiB (320x180, 5 fps → 160x90 + snapshots)",
          ["source", "framemilld", "largest child", "shards"], [*rows, growth])
