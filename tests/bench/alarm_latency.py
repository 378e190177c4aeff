#!/usr/bin/env python3
"""From a register's change in the monitor to the alarm at a subscriber, one chair, beyond the poll period.

    tests/bench/alarm_latency.py [--build DIR] [--poll 50] [--samples 300] [--rounds 5]

Runs the daemon with a limit set of its own: one threshold on the systolic pressure, without delay, confirmation or latch, on a
cuff that says by a counter when a reading is new (readings of a cuff are judged one by one; a 1 Hz signal is judged by its
median of some seconds, which is a decision of the limit set and no delay of the machine).  Each figure is printed as measured and,
with the right to real-time priority, less the time in which the whole machine stood still (stillness.h).  See alarm_latency.c.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMITS = """sets:
  - name: bench
    rules:
      - { id: bench, metric: nibp_sys, when: above, limit: 130, priority: high, hysteresis: 0, text: "Systolic pressure above {limit}" }
"""


def one(o, house, folder):
    port = house.free_port()
    folder.mkdir()
    (folder / "limits.yaml").write_text(LIMITS)
    registers = [{"metric": m, "table": "input", "address": i, "type": "u16"}
                 for i, m in enumerate(("nibp_sys", "nibp_dia", "nibp_map"))]
    daemon = house.Daemon(folder, [{"id": "chair-1", "limits": "bench", "devices": [
        {"id": "bp", "plugin": "modbus", "tcp": {"host": "127.0.0.1", "port": port}, "unit": 1, "poll": f"{o.poll}ms",
         "timeout": "500ms", "registers": registers, "new_reading": {"table": "input", "address": 3, "type": "u16"}}]}],
        limit_files=["limits.yaml"])
    p = subprocess.Popen([o.build / "tests" / "bench" / "alarm-latency", str(port), daemon.events, str(o.poll), str(o.samples)],
                         stdout=subprocess.PIPE, text=True)
    daemon.start()
    try:
        text = p.communicate(timeout=60 + o.samples * o.poll * 4 / 1000)[0]
    finally:
        p.kill()
        status = daemon.stop()
    if p.returncode or status:
        sys.exit(f"failed: {p.returncode}, {status}: {daemon.said()[-2000:]}")
    print(text, end="", flush=True)
    return {what: (float(median), float(p99)) for what, median, p99 in
            re.findall(r"^(.+): median ([-\d.]+), .*p99 ([-\d.]+)", text, re.M)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    p.add_argument("--poll", type=int, default=50, help="ms")
    p.add_argument("--samples", type=int, default=300)
    p.add_argument("--rounds", type=int, default=5)
    o = p.parse_args()
    o.build = o.build.resolve()
    os.environ["VITALSD_BUILD"] = str(o.build)
    sys.path.insert(0, str(ROOT / "tests" / "system"))
    import house
    with tempfile.TemporaryDirectory() as folder:
        runs = [one(o, house, pathlib.Path(folder) / str(n)) for n in range(o.rounds)]
    for what in runs[0]:
        for k, name in enumerate(("median", "p99")):
            values = [r[what][k] for r in runs]
            print(f"{what}, {name} of {o.rounds} runs: {statistics.median(values):.2f} ms ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
