"""A session as a nurse lives it: admit, baseline, start, alarm, pause, resume, recover, discharge, report."""
import json
import os
import re
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree

import pytest

from house import PATIENCE, VITALSCTL, wait_for
from monitors import ModbusMonitor, bp_device, cuff, oximeter_device

OVERRIDE = ("--override", "training session", "--second", "bert")


@pytest.fixture
def monitor():
    m = ModbusMonitor()
    m.set("input", 0, [121, 79, 93])
    m.set("input", 9, [1])
    m.set("holding", 0, [97, 72])
    yield m
    m.stop()


def chair(monitor, name="chair-1"):
    return {"id": name, "limits": "ketamine-adult", "devices": [bp_device(monitor.port), oximeter_device(monitor.port)]}


def seen(d, number):
    assert wait_for(lambda: number in d.ctl("status").stdout), d.ctl("status").stdout


class Nurse:
    def __init__(self, daemon, monitor, name="anna", chair="chair-1"):
        self.d, self.monitor, self.name, self.chair = daemon, monitor, name, chair

    def _run(self, words, check):
        return self.d.ctl(*words, "--chair", self.chair, "--operator", self.name, check=check)

    def does(self, *words):
        return self._run(words, True).stdout

    def refused(self, code, *words):
        p = self._run(words, False)
        assert p.returncode == 1, f"{words} was not refused: {p.stdout}"
        assert code in p.stderr, p.stderr
        return p.stderr

    def enters(self, *entries):
        for e in entries:
            self.does("entry", *e.split())

    def cuff(self, sys, dia, mean):
        cuff(self.d, self.monitor, sys, dia, mean, (self.chair,))
        assert wait_for(self.judged), "rate and saturation are judged when there were enough of them: gates look at that"

    def judged(self):
        rules = self.d.ctl_json("why", "--chair", self.chair)["rules"]
        values = {r["rule"]: r.get("value") for r in rules}
        return all(values[rule] is not None for rule in ("hr-hi-crit", "spo2-lo-crit"))

    def phase(self):
        return self.d.ctl_json("session", "show", "--chair", self.chair)["phase"]

    def admits(self, protocol="P1", patient="N-17"):
        self.does("session", "start", "--patient", patient, "--protocol", protocol, "--weight", "70")
        self.enters("check all no", "pain 6", "consent yes")
        self.does("session", "phase", "baseline")
        self.cuff(121, 79, 93)
        self.cuff(123, 80, 94)
        self.enters("moaas 5")


