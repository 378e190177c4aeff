"""What is done to the clock on the wall while a patient sits there: it is set, twice, and summer time ends.

Real programs on a clock of their own (warp.py): no timer may move, and the record says what happened."""
import json
import re
import subprocess

import pytest

from house import VITALSCTL, derived_again
from test_session_simulated import MINUTE, Nurse, Plan, Ward

BEFORE_THE_CHANGE = 1792887600  # 2026-10-25 00:20 UTC: 02:20 in Berlin; at 01:00 UTC it becomes 02:00 there
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
STEPS = {10: 3600, 20: -5400}  # minute of the infusion, seconds; the second leads to before the session began


class Night(Nurse):
    """P1 without a pause, and somebody sets the clock of the machine."""

    def infusion(self):
        for minute in range(1, 41):
            yield MINUTE
            if minute % 15 == 0:
                self.enters("moaas 5")
            if minute in STEPS:
                self.ages_before = self.ages()
                self.ward.clock.step_wall(STEPS[minute])
                assert all(b - a < 60000 for a, b in zip(self.ages_before, self.ages())), (self.ages_before, self.ages())
            self.acknowledges()

    def ages(self):
        values = self.ward.daemon.ctl_json("status", "--chair", self.chair)["chairs"][0]["values"]
        return [values[m]["age_ms"] for m in ("spo2", "nibp_sys")]


@pytest.fixture
def night(tmp_path):
    plan = Plan("P1", 40, 30, 35)
    w = Ward(tmp_path, [plan], wall=BEFORE_THE_CHANGE, zone=BERLIN)
    yield w, plan
    w.clock.run_free()
    for p in (w.daemon.process, w.sim):
        if p.poll() is None:
            p.kill()
            p.wait()


def test_the_clock_is_set_twice_and_summer_time_ends(night):
    w, plan = night
    n = Night(w, "chair-1", plan)
    w.clock.run(30)
    w.live([n.day()])
    assert w.end() == 0, w.daemon.said()
    sql = w.daemon.sql
    row, = sql("select * from audit_session")
    assert row["outcome"] == "completed"
    last = json.loads(sql("select body from audit_event where kind = 'session' and session is not null order by epoch, seq")[-1]["body"])
    assert last["infused_s"] == 2400 and last["given_mg"] == pytest.approx(35, rel=0.002)
    # the prompt at the planned end came when forty minutes were over, not when the wall said so
    asked = [json.loads(r["body"]) for r in sql("select body from audit_event where kind = 'request' order by seq")]
    stop, = [a for a in asked if a["request"] == "stop-due"]
    due = sql("select recorded_ms from audit_event where kind = 'request' and body like '%stop-due%'")[0]["recorded_ms"]
    assert abs(due - row["infusion_started_ms"] - 2400_000 - sum(STEPS.values()) * 1000) < 1500, stop
    assert [a["request"] for a in asked].count("entry-due") == 1  # the symptoms at the stop
    # each step is an event and a technical alarm (D4), with its size; it ends by itself, and nothing else was alarmed by it
    alarms = sql("select rule, class, priority, value, cleared_ms from audit_alarm order by alarm")
    steps = [a for a in alarms if a["rule"] == "clock-step"]
    assert [(a["class"], a["priority"]) for a in steps] == [("technical", "low")] * 2
    assert [round(a["value"]) for a in steps] == list(STEPS.values()) and all(a["cleared_ms"] for a in steps)
    assert not [a for a in alarms if a["rule"] in ("device-offline", "spo2-signal", "hr-signal", "nibp-overdue")], alarms
    assert w.daemon.said().count("the clock was set by") == 2
    check_report(w, row["session"])
    sessions, messages = derived_again(w.daemon.log)
    assert sessions == 1 and messages >= 4  # both steps, raised and over, each at its time on the clock that nobody set


def check_report(w, session):
    text = subprocess.run([VITALSCTL, "session", "report", session, "--log", w.daemon.log], env=w.env, capture_output=True,
                          text=True, check=True).stdout
    assert "2026-10-25 02:20 CEST" in text and "the clock on the wall was set" in text, text
    phases = re.findall(r"^  (\d\d:\d\d:\d\d(?: CES?T)?)  (\w+) +(\d+) min", text, re.M)
    assert [p[1] for p in phases] == ["screening", "baseline", "infusion", "recovery", "discharged"], text
    assert [int(p[2]) for p in phases[2:4]] == [40, 30], text
    # 70 minutes and more after 02:25 CEST, less the half hour of the two steps: 02:05 in winter time, and it says so
    assert re.match(r"02:\d\d:\d\d CET$", phases[4][0]) and "C" not in phases[2][0], phases
    verified = subprocess.run([VITALSCTL, "audit", "verify", "--log", w.daemon.log], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr


EVENING = 1792885800  # 2026-10-24 23:50 UTC


@pytest.fixture
def evening(tmp_path):
    w = Ward(tmp_path, [Plan("P1", 40, 30, 35)], wall=EVENING)
    yield w
    w.clock.run_free()
    for p in (w.daemon.process, w.sim):
        if p.poll() is None:
            p.kill()
            p.wait()


def test_the_head_is_signed_and_published_when_a_day_begins(evening):
    """Readings and nobody there: over each midnight (UTC) one seal is signed and published, so that who keeps them has one a day."""
    w = evening
    s = w.subscribe("seal/")
    for _ in range(2):
        w.clock.run(1200)
        w.clock.step_wall(86400 - 1200)  # ten to midnight again
    w.clock.run(5)
    assert w.end() == 0, w.daemon.said()
    seals = w.daemon.sql("select strftime('%Y-%m-%d', at_ms / 1000, 'unixepoch') as day, strftime('%H:%M', at_ms / 1000, 'unixepoch') as at,"
                         " signature is not null as signed, lower(hex(hash)) as head from seal order by seal")
    first = {}
    for seal in seals:
        first.setdefault(seal["day"], seal)
    assert [d for d in first] == ["2026-10-24", "2026-10-25", "2026-10-26"]
    assert all(f["signed"] for f in first.values()), seals
    midnights = [f for d, f in first.items() if d != "2026-10-24"]
    assert [f["at"] for f in midnights] == ["00:00", "00:00"], "within the minute"
    told = {b["head"]: b for _, b in s.all()}
    recorded = [json.loads(r["body"])["head"] for r in w.daemon.sql("select body from audit_event where kind = 'seal'")]
    for f in midnights:
        assert f["head"] in recorded and f["head"] in told and len(told[f["head"]]["signature"]) == 128, (f, sorted(told))
    p = subprocess.run([VITALSCTL, "audit", "verify", "--log", w.daemon.log], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout
