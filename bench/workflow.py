"""Measurement 1: {720p, 360p, 10 snapshots, sprite, animated GIF} of one source,
dropped into a bucket, against ffmpeg doing the same. And the longer list that the
goal of 2.2 against separate commands was taken from: besides, an animated WebP
and HLS in 720p, 480p and 360p."""

import json
import os
import re
import subprocess

import sources
from harness import Cost, empty_directory, ratios, median, rounds, run_commands, spread, table
from node import Node, seconds_of

FFMPEG = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
CRF, AUDIO_KBPS = 23, 128
SIZES = [(1280, 720), (640, 360)]
GIF_SECONDS, GIF_FPS, GIF_WIDTH = 5, 10, 480
TILE = (142, 80)
LADDER, HLS_SECONDS = [(1280, 720), (852, 480), (640, 360)], 6


class Source:
    def __init__(self, name, path):
        probe = json.loads(subprocess.check_output(
            ["ffprobe", "-v", "error", "-of", "json", "-show_entries",
             "stream=codec_type,r_frame_rate:format=duration", path]))
        rate = next(s["r_frame_rate"] for s in probe["streams"] if s["codec_type"] == "video")
        self.name, self.path = name, path
        self.fps = round(int(rate.split("/")[0]) / int(rate.split("/")[1]))
        self.seconds = float(probe["format"]["duration"])
        self.gop = 2 * self.fps
        whole = int(self.seconds)
        self.times = [round((i + 0.5) * whole / 10, 3) for i in range(10)]
        self.frames = [int(t * self.fps + 1e-6) for t in self.times]
        self.gif_start = whole // 3
        self.gif_seconds = min(GIF_SECONDS, whole / 3)
        self.tile_seconds = max(1, whole // 30)


# ---- ours ------------------------------------------------------------------------


def definition(node, source, name, longer=False):
    """The workflow with ffmpeg's settings in RawParameter."""
    def transcode(width, height, container="mp4"):
        return {"Definition": 0, "RawParameter": {
            "Container": container, "RemoveVideo": 0, "RemoveAudio": 0,
            "VideoTemplate": {"Codec": "h264", "Fps": source.fps, "Bitrate": 0, "Width": width,
                              "Height": height, "Vcrf": CRF, "Gop": source.gop, "GopUnit": "frame",
                              "ResolutionAdaptive": "close", "EncoderPreset": "veryfast"},
            "AudioTemplate": {"Codec": "aac", "Bitrate": AUDIO_KBPS, "SampleRate": 48000,
                              "AudioChannel": 2}}}
    def animation(kind):
        made = node.call("CreateAnimatedGraphicsTemplate", Fps=GIF_FPS, Width=GIF_WIDTH, Height=0,
                         ResolutionAdaptive="close", Format=kind)["Definition"]
        return {"Definition": made, "StartTimeOffset": source.gif_start,
                "EndTimeOffset": source.gif_start + source.gif_seconds}
    hls = [transcode(*size, "hls") | {
        "OutputObjectPath": f"{{inputName}}_{size[1]}.{{format}}",
        "SegmentObjectName": f"{{inputName}}_{size[1]}_{{number}}.{{format}}"}
        for size in LADDER * longer]
    sprite = node.call("CreateImageSpriteTemplate", SampleType="Time",
                       SampleInterval=source.tile_seconds, RowCount=5, ColumnCount=6,
                       Width=TILE[0], Height=TILE[1], FillType="stretch", Format="jpg")["Definition"]
    return {
        "WorkflowName": name,
        "Trigger": {"Type": "CosFileUpload", "CosFileUploadTrigger":
                    {"Bucket": "media", "Region": "local", "Dir": f"/{name}/"}},
        "OutputDir": f"/out/{name}/",
        "MediaProcessTask": {
            "TranscodeTaskSet": [transcode(*s) | {"OutputObjectPath": f"{{inputName}}_{s[1]}p.{{format}}"}
                                 for s in SIZES] + hls,
            "SnapshotByTimeOffsetTaskSet": [{"Definition": 10,
                                             "ExtTimeOffsetSet": [f"{t}s" for t in source.times]}],
            "ImageSpriteTaskSet": [{"Definition": sprite}],
            "AnimatedGraphicTaskSet": [animation(k) for k in ["gif", "webp"][:1 + longer]]}}


def our_way(node, source, name):
    def run(i):
        key = f"{name}/r{i}.mp4"
        cpu = node.tree.cpu_seconds()
        begin = node.drop(source.path, key)
        done = node.wait(key)
        cost = Cost(seconds_of(done["Run"]["Finished"]) - begin, node.tree.cpu_seconds() - cpu)
        cost.run, cost.dropped = done, begin
        cost.files = [os.path.join(node.media, f"out/{name}/r{i}_{h}p.mp4") for _, h in SIZES]
        return cost
    return run


# ---- ffmpeg ------------------------------------------------------------------------


def encoder(source):
    return ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(CRF), "-g", str(source.gop),
            "-sc_threshold", "0"]