def test_a_whole_session_and_its_report(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    n = Nurse(d, monitor)
    seen(d, "97")
    n.refused("no session is open", "session", "phase", "infusion")
    n.refused("G7", "session", "start", "--patient", "N-17", "--protocol", "P8", "--weight", "70")
    n.refused("patient", "session", "start", "--patient", "Jane Doe", "--protocol", "P1", "--weight", "70")
    n.refused("weight", "session", "start", "--patient", "N-17", "--protocol", "P1", "--weight", "700")
    n.does("session", "start", "--patient", "N-17", "--protocol", "P1", "--weight", "70")
    n.refused("not from screening to infusion", "session", "phase", "infusion")
    n.refused("S1", "session", "phase", "baseline")
    n.enters("check all no", "pain 6", "consent yes")
    n.does("session", "phase", "baseline")
    n.cuff(121, 79, 93)
    n.cuff(124, 80, 95)
    n.refused("G5", "session", "phase", "infusion")
    n.enters("moaas 5")
    n.does("session", "phase", "infusion")
    body = s.wait("session", phase="infusion")
    assert body["patient"] == "N-17" and body["protocol"] == "P1" and body["weight_kg"] == 70
    assert body["baseline"]["nibp_sys"] == pytest.approx(122.5) and body["session"]

    n.cuff(150, 92, 111)  # step by step: a jump of 40 mmHg at once would be doubted
    n.cuff(155, 94, 114)
    n.cuff(184, 101, 129)
    alarm = s.wait("alarm", rule="sbp-hi-crit", change="raised")
    assert alarm["session"] == body["session"]
    n.does("session", "phase", "paused", "--reason", "pressure 184")
    assert "R4" in n.refused("R1", "session", "phase", "infusion")
    n.does("alarm", "ack", alarm["alarm"])
    n.cuff(150, 90, 110)
    n.cuff(130, 84, 99)
    n.does("session", "phase", "infusion")
    n.enters("moaas 4", "dissociation mild", "ae headache mild", "med ondansetron 4 mg iv", "moaas 5 --corrects 5")
    n.refused("unit", "entry", "rate", "40")
    n.enters("rate 40 mg/h")
    n.does("session", "phase", "recovery", "--reason", "patient asked")
    n.refused("D1", "session", "phase", "discharged")
    n.enters("moaas 5", "aldrete 10", "nausea none", "dissociation gone", "gait steady", "pain 3", "escort her brother",
             "advice given")
    why = n.refused("D1", "session", "phase", "discharged")
    assert "D5" not in why and "D7" not in why and "D8" not in why
    n.does("session", "phase", "discharged", *OVERRIDE)
    end = s.wait("session", phase="discharged")
    assert end["outcome"] == "stopped_early" and end["second"] == "bert" and "D1" in end["overrides"]
    assert d.stop() == 0, d.said()
    check_report(d, body["session"], alarm["alarm"])


def check_report(d, session, alarm):
    env = {**os.environ, "TZ": "UTC"}
    run = [VITALSCTL, "session", "report", session, "--log", d.log]
    text = subprocess.run(run, capture_output=True, text=True, env=env, check=True).stdout
    for needed in ("N-17", "P1 standard-short", "70 kg", "stopped_early", "0.5 mg/kg over 40 min", "baseline",
                   "184/101", "sbp-hi-crit", "acknowledged", "D1 (block)", "bert", "ondansetron 4 mg, iv",
                   "ae headache, mild", "corrects entry", "Prescriber"):
        assert needed in text, (needed, text)
    for phase in ("screening", "baseline", "infusion", "paused", "recovery", "discharged"):
        assert re.search(rf"\d\d:\d\d:\d\d  {phase}", text), phase
    page = d.folder / "report.html"
    subprocess.run([*run, "--format", "html", "--out", page], env=env, check=True)
    html = page.read_text()
    assert "<script" not in html and "http" not in html
    svg = xml.etree.ElementTree.fromstring(re.search(r"<svg.*?</svg>", html, re.S).group(0).replace("&nbsp;", " "))
    assert len(svg.findall(".//path[@class='cuff']")) >= 6 and svg.findall(".//rect")
    assert len(svg.findall(".//path[@class='entry']")) >= 15
    course = json.loads(subprocess.run([VITALSCTL, "session", "course", "N-17", "--log", d.log, "--json"],
                                       capture_output=True, text=True, check=True).stdout)
    assert [c["session"] for c in course] == [session]
    assert course[0]["highest_sys"] == 184 and course[0]["weight_kg"] == 70
    missing = subprocess.run([VITALSCTL, "session", "report", "s-none", "--log", d.log], capture_output=True, text=True)
    assert missing.returncode == 1 and "no session 's-none'" in missing.stderr


def replayed(d, session):
    """Kinds and phases of what a replay of the log says of a session, without requests."""
    p = subprocess.run([VITALSCTL, "replay", "--log", d.log, "--session", session, "--json"], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    return [(e["kind"], e.get("entry") or e.get("phase")) for e in map(json.loads, p.stdout.splitlines()) if e["kind"] in ("session", "entry")]


def test_a_seizure_aborts_in_one_go(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe("session/")
    n = Nurse(d, monitor)
    seen(d, "97")
    n.admits()
    n.does("session", "phase", "infusion")
    n.enters("ae seizure")
    aborted = s.wait("session", phase="aborted")
    assert aborted["reason"] == "seizure" and aborted["priority"] == "high"
    n.refused("A1", "session", "phase", "recovery")
    n.enters("ae headache mild")
    n.does("session", "phase", "recovery", *OVERRIDE)
    wanted = [("entry", "ae"), ("session", "aborted"), ("entry", "ae"), ("session", "recovery")]
    again = wait_for(lambda: (r := replayed(d, aborted["session"]))[-1] == wanted[-1] and r)
    assert again and again[-4:] == wanted, "side effects are lived again, each once"


def test_a_restart_in_the_middle(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    n = Nurse(d, monitor)
    seen(d, "97")
    n.admits()
    n.does("session", "phase", "infusion")
    n.enters("bolus 5 mg")
    before = d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]
    d.kill()
    d.start()
    after = d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]
    for key in ("phase", "patient", "baseline", "protocol", "infusion_started_at", "weight_kg"):
        assert after[key] == before[key], key
    assert after["given_mg"] >= before["given_mg"] and after["infused_s"] >= before["infused_s"]
    n.does("session", "phase", "paused")


def test_two_chairs_and_a_shift_change(daemon, monitor):
    other = ModbusMonitor()
    try:
        other.set("input", 0, [118, 74, 89])
        other.set("input", 9, [1])
        other.set("holding", 0, [98, 66])
        d = daemon([chair(monitor), chair(other, "chair-2")]).start()
        seen(d, "66")
        a, b = Nurse(d, monitor), Nurse(d, other, "carla", "chair-2")
        a.admits(patient="N-1")
        b.admits(protocol="P4", patient="N-2")
        a.does("session", "phase", "infusion")
        b.does("session", "phase", "infusion")
        assert (a.phase(), b.phase()) == ("infusion", "infusion")
        a.name = "dora"  # the evening shift takes over
        a.does("session", "phase", "paused")
        a.refused("busy", "session", "start", "--patient", "N-3", "--protocol", "P1")
        assert (a.phase(), b.phase()) == ("paused", "infusion")
        rows = wait_for(lambda: [r for r in d.sql("select operator, chair from audit_event where kind='session'")
                                 if r["operator"] == "dora"])
        assert rows == [{"operator": "dora", "chair": "chair-1"}]
        show = d.ctl_json("session", "show", "--chair", "chair-2")["session_state"]
        assert show["patient"] == "N-2" and "0.35 mg/kg/h x 70 kg = 24.5 mg/h" in show["dose"]
    finally:
        other.stop()


def test_the_course_of_one_patient(daemon, monitor):
    """The log knows the last weight, how often, and when; also after a restart, and also for another chair's session."""
    d = daemon([chair(monitor)]).start()
    n = Nurse(d, monitor)
    seen(d, "97")
    n.admits(patient="N-9")
    assert "infusion 1 of 3 to 6" in d.ctl("session", "show", "--chair", "chair-1").stdout
    n.does("session", "phase", "infusion")
    n.does("session", "transfer", "ward 3")
    first = d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]
    opening = ["session", "start", "--patient", "N-9", "--protocol", "P1", "--weight"]
    assert "80 kg, but 70 kg last time" in n.refused("S2", *opening, "80")
    d.kill()
    d.start()
    assert "80 kg, but 70 kg last time" in n.refused("S2", *opening, "80")
    said = n.does(*opening, "80", "--confirm")
    assert "infusion 2 of 3 to 6" in said and "last weight 70 kg" in said, said
    course = d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]["course"]
    assert course == {"index": 2, "planned_low": 3, "planned_high": 6, "last_at": first["infusion_started_at"],
                      "days_since": 0, "last_weight_kg": 70}
    n.does("session", "phase", "discharged", "--reason", "slept badly")  # not given: it is no infusion of the series
    assert "infusion 2 of 3 to 6" in n.does(*opening, "79")  # and within 10 % of the 80 that were said to be right
    n.does("session", "transfer", "home")
    said = n.does("session", "start", "--patient", "N-10", "--protocol", "P1", "--weight", "120")
    assert "infusion 1 of" in said and "last weight" not in said, said


