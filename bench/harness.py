"""What every measurement needs: CPU seconds of whole process trees, interleaved
rounds, ratios, and tables."""

import ctypes
import os
import shutil
import statistics
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Makes us the parent of what outlives its parent (a sandbox's first process
    does), so that its CPU seconds can be counted."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _stat(pid):
    with open(f"/proc/{pid}/stat", "rb") as f:
        return f.read().rpartition(b")")[2].split()


class Tree:
    """CPU seconds of a long-lived process, everything it waited for, and every
    orphan of it. One tree at a time: all orphans are counted as its own."""

    def __init__(self, pid):
        self.pid = pid
        self.orphans = 0.0

    def _children(self):
        with open("/proc/thread-self/children") as f:
            return [int(p) for p in f.read().split() if int(p) != self.pid]

    def settle(self, seconds=5):
        """Waits until nothing of the tree but its root is alive."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for pid in self._children():
                done, _, usage = os.wait4(pid, os.WNOHANG)
                if done:
                    self.orphans += usage.ru_utime + usage.ru_stime
            with open(f"/proc/{self.pid}/task/{self.pid}/children") as f:
                if not f.read().split() and not self._children():
                    return
            time.sleep(0.01)

    def cpu_seconds(self):
        self.settle()
        fields = _stat(self.pid)  # utime, stime, cutime, cstime are 14–17 of proc(5)
        return sum(int(x) for x in fields[11:15]) / TICK + self.orphans


class Cost:
    """What a way of doing it took."""

    def __init__(self, wall, cpu):
        self.wall, self.cpu = wall, cpu


def run_commands(commands, cwd):
    """Runs commands one after the other, as a script would; at the niceness our
    children have, so that whatever else runs on the machine meets both alike."""
    begin, cpu = time.monotonic(), 0.0
    for command in commands:
        with subprocess.Popen(["nice", "-n", "5", *command], cwd=cwd, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as p:
            complaint = p.stderr.read()
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\n{complaint.decode(errors='replace')}")
        cpu += usage.ru_utime + usage.ru_stime
    return Cost(time.monotonic() - begin, cpu)


def empty_directory(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def rounds(ways, count, say):
    """Each way once per round, the order turned round each time. `ways` is a dict
    of functions that take the round's number and return a result."""
    results = {name: [] for name in ways}
    for i in range(count):
        order = list(ways) if i % 2 == 0 else list(reversed(ways))
        for name in order:
            results[name].append(ways[name](i))
            say(f"round {i + 1}/{count} {name}: load {load()}")
    return results


def ratios(ours, theirs):
    return [a / b for a, b in zip(ours, theirs)]


def median(values):
    return statistics.median(values)


def percentile(values, p):
    values = sorted(values)
    return values[round(p * (len(values) - 1))]


def spread(values, digits=2):
    """`0.93 (0.90–0.97)`."""
    lo, mid, hi = min(values), median(values), max(values)
    return f"{mid:.{digits}f} ({lo:.{digits}f}–{hi:.{digits}f})"


def load():
    return f"{os.getloadavg()[0]:.1f}"


def table(title, header, rows):
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(x) for x in row) + " |")
    print(flush=True)
