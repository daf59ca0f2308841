"""Measurement 8: what it costs to call a function: warm, cold, and an executable."""

import json
import os
import subprocess
import time

from harness import load, percentile, table
from node import OURS, Node

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
HANDLER = "exports.main_handler = async (event) => ({ seen: event.WorkflowTaskEvent.TaskId });\n"
PROGRAM = "#!/bin/sh\ncat >/dev/null\n"
EVENT = {"EventType": "WorkflowTask", "WorkflowTaskEvent": {"TaskId": "1-WorkflowTask-1", "Notes": "x" * 4000}}


def timed(f):
    begin = time.perf_counter()
    value = f()
    return (time.perf_counter() - begin) * 1000, value


def in_ms(seconds, p):
    return f"{percentile(seconds, p):.2f}"


class Plain:
    """The same handler in the same bootstrap, called over pipes without a sandbox, a
    log or a daemon."""

    def __init__(self, directory):
        # The bootstrap looks for code at /fn/code: a copy looks here.
        with open(f"{ROOT}/notify/functions/bootstrap.js") as f:
            text = f.read().replace("'/fn/code'", json.dumps(directory))
        script = os.path.join(directory, "bootstrap.js")
        with open(script, "w") as f:
            f.write(text)
        answers, write = os.pipe()
        begin = time.perf_counter()
        self.process = subprocess.Popen(["sh", "-c", f'exec 3>&{write}; exec node "$0" index.main_handler', script],
                                        stdin=subprocess.PIPE, pass_fds=[write])
        os.close(write)
        self.answers = os.fdopen(answers, "rb")
        self.answers.readline()
        self.start_ms = (time.perf_counter() - begin) * 1000

    def call(self):
        self.process.stdin.write(json.dumps({"Event": EVENT, "Context": {}}).encode() + b"\n")
        self.process.stdin.flush()
        return self.answers.readline()

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def warm(node, plain, count):
    """Milliseconds by way of the same calls, in turn."""
    ways = {"a function, through the API": [], "an action of the API that only reads": [],
            "the same handler over plain pipes": []}
    inside = []
    node.call("InvokeFunction", OURS, Name="warm", Event=EVENT)
    plain.call()
    for _ in range(count):
        ms, answer = timed(lambda: node.call("InvokeFunction", OURS, Name="warm", Event=EVENT))
        ways["a function, through the API"].append(ms)
        inside.append(answer["Invocation"]["Duration"] * 1000)
        ms, _ = timed(lambda: node.call("DescribeFunction", OURS, Name="warm"))
        ways["an action of the API that only reads"].append(ms)
        ms, _ = timed(plain.call)
        ways["the same handler over plain pipes"].append(ms)
    ways["… of it in the process: call given to answer heard"] = inside
    return ways


def cold(node, directory, count):
    """A new version each time, so a new process; and as many plain ones."""
    ours, theirs = [], []
    for i in range(count):
        node.call("UpdateFunction", OURS, Name="warm", Environment={"N": str(i)})
        ms, _ = timed(lambda: node.call("InvokeFunction", OURS, Name="warm", Event=EVENT))
        ours.append(ms)
        plain = Plain(directory)
        theirs.append(plain.start_ms)
        plain.close()
    return ours, theirs


def executable(node, program, count):
    ours, theirs = [], []
    for _ in range(count):
        ms, _ = timed(lambda: node.call("InvokeFunction", OURS, Name="program", Event=EVENT))
        ours.append(ms)
        ms, _ = timed(lambda: subprocess.run([program], input=json.dumps(EVENT).encode(), check=True))
        theirs.append(ms)
    return ours, theirs


def measure(options, say):
    count = 100 if options.quick else 3000
    directory = os.path.join(options.work, "functions")
    with Node(directory, options.bin_dir) as node:
        code = os.path.join(directory, "code")
        os.makedirs(code)
        with open(os.path.join(code, "index.js"), "w") as f:
            f.write(HANDLER)
        program = os.path.join(directory, "program.sh")
        with open(program, "w") as f:
            f.write(PROGRAM)
        os.chmod(program, 0o755)
        node.cli("function", "create", "warm", "--runtime", "nodejs", "--code", os.path.join(code, "index.js"))
        node.cli("function", "create", "program", "--runtime", "executable", "--code", program)
        plain = Plain(code)
        ways = warm(node, plain, count)
        plain.close()
        say(f"{count} warm calls: load {load()}")
        new, plain_new = cold(node, code, max(3, count // 100))
        once, plain_once = executable(node, program, max(10, count // 30))
    table(f"Calling a warm function, ms ({count} calls in turn, goal p50 ≤ 5 ms; load {load()})",
          ["way", "p50", "p99"], [[way, in_ms(ms, 0.5), in_ms(ms, 0.99)] for way, ms in ways.items()])
    table(f"Cold, ms (load {load()})", ["way", "p50", "p99"],
          [[way, in_ms(ms, 0.5), in_ms(ms, 0.99)] for way, ms in
           [("Node.js, first call of a version", new), ("… `node` alone, until it is ready", plain_new),
            ("an executable", once), ("… the program alone", plain_once)]])
