"""A session of the real daemon, judged afterwards by an auditor with nothing but the file."""
import datetime
import hashlib
import json
import re
import signal
import subprocess
import time

import pytest

from house import PATIENCE, ROOT, VITALSCTL, wait_for
from monitors import ModbusMonitor, bp_device, oximeter_device, raise_pressure


@pytest.fixture
def monitor():
    m = ModbusMonitor()
    m.set("input", 0, [121, 79, 93])
    m.set("input", 9, [1])
    m.set("holding", 0, [97, 72])
    yield m
    m.stop()


def audit(log, *words, status=0):
    p = subprocess.run([VITALSCTL, *words, "--log", log], capture_output=True, text=True, timeout=PATIENCE)
    assert p.returncode == status, p.stdout + p.stderr
    return p.stdout


def test_a_session_from_its_start_to_the_auditor(daemon, monitor):
    d = daemon([{"id": "chair-1", "limits": "ketamine-adult",
                 "devices": [bp_device(monitor.port), oximeter_device(monitor.port)]}]).start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    d.ctl("session", "start", "--chair", "chair-1", "--patient", "P-0042", "--protocol", "P1", "--weight", "70",
          "--operator", "anna")
    opened = s.wait("session", phase="screening")
    session = opened["session"]
    d.ctl("entry", "--chair", "chair-1", "note", "--note", "comfortable", "--operator", "ben")
    assert wait_for(lambda: d.sql(f"select 1 from audit_observation where session = '{session}' limit 1 offset 50"))

    # While the daemon runs: readable, sealed as far as it got, and whole.
    running = json.loads(audit(d.log, "audit", "verify", "--json"))
    assert running["ok"], running["findings"]
    shown = json.loads(audit(d.log, "audit", "show", session, "--json"))
    assert shown["patient"] == "P-0042" and shown["operator"] == "anna" and shown["phase"] == "screening"

    d.ctl("session", "phase", "--chair", "chair-1", "discharged", "--reason", "cancelled", "--operator", "anna")
    closed = s.wait("session", phase="discharged")
    seal = s.wait("seal", closed=session)
    assert len(seal["head"]) == 64 and len(seal["signature"]) == 128 and seal["rows"] > 5
    assert d.stop() == 0, d.said()

    witness = d.folder / "witness.jsonl"
    witness.write_text(json.dumps(seal) + "\n")
    verdict = json.loads(audit(d.log, "audit", "verify", "--json", "--witness", witness))
    assert verdict["ok"] and verdict["witnesses"] == 1 and verdict["unsealed"] == 0, verdict
    key = audit(d.log, "log", "key").strip()
    assert json.loads(audit(d.log, "audit", "verify", "--json", "--key", key))["ok"]

    shown = json.loads(audit(d.log, "audit", "show", session, "--json"))
    assert shown["started_at"] == opened["time"] and shown["ended_at"] == closed["time"]
    assert {e["kind"] for e in shown["events"]} >= {"session", "entry"}
    length = (shown["ended_ms"] - shown["started_ms"]) / 1000
    assert {"spo2", "pr", "nibp_sys"} <= set(shown["ledger"])
    for metric, row in shown["ledger"].items():
        assert sum(row.values()) == pytest.approx(length, abs=0.001), metric
    assert shown["ledger"]["spo2"]["valid"] > 0.9 * length
    assert session in audit(d.log, "audit", "sessions", "--patient", "P-0042")
    bundle = json.loads(audit(d.log, "audit", "export", session, "--format", "fhir"))
    assert {e["resource"]["resourceType"] for e in bundle["entry"]} >= {"Patient", "Device", "Observation", "AuditEvent"}
    published = [m for _, m in s.all() if m.get("session") == session and m["kind"] != "alive"]
    lines = [json.loads(x) for x in audit(d.log, "audit", "export", session, "--format", "json").splitlines()]
    for m in published:
        assert m in lines

    # Somebody who may write the file changes one number.
    subprocess.run(["sqlite3", d.log, "DROP TRIGGER keep_reading_u; UPDATE reading SET v1 = v1 + 1 WHERE id ="
                    " (SELECT min(id) FROM reading WHERE v1 IS NOT NULL)"], check=True)
    out = audit(d.log, "audit", "verify", status=1)
    assert "keep_reading_u" in out and "chair-1" in out


