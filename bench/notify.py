"""Measurement: from a transition to the receiver of its notification."""

import http.server
import os
import threading
import time

import sources
from harness import load, percentile, table
from node import OURS, Node, seconds_of
from overhead import definition


class Receiver(http.server.ThreadingHTTPServer):
    """Notes when the first byte of each event was there."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        now = time.time()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.setdefault(int(self.headers["Framemill-Event-Id"]), now)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def happened(node, first):
    """Id → time of all events after one."""
    out, after = {}, first
    while True:
        page = node.call("DescribeEvents", OURS, After=after, Limit=1000)
        out |= {e["Id"]: seconds_of(e["Time"]) for e in page["Events"]}
        if not page["Next"]:
            return out
        after = page["Next"]


def tell(node, receiver, clip, count, together):
    """Milliseconds of each notification of so many runs."""
    begin = max(happened(node, 0), default=0)
    name = "together" if together else "alone"
    wanted = definition(name, 320, 180)
    wanted["TaskNotifyConfig"] = {"NotifyType": "URL", "NotifyMode": "Change",
                                  "NotifyUrl": receiver.url}
    node.create_workflow(wanted)
    time.sleep(0.2)
    keys = [f"{name}/c{i}.mp4" for i in range(count)]
    for key in keys:
        node.drop(clip, key)
        if not together:
            node.wait(key)
    for key in keys:
        node.wait(key)
    deadline = time.monotonic() + 30
    times = happened(node, begin)
    ours = lambda: [i for i in times if i in receiver.heard]
    while len(ours()) < 3 * count and time.monotonic() < deadline:
        time.sleep(0.05)
    if len(ours()) < 3 * count:
        raise RuntimeError(f"{len(ours())} of {3 * count} notifications arrived")
    return [1000 * (receiver.heard[i] - times[i]) for i in ours()]


def measure(options, say):
    count = 5 if options.quick else 60
    clip = sources.scenes(options.cache, 1, 320, 180)
    receiver = Receiver()
    with Node(os.path.join(options.work, "notify"), options.bin_dir,
              ("--egress-allow", "127.0.0.0/8")) as node:
        alone = tell(node, receiver, clip, count, together=False)
        say(f"alone: load {load()}")
        together = tell(node, receiver, clip, count, together=True)
    row = lambda what, v: [what, len(v), f"{percentile(v, 0.5):.1f}", f"{percentile(v, 0.99):.1f}"]
    table(f"Transition → HTTP receiver, milliseconds (NotifyMode Change, load {load()})",
          ["runs", "notifications", "p50", "p99"],
          [row("one after the other", alone), row(f"{count} at once", together)])
