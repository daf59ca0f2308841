"""A cluster of our own to measure: a coordinator and workers of one slot each,
all on this machine."""

import os
import signal
import socket
import subprocess
import time

from node import OURS, Node, seconds_of


def free_ports():
    """The first of three free ports in a row: a coordinator's next life listens
    where the last one did."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                for n in (1, 2):
                    with socket.socket() as s:
                        s.bind(("127.0.0.1", port + n))
            except (OSError, OverflowError):
                continue
            return port


class Worker:
    def __init__(self, fleet, name):
        self.fleet, self.name = fleet, name
        self.data = os.path.join(fleet.coordinator.directory, name)
        self.process = None

    def start(self):
        """The first time with a token, later with nothing."""
        join = [] if os.path.exists(self.data) else ["--join", self.fleet.endpoint("enrolment"),
                                                     "--token", self.fleet.token()]
        with open(self.data + ".log", "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.fleet.coordinator.bin_dir, "framemilld"), *self.fleet.config,
                 "--role", "worker", "--name", self.name, "--slots", "1", "--data-dir", self.data,
                 *join], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Fleet:
    """With `paced`, decoding takes as long as the source's name says
    (paced_media.cpp)."""

    def __init__(self, directory, bin_dir, paced=False):
        os.makedirs(directory, exist_ok=True)
        self.config = []
        if paced:
            self.config = ["--config", directory + ".toml"]
            with open(directory + ".toml", "w") as f:
                f.write(f'media_program = "{bin_dir}/paced_media"\nsettle_seconds = 0.5\n')
        self.coordinator = Node(directory, bin_dir, [
            *self.config, "--role", "coordinator,gateway", "--cluster-listen",
            f"127.0.0.1:{free_ports()}"])
        self.workers = {}

    def __enter__(self):
        self.coordinator.__enter__()
        return self

    def __exit__(self, *how):
        for w in self.workers.values():
            w.stop()
        self.coordinator.__exit__(*how)

    def restart_coordinator(self):
        """SIGKILL, and a new life on the same data."""
        self.coordinator.process.kill()
        self.coordinator.process.wait(10)
        self.coordinator.log.close()
        try:
            os.remove(os.path.join(self.coordinator.data, "endpoint"))
        except FileNotFoundError:
            pass
        self.coordinator.__enter__()

    def endpoint(self, plane):
        with open(os.path.join(self.coordinator.data, "cluster-endpoint")) as f:
            return dict(line.split() for line in f)[plane]

    def token(self):
        return self.coordinator.call("CreateJoinToken", OURS, Uses=1, TtlSeconds=600)["Token"]

    def grow_to(self, count):
        for i in range(len(self.workers), count):
            name = f"w{i + 1}"
            self.workers[name] = Worker(self, name)
            self.workers[name].start()
        self.await_up(self.workers)

    def await_up(self, names, seconds=60):
        deadline = time.monotonic() + seconds
        while not set(names) <= (up := {n["Name"] for n in self.coordinator.call("DescribeNodes", OURS)["Nodes"]
                                        if n["Presence"] == "up"}):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{set(names) - up} do not come")
            time.sleep(0.02)

    def decoding(self, key):
        """(run, {node: shard}) of the shards of an object that are being decoded."""
        runs = self.coordinator.call("DescribeRuns", OURS, Bucket="media", KeyPrefix=key, Limit=1)["Runs"]
        if not runs:
            return None, {}
        run = self.coordinator.call("DescribeRun", OURS, RunId=runs[0]["Id"])
        return runs[0]["Id"], {s["Attempts"][-1]["Node"]: s["Id"]["Index"] for s in run["Shards"]
                               if s["Role"] == "decode" and s["State"] == "leased"}

    def await_decoding(self, key, count, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            run, found = self.decoding(key)
            if len(found) >= count:
                return run, found
            time.sleep(0.02)
        raise RuntimeError(f"{key}: {count} shards are not being decoded")


def starts_after(run, moment):
    """[(when, node, shard)] of the attempts that began after a moment, in order."""
    return sorted((seconds_of(a["Started"]), a["Node"], s["Id"]["Index"])
                  for s in run["Shards"] for a in s["Attempts"] if seconds_of(a["Started"]) > moment)