def test_a_killed_daemon_leaves_a_log_that_verifies(daemon, monitor):
    d = daemon([{"id": "chair-1", "limits": "ketamine-adult", "devices": [oximeter_device(monitor.port)]}]).start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    d.ctl("session", "start", "--chair", "chair-1", "--patient", "P-0043", "--protocol", "P1", "--weight", "70",
          "--operator", "anna")
    session = s.wait("session", phase="screening")["session"]
    time.sleep(2)
    d.kill()
    assert json.loads(audit(d.log, "audit", "verify", "--json"))["ok"]
    d.start()
    time.sleep(2)
    assert d.stop() == 0, d.said()
    rows = d.sql("select epoch, chair, kind, seq, body from audit_event where kind <> 'seal'")
    recorded = {(r["epoch"], r["chair"], r["kind"], r["seq"]): json.loads(r["body"]) for r in rows}
    for _, m in s.all():
        if m["kind"] not in ("alive", "seal"):
            assert recorded[m["epoch"], m["chair"], m["kind"], m["seq"]] == m
    verdict = json.loads(audit(d.log, "audit", "verify", "--json"))
    assert verdict["ok"] and any("did not end in order" in n["what"] for n in verdict["notes"])
    ledger = json.loads(audit(d.log, "audit", "show", session, "--json"))["ledger"]
    assert sum(ledger["spo2"].values()) > 3


def test_a_replay_of_the_log_derives_the_alarms_of_the_time(daemon, monitor):
    d = daemon([{"id": "chair-1", "limits": "ketamine-adult",
                 "devices": [bp_device(monitor.port), oximeter_device(monitor.port)]}]).start()
    s = d.subscribe()
    s.wait("vitals", device="bp")
    d.ctl("session", "start", "--chair", "chair-1", "--patient", "P-0044", "--protocol", "P1", "--weight", "70",
          "--operator", "anna")
    session = s.wait("session", phase="screening")["session"]
    d.ctl("session", "phase", "--chair", "chair-1", "baseline", "--operator", "anna", "--override", "test", "--second", "ben",
          check=False)
    raise_pressure(d, monitor)
    s.wait("alarm", rule="sbp-hi-crit", change="raised")
    time.sleep(1)
    d.ctl("session", "phase", "--chair", "chair-1", "discharged", "--reason", "cancelled", "--operator", "anna", check=False)
    time.sleep(0.5)
    assert d.stop() == 0, d.said()
    heard = [m for _, m in s.all() if m["kind"] == "alarm" and m["session"] == session]
    assert ("sbp-hi-crit", "raised") in [(m["rule"], m["change"]) for m in heard]
    audit(d.log, "replay", "--session", session, "--diff")
    lines = [json.loads(x) for x in audit(d.log, "replay", "--session", session, "--json").splitlines()]
    derived = [(x["rule"], x["change"]) for x in lines if x["kind"] == "alarm"]
    assert derived == [(m["rule"], m["change"]) for m in heard]
    # A record that says something else than its readings is told.
    subprocess.run(["sqlite3", d.log, "DROP TRIGGER keep_event_u; UPDATE event SET body = replace(body, '\"change\":\"raised\"',"
                    " '\"change\":\"latched\"') WHERE kind = 'alarm'"], check=True)
    assert "sbp-hi-crit" in audit(d.log, "replay", "--session", session, "--diff", status=1)
    audit(d.log, "replay", "--session", "s-none", "--diff", status=1)


