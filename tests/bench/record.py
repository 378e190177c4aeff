#!/usr/bin/env python3
"""Figures of the record: bytes an observation, what recording costs, how fast verify reads, how long questions take.

    tests/bench/record.py BUILD [--readings N] [--seconds N]     BUILD: a release build, or one with -Dbuildtype=debugoptimized

--seconds: of each turn of each round of `recording` (nine rounds of three turns each; a seal comes after 65,536 readings).
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
READINGS = int(sys.argv[sys.argv.index("--readings") + 1]) if "--readings" in sys.argv else 300000
SECONDS = sys.argv[sys.argv.index("--seconds") + 1] if "--seconds" in sys.argv else "20"
WRITER, CTL, RECORDING = BUILD / "tests/record/logwriter", BUILD / "clients/vitalsctl", BUILD / "tests/bench/recording"


def fill(folder, *options):
    r = subprocess.run([WRITER, folder, "--quiet", *map(str, options)], capture_output=True, text=True, check=True,
                       stdin=subprocess.DEVNULL)
    assert "given up 0," in r.stderr, r.stderr
    return int(r.stderr.split("cpu ")[1].split(" ms")[0])


def empty_size(folder):
    fill(folder, "--readings", 0)
    return os.path.getsize(folder + "/vitals.db")


def spread(values):
    return f"median {statistics.median(values):.3g}, {min(values):.3g} to {max(values):.3g}"


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
    for chairs, values in ((1000, 4), (2000, 2), (4000, 1)):
        turns = []
        for n in range(3):
            folder = f"{t}/recording-{values}-{n}"
            os.mkdir(folder)
            out = subprocess.run([RECORDING, folder, "--chairs", str(chairs), "--values", str(values), "--seconds", SECONDS],
                                 capture_output=True, text=True, check=True).stdout
            turns.append(json.loads(out))
        percent = {"copy on the loop": [(x["loop"] - x["pace"]) / 10 for x in turns], "writer thread": [x["writer"] / 10 for x in turns],
                   "both": [(x["loop"] - x["pace"] + x["writer"]) / 10 for x in turns], "bare INSERTs": [x["plain"] / 10 for x in turns]}
        print(f"recording {turns[0]['observations_s']} observations/s, {values} a reading, % of one core: "
              + "; ".join(f"{what} {spread(v)}" for what, v in percent.items()))
    times = []
    for _ in range(7):
        before = time.perf_counter()
        subprocess.run([CTL, "audit", "alarms", "--log", f"{t}/1/vitals.db", "--since", "30d"], check=True,
                       stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - before) * 1000)
    print(f"audit alarms of a month, ms, program start included: {spread(times)}")
