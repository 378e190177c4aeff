"""A session that the real daemon watched, judged once more from its log: with its limits the same alarms, with others others.

The simulated patient's pressure rises sixty times as fast as a person's; people acknowledge, pause and score; the daemon
is killed and started again in between.
"""
import json
import signal
import socket
import sqlite3
import subprocess
import time
import xml.etree.ElementTree

import pytest

from house import Daemon, VITALSCTL, derived_again, free_port, wait_for
from monitors import ModbusMonitor, bp_device, oximeter_device
from synthetic import Watch
from test_sim import Sim

STRICTER = """
sets:
  - name: stricter
    extends: ketamine-adult
    rules:
      - { id: sbp-hi, limit: { baseline: "110%", at_least: 130, at_most: 150 } }
"""


def chairs(sim, folder):
    return [{"id": "chair-1", "limits": "ketamine-adult", "devices": [
        {"id": "oximeter", "plugin": "nonin-df2", "serial": {"path": str(folder / "oximeter")}},
        {"id": "bp", "plugin": "modbus", "tcp": {"host": "127.0.0.1", "port": sim.port()}, "profile": "vitals-sim-nibp"}]}]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A daemon's log with one session, and the alarms that a subscriber of the time saw."""
    folder = tmp_path_factory.mktemp("night")
    sim = Sim("--chair", "chair-1", "--scenario", "normal", "--seed", "5", "--lead", "24h", "--cuff", "2min",
              "--speed", "60", "--commands", "--baseline", "nibp_sys=128,nibp_dia=80,hr=72,spo2=98", "--response", "0.8",
              "--modbus-tcp", "127.0.0.1:0", "--nonin", str(folder / "oximeter"), stdin=subprocess.PIPE)
    d = Daemon(folder / "d", chairs(sim, folder)).start()
    heard = Watch(folder, "--connect", d.events, "--json", "--topic", "alarm/", "--topic", "alive/").connected()  # asks for what it missed

    def alarmed(**fields):
        return [e for e in heard.events("alarm") if all(e.get(k) == v for k, v in fields.items())]
    try:
        def does(*words, check=True):
            return d.ctl(*words, "--chair", "chair-1", "--operator", "anna", check=check)
        does("session", "start", "--patient", "N-17", "--protocol", "P1", "--weight", "70")
        for words in ("check all no", "consent yes", "pain 6"):
            does("entry", *words.split())
        does("session", "phase", "baseline")
        does("entry", "moaas", "5")
        time.sleep(5)
        infusion = ("session", "phase", "infusion", "--confirm", "--override", "training", "--second", "ben")
        assert wait_for(lambda: does(*infusion, check=False).returncode == 0, step=1), "a rate and a saturation are there within seconds"
        sim.process.stdin.write(b"infuse\nscenario surge\n")
        assert wait_for(lambda: alarmed(change="raised"))
        time.sleep(4)
        does("alarm", "pause", "--for", "5s")
        does("entry", "moaas", "2")
        assert wait_for(lambda: alarmed(rule="loc-low", change="raised"))
        does("alarm", "ack")
        does("entry", "moaas", "5")
        does("entry", "med", "labetalol", "10", "mg", "iv")
        d.kill()
        time.sleep(1)
        d.start()
        time.sleep(6)
        sim.process.stdin.write(b"stop\nscenario normal\n")
        sim.process.stdin.flush()
        does("session", "phase", "recovery")
        time.sleep(6)
        session = d.ctl_json("session", "show", "--chair", "chair-1")["session"]
        assert d.stop() == 0, d.said()
        last = d.sql("select epoch, seq from audit_event where kind = 'alarm' order by epoch desc, seq desc limit 1")[0]
        assert wait_for(lambda: alarmed(**last)), "what is published last is heard last"
        yield d.log, session, [("alarm/chair-1", e) for e in heard.events("alarm")]
    finally:
        heard.stop()
        sim.stop()
        d.kill()


def replay(*words):
    return subprocess.run([VITALSCTL, "replay", *map(str, words)], capture_output=True, text=True, timeout=60)


def test_the_log_gives_the_alarms_of_the_time(night):
    log, session, heard = night
    changes = {m["change"] for _, m in heard}
    assert {"raised", "acknowledged", "audio_paused", "cleared"} <= changes, "the night was too quiet to prove anything"
    assert len({m["epoch"] for _, m in heard}) == 2
    p = replay("--log", log, "--session", session, "--diff")
    assert p.returncode == 0, p.stdout + p.stderr
    assert p.stdout.count("\n") == 1 and "the same" in p.stdout


