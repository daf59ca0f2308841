"""Measurement 2: what stands between a file and its work, on small clips."""

import os
import threading
import time

import sources
from harness import Cost, empty_directory, load, median, percentile, ratios, rounds, run_commands, \
    spread, table
from node import Node, seconds_of

FFMPEG = ["ffmpeg", "-nostdin", "-v", "error", "-y"]


def definition(name, width, height):
    return {"WorkflowName": name,
            "Trigger": {"Type": "CosFileUpload", "CosFileUploadTrigger":
                        {"Bucket": "media", "Region": "local", "Dir": f"/{name}/"}},
            "OutputDir": f"/out/{name}/",
            "MediaProcessTask": {"TranscodeTaskSet": [{"Definition": 0, "RawParameter": {
                "Container": "mp4", "RemoveVideo": 0, "RemoveAudio": 0,
                "VideoTemplate": {"Codec": "h264", "Fps": 0, "Bitrate": 0, "Width": width,
                                  "Height": height, "Vcrf": 23, "Gop": 60, "GopUnit": "frame",
                                  "ResolutionAdaptive": "close", "EncoderPreset": "veryfast"},
                "AudioTemplate": {"Codec": "aac", "Bitrate": 64, "SampleRate": 48000,
                                  "AudioChannel": 2}}}]}}


class Ear(threading.Thread):
    """Listens to the event stream: when a run's first encoded frame was heard of."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.first_frame, self.settled = node, {}, {}
        self.start()

    def run(self):
        try:
            for heard, kind, record in self.node.progress():
                if kind == "progress" and record["FramesEncoded"] > 0:
                    self.first_frame.setdefault(record["Run"], heard)
                if kind == "event" and record["Type"] == "object.settled":
                    self.settled[record["Key"]] = seconds_of(record["Time"])
        except OSError:
            pass  # the node stopped


def first_frames(node, clip, count, say):
    """Milliseconds from drop to settled, and from settled to the first encoded
    frame, of each clip. Progress is told of every 200 ms, so the second is an
    upper bound."""
    ear = Ear(node)
    node.create_workflow(definition("first", 640, 360))
    time.sleep(0.2)
    settle, frame, unheard = [], [], 0
    for i in range(count):
        key = f"first/c{i}.mp4"
        dropped = node.drop(clip, key)
        run = node.wait(key)["Run"]["Id"]
        settle.append(1000 * (ear.settled[key] - dropped))
        if run in ear.first_frame:
            frame.append(1000 * (ear.first_frame[run] - ear.settled[key]))
        else:
            unheard += 1
    if unheard:
        say(f"{unheard} of {count} runs ended before their first frame was told of")
    return settle, frame


def stages(run):
    """Milliseconds of what stands between settled and published, from the books."""
    at = lambda text: 1000 * seconds_of(text)
    probe, *work = [s["Attempts"][-1] for s in run["Shards"]]
    first = min(at(a["Started"]) for a in work)
    last = max(at(a["Finished"]) for a in work)
    return {"settled → probe leased": at(probe["Started"]) - at(run["Run"]["Created"]),
            "probe: a child that indexes": at(probe["Finished"]) - at(probe["Started"]),
            "planned, work leased": first - at(probe["Finished"]),
            "work: a child that encodes, joins and checks": last - first,
            "results adopted, published": at(run["Run"]["Finished"]) - last}


def one_second(node, clip, count, say):
    name = "second"
    node.create_workflow(definition(name, 320, 180))
    work = os.path.join(node.directory, "ffmpeg")

    def ours(i):
        cpu = node.tree.cpu_seconds()
        dropped = node.drop(clip, f"{name}/c{i}.mp4")
        done = node.wait(f"{name}/c{i}.mp4")
        cost = Cost(seconds_of(done["Run"]["Finished"]) - dropped, node.tree.cpu_seconds() - cpu)
        cost.stages = stages(done)
        return cost

    def theirs(_):
        return run_commands([[*FFMPEG, "-i", clip, "-vf", "scale=320:180", "-c:v", "libx264",
                              "-preset", "veryfast", "-crf", "23", "-g", "60", "-sc_threshold", "0",
                              "-c:a", "aac", "-b:a", "64k", "-ac", "2", "-ar", "48000",
                              "-movflags", "+faststart", "out.mp4"]], empty_directory(work))

    return rounds({"ours": ours, "ffmpeg": theirs}, count, lambda _: None)


def measure(options, say):
    count = 3 if options.quick else 30
    longer = sources.scenes(options.cache, 10, 640, 360)
    second = sources.scenes(options.cache, 1, 320, 180)
    with Node(os.path.join(options.work, "overhead"), options.bin_dir) as node:
        settle, frame = first_frames(node, longer, count, say)
        row = lambda what, v: [what, len(v), f"{percentile(v, 0.5):.0f}", f"{percentile(v, 0.99):.0f}"] \
            if v else [what, 0, "–", "–"]
        table(f"A 10 s 360p clip, milliseconds (load {load()}; goal: settled → first frame p50 ≤ 300 ms)",
              ["from → to", "clips", "p50", "p99"],
              [row("drop → settled", settle), row("settled → first encoded frame heard of", frame)])
        pairs = one_second(node, second, count, say)
    ours, theirs = pairs["ours"], pairs["ffmpeg"]
    of = lambda costs, what: [getattr(c, what) for c in costs]
    table(f"A 1 s 180p clip, drop → published, against ffmpeg's start → exit (load {load()})",
          ["", "ours", "ffmpeg", "ours / ffmpeg"],
          [[label, f"{scale * median(of(ours, what)):.0f} ms", f"{scale * median(of(theirs, what)):.0f} ms",
            spread(ratios(of(ours, what), of(theirs, what)))]
           for label, what, scale in (("wall", "wall", 1000), ("CPU", "cpu", 1000))])
    table("Where those milliseconds go (the first frame is encoded within the fourth)",
          ["stage", "p50", "p99"],
          [[name, f"{percentile(values := [c.stages[name] for c in ours], 0.5):.0f}",
            f"{percentile(values, 0.99):.0f}"] for name in ours[0].stages])
