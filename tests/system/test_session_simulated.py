"""Whole sessions of every preset: simulated patients behind Modbus TCP and a Nonin line, the real daemon, its publisher
and vitalsctl, all on one clock that runs as fast as they can work (warp.py).  Judged by what the log says."""
import heapq
import json
import os
import re
import shlex
import subprocess

import pytest

from house import PATIENCE, ROOT, VITALSCTL, VITALS_SIM, Daemon, Subscriber, derived_again, wait_for
from warp import Clock

MINUTE, HOUR = 60, 3600
LONG = bool(os.environ.get("VITALSD_LONG"))  # P9 for all of its five days
SCREENED = ("check all no", "pain 6", "consent yes")
LEAVING = ("moaas 5", "aldrete 10", "nausea none", "dissociation gone", "gait steady", "pain 2", "escort her brother",
           "advice given")


class Plan:
    """What is ordered of a preset, and what must be in the record at 70 kg (clinical table C)."""

    def __init__(self, preset, minutes, recovery, mg, order=(), rates=(), pause=None, shift=False, dosing=None, early=False):
        self.preset, self.minutes, self.recovery, self.mg = preset, minutes, recovery, mg
        self.order = order          # what else the clinician says when the session is opened
        self.rates = rates          # (minute of the infusion, what the nurse enters of the pump)
        self.pause = pause          # (minute, minutes)
        self.shift = shift          # another nurse takes over half way
        self.dosing = dosing or preset
        self.early = early


DAYS_OF_P9 = Plan("P9", 120 * 60, 120, 24 * (20 + 25 + 30 + 35 + 40), shift=True,
                  rates=[(d * 1440, f"{20 + 5 * d} mg/h") for d in range(1, 5)])
HOURS_OF_P9 = Plan("P9", 180, 120, 20 + 25 + 30, shift=True, early=True,
                   rates=[(h * 60, f"{20 + 5 * h} mg/h") for h in range(1, 3)])
PLANS = [
    Plan("P1", 40, 30, 35, pause=(20, 4)),
    Plan("P2", 60, 30, 70, order=("--dose", "1", "--over", "60")),
    Plan("P3", 50, 30, 35, order=("--dose", "0.5", "--over", "50"), pause=(30, 6)),
    Plan("P4", 240, 60, 98, shift=True),
    Plan("P5", 120, 60, 80, pause=(60, 12), shift=True),
    Plan("P6", 50 / 56 * 60, 60, 50),
    Plan("P7", 240 / 105 * 60, 60, 240),
    HOURS_OF_P9,
    Plan("P10", 60, 60, 70, order=("--dose", "1", "--over", "60")),
    Plan("P11", 30, 60, 21),
    Plan("P11a", 10, 60, 21, dosing="P11"),
    Plan("P11b", 30, 60, 35, dosing="P1"),
    Plan("P11c", 7, 60, 7, dosing="P11"),
    Plan("P12", 240, 60, 112, order=("--step", "2"), pause=(120, 5)),
    Plan("P13", 60, 120, None),
]


