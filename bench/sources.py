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
    part = path.replace(".mp4", ".part.mp4")
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


def small(cache, seconds, fps, width=320, height=180):
    """A tiny picture for a long time."""
    return _make(os.path.join(cache, f"small-{height}p{fps}-{seconds}s.mp4"), [
        "-f", "lavfi", "-t", str(seconds), "-i", f"testsrc2=s={width}x{height}:r={fps}",
        "-f", "lavfi", "-t", str(seconds), "-i", "sine=f=330:r=48000",
        "-c:v", "libx264", "-preset", "ultrafast", "-g", str(10 * fps), "-c:a", "aac", "-b:a", "32k"])


def bunny(cache, seconds=60):
    """Big Buck Bunny (c) 2008 Blender Foundation, CC-BY-3.0, looped; None where the
    clip is not to be had."""
    clips = os.environ.get("FRAMEMILL_CLIPS", os.path.join(HERE, "../../shared/media"))
    clip = os.path.join(clips, "video/bbb_1080p_30s.mp4")
    if not os.path.exists(clip):
        return None
    return _make(os.path.join(cache, f"bunny-{seconds}s.mp4"),
                 ["-stream_loop", "-1", "-i", clip, "-t", str(seconds), "-c", "copy", "-movflags", "+faststart"])