def test_what_is_printed_is_what_a_subscriber_saw(night):
    log, session, heard = night
    p = replay("--log", log, "--session", session, "--json")
    assert p.returncode == 0, p.stderr
    again = [e for e in map(json.loads, p.stdout.splitlines()) if e["kind"] == "alarm"]
    seen = {}
    for _, m in heard:
        if m["session"] == session:
            seen[m["epoch"], m["seq"]] = m
    then = [(m["rule"], m["change"], m.get("value"), m.get("limit")) for _, m in sorted(seen.items())]
    assert [(e["rule"], e["change"], e.get("value"), e.get("limit")) for e in again] == then
    assert again == sorted(again, key=lambda e: e["t_s"])
    assert replay("--log", log, "--session", session, "--json").stdout == p.stdout, "a replay is the same to the byte"


def test_other_limits_are_found_out(night, tmp_path):
    log, session, _ = night
    (tmp_path / "stricter.yaml").write_text(STRICTER)
    with_limits = ("--limits", "stricter", "--limit-file", tmp_path / "stricter.yaml")
    p = replay("--log", log, "--session", session, "--diff", *with_limits)
    assert p.returncode == 1, p.stdout + p.stderr
    assert any(line.startswith("+") and "sbp-hi" in line for line in p.stdout.splitlines()), p.stdout
    p = replay("--log", log, "--session", session, "--diff", "--json", *with_limits)
    found = [json.loads(line) for line in p.stdout.splitlines()]
    assert p.returncode == 1 and {f["difference"] for f in found} <= {"missing", "extra", "other_numbers"} and found


def edited(log, copy, script):
    """A copy of a log, changed by somebody who may write to it."""
    source, target = sqlite3.connect(f"file:{log}?mode=ro", uri=True), sqlite3.connect(copy, isolation_level=None)
    source.backup(target)
    source.close()
    for (name,) in target.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        target.execute(f"DROP TRIGGER {name}")
    before = target.total_changes
    target.executescript(script)
    assert target.total_changes > before
    target.close()
    return copy


ONE = "event = (SELECT event FROM event WHERE kind = 'alarm' AND json_extract('{' || body || '}', '$.change') = '%s' AND" \
      " json_extract('{' || body || '}', '$.rule') LIKE '%s' ORDER BY event LIMIT 1)"
RAISED, CLEARED = ONE % ("raised", "sbp-%"), ONE % ("cleared", "%")


@pytest.mark.parametrize("what, script, told", [
    ("an alarm that was raised is taken out", f"DELETE FROM alarm WHERE {RAISED}; DELETE FROM event WHERE {RAISED}", {"extra"}),
    ("its end is taken out", f"DELETE FROM event WHERE {CLEARED}", {"extra"}),
    ("one that never was is put in", "INSERT INTO event(origin, kind, seq, at_ms, session, operator, alarm, body) SELECT origin, kind,"
     f" seq + 1000, at_ms + 700, session, operator, 'a-009999', replace(body, '\"sbp-', '\"hr-') FROM event WHERE {RAISED}", {"missing"}),
    ("it is said to have come later", f"UPDATE event SET at_ms = at_ms + 2000 WHERE {RAISED}", {"missing", "extra"}),
    ("it is said to have been of another urgency", "UPDATE event SET body = replace(replace(replace(body, 'y\":\"low', 'y\":\"HIGH'),"
     f" 'y\":\"medium', 'y\":\"low'), 'HIGH', 'high') WHERE {RAISED}", {"missing", "extra"}),
    ("another number", f"UPDATE event SET body = replace(body, '\"value\":1', '\"value\":2') WHERE {RAISED}", {"other_numbers"}),
    ("another limit", f"UPDATE event SET body = replace(body, '\"limit\":1', '\"limit\":2') WHERE {RAISED}", {"other_numbers"}),
    ("pressures that are no reason for an alarm", "UPDATE reading SET v1 = 120 WHERE v1 > 140 AND shape IN (SELECT id / 32 FROM"
     " shape_metric WHERE metric = 'nibp_sys' AND place = 1)", {"missing"}),
])
def test_what_does_not_follow_from_the_readings_is_a_finding(night, tmp_path, what, script, told):
    """Whoever changed it, or whatever went wrong in the daemon at the time: the log's alarms are not those of its readings."""
    log, session, _ = night
    p = replay("--log", edited(log, tmp_path / "log.db", script), "--session", session, "--diff", "--json")
    found = [json.loads(line) for line in p.stdout.splitlines()]
    assert p.returncode == 1 and told <= {f["difference"] for f in found}, (what, p.stdout)