OWN = "sets:\n  - name: own\n    extends: ketamine-adult\n    rules:\n      - {{ id: sbp-hi, limit: {} }}\n"


def test_the_record_names_the_limits_in_force(daemon, monitor):
    """A session says by which set it is judged, and a reload that changes it in the middle is part of its record."""
    chairs = [{"id": "chair-1", "limits": "own", "devices": [bp_device(monitor.port)]}]
    d = daemon(chairs, limit_files=["own.yaml"])
    own = d.folder / "own.yaml"
    own.write_text(OWN.format(150))
    s = d.start().subscribe()
    s.wait("vitals", device="bp")
    d.ctl("session", "start", "--chair", "chair-1", "--patient", "P-0042", "--protocol", "P1", "--weight", "70", "--operator", "anna")
    opened = s.wait("session", phase="screening")
    text = (ROOT / "alarms/sets/ketamine-adult.yaml").read_bytes()
    assert (opened["limits"], opened["limits_hash"]) == ("own", hashlib.sha256(text + own.read_bytes()).hexdigest()[:16])
    d.ctl("entry", "--chair", "chair-1", "note", "--note", "before", "--operator", "anna")
    own.write_text(OWN.format(155))
    d.process.send_signal(signal.SIGHUP)
    digest = hashlib.sha256(text + own.read_bytes()).hexdigest()[:16]
    changed = s.wait("session", limits_hash=digest)
    assert (changed["limits"], changed["session"]) == ("own", opened["session"])
    d.process.send_signal(signal.SIGHUP)  # the same again changes nothing
    d.ctl("session", "phase", "--chair", "chair-1", "discharged", "--reason", "cancelled", "--operator", "anna")
    assert s.wait("session", phase="discharged")["limits_hash"] == digest
    d.stop()
    rows = json.loads(audit(d.log, "audit", "limits", "--session", opened["session"], "--limit-file", own, "--json"))
    assert [r["source"] for r in rows if r["source"] == "configuration" and r["set"] == "own"] == ["configuration"]
    assert [r["value"] for r in rows if r["rule"] == "sbp-hi"] == [155]  # of the file as it is now; the note says so


def soon_after(time_text):
    """20 ms later: behind that message, and ahead of the next poll."""
    then = datetime.datetime.fromisoformat(time_text.replace("Z", "+00:00")) + datetime.timedelta(milliseconds=20)
    return then.strftime("%Y-%m-%dT%H:%M:%S.") + f"{then.microsecond // 1000:03}Z"


