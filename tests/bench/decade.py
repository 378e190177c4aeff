#!/usr/bin/env python3
"""How long questions to years of a busy chair take, and what its record weighs.

    tests/bench/decade.py BUILD FOLDER [--rounds N] [--whole] [--all-cold]     FOLDER: as tests/bench/decade left it

Each question is asked cold (the files are dropped from the page cache before it) of another session or month each round; --all-cold: the
whole page cache is dropped, the programs and their libraries too (root; the machine feels it).
Prints wall and CPU time (user and system), median and in brackets the least and the most.  --whole verifies everything, three times at most.
"""
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

BUILD, FOLDER = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
ROUNDS = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 9
CTL = BUILD / "clients/vitalsctl"


def drop():
    if "--all-cold" in sys.argv:
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    for f in FOLDER.glob("*.db*"):
        fd = os.open(f, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def ask(*words):
    """Wall and CPU milliseconds, and what was said."""
    drop()
    before, at = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    said = subprocess.run([CTL, *words, "--log", FOLDER], check=True, capture_output=True, text=True).stdout
    wall, after = time.perf_counter() - at, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall * 1e3, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3, said


def spread(values):
    return f"{statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def rounds(what, questions):
    times = [ask(*words)[:2] for words in questions]
    print(f"{what}: wall ms {spread([t[0] for t in times])}, CPU ms {spread([t[1] for t in times])}, {len(times)} rounds")


info = json.loads(ask("log", "info", "--json")[2])
values = "SELECT sum((v1 IS NOT NULL) + (v2 IS NOT NULL) + (v3 IS NOT NULL) + (v4 IS NOT NULL)) FROM reading"
observations = 0
for f in FOLDER.glob("*.db"):
    observations += int(subprocess.run(["sqlite3", "-readonly", f, values], capture_output=True, text=True).stdout or 0)
print(f"{info['sessions']} sessions, {info['sealed_readings']} readings, {observations} observations, {len(info['files'])} files,"
      f" {info['bytes']} bytes: {info['bytes'] / observations:.2f} bytes an observation")

sessions = json.loads(ask("audit", "sessions", "--json")[2])
chosen = [sessions[len(sessions) * i // ROUNDS] for i in range(ROUNDS)]
rounds("a session shown, cold", [("audit", "show", s["session"]) for s in chosen])
rounds("alarms of a month, cold", [("audit", "alarms", "--since", s["started_at"][:8] + "01", "--until", s["started_at"][:8] + "28")
                                   for s in chosen])
rounds("verify of one session, cold", [("audit", "verify", "--session", s["session"]) for s in chosen])
with tempfile.TemporaryDirectory() as t:
    rounds("a session as a page, cold", [("audit", "show", s["session"], "--html", f"{t}/{s['session']}.html") for s in chosen])
if "--whole" in sys.argv:
    wall, cpu = [], []
    for _ in range(min(ROUNDS, 3)):
        wall_ms, cpu_ms, said = ask("audit", "verify", "--json")
        rows = json.loads(said)["rows"]
        wall.append(rows / wall_ms / 1e3)
        cpu.append(rows / cpu_ms / 1e3)
    print(f"verify of everything, {len(wall)} times: {rows} rows, {os.cpu_count()} cores: million rows a second {spread(wall)} by the clock,"
          f" {spread(cpu)} a core (of CPU)")