class Ward:
    """One daemon, one simulator, a chair a plan, and a clock."""

    def __init__(self, folder, plans, speed=2000, tick=0.2, wall=1_790_000_000, zone="UTC"):
        self.folder, self.plans = folder, plans
        self.clock = Clock(folder / "clock", wall=wall, speed=speed, tick=tick)
        self.env = self.clock.environ(TZ=zone)
        words = []
        for i, p in enumerate(plans):
            words += ["--chair", f"chair-{i + 1}", "--preset", p.dosing, "--seed", str(20 + i), "--baseline",
                      "hr=72,spo2=98,nibp_sys=122,nibp_dia=76", "--response", "0.6", "--modbus-tcp", "127.0.0.1:0", "--nonin",
                      str(folder / f"oximeter-{i + 1}")]
        self.told = folder / "sim.json"
        self.sim = subprocess.Popen([VITALS_SIM, "--commands", "--json", "--lead", "900h", *words], stdin=subprocess.PIPE,
                                    stdout=open(self.told, "w"), env=self.env, text=True)
        assert wait_for(lambda: "\n" in self.told.read_text()), "it says where its devices are, in one line"
        ready = json.loads(self.told.read_text().splitlines()[0])
        self.daemon = Daemon(folder / "d", [self._chair(e) for e in ready["chairs"]])
        self.daemon.start(env=self.clock.env(TZ=zone))

    @staticmethod
    def _chair(e):
        host, port = e["modbus_tcp"].split(":")
        return {"id": e["chair"], "limits": "ketamine-adult", "devices": [
            {"id": "oximeter", "plugin": "nonin-df2", "serial": {"path": e["nonin"]}},
            {"id": "bp", "plugin": "modbus", "tcp": {"host": host, "port": int(port)}, "profile": "vitals-sim-nibp", "timeout": "800ms"}]}

    def ctl(self, *words):
        return subprocess.run([VITALSCTL, *words, "--control", self.daemon.control], capture_output=True, text=True,
                              timeout=2 * PATIENCE, env=self.env)

    def subscribe(self, topic):
        """Time passes until a sign of life has come: from then on it misses nothing."""
        s = Subscriber(self.daemon.events, topic, self.daemon.folder)
        assert wait_for(lambda: self.clock.run(1) or s.lines(), step=0.1), self.daemon.said()
        return s

    def patient(self, chair, what):
        self.sim.stdin.write(f"{chair} {what}\n")
        self.sim.stdin.flush()

    def live(self, stories):
        """Each story says how many seconds it waits; the clock stands while a nurse types."""
        heap = [(0.0, i, s) for i, s in enumerate(stories)]
        while heap:
            at, i, story = heapq.heappop(heap)
            self.clock.run_until(at)
            for wait in story:
                heapq.heappush(heap, (at + wait, i, story))
                break

    def end(self):
        self.clock.run_free()
        status = self.daemon.stop()
        self.sim.terminate()
        self.sim.wait(PATIENCE)
        return status


class Nurse:
    def __init__(self, ward, chair, plan):
        self.ward, self.chair, self.plan = ward, chair, plan
        self.name = f"day-{chair}"
        self.refusals = []

    def tries(self, *words):
        p = self.ward.ctl(*words, "--chair", self.chair, "--operator", self.name)
        assert p.returncode in (0, 1), (words, p.stderr)
        return "" if p.returncode == 0 else p.stderr

    def does(self, *words):
        why = self.tries(*words)
        assert not why, (self.chair, self.plan.preset, words, why)

    def enters(self, *entries):
        for e in entries:
            self.does("entry", *e.split())

    def acknowledges(self):
        self.tries("alarm", "ack")

    def insists(self, *words, minutes=90):
        """A gate that a measurement failed is tried again, as at the chair: acknowledge, measure, look once more."""
        for _ in range(minutes):
            why = self.tries(*words)
            if not why:
                return
            self.refusals.append(why)
            self.acknowledges()
            self.ward.patient(self.chair, "cuff")
            yield MINUTE
        raise AssertionError((self.chair, self.plan.preset, words, why))

    def day(self):
        p = self.plan
        self.does("session", "start", "--patient", f"N-{p.preset}", "--protocol", p.preset, "--weight", "70", *p.order)
        self.enters(*SCREENED)
        self.does("session", "phase", "baseline")
        yield 5 * MINUTE
        self.enters("moaas 5")
        yield from self.insists("session", "phase", "infusion", "--confirm")
        self.ward.patient(self.chair, "infuse")
        yield from self.infusion()
        self.does("session", "phase", "recovery", *(("--reason", "bed is needed") if p.early else ()))
        self.ward.patient(self.chair, "stop")
        yield p.recovery * MINUTE - 30
        self.enters(*LEAVING)
        why = self.tries("session", "phase", "discharged")
        assert "D1" in why, (p.preset, why)
        yield 30
        yield from self.insists("session", "phase", "discharged")

    def infusion(self):
        """Minute by minute of the pump; a score every 15, what the pump was set to, a pause, the end of a shift."""
        p = self.plan
        events = [(m, "score") for m in range(15, int(p.minutes), 15) if not p.pause or m != p.pause[0]] + [(m, f"rate {r}") for m, r in p.rates]
        events += [(p.pause[0], "pause")] if p.pause else []
        events += [(p.minutes / 2, "shift")] if p.shift else []
        ran = 0
        for minute, what in sorted(events):
            yield (minute - ran) * MINUTE
            ran = minute
            if what == "score":
                self.enters("moaas 5")
            elif what == "shift":
                self.name = f"night-{self.chair}"
            elif what == "pause":
                yield from self.pauses(p.pause[1])
            else:
                self.enters(what)
            self.acknowledges()
        yield (p.minutes - ran) * MINUTE

    def pauses(self, minutes):
        self.does("session", "phase", "paused", "--reason", "wants to sit up")
        self.ward.patient(self.chair, "stop")
        yield minutes * MINUTE
        self.enters("moaas 5")
        yield from self.insists("session", "phase", "infusion")
        self.ward.patient(self.chair, "infuse")


