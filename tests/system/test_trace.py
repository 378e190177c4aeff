"""Reading the record: by people who may read and nothing else, and leaving a trace where the configuration asks for one."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from house import PATIENCE, VITALSCTL, wait_for
from monitors import ModbusMonitor, bp_device, oximeter_device

AUDITOR, GROUP = 65534, 54321


@pytest.fixture
def monitor():
    m = ModbusMonitor()
    m.set("input", 0, [121, 79, 93])
    m.set("input", 9, [1])
    m.set("holding", 0, [97, 72])
    yield m
    m.stop()


@pytest.fixture
def running(daemon, monitor, public):
    """A daemon that wants to know who reads, with a session that is over and one that runs."""
    d = daemon([{"id": "chair-1", "limits": "ketamine-adult", "devices": [bp_device(monitor.port)]},
                {"id": "chair-2", "limits": "ketamine-adult", "devices": [oximeter_device(monitor.port)]}],
               name=public / "d", audit={"trace": True}).start()
    s = d.subscribe()
    s.wait("vitals", device="bp")
    sessions = []
    for patient in ("P-1", "P-2"):
        d.ctl("session", "start", "--chair", "chair-1", "--patient", patient, "--protocol", "P1", "--weight", "70", "--operator", "anna")
        sessions.append(s.wait("session", phase="screening", patient=patient)["session"])
        if patient == "P-1":
            d.ctl("session", "phase", "--chair", "chair-1", "discharged", "--reason", "cancelled", "--operator", "anna")
            s.wait("session", phase="discharged")
    assert wait_for(lambda: d.sql(f"select 1 from audit_session where session = '{sessions[1]}'"))
    return d, s, sessions


def read(d, *words, control=True, prefix=(), tool=VITALSCTL):
    more = ("--control", d.control) if control else ()
    return subprocess.run([*prefix, tool, *words, "--log", d.log, *more], capture_output=True, text=True, timeout=PATIENCE)


def accesses(s):
    return s.bodies("entry", entry="access")


READS = [
    ("audit", "show", "{}"), ("audit", "sessions", "--patient", "P-1"), ("audit", "alarms"), ("audit", "entries"), ("audit", "operators"),
    ("audit", "limits"), ("audit", "events", "--session", "{}"), ("audit", "compare", "--patient", "P-1"),
    ("audit", "export", "{}", "--format", "json"), ("session", "report", "{}"), ("session", "course", "P-1"),
    ("replay", "--session", "{}"), ("burden",),
]


def test_whoever_reads_is_recorded(running):
    d, s, (old, now) = running
    for number, words in enumerate(READS, 1):
        p = read(d, *(w.format(old) for w in words))
        assert p.returncode == 0 and p.stdout, (words, p.stderr)
        told = wait_for(lambda: accesses(s)[number - 1:])
        assert told, words
        assert told[0]["value"].startswith(" ".join(words[:2]).strip("- {}").split(" --")[0]), told[0]
        assert (told[0]["uid"], told[0]["note"], told[0]["session"]) == (os.getuid(), str(d.log), None)
        assert told[0].get("read") == (old if "{}" in words else None)
        assert told[0]["operator"] not in ("", None)
    assert len(accesses(s)) == len(READS)
    assert [p.returncode for p in (read(d, "audit", "verify"), read(d, "log", "info"))] == [0, 0]
    assert len(accesses(s)) == len(READS), "nothing of a patient was read"
    # Shared logins name themselves; the trace stands in the log, and in no session of anybody.
    assert read(d, "audit", "show", old, "--reader", "eve").returncode == 0
    rows = wait_for(lambda: d.sql("select operator, session from audit_event where kind = 'entry' and operator = 'eve'"))
    assert rows == [{"operator": "eve", "session": None}]
    people = {p["operator"]: p for p in json.loads(read(d, "audit", "operators", "--json").stdout)}
    assert people["eve"]["reads"] == 1 and people["eve"]["entries"] == 0 and people["anna"]["reads"] == 0
    shown = json.loads(read(d, "audit", "show", now, "--json").stdout)
    assert not [e for e in shown["events"] if e.get("entry") == "access"]


def test_nothing_is_shown_where_the_trace_cannot_be_left(running):
    d, s, (old, _) = running
    lost = d.folder / "nowhere.sock"
    p = subprocess.run([VITALSCTL, "audit", "show", old, "--log", d.log, "--control", lost], capture_output=True, text=True)
    assert (p.returncode, p.stdout) == (1, "") and "cannot reach vitalsd" in p.stderr and "--untraced" in p.stderr
    out = d.folder / "export.json"
    p = subprocess.run([VITALSCTL, "audit", "export", old, "--format", "fhir", "--out", out, "--log", d.log, "--control", lost],
                       capture_output=True, text=True)
    assert p.returncode == 1 and not list(d.folder.glob("export*"))
    p = read(d, "audit", "show", old, "--untraced")
    assert p.returncode == 0 and p.stdout and "nobody is" in p.stderr
    assert not accesses(s)
    # A copy has the policy in it.
    copy = d.folder / "copy.db"
    assert read(d, "log", "backup", "--out", copy).returncode == 0
    p = subprocess.run([VITALSCTL, "audit", "show", old, "--log", copy, "--control", lost], capture_output=True, text=True)
    assert (p.returncode, p.stdout) == (1, "")


def test_nobody_reads_in_another_s_name(running):
    d, s, (old, _) = running
    d.configure(json.loads(d.config.read_text())["chairs"], audit={"trace": True},
                operators=[{"name": "anna", "role": "nurse"}, {"name": "eve", "role": "auditor", "uid": AUDITOR}])
    d.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: "is in force" in d.said())
    p = read(d, "audit", "show", old, "--reader", "eve")
    assert (p.returncode, p.stdout) == (1, "") and "eve has a login of his own" in p.stderr
    assert read(d, "audit", "show", old, "--reader", "anna").returncode == 0


def test_the_policy_follows_the_configuration(running):
    d, s, (old, _) = running
    said = "select json_extract(body, '$.value') as value from audit_event where json_extract(body, '$.entry') = 'read-trace'"
    assert d.sql(said) == [{"value": "on"}]
    d.configure(json.loads(d.config.read_text())["chairs"])
    d.process.send_signal(signal.SIGHUP)
    s.wait("entry", entry="read-trace", value="off")
    assert wait_for(lambda: read(d, "audit", "show", old, control=False).returncode == 0)
    p = read(d, "audit", "show", old, control=False)
    assert p.returncode == 0 and not accesses(s)
    d.stop()
    d.configure(json.loads(d.config.read_text())["chairs"], audit={"trace": "perhaps"})
    p = subprocess.run([VITALSCTL, "audit", "sessions", "--config", d.config], capture_output=True, text=True)
    assert p.returncode == 78 and "trace" in p.stderr


def test_a_group_that_may_read_is_enough_while_the_daemon_writes(running):
    """Another user, in a group that may read the files: every question is answered, nothing is left behind."""
    d, s, (old, now) = running
    if os.geteuid() != 0:
        pytest.skip("becoming somebody else takes root")
    os.chown(d.folder, -1, GROUP)
    os.chmod(d.folder, 0o750)
    for f in d.folder.iterdir():
        os.chown(f, -1, GROUP)
        os.chmod(f, 0o600 if f.name.endswith(".key") else 0o640)
    tool = d.folder.parent / "vitalsctl"
    shutil.copy(VITALSCTL, tool)
    os.chmod(tool, 0o755)
    scratch = d.folder.parent / "scratch"
    scratch.mkdir()
    os.chmod(scratch, 0o777)
    before = sorted(p.name for p in d.folder.iterdir())

    def become(*groups):
        return ("setpriv", f"--reuid={AUDITOR}", f"--regid={AUDITOR}",
                *([f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]), "env", f"TMPDIR={scratch}")

    # The log, but not the control socket: whole, but not shown without a trace.
    p = read(d, "audit", "verify", prefix=become(GROUP), tool=tool)
    assert p.returncode == 0, p.stderr + p.stdout
    p = read(d, "audit", "show", old, prefix=become(GROUP), tool=tool)
    assert (p.returncode, p.stdout) == (1, "") and "you must be in the group" in p.stderr
    os.chmod(d.control, 0o660)
    for words in (("audit", "sessions"), ("audit", "show", now), ("audit", "export", old, "--format", "csv"), ("audit", "verify")):
        p = read(d, *words, prefix=become(GROUP), tool=tool)
        assert p.returncode == 0 and p.stdout, p.stderr
    told = wait_for(lambda: len(accesses(s)) >= 3 and accesses(s))
    assert {(a["uid"], a["operator"]) for a in told} == {(AUDITOR, "nobody")}
    # What the daemon commits meanwhile is seen at the next question.
    d.ctl("entry", "--chair", "chair-1", "note", "--note", "seen at once", "--operator", "anna")
    assert wait_for(lambda: "seen at once" in read(d, "audit", "entries", prefix=become(GROUP), tool=tool).stdout)
    # Nobody else sees anything.
    p = read(d, "audit", "sessions", prefix=become(), tool=tool)
    assert (p.returncode, p.stdout) == (1, "") and "ermission denied" in p.stderr
    time.sleep(0.3)
    assert sorted(p.name for p in d.folder.iterdir()) == before and not list(scratch.iterdir())
