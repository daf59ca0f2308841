"""Measurement 5: one source on many machines. The machine at hand has few cores:
the orchestration is measured with shards whose work is waiting, and the real
encoder with two workers of one slot against one ffmpeg."""

import os

import sources
from fleet import Fleet
from harness import Cost, empty_directory, load, median, ratios, rounds, run_commands, spread, table
from node import seconds_of
from workflow import FFMPEG, psnr, video_bytes, Source

PACE = 1.0  # seconds of waiting for a second of source, as an encoder at real time
GOP = 2      # seconds from key frame to key frame of the source: where it may be cut
CRF = 23


def definition(name, width, height, fps, gop):
    return {"WorkflowName": name,
            "Trigger": {"Type": "CosFileUpload", "CosFileUploadTrigger":
                        {"Bucket": "media", "Region": "local", "Dir": f"/{name}/"}},
            "OutputDir": f"/out/{name}/",
            "MediaProcessTask": {"TranscodeTaskSet": [{"Definition": 0, "RawParameter": {
                "Container": "mp4", "RemoveVideo": 0, "RemoveAudio": 1,
                "VideoTemplate": {"Codec": "h264", "Fps": fps, "Bitrate": 0, "Width": width,
                                  "Height": height, "Vcrf": CRF, "Gop": gop, "GopUnit": "frame",
                                  "ResolutionAdaptive": "close", "EncoderPreset": "veryfast"}}}]}}


# ---- waiting ---------------------------------------------------------------------


def waiting(options, say):
    length, counts = (60, (1, 4)) if options.quick else (600, (1, 2, 4, 8, 16))
    pace = 0.1 if options.quick else PACE
    counts = options.workers or counts
    fps = 5
    # A still: each second has as many bytes as it has to wait, as the planner expects.
    clip = sources.small(options.cache, length, fps, 64, 36, GOP, "smptebars")
    rows = []
    for count in counts:
        with Fleet(os.path.join(options.work, f"waiting{count}"), options.bin_dir, paced=True) as fleet:
            fleet.coordinator.create_workflow(definition("w", 0, 0, fps, 2 * fps))
            fleet.grow_to(count)
            dropped = fleet.coordinator.drop(clip, f"w/pace-{pace}.mp4")
            run = fleet.coordinator.wait(f"w/pace-{pace}.mp4")
        decode = [a for s in run["Shards"] if s["Role"] in ("decode", "whole")
                  for a in s["Attempts"] if not a["Failure"]]  # one worker: one piece
        wall = seconds_of(run["Run"]["Finished"]) - dropped
        parallel = max(seconds_of(a["Finished"]) for a in decode) - min(seconds_of(a["Started"]) for a in decode)
        ideal = length * pace / count
        rows.append([count, len(decode), f"{ideal:.1f}", f"{parallel:.1f}", f"{wall:.1f}",
                     f"{length * pace / parallel:.2f}", f"{length * pace / wall:.2f}",
                     f"{ideal / wall:.3f}"])
        say(f"{count} workers: {wall:.1f} s, ideal {ideal:.1f} s, load {load()}")
    table(f"{length} s of source, {pace} s of waiting for each, seconds (load {load()}; goal: "
          "efficiency ≥ 0.95 with 16; ideal = waiting / workers, no probe, join or start)",
          ["workers", "decoding shards", "ideal", "first lease → last result", "drop → published",
           "speed-up of that", "speed-up of the whole", "efficiency of the whole"], rows)


# ---- encoding --------------------------------------------------------------------


def ours(fleet, source, name):
    def run(i):
        key = f"{name}/r{i}.mp4"
        begin = fleet.coordinator.drop(source.path, key)
        done = fleet.coordinator.wait(key)
        cost = Cost(seconds_of(done["Run"]["Finished"]) - begin,
                    sum(a["CpuSeconds"] for s in done["Shards"] for a in s["Attempts"]))
        cost.file = os.path.join(fleet.coordinator.media, f"out/{name}/r{i}_transcode_0.mp4")
        return cost
    return run


def one_ffmpeg(source, directory, width, height):
    def run(_):
        cost = run_commands([[*FFMPEG, "-i", source.path, "-an", "-vf", f"scale={width}:{height},fps={source.fps}",
                              "-c:v", "libx264", "-preset", "veryfast", "-crf", str(CRF), "-g", str(source.gop),
                              "-sc_threshold", "0", "-movflags", "+faststart", "out.mp4"]],
                            empty_directory(directory))
        cost.file = os.path.join(directory, "out.mp4")
        return cost
    return run


def encoding(options, say):
    length, size = (20, (640, 360)) if options.quick else (60, (1920, 1080))
    width, height = (320, 180) if options.quick else (1280, 720)
    source = Source(f"scenes {size[1]}p {length} s", sources.scenes(options.cache, length, *size))
    with Fleet(os.path.join(options.work, "encoding"), options.bin_dir) as fleet:
        fleet.coordinator.create_workflow(definition("e", width, height, source.fps, source.gop))
        fleet.grow_to(2)
        results = rounds({"two workers": ours(fleet, source, "e"),
                          "ffmpeg": one_ffmpeg(source, os.path.join(options.work, "one"), width, height)},
                         options.rounds, say)
        walls = {name: [c.wall for c in costs] for name, costs in results.items()}
        cpu = {name: spread([c.cpu for c in costs], 1) for name, costs in results.items()}
        speed = ratios(walls["ffmpeg"], walls["two workers"])
        files = [results[name][-1].file for name in ("two workers", "ffmpeg")]
        (frames_a, bytes_a), (frames_b, bytes_b) = map(video_bytes, files)
        quality = [psnr(f, source, width, height) for f in files]
    table(f"{source.name} → {height}p: two workers of one slot against ffmpeg with its default threads "
          f"(load {load()})",
          ["ffmpeg wall / ours", "goal", "met", "ours s", "ffmpeg s", "CPU s",
           "frames", "video bytes", "PSNR"],
          [[spread(speed), "≥ 1.25", "yes" if median(speed) >= 1.25 else "**no**",
            spread(walls["two workers"], 1), spread(walls["ffmpeg"], 1),
            f"{cpu['two workers']} / {cpu['ffmpeg']}", f"{frames_a} / {frames_b}",
            f"{100 * (bytes_a / bytes_b - 1):+.2f} %", f"{quality[0]:.2f} / {quality[1]:.2f} dB"]])


def measure(options, say):
    waiting(options, say)
    encoding(options, say)