def check(ward, chair, plan, nurse):
    """What an auditor reads of the session."""
    sql = ward.daemon.sql
    row, = sql(f"select * from audit_session where chair = '{chair}'")
    assert row["patient"] == f"N-{plan.preset}" and row["phase"] == "discharged", row
    assert row["outcome"] == ("stopped_early" if plan.early else "completed"), row
    events = sql(f"select recorded_ms, body from audit_event where kind = 'session' and session = '{row['session']}' order by seq")
    bodies = [json.loads(e["body"]) for e in events]
    phases = [(b["phase"], e["recorded_ms"]) for b, e in zip(bodies, events)]
    phases = [p for i, p in enumerate(phases) if i == 0 or p[0] != phases[i - 1][0]]
    middle = ["infusion", "paused", "infusion"] if plan.pause else ["infusion"]
    assert [p[0] for p in phases] == ["screening", "baseline", *middle, "recovery", "discharged"], phases
    # the pump ran exactly as long as was planned: pauses are not counted, and no clock of the daemon lost a second
    paused = sum(b[1] - a[1] for a, b in zip(phases, phases[1:]) if a[0] == "paused")
    ran = row["infusion_ended_ms"] - row["infusion_started_ms"] - paused
    assert abs(ran - plan.minutes * 60000) <= 2000, (plan.preset, ran)
    last = bodies[-1]
    assert abs(last["infused_s"] - plan.minutes * 60) <= 2
    if plan.mg is None:
        assert "given_mg" not in last or last["given_mg"] == 0
    else:
        assert last["given_mg"] == pytest.approx(plan.mg, rel=0.005), plan.preset
    assert row["ended_ms"] - row["infusion_ended_ms"] >= plan.recovery * 60000
    frozen = next(b for b in bodies if b["phase"] == "infusion")["baseline"]
    assert 105 <= frozen["nibp_sys"] <= 140 and 60 <= frozen["hr"] <= 90 and frozen["spo2"] >= 94
    # nobody was unwatched: no gap in the saturation longer than the ten seconds after which it is stale
    gap, = sql("select max(observed_ms - before) as longest, count(*) as n from (select observed_ms, lag(observed_ms) over "
               f"(order by observed_ms) as before from audit_observation where session = '{row['session']}' and metric = 'spo2')", seconds=200)
    assert gap["longest"] < 10000 and gap["n"] > (row["ended_ms"] - row["started_ms"]) / 1000, gap
    asked = [json.loads(e["body"])["request"] for e in
             sql(f"select body from audit_event where kind = 'request' and session = '{row['session']}'")]
    assert asked.count("entry-due") == 1, asked  # the symptoms at the stop; the scores were never late
    assert ("resume-due" in asked) == (paused >= 600000), (asked, paused)
    if plan.preset == "P13":
        assert "nibp-now" in asked, asked
    operators = {e["operator"] for e in sql(f"select distinct operator from audit_event where kind in ('session', 'entry') "
                                            f"and session = '{row['session']}'")}
    assert operators == ({f"day-{chair}", f"night-{chair}"} if plan.shift else {f"day-{chair}"})
    report = subprocess.run([VITALSCTL, "session", "report", row["session"], "--log", ward.daemon.log], env=ward.env,
                            capture_output=True, text=True, check=True).stdout
    for needed in (f"N-{plan.preset}", plan.preset, "70 kg", row["outcome"], "D1"):
        assert needed in report, (needed, report)


