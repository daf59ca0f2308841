"""Measurement: messages a second that are durable, through the embedded queue, against
Redis streams that sync each write and RabbitMQ with publisher confirms."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from harness import empty_directory, load, median, ratios, rounds, spread, table

MESSAGES = 100_000
BYTES = 400
WINDOWS = (1, 256)
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.05)
    return False


def _is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Redis:
    """A server on a socket of its own that syncs before it answers."""

    def __init__(self, work):
        self.available = shutil.which("redis-server") is not None
        self.directory = tempfile.mkdtemp(prefix="redis-", dir=work)
        self.socket = os.path.join(self.directory, "socket")

    def __enter__(self):
        if self.available:
            self.server = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.directory,
                 "--appendonly", "yes", "--appendfsync", "always", "--save", ""],
                stdout=subprocess.DEVNULL)
            self.available = _wait_for(lambda: os.path.exists(self.socket))
        return self

    def __exit__(self, *_):
        if hasattr(self, "server"):
            self.server.terminate()
            self.server.wait(10)
        shutil.rmtree(self.directory)


class RabbitMQ:
    """A server with all it writes in a directory of its own, and an epmd of its own."""

    def __init__(self, work, wanted=True):
        self.available = wanted and os.path.exists(RABBITMQ)
        self.directory = tempfile.mkdtemp(prefix="rabbitmq-", dir=work)
        self.port, self.dist, self.epmd_port = (_free_port() for _ in range(3))
        self.processes = []

    def _environment(self):
        d = self.directory
        return os.environ | {
            "HOME": d, "RABBITMQ_NODENAME": f"b{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": f"{d}/rabbitmq", "RABBITMQ_MNESIA_BASE": f"{d}/mnesia",
            "RABBITMQ_LOG_BASE": f"{d}/log", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{d}/plugins",
            "RABBITMQ_PID_FILE": f"{d}/pid", "RABBITMQ_DIST_PORT": str(self.dist),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1} -setcookie bench"}

    def __enter__(self):
        if not self.available:
            return self
        with open(f"{self.directory}/rabbitmq.conf", "w") as f:
            f.write(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                    "disk_free_limit.absolute = 50MB\nlog.file.level = warning\n")
        with open(f"{self.directory}/plugins", "w") as f:
            f.write("[].\n")
        self.processes.append(subprocess.Popen(
            ["epmd", "-address", "127.0.0.1", "-port", str(self.epmd_port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.processes.append(subprocess.Popen(
            [RABBITMQ], env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True))
        self.available = _wait_for(lambda: _is_open(self.port), 90)
        return self

    def __exit__(self, *_):
        for i, process in reversed(list(enumerate(self.processes))):
            if i == 1:
                os.killpg(process.pid, signal.SIGTERM)  # the session that was started for it
            else:
                process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Daemon:
    """framemilld on a directory of its own, for what comes by HTTP."""

    def __init__(self, options):
        self.program = os.path.join(options.bin_dir, "framemilld")
        self.data = empty_directory(os.path.join(options.work, "queue-daemon"))

    def __enter__(self):
        self.process = subprocess.Popen([self.program, "--data-dir", self.data, "--api-listen", "127.0.0.1:0"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        place = os.path.join(self.data, "endpoint")
        if not _wait_for(lambda: os.path.exists(place) and open(place).read().strip() and
                         _is_open(int(open(place).read().strip().rpartition(":")[2]))):
            raise RuntimeError("framemilld did not start")
        with open(place) as f:
            self.endpoint = f.read().strip()
        with open(os.path.join(self.data, "credentials.json")) as f:
            self.keys = json.load(f)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def _run(options, messages, window, *words):
    out = subprocess.check_output(
        [os.path.join(options.bin_dir, "queue_bench"), words[0], "--messages", str(messages),
         "--bytes", str(BYTES), "--window", str(window), *words[1:]], text=True)
    return json.loads(out)


def _own(options, messages, window):
    return _run(options, messages, window, "framemill", "--directory",
                empty_directory(os.path.join(options.work, "queue")))


def _measure_window(options, window, redis, rabbitmq, daemon, say):
    messages = MESSAGES // (100 if options.quick else 1) // (20 if window == 1 else 1)
    ways = {"framemill, in process": lambda _: _own(options, messages, window)}
    sqs = lambda batch, connections: _run(
        options, messages // (1 if batch > 1 else 5), window, "sqs", "--endpoint", daemon.endpoint,
        "--secret-id", daemon.keys["SecretId"], "--secret-key", daemon.keys["SecretKey"],
        "--batch", str(batch), "--connections", str(connections))
    if window > 1:
        ways["framemill, SQS over HTTP, batches of 10"] = lambda _: sqs(10, window // 10)
        ways["framemill, SQS over HTTP, one by one"] = lambda _: sqs(1, 64)
    if redis.available:
        ways["Redis stream, AOF always"] = lambda _: _run(
            options, messages, window, "redis", "--socket", redis.socket)
    if rabbitmq.available:
        ways["RabbitMQ, confirms"] = lambda _: _run(
            options, messages, window, "rabbitmq", "--port", str(rabbitmq.port))
    _report(window, rounds(ways, options.rounds, say))


def _report(window, results):
    of = lambda way, what: [r[what] for r in results[way]]
    own = "framemill, in process"
    rows = []
    for way in results:
        received = median(of(way, "received_per_second"))
        rows.append([way, f"{median(of(way, 'per_second')):,.0f}", f"{median(of(way, 'p50_ms')):.2f}",
                     f"{median(of(way, 'p99_ms')):.2f}", f"{received:,.0f}" if received else "–",
                     "1" if way == own else spread(ratios(of(own, "per_second"), of(way, "per_second")))])
    table(f"Durable messages of {BYTES} bytes, {window} unanswered at a time (load {load()})",
          ["", "sent/s", "p50 ms", "p99 ms", "received and deleted/s", "in process / its"], rows)


def measure(options, say):
    if not os.path.exists(os.path.join(options.bin_dir, "queue_bench")):
        return say("queue_bench is not built: queues not measured")
    with Redis(options.work) as redis, RabbitMQ(options.work, not options.quick) as rabbitmq, \
            Daemon(options) as daemon:
        for name, peer in (("Redis", redis), ("RabbitMQ", rabbitmq)):
            if not peer.available and not options.quick:
                say(f"{name} is not to be had: not compared")
        for window in WINDOWS:
            _measure_window(options, window, redis, rabbitmq, daemon, say)