def test_screening_questions_of_the_clinic(daemon, monitor, tmp_path):
    """The list of the clinic is what is asked and shown; answers stay with their questions when the list changes."""
    presets = tmp_path / "clinic.yaml"
    presets.write_text('screening:\n  - { item: porphyria, text: "porphyria" }\n  - { item: heart, text: "heart disease" }\n')
    d = daemon([chair(monitor)], preset_files=[str(presets)]).start()
    n = Nurse(d, monitor)
    asked = [line.split()[0] for line in d.ctl("session", "checks").stdout.splitlines()]
    assert asked == ["porphyria", "heart"]
    n.does("session", "start", "--patient", "N-1", "--protocol", "P1", "--weight", "70")
    n.refused("there are porphyria, heart", "entry", "check", "hypertension", "no")
    n.enters("check heart no", "check porphyria yes", "pain 3", "consent yes")
    presets.write_text('screening:\n  - { item: heart, text: "heart disease" }\n  - { item: asthma, text: "asthma" }\n')
    d.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: "in force" in d.said())
    shown = d.ctl("session", "checks", "--chair", "chair-1").stdout.splitlines()
    assert shown[0].split()[-1] == "no" and shown[1].split()[-1] == "asthma", shown
    why = n.refused("S1", "session", "phase", "baseline")
    assert "not answered: asthma" in why and "porphyria" not in why and "heart" not in why
    d.kill()
    presets.write_text('screening:\n  - { item: asthma, text: "asthma" }\n  - { item: heart, text: "heart disease" }\n')
    d.start()
    assert "not answered: asthma" in n.refused("S1", "session", "phase", "baseline")
    n.enters("check asthma no")
    n.does("session", "phase", "baseline")
    alone = subprocess.run([VITALSCTL, "session", "checks", "--config", d.config, "--control", "/nowhere"], text=True,
                           capture_output=True, check=True)
    assert alone.stdout.startswith("asthma") and len(alone.stdout.splitlines()) == 2