def test_an_alarm_is_explained_while_it_stands_and_years_later(daemon, monitor):
    """The rule, the limit and where it came from, the readings that counted, what was waited for, the set; and what became of it."""
    d = daemon([{"id": "chair-1", "limits": "ketamine-adult",
                 "devices": [bp_device(monitor.port), oximeter_device(monitor.port)]}]).start()
    s = d.subscribe()
    s.wait("vitals", device="bp")
    measured = lambda: sum("nibp_sys" in v["values"] for v in s.bodies("vitals", device="bp"))
    d.ctl("session", "start", "--chair", "chair-1", "--patient", "P-0042", "--protocol", "P1", "--weight", "70", "--operator", "anna")
    for entry in (("check", "all", "no"), ("consent", "yes"), ("pain", "6")):
        d.ctl("entry", "--chair", "chair-1", *entry, "--operator", "anna")
    d.ctl("session", "phase", "--chair", "chair-1", "baseline", "--operator", "anna")
    d.ctl("entry", "--chair", "chair-1", "moaas", "5", "--operator", "anna")
    had = measured()
    monitor.set("input", 9, [2])
    assert wait_for(lambda: measured() > had)
    infusion = ("session", "phase", "--chair", "chair-1", "infusion", "--confirm", "--override", "test", "--second", "ben", "--operator", "anna")
    assert wait_for(lambda: d.ctl(*infusion, check=False).returncode == 0), "a rate and a saturation are there within seconds"
    monitor.set("input", 0, [172, 90, 117])
    monitor.set("input", 9, [3])
    s.wait("request", request="nibp-repeat")
    monitor.set("input", 0, [174, 90, 117])
    monitor.set("input", 9, [4])
    raised = s.wait("alarm", rule="sbp-hi", change="raised")
    quiet = d.ctl("why", "--chair", "chair-1").stdout
    assert re.search(r"sbp-hi +174 +157.3 +16.7 beyond +a-\d+, sounding", quiet) and re.search(r"sbp-hi-crit +174 +180 +6 to go +inside", quiet), quiet

    now = d.ctl("alarm", "explain", raised["alarm"]).stdout
    for line in (f"alarm +{raised['alarm']}, rule sbp-hi, physiological, medium priority, now sounding", r"value +174 mm\[Hg\]",
                 r"limit +157.3 mm\[Hg\], worked out from the patient.s baseline 121", r"readings +174, 172 \([\d.]+ s before\)", r"waited +[\d.]+ s, as delay",
                 r"limit set +ketamine-adult, version \S+"):
        assert re.search(line, now), f"{line}\n{now}"
    d.ctl("alarm", "ack", "--chair", "chair-1", "--operator", "anna")
    s.wait("alarm", rule="sbp-hi", change="acknowledged")
    monitor.set("input", 0, [121, 79, 93])
    normal = lambda: sum(v["values"].get("nibp_sys") == 121 for v in s.bodies("vitals", device="bp"))
    for number in (5, 6):  # so far down at once that it is believed when it was measured again
        seen = normal()
        monitor.set("input", 9, [number])
        assert wait_for(lambda: normal() > seen)
    s.wait("alarm", rule="sbp-hi", change="cleared")
    gone = d.ctl("alarm", "explain", raised["alarm"], check=False)
    assert gone.returncode == 1 and "does not stand now" in gone.stderr and "--log FILE" in gone.stderr
    d.stop()

    then = audit(d.log, "alarm", "explain", raised["alarm"])
    for line in (r"readings +174, 172 \([\d.]+ s before\)", "session +s-", "limit set +ketamine-adult", "acknowledged, medium, by anna", "cleared, medium"):
        assert re.search(line, then), f"{line}\n{then}"

    # Why was it quiet after the first high reading?  The session runs again up to that moment.
    first, = (v for v in s.bodies("vitals", device="bp") if v["values"].get("nibp_sys") == 172)
    quiet = audit(d.log, "why", "--chair", "chair-1", "--at", soon_after(first["time"]))
    assert re.search(r"a doubtful cuff reading, 172/90, is 0.0\d+ s old and waits for its repeat", quiet), quiet
    assert re.search(r"sbp-hi +121 +157.3 +36.3 to go +a doubtful reading waits for its repeat", quiet), quiet
    later = json.loads(audit(d.log, "why", "--chair", "chair-1", "--at",
                             soon_after(s.bodies("alarm", rule="sbp-hi", change="acknowledged")[0]["time"]), "--json"))
    sbp_hi, = (r for r in later["rules"] if r["rule"] == "sbp-hi")
    assert (sbp_hi["life"], sbp_hi["by"], later["phase"]) == ("acknowledged", "anna", "infusion")
    audit(d.log, "why", "--chair", "chair-1", "--at", "2020-01-01", status=1)
    audit(d.log, "why", "--chair", "chair-1", "--at", "noon", status=2)

    told = json.loads(audit(d.log, "alarm", "explain", raised["alarm"], "--json"))
    assert told["because"] == raised["because"] and [c["change"] for c in told["course"]] == ["acknowledged", "cleared"]
    assert told["set_hash"] == s.bodies("session")[-1]["limits_hash"]
    audit(d.log, "alarm", "explain", "a-999999", status=1)
