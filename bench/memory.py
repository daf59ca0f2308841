"""Measurement 3b: peak resident memory for 1 minute and for 2 hours of source."""

import os

import sources
from harness import load, table
from node import Node
from overhead import definition


def peaks(options, source, name):
    """MiB by who: framemilld, and the largest child of each role. A node for each
    source, since a peak is never forgotten."""
    with Node(os.path.join(options.work, f"memory-{name}"), options.bin_dir) as node:
        workflow = definition("w", 160, 0)
        workflow["MediaProcessTask"]["SampleSnapshotTaskSet"] = [{"Definition": 10}]
        node.create_workflow(workflow)
        node.drop(source, "w/source.mp4")
        run = node.wait("w/source.mp4")
        node.tree.settle()
        out = {"framemilld": node.peak_resident_bytes() / 2**20}
        for shard in run["Shards"]:
            peak = max(a["PeakRssBytes"] for a in shard["Attempts"]) / 2**20
            out[shard["Role"]] = max(out.get(shard["Role"], 0), peak)
        return out


def measure(options, say):
    lengths = [60, 600] if options.quick else [60, 7200]
    short, long = (peaks(options, sources.small(options.cache, s, 5), str(s)) for s in lengths)
    table(f"Peak resident memory, MiB (320x180, 5 fps → 160x90 + snapshots; load {load()})",
          ["process", *(f"{s} s of source" for s in lengths), "growth"],
          [[who, f"{short[who]:.1f}", f"{long[who]:.1f}", f"× {long[who] / short[who]:.2f}"]
           for who in short if who in long])