AUDIO = ["-c:a", "aac", "-b:a", f"{AUDIO_KBPS}k", "-ac", "2", "-ar", "48000"]
PALETTE = ("split[x][y];[x]palettegen=stats_mode=full:reserve_transparent=0[p];"
           "[y][p]paletteuse=dither=sierra2_4a:diff_mode=rectangle")


WEBP = ["-c:v", "libwebp_anim", "-quality", "75", "-loop", "0"]
HLS = ["hls_time=" + str(HLS_SECONDS), "hls_playlist_type=vod", "hls_list_size=0"]


def hls_outputs(select):
    """One slave of `tee` for each size; `select` tells which streams it takes."""
    return [":".join([f"[f=hls:select=\\'{select(h)}\\'", *HLS,
                      f"hls_segment_filename=hls{h}_%d.ts]hls{h}.m3u8"]) for _, h in LADDER]


def one_command(source, longer=False):
    """Hand-tuned: one decode, one encode of each size, one audio encode, shared by
    `tee`."""
    sizes = LADDER if longer else SIZES
    shots = "+".join(f"eq(n\\,{n})" for n in source.frames)
    gif_end = source.gif_start + source.gif_seconds
    names = [f"s{h}" for _, h in sizes]
    graph = (
        f"[0:v]split={len(sizes) + 3}[{']['.join(names)}][c][d][e];"
        + "".join(f"[{n}]scale={w}:{h},fps={source.fps}[v{h}];" for n, (w, h) in zip(names, sizes))
        + f"[c]select={shots}[shots];"
        + f"[d]select=not(mod(n\\,{source.tile_seconds * source.fps})),scale={TILE[0]}:{TILE[1]},"
        + "tile=6x5[sprite];"
        + f"[e]trim={source.gif_start}:{gif_end},setpts=PTS-STARTPTS,fps={GIF_FPS},"
        + f"scale={GIF_WIDTH}:-2,{'split[e1][webp];[e1]' * longer}{PALETTE}[gif]")
    number = {h: i for i, (_, h) in enumerate(sizes)}
    tee = [f"[select=\\'v:{number[h]},a\\':movflags=+faststart]{h}p.mp4" for _, h in SIZES]
    if longer:
        tee += hls_outputs(lambda h: f"v:{number[h]},a")
    return [[*FFMPEG, "-i", source.path, "-filter_complex", graph,
             *(x for _, h in sizes for x in ("-map", f"[v{h}]")), "-map", "0:a",
             *encoder(source), *AUDIO,
             "-flags", "+global_header", "-f", "tee", "|".join(tee),
             "-map", "[shots]", "-vsync", "0", "-q:v", "3", "shot%02d.jpg",
             "-map", "[sprite]", "-q:v", "3", "-frames:v", "1", "sprite.jpg",
             *(["-map", "[webp]", *WEBP, "out.webp"] * longer),
             "-map", "[gif]", "out.gif"]]


