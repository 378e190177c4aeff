"""Recorded patients through the alarm engine, against reference annotations and against naive thresholds.

usage: patients.py VITALSCTL CASES [--shipped] [--half 0|1] [--json] [--list] [--check]

CASES is a folder with index.json, NAME.csv and NAME.ann.json (see tests/data/patients/README.md).  For each kind of episode
one rule of patients.yaml; an episode is found when the alarm stood at any time of it; an alarm is false when it stood beside
every episode of its kind.  Naive: every sample beyond the limit alarms at once, until the first one that is not.
--shipped: the set that ships, in the phase infusion, for the kinds whose limit is one of its own; the baseline is the
median of the first minute.  --half: only every other case.  --check: fail unless every episode is
found with at most a fifth of the false alarms of naive thresholds.
"""
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# kind: metric, is it violated
KINDS = {
    "hr_ge_100": ("hr", lambda v: v >= 100), "hr_ge_120": ("hr", lambda v: v >= 120), "hr_ge_130": ("hr", lambda v: v >= 130),
    "hr_lt_50": ("hr", lambda v: v < 50), "hr_lt_40": ("hr", lambda v: v < 40),
    "spo2_lt_90": ("spo2", lambda v: v < 90), "spo2_lt_85": ("spo2", lambda v: v < 85),
    "sbp_ge_160": ("nibp_sys", lambda v: v >= 160), "sbp_ge_180": ("nibp_sys", lambda v: v >= 180),
    "sbp_lt_90": ("nibp_sys", lambda v: v < 90), "map_ge_110": ("nibp_map", lambda v: v >= 110),
    "map_ge_130": ("nibp_map", lambda v: v >= 130), "map_lt_65": ("nibp_map", lambda v: v < 65),
}
# the same with the rules of the set that ships; a trend has no naive threshold
SHIPPED = {
    "hr_ge_120": ("hr-hi", "hr-hi-crit"), "hr_lt_50": ("hr-lo", "hr-lo-crit"), "hr_lt_40": ("hr-lo-crit",),
    "spo2_lt_90": ("spo2-lo", "spo2-lo-crit"), "spo2_lt_85": ("spo2-lo-crit",), "sbp_ge_180": ("sbp-hi-crit",),
    "sbp_lt_90": ("sbp-lo", "sbp-lo-crit"), "trend_hr_rise20": ("hr-trend", "hr-up", "hr-hi", "hr-hi-crit"),
    "trend_spo2_fall4": ("spo2-trend", "spo2-adv", "spo2-lo", "spo2-lo-crit"),
}
MARGIN_S = 15  # an alarm so near to an episode belongs to it: the annotator's medians are centred, ours are not


def baseline_of(rows):
    """--baseline of the medians of the first minute."""
    words = []
    for metric in ("hr", "nibp_sys", "nibp_dia", "spo2"):
        first = [r for r in rows if float(r["t_s"]) - float(rows[0]["t_s"]) < 60]
        values = [float(v) for r in first if (v := r.get(metric) or (r.get("pr") if metric == "hr" else ""))]
        if values:
            words.append(f"{metric}={statistics.median(values):g}")
    return ["--baseline", ",".join(words)] if words else []


def replay(vitalsctl, case, limits, words):
    """[(raised, ended, rule)] of every alarm of one recording; superseded ones count as long as they hold."""
    out = subprocess.run([vitalsctl, "replay", "--csv", str(case), "--json", "--limits", limits, "--limit-file",
                          str(HERE / "patients.yaml"), *words], check=True, capture_output=True, text=True).stdout
    begun, spans = {}, []
    for line in out.splitlines():
        e = json.loads(line)
        if e["kind"] != "alarm" or e["class"] != "physiological":
            continue
        if e["change"] in ("raised", "superseded"):
            begun.setdefault(e["alarm"], (e["t_s"], e["rule"]))
        elif e["change"] in ("cleared", "latched") and e["alarm"] in begun:
            t, rule = begun.pop(e["alarm"])
            spans.append((t, e["t_s"], rule))
    return spans + [(t, float("inf"), rule) for t, rule in begun.values()]


def naive(rows, metric, violated):
    spans, start, last = [], None, None
    for row in rows:
        value = row.get(metric) or (row.get("pr") if metric == "hr" else "")
        if not value:
            continue
        t = float(row["t_s"])
        if violated(float(value)):
            start = t if start is None else start
            last = t
        elif start is not None:
            spans.append((start, last))
            start = None
    return spans + ([(start, last)] if start is not None else [])


