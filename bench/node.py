"""A node of our own to measure: started on an empty data directory, driven
through its API and its buckets as a user would."""

import calendar
import hashlib
import hmac
import http.client
import json
import os
import signal
import subprocess
import time

from harness import Tree, empty_directory

MPS = "2019-06-12"
OURS = "2026-11-01"


def seconds_of(iso):
    """`2019-07-16T06:21:27.000123Z` as Unix time."""
    whole, _, fraction = iso.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def _sign(secret_id, secret_key, method, path, query, content_type, host, body):
    """Headers of a TC3-HMAC-SHA256 request (docs/api.md)."""
    now = int(time.time())
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    digest = lambda text: hashlib.sha256(text.encode()).hexdigest()
    mac = lambda key, text: hmac.new(key, text.encode(), hashlib.sha256).digest()
    request = "\n".join([method, path, query, f"content-type:{content_type}\nhost:{host}\n",
                         "content-type;host", digest(body)])
    scope = f"{date}/mps/tc3_request"
    to_sign = f"TC3-HMAC-SHA256\n{now}\n{scope}\n{digest(request)}"
    key = mac(mac(mac(("TC3" + secret_key).encode(), date), "mps"), "tc3_request")
    return {"Host": host, "Content-Type": content_type, "X-TC-Timestamp": str(now),
            "Authorization": f"TC3-HMAC-SHA256 Credential={secret_id}/{scope}, "
                             f"SignedHeaders=content-type;host, Signature={mac(key, to_sign).hex()}"}


class Node:
    def __init__(self, directory, bin_dir, arguments=()):
        self.directory = empty_directory(directory)
        self.bin_dir = bin_dir
        self.arguments = arguments
        self.data = os.path.join(directory, "data")
        self.media = os.path.join(directory, "media")
        self.staging = os.path.join(directory, "staging")
        os.makedirs(self.media)
        os.makedirs(self.staging)

    def __enter__(self):
        """Starts it; also again, after its end."""
        self.log = open(os.path.join(self.directory, "framemilld.log"), "w+b")
        self.process = subprocess.Popen(
            [os.path.join(self.bin_dir, "framemilld"), "--data-dir", self.data, "--api-listen",
             "127.0.0.1:0", "--bucket", f"media={self.media}", *self.arguments],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.tree = Tree(self.process.pid)
        endpoint = os.path.join(self.data, "endpoint")
        deadline = time.monotonic() + 60
        while not (os.path.exists(endpoint) and b"ready" in self._log_text()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("framemilld did not start:\n" + self._log_text().decode())
            time.sleep(0.02)
        with open(endpoint) as f:
            self.host = f.read().strip()
        with open(os.path.join(self.data, "credentials.json")) as f:
            self.keys = json.load(f)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)  # what is in hand is not waited for
        self.process.wait(30)
        self.log.close()

    def _log_text(self):
        with open(self.log.name, "rb") as f:
            return f.read()

    # ---- asking -----------------------------------------------------------------

    def _request(self, connection, method, path, query, body, headers):
        content_type = "application/json" if method == "POST" else "application/x-www-form-urlencoded"
        signed = _sign(self.keys["SecretId"], self.keys["SecretKey"], method, path, query,
                       content_type, self.host, body)
        connection.request(method, path + ("?" + query if query else ""), body, signed | headers)
        return connection.getresponse()

    def call(self, action, version=MPS, **parameters):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        reply = self._request(connection, "POST", "/", "", json.dumps(parameters),
                              {"X-TC-Action": action, "X-TC-Version": version})
        answer = json.loads(reply.read())["Response"]
        connection.close()
        if "Error" in answer:
            raise RuntimeError(f"{action}: {answer['Error']}")
        return answer

    def progress(self):
        """Opens the event stream; yields (time heard, kind, record)."""
        connection = http.client.HTTPConnection(self.host, timeout=120)
        stream = self._request(connection, "GET", "/events", "progress=1", "", {})
        kind = ""
        for line in stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield time.time(), kind, json.loads(value)

    def cli(self, *arguments, **options):
        done = subprocess.run([os.path.join(self.bin_dir, "framemill"), "--data-dir", self.data,
                               *arguments], capture_output=True, text=True, **options)
        if done.returncode != 0:
            raise RuntimeError(f"framemill {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    # ---- working ----------------------------------------------------------------

    def create_workflow(self, definition):
        """Its trigger directory is made first: the watch on a directory is not there
        yet for a file that comes together with it, and then that file takes two
        seconds to settle."""
        trigger = definition["Trigger"]["CosFileUploadTrigger"]["Dir"]
        os.makedirs(self.media + trigger, exist_ok=True)
        self.cli("workflow", "create", "--file", "-", input=json.dumps(definition))
        number = self.cli("workflow", "list", "--name", definition["WorkflowName"], "--quiet").strip()
        self.cli("workflow", "enable", number)
        return int(number)

    def drop(self, path, key):
        """Renames a file into the bucket, as an uploader does; returns when."""
        staged = os.path.join(self.staging, os.path.basename(key))
        os.link(path, staged)
        now = time.time()
        os.rename(staged, os.path.join(self.media, key))
        return now

    def wait(self, key, seconds=1800):
        """The finished run of an object, whole; RuntimeError when it failed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            runs = self.call("DescribeRuns", OURS, Bucket="media", KeyPrefix=key, Limit=1)["Runs"]
            if runs and runs[0]["State"] in ("succeeded", "failed", "cancelled"):
                run = self.call("DescribeRun", OURS, RunId=runs[0]["Id"])
                if runs[0]["State"] != "succeeded":
                    raise RuntimeError(f"{key}: {run['Run']['Failure']}")
                return run
            time.sleep(0.05)
        raise RuntimeError(f"{key}: not finished within {seconds} s")

    def peak_resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(l.split()[1]) * 1024 for l in f if l.startswith("VmHWM"))