def separate_commands(source, longer=False):
    """As scripts have it: a command for each output, pictures by fast seeking."""
    scaled = lambda w, h: ["-vf", f"scale={w}:{h},fps={source.fps}", *encoder(source), *AUDIO]
    out = [[*FFMPEG, "-i", source.path, *scaled(w, h), "-movflags", "+faststart", f"{h}p.mp4"]
           for w, h in SIZES]
    out += [[*FFMPEG, "-i", source.path, *scaled(w, h), "-f", "hls",
             *(x for o in HLS for x in ("-" + o.split("=")[0], o.split("=")[1])),
             "-hls_segment_filename", f"hls{h}_%d.ts", f"hls{h}.m3u8"] for w, h in LADDER * longer]
    out += [[*FFMPEG, "-ss", str(t), "-i", source.path, "-frames:v", "1", "-q:v", "3",
             f"shot{i:02d}.jpg"] for i, t in enumerate(source.times)]
    out.append([*FFMPEG, "-i", source.path, "-vf",
                f"fps=1/{source.tile_seconds},scale={TILE[0]}:{TILE[1]},tile=6x5",
                "-q:v", "3", "-frames:v", "1", "sprite.jpg"])
    part = ["-ss", str(source.gif_start), "-t", str(source.gif_seconds), "-i", source.path]
    out.append([*FFMPEG, *part, "-filter_complex",
                f"fps={GIF_FPS},scale={GIF_WIDTH}:-2,{PALETTE}", "out.gif"])
    if longer:
        out.append([*FFMPEG, *part, "-vf", f"fps={GIF_FPS},scale={GIF_WIDTH}:-2", "-an", *WEBP,
                    "out.webp"])
    return out


def their_way(commands, source, directory, longer):
    def run(_):
        cost = run_commands(commands(source, longer), empty_directory(directory))
        cost.files = [os.path.join(directory, f"{h}p.mp4") for _, h in SIZES]
        return cost
    return run


# ---- the same result? ----------------------------------------------------------------


def video_bytes(path):
    sizes = subprocess.check_output(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries",
                                     "packet=size", "-of", "csv=p=0", path], text=True)
    sizes = [int(x.strip(",")) for x in sizes.split()]
    return len(sizes), sum(sizes)


def psnr(path, source, width, height):
    """Against the source scaled with ffmpeg's defaults, frame by frame."""
    text = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "info", "-i", path, "-i", source.path, "-lavfi",
         f"[1:v]scale={width}:{height},fps={source.fps}[r];[0:v][r]psnr", "-an", "-f", "null", "-"],
        check=True, capture_output=True, text=True).stderr
    return float(re.search(r"PSNR .*average:([\d.]+)", text).group(1))


def compare(title, source, ours, theirs):
    """Tells whether both ways made the same; ratios of unequal work mean nothing."""
    rows = []
    for (w, h), a, b in zip(SIZES, ours, theirs):
        (frames_a, bytes_a), (frames_b, bytes_b) = video_bytes(a), video_bytes(b)
        quality_a, quality_b = psnr(a, source, w, h), psnr(b, source, w, h)
        equal = frames_a == frames_b and abs(bytes_a / bytes_b - 1) <= 0.02 and quality_a >= quality_b - 0.1
        rows.append([f"{h}p", f"{frames_a} / {frames_b}", f"{100 * (bytes_a / bytes_b - 1):+.2f} %",
                     f"{quality_a:.2f} / {quality_b:.2f} dB", "yes" if equal else "**no**"])
    table(f"{title}: is it the same? (ours / (a); equal = frames, bytes within 2 %, PSNR within 0.1 dB)",
          ["output", "frames", "video bytes", "PSNR", "equal"], rows)