@pytest.fixture
def ward(tmp_path):
    made = []

    def make(plans, **more):
        made.append(Ward(tmp_path, plans, **more))
        return made[-1]
    yield make
    for w in made:
        w.clock.run_free()
        for p in (w.daemon.process, w.sim):
            if p and p.poll() is None:
                p.kill()
                p.wait()


def test_every_preset_from_screening_to_the_door(ward):
    """Fifteen chairs of one daemon at once, as long as the longest of them, five hours."""
    w = ward(PLANS)
    w.clock.run(30)
    refused = w.ctl("session", "start", "--chair", "chair-1", "--patient", "N-P8", "--protocol", "P8", "--weight", "70",
                    "--operator", "anna")
    assert refused.returncode == 1 and "4.8 mg/kg/h x 70 kg = 336 mg/h; over 2 h = 672 mg = 9.6 mg/kg" in refused.stderr
    nurses = [Nurse(w, f"chair-{i + 1}", p) for i, p in enumerate(PLANS)]
    w.live([delayed(30 + 7 * i, n.day()) for i, n in enumerate(nurses)])
    assert w.end() == 0, w.daemon.said()
    for n in nurses:
        check(w, n.chair, n.plan, n)
    p8 = w.daemon.sql("select session from audit_event where kind = 'entry' and body like '%9.6 mg/kg%'")
    assert p8 == [{"session": None}]
    assert subprocess.run([VITALSCTL, "audit", "verify", "--log", w.daemon.log]).returncode == 0
    sessions, messages = derived_again(w.daemon.log)
    assert sessions == len(PLANS) and messages > 0


def delayed(seconds, story):
    yield seconds
    yield from story


@pytest.mark.skipif(not LONG, reason="five days on the clock, minutes here: VITALSD_LONG=1")
def test_five_days_of_p9(ward):
    w = ward([DAYS_OF_P9])
    w.clock.run(30)
    n = Nurse(w, "chair-1", DAYS_OF_P9)
    w.live([delayed(30, n.day())])
    assert w.end() == 0, w.daemon.said()
    check(w, "chair-1", DAYS_OF_P9, n)


def readme_commands():
    """The words of each vitalsctl line of the nurse's section, as a shell would see them."""
    section = (ROOT / "README.md").read_text().split("## A session, from the nurse's side")[1].split("```")[1]
    return [shlex.split(line, comments=True)[1:] for line in section.splitlines() if line.startswith("vitalsctl ")]


def test_the_readme_as_a_nurse_follows_it(ward):
    """Every line of the README in its order, with the time in between that it speaks of; none is refused."""
    w = ward([Plan("P1", 40, 30, 35)])
    w.clock.run(30)
    waits = {"baseline": 5, "infusion": 20, "paused": 4, "recovery": 31}
    session, said = None, {}
    for words in readme_commands():
        if words[0] in ("chair", "watch"):
            continue  # screens: tests of their own
        if words[:2] == ["alarm", "list"]:
            w.patient("chair-1", "scenario probe-off")
            w.clock.run(30)
        words = [session if word == "SESSION" else word for word in words]
        words = [re.search(r"a-\d+", said["list"]).group(0) if word == "ALARM" else word for word in words]
        words = [str(w.daemon.log) if word.startswith("/var/lib") else str(w.folder / word) if word == "report.html" else word
                 for word in words]
        w.patient("chair-1", "cuff") if words[-1] == "infusion" and session else None
        w.clock.run(90 if words[-1] == "infusion" else 10)
        p = w.ctl(*words) if "--log" not in words else subprocess.run([VITALSCTL, *words], capture_output=True, text=True, env=w.env)
        assert p.returncode == 0, (words, p.stderr)
        said[words[-1]] = p.stdout
        if words[:2] == ["session", "start"]:
            session = re.search(r"s-\d{8}-\d+", p.stdout).group(0)
        if words[:2] == ["session", "phase"]:
            w.clock.run(60 * waits.get(words[4], 0))
    assert re.search(r"baseline nibp_sys +1\d\d(\.5)? +alarm below \d+, above \d+", said["infusion"]), said["infusion"]
    assert "spo2" in said["chair-1"]
    assert w.end() == 0
    row, = w.daemon.sql("select outcome from audit_session")
    assert row["outcome"] in ("completed", "stopped_early")
    assert "<svg" in (w.folder / "report.html").read_text()