@pytest.mark.parametrize("words, code, why", [
    (["--log", "LOG"], 2, "go together"),
    (["--session", "s-1", "--csv", "x.csv"], 2, "go together"),
    (["--log", "LOG", "--session", "s-1", "--csv", "x.csv"], 2, "--csv FILE, or --log FILE"),
    (["--log", "LOG", "--session", "s-19990101-1"], 1, "audit sessions"),
    (["--log", "LOG", "--session", "s-1", "--phase", "infusion"], 2, "in the log"),
    (["--csv", "x.csv", "--diff"], 2, "--diff"),
    (["--log", "/nonexistent/x.db", "--session", "s-1"], 1, "/nonexistent/x.db"),
])
def test_what_is_asked_wrongly_is_said(night, words, code, why):
    p = replay(*[str(night[0]) if w == "LOG" else w for w in words])
    assert p.returncode == code and why in p.stderr, p.stderr


# ---- the burden ----

def burden(*words):
    return subprocess.run([VITALSCTL, "burden", *map(str, words)], capture_output=True, text=True, timeout=60)


def lives(heard, session):
    """What a subscriber can tell: {alarm: (rule, seconds until acknowledged or None)} of alarms that were raised in the session."""
    at = lambda m: int(m["time"][17:19]) + 60 * int(m["time"][14:16]) + 3600 * int(m["time"][11:13]) + float(m["time"][19:23])
    first, found = {}, {}
    for _, m in heard:
        if m["session"] == session and m["change"] == "raised" and m["alarm"] not in first:
            first[m["alarm"]] = at(m)
            found[m["alarm"]] = (m["rule"], None)
        if m["change"] == "acknowledged" and m["alarm"] in found and found[m["alarm"]][1] is None:
            found[m["alarm"]] = (m["rule"], at(m) - first[m["alarm"]])
    return found


def test_the_burden_is_what_a_subscriber_counted(night):
    log, session, heard = night
    p = burden("--log", log, "--json")
    assert p.returncode == 0, p.stderr
    told, mine = json.loads(p.stdout), lives(heard, session)
    with sqlite3.connect(f"file:{log}?mode=ro", uri=True) as db:
        began, ended = db.execute("SELECT min(started_ms), (SELECT max(recorded_ms) FROM audit_event) FROM audit_session").fetchone()
    assert told["sessions"] == 1 and 20 < 3600 * told["chair_hours"] < (ended - began) / 1000 + 1
    assert told["alarmed"]["alarms"] == len(mine) > 0
    assert told["alarmed"]["per_hour"] == pytest.approx(len(mine) / told["chair_hours"], rel=1e-3)
    by_rule = {}
    for r in told["alarmed"]["rules"]:
        by_rule[r["rule"]] = by_rule.get(r["rule"], 0) + r["alarms"]
    assert {r: n for r, n in by_rule.items() if n} == {r: [x for x, _ in mine.values()].count(r) for r, _ in mine.values()}
    answered = sorted(a for _, a in mine.values() if a is not None)
    assert told["alarmed"]["acknowledged"] == len(answered)
    assert told["alarmed"]["acknowledged_after_longest_s"] == pytest.approx(answered[-1], abs=0.01)
    assert sum(told["alarmed"]["priorities"][p]["alarms"] for p in ("high", "medium", "low")) == len(mine)


def test_another_limit_set_over_the_same_sessions(night, tmp_path):
    log, _, _ = night
    (tmp_path / "stricter.yaml").write_text(STRICTER)
    same = json.loads(burden("--log", log, "--limits", "ketamine-adult", "--json").stdout)
    again, then = same["with"]["rules"], same["alarmed"]["rules"]
    assert [r["rule"] for r in again] == [r["rule"] for r in then]
    for a, t in zip(again, then):  # moments as --diff takes them for the same (VS_RELIVE_SAME_MS)
        assert a == {k: pytest.approx(v, abs=0.25) if k.endswith("_s") and v is not None else v for k, v in t.items()}, \
            "the limits of the time give the burden of the time"
    p = burden("--log", log, "--limits", "stricter", "--limit-file", tmp_path / "stricter.yaml", "--json")
    other = json.loads(p.stdout)["with"]
    stood = lambda side: sum(r["stood_s"] for r in side["rules"] if r["rule"] == "sbp-hi")
    assert other["limits"] == "stricter" and stood(other) > stood(same["with"])
    table = burden("--log", log, "--limits", "stricter", "--limit-file", tmp_path / "stricter.yaml").stdout
    assert "chair-hours" in table and "stricter:" in table and "sbp-hi" in table