def report(title, results):
    ours = results["ours"]
    row = lambda what, mine, other, goal: [
        what, spread(mine := ratios(mine, other)), goal[0], "yes" if goal[1](median(mine)) else "**no**"]
    of = lambda costs, what: [getattr(c, what) for c in costs]
    at_most, at_least = lambda x: (f"≤ {x}", lambda v: v <= x), lambda x: (f"≥ {x}", lambda v: v >= x)
    rows = []
    if one := results.get("one command (a)"):
        rows += [row("wall / (a)", of(ours, "wall"), of(one, "wall"), at_most(0.95)),
                 row("CPU / (a)", of(ours, "cpu"), of(one, "cpu"), at_most(0.95))]
    if many := results.get("separate commands (b)"):
        rows += [row("(b) wall / ours", of(many, "wall"), of(ours, "wall"), at_least(2.2)),
                 row("(b) CPU / ours", of(many, "cpu"), of(ours, "cpu"), at_least(2.0))]
    table(f"{title}: drop → all published, per-round ratios, median (min–max)",
          ["ratio", "measured", "goal", "met"], rows)
    table(f"{title}: seconds", ["way", "wall s", "CPU s"],
          [[name, spread(of(costs, "wall"), 1), spread(of(costs, "cpu"), 1)]
           for name, costs in results.items()])
    shards = {}
    for s in ours[-1].run["Shards"]:
        last = s["Attempts"][-1]
        count, cpu = shards.get(s["Role"], (0, 0))
        shards[s["Role"]] = count + 1, cpu + last["CpuSeconds"]
    table(f"{title}: where ours goes (last round; CPU seconds the children counted themselves)",
          ["shards", "number", "CPU s"], [[r, n, f"{c:.2f}"] for r, (n, c) in shards.items()])
    table(f"{title}: when ours was at what (last round; seconds from the drop)",
          ["what", "begins", "ends", "took", "CPU s", "source s"], timeline(ours[-1]))


def timeline(cost):
    """Each attempt in order of its begin, and how long each number of them was at work."""
    at = lambda iso: seconds_of(iso) - cost.dropped
    attempts = sorted((at(a["Started"]), at(a["Finished"]), s, a)
                      for s in cost.run["Shards"] for a in s["Attempts"])
    source = lambda a: (a["LastWatermark"] or {}).get("SourceSeconds", 0)
    rows = [[f"{s['Role']} {s['Id']['Index']}", f"{b:.2f}", f"{e:.2f}", f"{e - b:.2f}",
             f"{a['CpuSeconds']:.2f}", f"{source(a):.1f}"] for b, e, s, a in attempts]
    times = sorted({0.0, cost.wall, *(t for b, e, *_ in attempts for t in (b, e))})
    at_work = {}
    for begin, end in zip(times, times[1:]):
        count = sum(b <= begin and end <= e for b, e, *_ in attempts)
        at_work[count] = at_work.get(count, 0) + end - begin
    return rows + [[f"{n} at work", "", "", f"{t:.2f}", "", ""] for n, t in sorted(at_work.items())]


def measure(options, say):
    length = 4 if options.quick else 60
    size = (1280, 720) if options.quick else (1920, 1080)
    found = [Source(f"scenes {size[1]}p {length} s", sources.scenes(options.cache, length, *size))]
    clip = None if options.quick else sources.bunny(options.cache, length)
    if clip:
        found.append(Source(f"bunny 1080p {length} s", clip))
    elif not options.quick:
        say("the clip bbb_1080p_30s.mp4 is not here: generated scenes only")
    with Node(os.path.join(options.work, "workflow"), options.bin_dir) as node:
        for number, (source, longer) in enumerate((s, l) for l in (False, True) for s in found):
            name = f"w{number}"
            title = source.name + ", with WebP and HLS" * longer
            if not re.search(options.case, title):
                continue
            say(title)
            node.create_workflow(definition(node, source, name, longer))
            ways = {"ours": our_way(node, source, name)}
            if "a" not in options.without:
                ways["one command (a)"] = their_way(one_command, source,
                                                    os.path.join(options.work, "one"), longer)
            if "b" not in options.without:
                ways["separate commands (b)"] = their_way(separate_commands, source,
                                                          os.path.join(options.work, "many"), longer)
            results = rounds(ways, options.rounds, say)
            report(title, results)
            if "a" not in options.without:
                compare(title, source, results["ours"][-1].files, results["one command (a)"][-1].files)
