#!/usr/bin/env python3
"""Figures of the record: bytes an observation, what recording costs, how fast verify reads, how long questions take.

    tests/bench/record.py BUILD [--readings N]       BUILD: a release build, or one with -Dbuildtype=debugoptimized
"""
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
READINGS = int(sys.argv[sys.argv.index("--readings") + 1]) if "--readings" in sys.argv else 300000
WRITER, CTL = BUILD / "tests/record/logwriter", BUILD / "clients/vitalsctl"


def fill(folder, *options):
    r = subprocess.run([WRITER, folder, "--quiet", *map(str, options)], capture_output=True, text=True, check=True,
                       stdin=subprocess.DEVNULL)
    return int(r.stderr.split("cpu ")[1].split(" ms")[0])


def empty_size(folder):
    fill(folder, "--readings", 0)
    return os.path.getsize(folder + "/vitals.db")


def spread(values):
    return f"median {statistics.median(values):.3g}, {min(values):.3g} to {max(values):.3g}"


def cpu_of_children():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


with tempfile.TemporaryDirectory() as t:
    os.mkdir(t + "/empty")
    base = empty_size(t + "/empty")
    for chairs, readings, what in ((1, READINGS, "one chair"), (8, READINGS // 8, "eight chairs")):
        folder = f"{t}/{chairs}"
        os.mkdir(folder)
        fill(folder, "--readings", readings, "--chairs", chairs, "--step-ms", 1000)
        size = os.path.getsize(folder + "/vitals.db") - base
        print(f"bytes an observation, oximeter of 2 metrics at 1 Hz, {what}: {size / (readings * chairs * 2):.2f}"
              f"  ({readings * chairs} readings, indexes and seals included)")
    rates = []
    for _ in range(5):
        before = time.perf_counter()
        subprocess.run([CTL, "audit", "verify", "--log", f"{t}/1/vitals.db"], check=True, stdout=subprocess.DEVNULL)
        rates.append(READINGS / (time.perf_counter() - before) / 1e6)
    print(f"audit verify, million rows a second: {spread(rates)}")
    costs = []
    for n in range(3):
        folder = f"{t}/rate{n}"
        os.mkdir(folder)
        seconds = 6
        idle = fill(f"{folder}", "--readings", 0)
        os.system(f"rm -rf {folder}; mkdir {folder}")
        cpu = fill(folder, "--readings", seconds * 10, "--chairs", 100, "--rate", 1000, "--cuff")
        costs.append((cpu - idle) / (seconds * 10))
    print(f"recording 1,000 readings/s of 4 values (custody and store): % of one core: {spread(costs)}")
    times = []
    for _ in range(7):
        before = time.perf_counter()
        subprocess.run([CTL, "audit", "alarms", "--log", f"{t}/1/vitals.db", "--since", "30d"], check=True,
                       stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - before) * 1000)
    print(f"audit alarms of a month, ms, program start included: {spread(times)}")