def test_the_picture_has_a_bar_for_each_alarm(night, tmp_path):
    log, session, heard = night
    svg = tmp_path / "session.svg"
    p = burden("--log", log, "--session", session, "--svg", svg)
    assert p.returncode == 0, p.stderr
    root = xml.etree.ElementTree.parse(svg).getroot()
    bars = [t.text for t in root.iter("{http://www.w3.org/2000/svg}title")]
    texts = {}
    for _, m in heard:
        if m["session"] == session and m["change"] == "raised":  # and again, where a lower one comes back with a number of its own
            texts.setdefault(m["alarm"], []).append(m["text"])
    assert texts and all(any(t in b for t in said for b in bars) for said in texts.values()), (texts, bars)


@pytest.mark.parametrize("words, code, why", [
    (["--log", "LOG", "--svg", "x.svg"], 2, "which"),
    (["--log", "LOG", "--limit-file", "x.yaml"], 2, "--limits"),
    (["--log", "LOG", "--limits", "no-such"], 2, "no-such"),
    (["--log", "LOG", "--session", "s-1"], 1, "audit sessions"),
    (["--log", "LOG", "--until", "2001-01-01"], 1, "no session"),
    (["--log", "LOG", "more"], 2, "more"),
    (["--log", "LOG", "--limits"], 2, "value"),
])
def test_a_burden_asked_for_wrongly(night, words, code, why):
    p = burden(*[str(night[0]) if w == "LOG" else w for w in words])
    assert p.returncode == code and why in p.stderr, p.stderr


def test_a_set_that_changed_since_is_no_difference_of_the_engine(tmp_path_factory):
    """The clinic's set of the time is named by the log; another text under that name is told, and no alarm is blamed on it."""
    folder = tmp_path_factory.mktemp("sets")
    sim = Sim("--chair", "chair-1", "--seed", "7", "--speed", "20", "--modbus-tcp", "127.0.0.1:0", "--nonin", str(folder / "oximeter"))
    then, now = folder / "limits.yaml", folder / "later.yaml"
    text = "sets:\n  - name: our-clinic\n    extends: ketamine-adult\n    rules:\n" \
           "      - {{ id: spo2-adv, limit: {0}, clear: {0}, on_delay: 1s, phases: [none, screening, infusion] }}\n"
    then.write_text(text.format(100))
    now.write_text(text.format(90))
    config = chairs(sim, folder)
    config[0]["limits"] = "our-clinic"
    d = Daemon(folder / "d", config, limit_files=[str(then)]).start()
    heard = d.subscribe("alarm/")
    try:
        d.ctl("session", "start", "--chair", "chair-1", "--patient", "N-1", "--protocol", "P1", "--weight", "70", "--operator", "anna")
        heard.wait("alarm", rule="spo2-adv", change="raised")
        session = d.ctl_json("session", "show", "--chair", "chair-1")["session"]
        assert d.stop() == 0, d.said()
    finally:
        heard.stop()
        sim.stop()
        d.kill()
    log = ("--log", d.log, "--session", session, "--diff")
    p = replay(*log, "--limit-file", then)
    assert p.returncode == 0 and "the same" in p.stdout, p.stdout + p.stderr
    p = replay(*log, "--limit-file", now)
    assert p.returncode == 1 and "limits of the time were our-clinic" in p.stderr and not p.stdout, p.stdout + p.stderr
    p = replay(*log)
    assert p.returncode == 0 and "the same" in p.stdout and "as the log keeps their text" in p.stderr, p.stdout + p.stderr
    # A log of before, or one whose text somebody lost or changed.
    without = edited(d.log, tmp_path_factory.mktemp("without") / "log.db", "DELETE FROM limit_set; DELETE FROM limit_text")
    p = replay("--log", without, *log[2:])
    assert p.returncode == 1 and "'our-clinic'" in p.stderr and "--limit-file" in p.stderr
    p = replay("--log", without, *log[2:-1])
    assert p.returncode == 0 and "not at hand" in p.stderr
    p = replay("--log", without, *log[2:], "--limit-file", then)
    assert p.returncode == 0 and "the same" in p.stdout
    for script in ("UPDATE limit_text SET text = replace(text, '100', '90') WHERE name LIKE '%limits.yaml'",
                   "UPDATE limit_text SET text = replace(text, 'high: 220', 'high: 230') WHERE name NOT LIKE '%limits.yaml'",
                   "DELETE FROM limit_text WHERE name LIKE '%limits.yaml'"):
        changed = edited(d.log, tmp_path_factory.mktemp("changed") / "log.db", script)
        p = replay("--log", changed, *log[2:])
        assert p.returncode == 1 and "audit verify" in p.stderr and not p.stdout, (script, p.stdout + p.stderr)