def test_a_new_configuration_does_not_touch_a_running_session(daemon, monitor, tmp_path):
    """An open session keeps the preset it began with; the next one gets the new one."""
    presets = tmp_path / "clinic.yaml"
    presets.write_text("presets:\n  - { id: C1, name: ours, title: our own, dose: 0.4 mg/kg, over: 40 min, recovery: 30 min }\n")
    d = daemon([chair(monitor)], preset_files=[str(presets)]).start()
    n = Nurse(d, monitor)
    n.does("session", "start", "--patient", "N-1", "--protocol", "C1", "--weight", "70")
    presets.write_text("presets:\n  - { id: C1, name: ours, title: our own, dose: 0.2 mg/kg, over: 40 min, recovery: 30 min }\n")
    d.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: "in force" in d.said())
    listed = d.ctl("session", "protocols", "--weight", "80").stdout
    assert re.search(r"P8 .*\(disabled\)", listed) and re.search(r"C1 +ours +our own\n +0.2 mg/kg .* x 80 kg = 24 mg/h, 16 mg", listed), listed
    assert "0.4 mg/kg over 40 min" in d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]["dose"]
    n.does("session", "phase", "discharged", "--reason", "not today")
    n.does("session", "start", "--patient", "N-1", "--protocol", "C1", "--weight", "70")
    assert "0.2 mg/kg over 40 min" in d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]["dose"]
    presets.write_text("presets:\n  - { id: C1, name: ours, title: our own, dose: 0.2 elephants, over: 40 min }\n")
    d.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: "refused" in d.said())
    assert "0.2 mg/kg over 40 min" in d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]["dose"]


