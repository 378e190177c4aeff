#!/usr/bin/env python3
"""A thousand simulated ketamine sessions through the alarm engine: how often it sounds, and how early it warns.

    tests/bench/thousand_sessions.py [--build DIR] [--sessions N] [--jobs N] [--json]

Each session (10 min baseline, 0.5 mg/kg over 40 min, 30 min recovery) is a patient of vitals-sim whose response to the drug is
drawn; `vitalsctl replay --csv` judges what the monitor showed.  Whoever stands beside the chair does what the engine asks:
a requested repeat measurement is taken, a shorter cuff interval is set.  Nothing is tuned here: the limits are those that ship,
and every session that is run is reported.  What it cannot tell: how real patients do.  The model was fitted to the mean and the
spread of one published series, and the limits for trends were chosen on sessions of the same model with other random numbers.

  ordinary   nothing happens but the drug: every HIGH or MEDIUM alarm without a true cause is a cost
  surge      2-4 mmHg a minute on top, up to +60: how long before the true pressure reaches 180 is there a warning?
"""
import argparse
import datetime
import json
import multiprocessing
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUNDS = 30  # of asking and obeying; a session needs 2 to 10
INFUSION_S, RECOVERY_S, ENDS_S = 10 * 60, 50 * 60, 80 * 60
SYS = 4  # column of the truth


def emit(build, words, *more):
    return subprocess.run([build / "clients" / "vitals-sim", "--emit", "csv", *map(str, words), *more],
                          capture_output=True, text=True, check=True).stdout


def replay(build, text, folder):
    path = folder / "session.csv"
    path.write_text(text)
    p = subprocess.run([build / "clients" / "vitalsctl", "replay", "--csv", path, "--json"], capture_output=True, text=True)
    if p.returncode != 0:
        sys.exit(f"vitalsctl replay: {p.stderr}")
    return [json.loads(line) for line in p.stdout.splitlines()]


def seconds(due):
    """The replay's clock begins at 1970-01-01T00:00:00Z."""
    return datetime.datetime.fromisoformat(due.replace("Z", "+00:00")).timestamp()


def asked_cuffs(events, interval_s):
    """The measurements that the engine asked for, in seconds: single ones, and those of a shorter interval."""
    requests = [e for e in events if e["kind"] == "request"]
    single = {int(seconds(e["due"])) for e in requests if e["request"] in ("nibp-repeat", "nibp-now")}
    intervals = [(int(e["t_s"]), e["interval_s"]) for e in requests if e["request"] == "nibp-interval"]
    series = set()
    for (t, every), (end, _) in zip(intervals, intervals[1:] + [(ENDS_S, 0)]):
        if every < interval_s and INFUSION_S <= t < RECOVERY_S:
            series |= set(range(t + every, end, every))
    return single, series


def one(job):
    build, kind, seed, words, interval_s = job
    with tempfile.TemporaryDirectory() as folder:
        folder, cuffs, patient = pathlib.Path(folder), set(), ["--seed", seed, "--response", "drawn", *words]
        for _ in range(ROUNDS):
            text = emit(build, patient, *(["--cuff-at", ",".join(map(str, sorted(cuffs)))] if cuffs else []))
            events = replay(build, text, folder)
            single, series = asked_cuffs(events, interval_s)
            new = (single | series) - cuffs
            if not new:
                break
            # What is measured changes what is asked later: the earliest first, and the series that it begins.
            first = min(new)
            cuffs |= {first} | (series if first in series else set())
        emit(build, patient, "--truth", folder / "truth.csv")  # measuring changes nothing in the patient
        truth = [row.split(",") for row in (folder / "truth.csv").read_text().splitlines()[1:]]
    return summary(kind, seed, events, truth, len(cuffs))


