#!/usr/bin/env python3
"""Figures of the publisher: delay of single alarms, a flood, the pause after a stranger's message, CPU a message.

usage: VITALSD_BUILD=build-release tests/bench/publish.py [ROUNDS]
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from house import BUILD  # noqa: E402
from synthetic import Synthetic  # noqa: E402
from test_publisher import send_as_subscriber  # noqa: E402


def listener(s, url, count):
    p = subprocess.Popen([BUILD / "tests/bench/publish", url, str(count)], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    return p


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def single_alarms(s):
    for name, url in (("ipc", s.events), ("tcp", s.tcp)):
        p = listener(s, url, 500)
        for _ in range(500):
            s.commit("alarm")
            time.sleep(0.01)
        print(f"one alarm at a time, {name}:", p.communicate(timeout=30)[0].strip())


def flood(s):
    p = listener(s, s.tcp, 20000)
    began = time.monotonic()
    s.commit("alarm", 20000)
    out = p.communicate(timeout=60)[0].strip()
    print(f"20000 alarms at once, tcp: {out}; all there after {time.monotonic() - began:.2f} s")


def pause(s, rounds):
    pauses = []
    for _ in range(rounds):
        time.sleep(1.2)
        send_as_subscriber(s.port, b"die")
        began = time.monotonic()
        while not s.said().startswith("bound"):
            pass
        pauses.append((time.monotonic() - began) * 1000)
    print(f"back after a stranger's message: median {statistics.median(pauses):.1f} ms, "
          f"{min(pauses):.1f} to {max(pauses):.1f} ({rounds} times)")


def cpu(s):
    """1,000 readings a second, for 10 s, to one subscriber."""
    p = listener(s, s.tcp, 1)
    pid, before = s.publisher_pid(), None
    before = cpu_s(pid)
    began = time.monotonic()
    for i in range(1000):
        s.commit("vitals", 10)
        time.sleep(max(0, began + (i + 1) / 100 - time.monotonic()))
    used = cpu_s(pid) - before
    s.commit("alarm")
    p.communicate(timeout=20)
    print(f"publisher process: {used / 10000 * 1e6:.1f} us CPU a message at 1,000 vitals/s, one subscriber of alarms on tcp")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as folder:
        s = Synthetic(folder).start()
        try:
            single_alarms(s)
            flood(s)
            cpu(s)
            pause(s, rounds)
        finally:
            s.end()


if __name__ == "__main__":
    main()