NO_CODES = ["Jane Doe", "", "x" * 33, "N/17", "N;17", "-17", ".17", "J\u00fcrgen", "N-17\n", "N'17", "--chair"]
NO_WEIGHTS = ["0", "-70", "29.9", "250.1", "1e308", "7e1000", "nan", "inf", "70kg", "", "seventy"]


def test_what_cannot_be_is_refused_and_nothing_is_half_done(daemon, monitor):
    """Codes, weights, protocols, chairs, orders that cannot be: refused in words, and the chair is as it was."""
    d = daemon([chair(monitor)]).start()
    n = Nurse(d, monitor)
    seen(d, "97")
    opening = ["session", "start", "--protocol", "P1"]
    for code in NO_CODES:
        p = n._run([*opening, "--weight", "70", f"--patient={code}"], False)
        assert p.returncode in (1, 2) and ("code" in p.stderr or "patient" in p.stderr), (code, p.stderr)
    for kg in NO_WEIGHTS:
        p = n._run([*opening, "--patient", "N-1", f"--weight={kg}"], False)
        assert p.returncode in (1, 2) and ("weight" in p.stderr or "kg" in p.stderr), (kg, p.stderr)
    assert "P1, P2" in n.refused("there is no protocol", "session", "start", "--protocol", "P99", "--patient", "N-1")
    p = d.ctl(*opening, "--patient", "N-1", "--chair", "chair-9", "--operator", "anna", check=False)
    assert p.returncode == 1 and "no chair 'chair-9'" in p.stderr
    assert n.phase() == "none"
    assert "or more" in n.refused("--weight", *opening, "--patient", "N-1", "--weight", "0")
    n.does(*opening, "--patient", "N-1", "--weight", "70")
    number = d.ctl_json("session", "show", "--chair", "chair-1")["session"].rsplit("-", 1)[1]
    assert number == "1", f"session {number}: who was refused took no number, or sessions seem to be missing"
    before = d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]
    wrong_now = ["infusion", "paused", "recovery", "screening"]
    for phase in wrong_now:
        n.refused("screening", "session", "phase", phase)
    n.refused("already", "session", "phase", "screening")
    for words in (("pain", "11"), ("pain", "-1"), ("moaas", "6"), ("rate", "40", "mg/h"), ("nonsense", "1"), ("moaas",), ("weight", "700"),
                  ("moaas", "5", "--corrects", "99"), ("check", "hypertension", "perhaps"), ("spo2", "97")):
        n._run(["entry", *words], False)
        assert n._run(["entry", *words], False).returncode in (1, 2), words
    after = d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]
    assert {k: v for k, v in after.items() if k != "open_s"} == {k: v for k, v in before.items() if k != "open_s"}
    entries = [json.loads(r["body"])["entry"] for r in d.sql("select body from audit_event where kind = 'entry'")]
    assert set(entries) == {"refused"}, "what was refused is in the record, as refused"