def summary(kind, seed, events, truth, obeyed):
    alarms = [e for e in events if e["kind"] == "alarm" and e["change"] in ("raised", "escalated")]
    raised = list({e["alarm"]: e for e in reversed(alarms) if e["change"] == "raised"}.values())  # the first of each
    peak = max(float(row[SYS]) for row in truth)
    crossing = next((int(row[0]) for row in truth if float(row[SYS]) >= 180), None)
    trend = [e for e in alarms if e["direction"] == "rising" and e["metric"] == "nibp_sys"]
    return {
        "kind": kind, "seed": seed, "obeyed": obeyed, "peak": peak,
        "peak_dia": max(float(row[SYS + 1]) for row in truth), "crossing": crossing,
        "alarms": [(e["t_s"], e["priority"], e["class"], e["rule"], e["metric"]) for e in raised],
        "high_later": sum(e["change"] == "escalated" and e["priority"] == "high" for e in alarms),
        "trend": next((e["t_s"] for e in trend), None),
        "trend_medium": next((e["t_s"] for e in trend if e["priority"] == "medium"), None),
        "pressure": next((e["t_s"] for e in alarms if e["metric"] in ("nibp_sys", "nibp_dia") and e["priority"] != "low"
                          and e["class"] == "physiological" and e["direction"] in ("high", "rising")), None),
    }


def share(n, of):
    return f"{100 * n / of:.1f} %" if of else "-"


def quartiles(values):
    if len(values) < 4:
        return "-"
    q = statistics.quantiles(values, n=4)
    return f"{q[1]:.1f} ({q[0]:.1f} to {q[2]:.1f})"


def early(sessions, key):
    """Minutes before the true crossing of 180; a warning after it is none."""
    crossed = [s for s in sessions if s["crossing"] is not None]
    leads = [(s["crossing"] - s[key]) / 60 for s in crossed if s[key] is not None and s[key] < s["crossing"]]
    return f"{share(len(leads), len(crossed))} of {len(crossed)}, {quartiles(leads)} min before"


def report(name, sessions):
    n = len(sessions)
    count = lambda priority, cls: sum(sum(p == priority and c == cls for _, p, c, _, _ in s["alarms"]) for s in sessions) / n
    print(f"\n{name}: {n} sessions")
    for cls in ("physiological", "technical"):
        by = {p: count(p, cls) for p in ("high", "medium", "low")}
        print(f"  {cls} alarms a session: {sum(by.values()):.2f}  (" + ", ".join(f"{p} {x:.2f}" for p, x in by.items()) + ")")
    print(f"  escalated to high: {sum(s['high_later'] for s in sessions) / n:.3f} a session;"
          f" sessions without any alarm: {share(sum(not s['alarms'] for s in sessions), n)}")
    high = [s for s in sessions if any(p == "high" and c == "physiological" for _, p, c, _, _ in s["alarms"])]
    false = [s for s in high if s["peak"] < 170 and s["peak_dia"] < 100]
    print(f"  sessions with a high alarm: {share(len(high), n)}; where the true pressure stayed below 170/100: {share(len(false), n)}")
    rules = {}
    for s in sessions:
        for rule in {r for _, _, _, r, _ in s["alarms"]}:
            rules[rule] = rules.get(rule, 0) + 1
    print("  sessions with a rule: " + ", ".join(f"{r} {share(k, n)}" for r, k in sorted(rules.items(), key=lambda x: -x[1])))
    medium = [s for s in sessions if s["trend_medium"] is not None]
    print(f"  medium trend in {share(len(medium), n)}; of these a true peak of 172 or more followed in"
          f" {share(sum(s['peak'] >= 172 for s in medium), len(medium))}")
    print(f"  before the true pressure reached 180: medium trend {early(sessions, 'trend_medium')};")
    print(f"    any rising trend {early(sessions, 'trend')}; any medium or high pressure alarm {early(sessions, 'pressure')}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    p.add_argument("--sessions", type=int, default=1000)
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--json", action="store_true", help="one session a line instead of the report")
    o = p.parse_args()
    # Three tenths ordinary and two tenths surges at the interval that ships, then the same at 3 min.
    groups = []
    for name, words, interval_s in (("cuff every 5 min", [], 300), ("cuff every 3 min", ["--cuff", "3min"], 180)):
        groups.append((f"ordinary, {name}", words, interval_s, o.sessions * 3 // 10))
        groups.append((f"surge, {name}", words + ["--scenario", "surge"], interval_s, o.sessions * 2 // 10))
    jobs = [(o.build, name, seed, words, interval) for name, words, interval, n in groups for seed in range(1, n + 1)]
    begin = time.monotonic()
    with multiprocessing.Pool(o.jobs) as pool:
        done = pool.map(one, jobs, chunksize=4)
    if o.json:
        for s in done:
            print(json.dumps(s))
        return
    for name, *_ in groups:
        report(name, [s for s in done if s["kind"] == name])
    print(f"\n{len(done)} sessions in {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