def touches(a, b, margin):
    return a[0] <= b[1] + margin and a[1] >= b[0] - margin


class Tally:
    def __init__(self):
        self.episodes = self.found = self.false = self.naive_false = 0
        self.delays, self.missed, self.wrong, self.hours = [], [], [], 0.0

    def add(self, name, episodes, alarms, simple, hours):
        self.hours += hours
        self.episodes += len(episodes)
        for e in episodes:
            hits = [a for a in alarms if touches(a, e, 0)]
            if hits:
                self.found += 1
                self.delays.append(max(0.0, min(a[0] for a in hits) - e[0]))
            else:
                self.missed.append((name, e))
        wrong = [a for a in alarms if not any(touches(a, e, MARGIN_S) for e in episodes)]
        self.wrong += [(name, a) for a in wrong]
        self.false += len(wrong)
        self.naive_false += sum(not any(touches(s, e, MARGIN_S) for e in episodes) for s in simple)


def rules_of(kind, shipped):
    name = kind.replace("_", "-")
    return SHIPPED[kind] if shipped else (name, name.replace("hr-", "pr-"))


def measure(vitalsctl, cases, shipped, half):
    kinds = SHIPPED if shipped else KINDS
    tallies = {k: Tally() for k in kinds}
    for number, entry in enumerate(json.loads((cases / "index.json").read_text())):
        if entry["sample_interval_s"] > 1 or (half is not None and number % 2 != half):
            continue  # one value a minute: no signal
        rows = list(csv.DictReader((cases / entry["file"]).open()))
        episodes = json.loads((cases / (entry["id"] + ".ann.json")).read_text())["episodes"]
        words = ["--phase", "infusion", *baseline_of(rows)] if shipped else []
        alarms = replay(vitalsctl, cases / entry["file"], "ketamine-adult" if shipped else "annotated", words)
        hours = entry["duration_s"] / 3600
        for kind in kinds:
            metric, violated = KINDS.get(kind, ("hr" if "hr" in kind else "spo2", lambda v: False))
            if not any(r.get(metric) or (metric == "hr" and r.get("pr")) for r in rows):
                continue
            tallies[kind].add(entry["id"], [e for e in episodes if e[2] == kind],
                              [a for a in alarms if a[2] in rules_of(kind, shipped)], naive(rows, metric, violated), hours)
    return tallies


def report(tallies, details):
    print(f"{'kind':12} {'hours':>6} {'episodes':>8} {'found':>6} {'delay s':>8} {'false/h':>8} {'naive/h':>8} {'ratio':>6}")
    for kind, t in tallies.items():
        delay = f"{statistics.median(t.delays):.0f}" if t.delays else "-"
        ratio = f"{t.false / t.naive_false:.2f}" if t.naive_false else "-"
        print(f"{kind:12} {t.hours:6.1f} {t.episodes:8} {t.found:6} {delay:>8} {t.false / t.hours:8.2f} "
              f"{t.naive_false / t.hours:8.2f} {ratio:>6}")
    false, simple = sum(t.false for t in tallies.values()), sum(t.naive_false for t in tallies.values())
    print(f"all: {sum(t.found for t in tallies.values())} of {sum(t.episodes for t in tallies.values())} episodes, "
          f"{false} false alarms against {simple} of naive thresholds ({false / max(simple, 1):.2f})")
    if details:
        for kind, t in tallies.items():
            for name, e in t.missed:
                print(f"missed {kind} {name} {e[0]:.0f}-{e[1]:.0f}")
            for name, a in t.wrong:
                print(f"false  {kind} {name} {a[0]:.0f}-{a[1]:.0f}")


def main():
    half = int(sys.argv[sys.argv.index("--half") + 1]) if "--half" in sys.argv else None
    words = [a for a in sys.argv[1:] if not a.startswith("--") and a not in ("0", "1")]
    if len(words) != 2:
        sys.exit(__doc__)
    tallies = measure(words[0], Path(words[1]), "--shipped" in sys.argv, half)
    if "--json" in sys.argv:
        print(json.dumps({k: {"episodes": t.episodes, "found": t.found, "false": t.false, "naive_false": t.naive_false}
                          for k, t in tallies.items()}))
    else:
        report(tallies, "--list" in sys.argv)
    if "--check" in sys.argv:
        missed = sum(t.episodes - t.found for t in tallies.values())
        false, simple = sum(t.false for t in tallies.values()), sum(t.naive_false for t in tallies.values())
        sys.exit(1 if missed or not simple or false * 5 > simple else 0)


if __name__ == "__main__":
    main()