def test_nurses_in_the_same_second(daemon, monitor):
    """Twelve open a session for one chair at once, twelve change its phase at once: one wins, the others are told."""
    d = daemon([chair(monitor)]).start()
    n = Nurse(d, monitor)
    seen(d, "97")

    def at_once(commands):
        running = [subprocess.Popen([VITALSCTL, *words, "--chair", "chair-1", "--operator", who, "--control", d.control],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for who, words in commands]
        return [(p.communicate(timeout=PATIENCE)[1], p.returncode) for p in running]

    answers = at_once([(f"nurse-{i}", ["session", "start", "--patient", f"N-{i}", "--protocol", "P1", "--weight", "70"])
                       for i in range(12)])
    assert [code for _, code in answers].count(0) == 1
    assert all("discharge, transfer or cancel it first" in said for said, code in answers if code)
    n.enters("check all no", "pain 6", "consent yes")
    n.does("session", "phase", "baseline")
    n.cuff(121, 79, 93)
    n.cuff(123, 80, 94)
    n.enters("moaas 5")
    n.does("session", "phase", "infusion")
    answers = at_once([(f"nurse-{i}", ["session", "phase", ("paused", "recovery")[i % 2]]) for i in range(12)])
    won = [i for i, (_, code) in enumerate(answers) if code == 0]
    assert 1 <= len(won) <= 2 and n.phase() == "recovery", answers
    assert all(said.strip() for said, code in answers if code)
    d.stop()
    bodies = [json.loads(r["body"]) for r in d.sql("select body from audit_event where kind = 'session' order by seq")]
    moves = [(b.get("from"), b["phase"]) for b in bodies if b.get("from")]
    assert all(a[1] == b[0] for a, b in zip(moves, moves[1:])), moves
    refused = d.sql("select count(*) as n from audit_event where kind = 'entry' and body like '%refused%'")[0]["n"]
    assert refused == 11 + 12 - len(won), "each refusal is in the record with its nurse"


MANY = int(os.environ.get("VITALSD_CLIENTS", "60000"))  # a million: VITALSD_CLIENTS=1000000


def test_clients_that_wait_and_a_great_many_requests(daemon, monitor):
    """Half requests that wait, and requests without end: the chair is watched on, and a nurse gets her answer."""
    d = daemon([chair(monitor)]).start()
    s = d.subscribe("alive/")
    n = Nurse(d, monitor)
    seen(d, "97")
    waiting = []
    for i in range(200):
        c = socket.socket(socket.AF_UNIX)
        c.connect(str(d.control))
        try:
            c.sendall(b'{"op":"session-start","chair":"chair-1","patient":"N-9"'[:1 + i % 55])
        except OSError:
            pass  # put out for another one
        waiting.append(c)
    n.does("session", "start", "--patient", "N-1", "--protocol", "P1", "--weight", "70")
    waiting[0].settimeout(PATIENCE)
    assert b"too many clients" in waiting[0].recv(400), "the one that waited longest was told why it had to go"
    flood = socket.socket(socket.AF_UNIX)
    flood.connect(str(d.control))
    flood.settimeout(PATIENCE)
    answers, sent = flood.makefile("rb"), 0
    requests = [b'{"op":"entry","chair":"chair-1","entry":"moaas","words":["9"],"operator":"x"}\n',
                b'{"op":"session-phase","chair":"chair-1","phase":"infusion"}\n', b'{"op":"session-show","chair":"chair-1"}\n', b"{}\n"]
    began = time.time()
    while sent < MANY:
        flood.sendall(b"".join(requests) * 25)
        refused = [json.loads(answers.readline())["ok"] for _ in range(100)]
        assert refused.count(True) == 25, "the look at the session alone is answered with yes"
        sent += 100
    ended = time.time()
    n.enters("check all no")
    for c in [*waiting, flood]:
        c.close()
    assert n.phase() == "screening"
    assert d.ctl_json("status")["chairs"][0]["values"]["spo2"]["value"] == 97
    assert wait_for(lambda: len(s.bodies("alive")) > 2)
    times = [b["seq"] for b in s.bodies("alive")]
    assert times == list(range(times[0], times[0] + len(times)))
    assert d.stop() == 0, d.said()
    seen_on, = d.sql("select count(distinct observed_ms / 1000) as seconds from audit_observation where metric = 'spo2' and"
                     f" observed_ms between {began * 1000:.0f} and {ended * 1000:.0f}")
    assert seen_on["seconds"] > 0.6 * (ended - began) - 1, (seen_on, ended - began)


def test_what_a_nurse_may_say_besides(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    n = Nurse(d, monitor)
    seen(d, "97")
    n.refused("S2", "session", "start", "--patient", "N-5", "--protocol", "P2", "--weight", "78", "--last-weight", "70")
    n.does("session", "start", "--patient", "N-5", "--protocol", "P2", "--weight", "70", "--dose", "1", "--over", "40")
    n.enters("check all no", "pain 40 mm", "consent yes", "moaas 5")
    n.refused("entry 1 is `check`", "entry", "moaas", "4", "--corrects", "1")
    n.does("session", "phase", "baseline")
    n.cuff(121, 79, 93)
    n.cuff(123, 80, 94)
    assert "1.5 mg/kg/h" in n.refused("G7", "session", "phase", "infusion")
    assert "--confirm" in n.refused("G7", "session", "phase", "infusion")
    n.does("session", "phase", "infusion", "--confirm")
    n.refused("2.14 mg/kg/h", "entry", "rate", "150", "--unit", "mg/h")
    n.does("entry", "rate", "150", "--unit", "mg/h", "--confirm")
    n.does("entry", "rass", "-2")
    story = "She says that the music has colours; she is calm, and asks to go on. " * 12
    n.does("entry", "note", *story.split())
    n.does("entry", "moaas", "4", "--note", story.strip())
    n.refused("one word too many", "entry", "oxygen", "2", "L/min", "by", "mask")
    n.refused("at most 1024", "entry", "note", story * 2)
    n.does("entry", "med", "acetylsalicylic", "acid", "500", "mg", "po")
    for words in (("entry", "note", "m\udcfcde"), ("session", "phase", "paused", "--reason", "m\udcfcde"),
                  ("session", "phase", "paused", "--confirm=no")):
        p = n._run(words, False)
        assert p.returncode == 2 and p.stderr, f"{words}: not UTF-8, or a value where none belongs: nothing is left out in silence"
    for name, why in (("a" * 33, "at most 32"), (" anna", None)):
        p = d.ctl("entry", "--chair", "chair-1", "--operator", name, "moaas", "5", check=False)
        assert (why in p.stderr) if why else p.returncode == 0, f"{name}: a name is neither cut nor another one for its blanks"
    assert n.phase() == "infusion"
    n.does("entry", "note", "=1+1 \x1b[31mred\nand on")
    n.does("session", "transfer", "intensive", "care")
    assert wait_for(lambda: d.sql("select 1 from audit_session where outcome is not null")), "all that was said before is in the log"
    said = [json.loads(r["body"]) for r in d.sql("select body from audit_event where kind = 'entry'")]
    assert {e["operator"] for e in said} == {"anna"}
    assert [e["note"] for e in said if (e.get("note") or "").startswith("She says")] == [story.strip()] * 2
    assert [(e["item"], e["value"], e["unit"], e["route"]) for e in said if e["entry"] == "med"] == [
        ("acetylsalicylic acid", 500, "mg", "po")]

    def shown(*words):
        return subprocess.run([VITALSCTL, *words, "--log", d.log], capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    for words in (("audit", "entries"), ("session", "report", said[-1]["session"]), ("session", "report", said[-1]["session"], "--format", "html")):
        assert "=1+1  [31mred and on" in shown(*words), f"{words}: a note cannot speak to the terminal, nor break a line"
    assert "\"'=1+1 \x1b[31mred\nand on\"" in shown("audit", "entries", "--csv"), "a spreadsheet would compute it"
    bundle = shown("audit", "export", said[-1]["session"], "--format", "fhir")
    assert "=1+1  [31mred\\nand on" in bundle and "u001b" not in bundle, "a FHIR string has no control character but these three"
    assert any(e["value"] == "=1+1 \x1b[31mred\nand on" for e in json.loads(shown("audit", "entries", "--json")))
    rows = wait_for(lambda: d.sql("select phase, outcome from audit_session where outcome is not null"))
    assert rows == [{"phase": "discharged", "outcome": "transferred"}]

    # The words of an entry that a subscriber finds in each of them, null where there is nothing to say.
    said = [json.loads(r["body"]) for r in d.sql("select body from audit_event where kind = 'entry'")]
    assert len(said) >= 6
    for body in said:
        assert {"entry", "value", "unit", "note", "operator"} <= body.keys(), body
