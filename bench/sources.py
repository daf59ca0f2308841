"""Sources, made once and kept in a cache directory."""

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SCENES = [
    "testsrc2=s={size}:r=30",
    "gradients=s={size}:r=30:n=6:speed=0.03",
    "sierpinski=s={size}:r=30:jump=4",
    "life=s={half}:r=30:mold=10:life_color=#C83232:death_color=#3232C8:ratio=0.2,scale={size}",
    "mandelbrot=s={half}:r=30,scale={size}",
]


def _make(path, arguments):
    if os.path.exists(path):
        return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    stem, kind = os.path.splitext(path)
    part = f"{stem}.part{kind}"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments, part], check=True)
    os.rename(part, path)
    return path


def scenes(cache, seconds, width=1920, height=1080):
    """Five noisy scenes of equal length, 30 fps, GOP 60, ~7 Mb/s at 1080p, AAC."""
    size, half = f"{width}x{height}", f"{width // 2}x{height // 2}"
    inputs, graph = [], ""
    for i, scene in enumerate(SCENES):
        inputs += ["-f", "lavfi", "-t", str(seconds / len(SCENES)), "-i",
                   scene.format(size=size, half=half)]
        graph += f"[{i}]noise=alls=6:allf=t,format=yuv420p,setsar=1[s{i}];"
    graph += "".join(f"[s{i}]" for i in range(len(SCENES))) + f"concat=n={len(SCENES)}[v]"
    kbps = 7300 * width * height // (1920 * 1080)
    return _make(os.path.join(cache, f"scenes-{height}p-{seconds}s.mp4"), [
        *inputs, "-f", "lavfi", "-t", str(seconds), "-i", "sine=f=330:r=48000,aformat=channel_layouts=stereo",
        "-filter_complex", graph, "-map", "[v]", "-map", f"{len(SCENES)}:a",
        "-c:v", "libx264", "-preset", "veryfast", "-b:v", f"{kbps}k", "-g", "60",
        "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart"])


def small(cache, seconds, fps, width=320, height=180, gop=10, picture="testsrc2"):
    """A tiny picture for a long time, with a key frame each `gop` seconds."""
    return _make(os.path.join(cache, f"small-{picture}-{height}p{fps}g{gop}-{seconds}s.mp4"), [
        "-f", "lavfi", "-t", str(seconds), "-i", f"{picture}=s={width}x{height}:r={fps}",
        "-f", "lavfi", "-t", str(seconds), "-i", "sine=f=330:r=48000",
        "-c:v", "libx264", "-preset", "ultrafast", "-g", str(gop * fps), "-c:a", "aac", "-b:a", "32k"])


def real_clip(name):
    """Its path; None where the clips are not to be had."""
    clips = os.environ.get("FRAMEMILL_CLIPS", os.path.join(HERE, "../../shared/media"))
    path = os.path.realpath(os.path.join(clips, name))
    return path if os.path.exists(path) else None


def real_kinds(cache, quick=False):
    """Title → path of real pictures in every kind of stream that shards meet: long, short
    and open GOPs, B-frames, 29.97, frames at odd times, several codecs and containers.
    What no clip has is encoded from one. Quick: the first two that there are."""
    as_they_are = {"H.264 4:4:4, B-frames, 20 fps": "video/cockatoo.mp4",
                   "H.264, frames at odd times": "video/movie-hello.mp4",
                   "VP8 in WebM, 24 fps": "video/ocean.webm",
                   "H.264, B-frames, long GOPs, 1080p": "video/bbb_1080p_30s.mp4",
                   "H.264, wide pixels": "video/balle-jbart.mp4",
                   "VP8, screen, 15 fps": "video/display-dual-monitors.webm"}
    again = {"HEVC, open GOPs, B-frames, 29.97": ("video/paraglide_launch.mp4", "hevc-open.mkv", [
                 "-c:v", "libx265", "-preset", "veryfast", "-crf", "20",
                 "-x265-params", "log-level=error:open-gop=1:keyint=48"]),
             "MPEG-2 in TS, open GOPs, B-frames, 29.97": ("video/paraglide_launch.mp4", "mpeg2-open.ts", [
                 "-c:v", "mpeg2video", "-b:v", "12M", "-g", "15", "-bf", "2"]),
             "H.264, each seventh frame missing": ("video/paraglide_launch.mp4", "h264-vfr.mp4", [
                 "-vf", "select=mod(n\\,7)", "-vsync", "vfr", "-c:v", "libx264", "-preset", "veryfast",
                 "-crf", "18", "-x264-params", "open-gop=1:keyint=60"])}
    found = {title: path for title, name in as_they_are.items() if (path := real_clip(name))}
    if quick:
        return dict(list(found.items())[:2])
    for title, (name, made, encoder) in again.items():
        if clip := real_clip(name):
            found[title] = _make(os.path.join(cache, made), [
                "-stream_loop", "1", "-i", clip, *encoder, "-c:a", "aac"])
    return found


def bunny(cache, seconds=60):
    """Big Buck Bunny (c) 2008 Blender Foundation, CC-BY-3.0, looped; None where the
    clip is not to be had."""
    clip = real_clip("video/bbb_1080p_30s.mp4")
    if not clip:
        return None
    return _make(os.path.join(cache, f"bunny-{seconds}s.mp4"),
                 ["-stream_loop", "-1", "-i", clip, "-t", str(seconds), "-c", "copy", "-movflags", "+faststart"])