ON_THE_WAY = "sets:\n  - name: our-clinic\n    extends: ketamine-adult\n    rules:\n" \
             "      - {{ id: spo2-adv, metric: spo2, when: below, limit: {0}, priority: low, phases: [none, screening], text: low }}\n"


def asks(d, **request):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(d.control))
        s.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(s.makefile().readline())
    assert answer["ok"], answer


def test_what_changes_in_the_middle_is_followed(daemon, tmp_path):
    """Other limits, limits of this patient, other devices in another order, a daemon that is killed: each at its time."""
    monitor, dead = ModbusMonitor(), oximeter_device(free_port()) | {"id": "spare"}
    monitor.set("input", 0, [121, 79, 93])
    monitor.set("input", 9, [1])
    monitor.set("holding", 0, [97, 72])
    limits = tmp_path / "limits.yaml"
    devices = [oximeter_device(monitor.port), bp_device(monitor.port)]

    def configure(limit, *devices):
        limits.write_text(ON_THE_WAY.format(limit))
        d.configure([{"id": "chair-1", "limits": "our-clinic", "devices": list(devices)}], limit_files=[str(limits)])
        if d.process:
            d.process.send_signal(signal.SIGHUP)

    limits.write_text(ON_THE_WAY.format(90))
    d = daemon([{"id": "chair-1", "limits": "our-clinic", "devices": devices}], limit_files=[str(limits)]).start()
    s = d.subscribe()
    epoch = s.wait("vitals")["epoch"]  # after a crash the last messages of the one before may come again
    told = lambda change, n: wait_for(lambda: len(s.bodies("alarm", rule="spo2-adv", change=change, epoch=epoch)) == n)
    try:
        d.ctl("session", "start", "--chair", "chair-1", "--patient", "N-1", "--protocol", "P1", "--weight", "70", "--operator", "anna")
        assert s.wait("session", phase="screening")["devices"] == [{"device": n, "poll_s": 0.2} for n in ("oximeter", "bp")]
        time.sleep(2)
        configure(98, *devices)
        assert told("raised", 1)
        change = {"op": "limit", "chair": "chair-1", "rule": "spo2-adv", "reason": "lives at 3000 m", "operator": "anna"}
        asks(d, **change, value=95)
        assert told("cleared", 1)
        asks(d, **change, value=None)
        assert told("raised", 2) and s.wait("entry", entry="limit-change", from_set=True)
        d.kill()
        d.start()
        epoch += 1
        s = d.subscribe()
        s.wait("vitals", device="oximeter")
        configure(98, dead, *reversed(devices))
        assert s.wait("session", text="the configuration changed: other devices, limits are still those of our-clinic")
        monitor.set("holding", 0, [99, 72])
        assert told("cleared", 1)
        configure(100, *reversed(devices))
        assert told("raised", 1)
        time.sleep(1.5)
        assert d.stop() == 0, d.said()
    finally:
        monitor.stop()
    assert derived_again(d.log)[0] == 1
    # The set of the beginning, for all of it: other alarms, and it is told that this need not be the engine.
    limits.write_text(ON_THE_WAY.format(90))
    session = d.sql("select session from session")[0]["session"]
    p = replay("--log", d.log, "--session", session, "--diff", "--limits", "our-clinic", "--limit-file", limits)
    assert p.returncode == 1 and "the limits of the time were our-clinic" in p.stderr, p.stdout + p.stderr
