#!/usr/bin/env python3
"""What a power cut can cost: how long a message waits from being published until COMMIT has returned, and how many wait at most.

    tests/bench/power_loss.py BUILD [--rates 8,400,4000] [--seconds 15]

The writer of tests/record keeps a diary of its calls (tests/tools/faulty_disk.c), in which it notes how far COMMIT has got; what was
published and is not committed at a moment is what a power cut at that moment can cost.  That no cut costs more is shown by
RECORD_CUTS=1500 tests/record/test_survive.py, which puts the files together that would be left and goes on with them.
"""
import bisect
import datetime
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "record"))
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
import os  # noqa: E402
os.environ["VITALSD_BUILD"] = str(BUILD)
from powerloss import read_trace  # noqa: E402
from record import Writer, asan  # noqa: E402


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def ms_of(message):
    return datetime.datetime.fromisoformat(message["time"].replace("Z", "+00:00")).timestamp() * 1000


def flush_times(folder):
    """What one flush of a small write costs on this disk."""
    taken = []
    with open(folder / "probe", "wb") as f:
        for _ in range(50):
            f.write(bytes(4096))
            f.flush()
            before = time.perf_counter()
            os.fdatasync(f.fileno())
            taken.append((time.perf_counter() - before) * 1000)
    return taken


def round_(folder, rate, seconds):
    chairs = max(1, min(8, rate // 4))
    env = {"LD_PRELOAD": f"{asan()} {BUILD / 'tests/tools/faulty-disk.so'}".strip(), "ASAN_OPTIONS": "verify_asan_link_order=0",
           "DISK_FOLDER": str(folder / "log"), "DISK_TRACE": str(folder / "trace")}
    w = Writer(folder / "log", "--readings", 10 ** 8, "--chairs", chairs, "--rate", rate, "--acks", "--ring", 1 << 20, env=env)
    time.sleep(seconds)
    published = [(ms_of(m), m["kind"]) for m in w.end()]
    acks = [(c.wall_ms, int(c.data)) for c in read_trace(folder / "trace") if c.path.endswith("/acks") and c.what == "W"]
    counts = [n for _, n in acks]
    waits, urgent, most = [], [], 0
    for i, (at, kind) in enumerate(published):
        n = bisect.bisect_right(counts, i)
        if n < len(acks):
            waits.append(acks[n][0] - at)
            if kind != "vitals":
                urgent.append(acks[n][0] - at)
    times = [at for at, _ in published]
    before = 0
    for at, n in acks:
        most = max(most, bisect.bisect_right(times, at) - before)
        before = n
    return waits, urgent, most


def main():
    with tempfile.TemporaryDirectory(dir=option("--dir", None)) as t:
        taken = flush_times(pathlib.Path(t))
        print(f"one flush of this disk: median {statistics.median(taken):.1f} ms, most {max(taken):.1f} ms")
        for rate in map(int, option("--rates", "8,400,4000").split(",")):
            folder = pathlib.Path(t) / str(rate)
            folder.mkdir()
            waits, urgent, most = round_(folder, rate, float(option("--seconds", "15")))
            waits.sort(), urgent.sort()
            print(f"{rate} readings/s: readings wait {statistics.median(waits):.0f} ms, 99 % at most {waits[len(waits) * 99 // 100]:.0f} ms, "
                  f"longest {waits[-1]:.0f} ms; other events {statistics.median(urgent):.0f} ms, longest {urgent[-1]:.0f} ms; "
                  f"at most {most} messages at once ({len(waits)} messages)")
            subprocess.run(["rm", "-r", folder])


main()
