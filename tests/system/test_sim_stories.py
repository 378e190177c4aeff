"""From the simulated patient through the alarm engine: each scenario is noticed for what it is, and nothing else is made of it.

`vitals-sim --emit csv` tells the story, `vitalsctl replay --csv` judges it.  Nobody answers the engine's requests here (no repeat
measurement is taken), so that a doubtful reading may be believed in the end; the seeds are of patients without chance artefacts.
"""
import json
import subprocess

import pytest

from house import VITALS_SIM, VITALSCTL

AT_S = 600 + 12 * 60  # 10 min of baseline, 12 min of infusion


def judged(tmp_path, scenario, seed, *more):
    path = tmp_path / "session.csv"
    with open(path, "w") as f:
        subprocess.run([VITALS_SIM, "--emit", "csv", "--seed", str(seed), "--scenario", scenario, "--at", "12min", "--baseline",
                        "nibp_sys=118,nibp_dia=74,hr=72,spo2=98", *more], stdout=f, check=True, timeout=60)
    p = subprocess.run([VITALSCTL, "replay", "--csv", path, "--json"], capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in p.stdout.splitlines()]


def raised(events):
    return [(e["t_s"], e["rule"], e["priority"]) for e in events if e["kind"] == "alarm" and e["change"] in ("raised", "escalated")]


STORIES = [
    # scenario, what must be raised (and by when, s after it began), what more may be with medium or high priority, options;
    # low ones may come from the drug alone
    ("normal", {}, set(), ()),
    ("strong", {}, {"sbp-hi", "dbp-hi"}, ()),
    ("crisis", {"sbp-hi-crit": 600, "dbp-hi-crit": 600}, {"dbp-hi", "hr-trend", "nibp-unconfirmed", "rpp-hi"}, ()),
    ("crisis-hr-flat", {"nibp-unconfirmed": 400, "sbp-hi-crit": 600}, {"dbp-hi-crit", "dbp-hi"}, ()),
    ("tachycardia", {"hr-trend": 900, "hr-hi": 1080}, {"hr-hi-crit"}, ()),
    ("svt", {"hr-hi-crit": 12}, {"hr-hi"}, ()),
    ("desaturation", {"spo2-lo": 140, "spo2-lo-crit": 190}, set(), ()),
    ("slow-desaturation", {"spo2-trend": 480, "spo2-lo": 700}, set(), ()),
    ("vasovagal", {"hr-drop": 45, "vasovagal": 90}, {"hr-lo", "sbp-lo-crit", "sbp-lo", "map-lo"}, ("--cuff-at", str(AT_S + 40))),
    ("over-sedation", {"loc-low": 120}, set(), ()),
    ("cuff-arm", {}, set(), ()),
    ("movement", {"hr-hi-crit": 20}, {"hr-hi"}, ()),
    ("probe-off", {"spo2-signal": 17}, set(), ()),
    ("device-dead", {"device-offline": 12}, set(), ()),
    ("nibp-tired", {"nibp-fail": 500}, {"nibp-overdue"}, ()),
]


@pytest.mark.parametrize("seed", [22, 23, 24])
@pytest.mark.parametrize("scenario, must, may, more", STORIES, ids=[s[0] for s in STORIES])
def test_a_scenario_is_noticed_for_what_it_is(tmp_path, scenario, must, may, more, seed):
    said = raised(judged(tmp_path, scenario, seed, *more))
    first = {}
    for t_s, rule, _ in said:
        first.setdefault(rule, t_s)
    assert {rule for _, rule, priority in said if priority != "low"} <= set(must) | may, said
    for rule, within_s in must.items():
        assert rule in first, (rule, said)
        assert 0 <= first[rule] - AT_S <= within_s, (rule, said)


@pytest.mark.parametrize("scenario, rule", [("desaturation", "spo2-lo"), ("device-dead", "device-offline"), ("over-sedation", "loc-low")])
def test_what_goes_on_becomes_high(tmp_path, scenario, rule):
    priorities = [p for _, r, p in raised(judged(tmp_path, scenario, 22)) if r == rule]
    assert priorities[-1] == "high" and priorities[0] != "high"


def test_every_alarm_of_a_dead_device_is_over_when_it_is_back(tmp_path):
    events = judged(tmp_path, "device-dead", 22)
    last = [e for e in events if e["kind"] == "alarm" and e["rule"] == "device-offline"][-1]
    assert last["change"] == "cleared" and 120 <= last["t_s"] - AT_S <= 122
