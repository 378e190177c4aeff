"""What must not take the daemon down: disks, sockets, lines and kills, on the real programs.

VITALSD_KILLS: how often the daemon is killed in the last test (30).  Mounting a small disk needs root; without it that test is
skipped and says so.
"""
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

from house import PATIENCE, ROOT, VITALSCTL, VITALSD, free_port, wait_for
from monitors import ModbusMonitor, bp_device, oximeter_device, raise_pressure
from probing import RtuDevice

VECTORS = json.loads((ROOT / "plugins/nonin-df2/captures/nonin-df2.json").read_text())
PACKET = bytes.fromhex(next(v for v in VECTORS if v["name"] == "normal_72_97")["bytes_hex"])


@pytest.fixture
def monitor():
    m = ModbusMonitor()
    m.set("input", 0, [121, 79, 93])
    m.set("input", 9, [1])
    m.set("holding", 0, [97, 72])
    yield m
    m.stop()


def chair(monitor, name="chair-1", **more):
    return {"id": name, "limits": "ketamine-adult", "devices": [bp_device(monitor.port, **more), oximeter_device(monitor.port, **more)]}


def busy_chairs(monitor, n=4, poll="50ms"):
    """Much to record: 2 n devices, twenty readings a second each."""
    return [chair(monitor, f"chair-{i}", poll=poll) for i in range(1, n + 1)]


def logged(d):
    return {(r["epoch"], r["chair"], r["kind"], r["seq"]): json.loads(r["body"]) for r in d.sql("select * from audit_event")}


def key(body):
    return body["epoch"], body["chair"], body["kind"], body["seq"]


def check_kept(d, heard, but=("alive",)):
    """Every message that was heard stands in the log as it was published, and a number means one message only."""
    rows = logged(d)
    meanings = {}
    for b in heard:
        assert meanings.setdefault(key(b), b) == b, f"one number for two messages: {key(b)}"
        if b["kind"] not in but:
            assert rows.get(key(b)) == b
    return rows


def check_contiguous(rows):
    topics = {}
    for epoch, chair_id, kind, seq in rows:
        topics.setdefault((epoch, chair_id, kind), set()).add(seq)
    for topic, numbers in topics.items():
        assert numbers == set(range(1, len(numbers) + 1)), f"{topic}: numbers are missing"


# ---- places that cannot be written

@pytest.mark.parametrize("place, why", [
    ("no-such-folder/vitals.db", "a folder that is not there"),
    ("file/vitals.db", "a file where a folder should be"),
    ("folder", "a folder where the log should be"),
    ("/proc/vitals.db", "where nobody may write"),
])
def test_a_log_that_cannot_be_is_said_at_the_start(daemon, tmp_path, monitor, place, why):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    path = tmp_path / place
    d = daemon([chair(monitor)], log={"path": str(path)})
    p = subprocess.run([VITALSD, "--config", d.config], capture_output=True, text=True, timeout=PATIENCE)
    assert p.returncode == 1, (why, p.stderr)
    assert str(path) in p.stderr, (why, p.stderr)
    assert "Sanitizer" not in p.stderr


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here (that needs root)")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    with open(place / "filler", "ab", buffering=0) as f:
        for size in (65536, 4096, 512):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass


def test_no_room_at_the_start_is_said(daemon, small_disk, monitor):
    fill(small_disk)
    d = daemon([chair(monitor)], log={"path": str(small_disk / "vitals.db")})
    p = subprocess.run([VITALSD, "--config", d.config], capture_output=True, text=True, timeout=PATIENCE)
    assert p.returncode == 1 and "No space left" in p.stderr, p.stderr


def test_full_disk_alarms_go_on_and_the_record_follows(daemon, small_disk, monitor):
    d = daemon([chair(monitor)], log={"path": str(small_disk / "vitals.db"), "custody": "512KiB"})
    d.log = small_disk / "vitals.db"
    d.start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    fill(small_disk)
    s.wait("alarm", rule="log-fail", change="raised")
    assert "free space" in d.said()
    raise_pressure(d, monitor)
    assert s.wait("alarm", rule="sbp-hi-crit", change="raised")["priority"] == "high"
    d.ctl("entry", "--chair", "chair-1", "note", "--note", "the disk is full", "--operator", "anna")
    assert d.ask({"op": "snapshot"})["ok"]
    (small_disk / "filler").unlink()
    s.wait("alarm", rule="log-fail", change="cleared")
    assert d.stop() == 0, d.said()
    heard = [b for _, b in s.all()]
    assert {"alarm", "entry", "vitals"} <= {b["kind"] for b in heard}
    check_contiguous(check_kept(d, heard))


def test_full_disk_for_long_gives_up_readings_and_nothing_else(daemon, small_disk, monitor):
    d = daemon(busy_chairs(monitor), log={"path": str(small_disk / "vitals.db"), "custody": "256KiB"})
    d.log = small_disk / "vitals.db"
    d.start()
    s = d.subscribe()
    s.wait("vitals", chair="chair-4")
    fill(small_disk)
    s.wait("alarm", rule="log-fail", change="raised")

    def readings_stopped():
        """None between three signs of life, in which there would be three hundred."""
        topics = [t for t, _ in s.messages()]
        signs = [i for i, t in enumerate(topics) if t == "alive/chair-1"]
        return len(signs) > 3 and not any(t.startswith("vitals/") for t in topics[signs[-3]:])
    assert wait_for(readings_stopped, 180, step=0.5), "custody never was full"
    raise_pressure(d, monitor)
    raised = s.wait("alarm", rule="sbp-hi-crit", change="raised", chair="chair-1")
    assert d.ask({"op": "snapshot", "chair": "chair-1"})["chairs"][0]["values"]["nibp_sys"]["value"] == 184
    (small_disk / "filler").unlink()
    s.wait("alarm", rule="log-fail", change="cleared")
    before = len(s.bodies("vitals"))
    assert wait_for(lambda: len(s.bodies("vitals")) > before)
    assert d.stop() == 0, d.said()
    rows = check_kept(d, [b for _, b in s.messages()])
    check_contiguous(rows)
    assert key(raised) in rows
    assert d.sql("select sum(readings) as n from gap")[0]["n"] > 0, "the record does not say what is missing"


@pytest.mark.parametrize("how", ["the disk has room again", "kill -9"])
def test_a_record_that_is_full_keeps_messages_back_and_says_so(daemon, monitor, how):
    """Nothing is published that custody cannot keep; the chair, `snapshot`, `alive` and every answer tell of it."""
    d = daemon([chair(monitor)])
    d.configure([chair(monitor)], log={"path": str(d.log), "custody": "256KiB"})
    d.start()
    heard = [d.subscribe()]
    s = heard[0]
    s.wait("vitals", device="oximeter")
    locker = subprocess.Popen(["sqlite3", d.log], stdin=subprocess.PIPE, text=True)
    locker.stdin.write(".timeout 60000\nbegin exclusive;\n")
    locker.stdin.flush()
    s.wait("alarm", rule="log-fail", change="raised")
    watched = open(d.folder / "watched.txt", "w")
    watch = subprocess.Popen([VITALSCTL, "watch", "--connect", d.events, "--topic", "alarm/", "--json"], stdout=watched,
                             stderr=subprocess.PIPE, text=True)
    notes = 0
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(str(d.control))
        answers = c.makefile("r")
        while notes < 2000:
            notes += 1
            c.sendall(json.dumps({"op": "entry", "chair": "chair-1", "entry": "note", "operator": "anna",
                                  "note": f"number {notes} {40 * 'x'}"}).encode() + b"\n")
            answer = json.loads(answers.readline())
            assert answer["ok"], answer
            if answer.get("waiting", 0) >= 5:
                break
    assert answer["waiting"] >= 5, "custody never was full"
    told = d.ctl("entry", "--chair", "chair-1", "note", "--note", "the last one", "--operator", "anna")
    assert "on paper" in told.stderr
    raise_pressure(d, monitor)  # a crisis now: it cannot be published, and must be seen all the same

    def standing():
        return {a["rule"] for a in d.ask({"op": "snapshot"})["chairs"][0]["alarms"]}
    assert wait_for(lambda: {"sbp-hi-crit", "log-fail"} <= standing())
    alive = wait_for(lambda: [b for b in s.bodies("alive") if b["alarms"]["high"] >= 1 and b.get("waiting")])
    assert alive and not s.bodies("alarm", rule="sbp-hi-crit")
    assert wait_for(lambda: any("sbp-hi-crit" in line and '"kind":"standing"' in line
                                for line in (d.folder / "watched.txt").read_text().splitlines()))
    if how == "kill -9":
        d.kill()
    locker.stdin.write("rollback;\n.quit\n")
    locker.stdin.close()
    locker.wait(PATIENCE)
    if how == "kill -9":
        d.start()
        heard.append(d.subscribe())
        raise_pressure(d, monitor)  # what waited was never told, and is gone; the next measurement tells it
        assert wait_for(lambda: "sbp-hi-crit" in standing())
    else:
        s.wait("alarm", rule="log-fail", change="cleared")
        assert s.wait("alarm", rule="sbp-hi-crit", change="raised")
        assert wait_for(lambda: len(s.bodies("entry", entry="note")) == notes + 1)
    watch.send_signal(signal.SIGINT)
    assert "kept back" in watch.communicate(timeout=PATIENCE)[1]
    assert d.stop() == 0, d.said()
    rows = check_kept(d, [b for x in heard for _, b in x.messages()])
    check_contiguous(rows)
    if how != "kill -9":
        assert sum(1 for r in rows.values() if r.get("entry") == "note") == notes + 1
        assert not d.sql("select * from gap where reason like '%other than%'")


# ---- bytes from strangers

def throw(address, family, what):
    with socket.socket(family) as c:
        c.settimeout(1)
        try:
            c.connect(address)
            c.sendall(what)
            c.recv(4096)
        except OSError:
            pass


def test_random_bytes_on_every_socket(daemon, monitor):
    events, query = free_port(), free_port()
    d = daemon([chair(monitor)])
    d.configure([chair(monitor)], publish={"events": [d.events, f"tcp://127.0.0.1:{events}"],
                                           "query": [d.query, f"tcp://127.0.0.1:{query}"]})
    d.start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    dice = random.Random(20261122)
    greetings = [b"", *(b"\0SP\0\0" + bytes([kind]) + b"\0\0" for kind in (32, 33, 48, 49, 80))]
    doors = [(("127.0.0.1", events), socket.AF_INET), (("127.0.0.1", query), socket.AF_INET),
             (str(d.folder / "events.ipc"), socket.AF_UNIX), (str(d.folder / "query.ipc"), socket.AF_UNIX),
             (str(d.control), socket.AF_UNIX)]
    for address, family in doors:
        for greeting in greetings:
            throw(address, family, greeting + dice.randbytes(dice.choice((1, 9, 300, 20000))))
            throw(address, family, greeting + b"\xff" * 64)
    assert d.process.poll() is None, d.said()
    assert wait_for(lambda: d.ctl("status", "--json", check=False).returncode == 0)
    assert wait_for(lambda: d.ask({"op": "snapshot"})["chairs"][0]["values"]["spo2"]["value"] == 97)
    raise_pressure(d, monitor)
    s.wait("alarm", rule="sbp-hi-crit", change="raised")
    assert d.stop() == 0, d.said()
    check_contiguous(check_kept(d, [b for _, b in s.messages()]))


def test_random_bytes_on_the_line_then_unplugged_and_plugged_in(daemon, tmp_path):
    line = RtuDevice(str(tmp_path / "oximeter"), lambda line, q: None)
    d = daemon([{"id": "chair-1", "limits": "ketamine-adult", "devices": [
        {"id": "oximeter", "plugin": "nonin-df2", "serial": {"path": line.path}}]}]).start()
    s = d.subscribe()
    dice = random.Random(7)

    def packets_until(what):
        def once():
            line.send(PACKET)
            time.sleep(0.1)
            return what()
        found = wait_for(once)
        assert found, s.messages()[-5:]
        return found

    packets_until(lambda: s.bodies("vitals", values={"spo2": 97, "pr": 72}))
    for _ in range(100):
        line.send(dice.randbytes(dice.randrange(1, 200)))
        time.sleep(0.005)
    before = len(s.bodies("vitals", values={"spo2": 97, "pr": 72}))
    packets_until(lambda: len(s.bodies("vitals", values={"spo2": 97, "pr": 72})) > before)
    at = len(s.bodies("device"))
    line.unplug()
    gone = wait_for(lambda: [b for b in s.bodies("device")[at:] if b["status"] == "offline"])
    assert gone and "plugged in" in gone[0]["detail"]
    assert d.ask({"op": "snapshot"})["chairs"][0]["devices"][0]["status"] == "offline"
    line.plug()
    packets_until(lambda: [b for b in s.bodies("device")[at:] if b["status"] == "online"])
    line.unplug()
    assert d.stop() == 0, d.said()


# ---- what lies on the disk

def scribble(path, at, length):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(random.Random(1).randbytes(length))


@pytest.mark.parametrize("at, length", [(0, 4096), (100, 20000)])
def test_a_damaged_log_is_set_aside_and_a_new_one_begun(daemon, monitor, at, length):
    d = daemon([chair(monitor)]).start()
    d.subscribe().wait("vitals", device="oximeter")
    assert wait_for(lambda: d.sql("select 1 from audit_observation"))
    assert d.stop() == 0
    for more in ("-wal", "-shm"):
        (d.folder / f"vitals.db{more}").unlink(missing_ok=True)
    scribble(d.log, at, length)
    damaged = d.log.read_bytes()
    d.start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    raise_pressure(d, monitor)
    alarm = s.wait("alarm", rule="sbp-hi-crit", change="raised")
    assert alarm["epoch"] > 1, "numbers of the damaged log are not given again"
    assert d.stop() == 0, d.said()
    aside = [f for f in d.folder.iterdir() if f.name.startswith("vitals.db") and f.name != "vitals.db" and
             f.is_file() and f.read_bytes() == damaged]
    assert aside, list(d.folder.iterdir())
    assert aside[0].name in d.said(), d.said()
    check_kept(d, [b for _, b in s.messages()])


def test_a_page_that_is_damaged_while_it_runs(daemon, monitor):
    """A technical alarm for the nurse, a new file, and in it a note for the auditor; the session and what was acknowledged go on,
    also when the daemon is then killed and finds nothing but the new file."""
    d = daemon(busy_chairs(monitor, 2)).start()  # one with a session, in which nothing is judged yet, one without
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    session = d.ctl_json("session", "start", "--chair", "chair-1", "--patient", "P-3", "--protocol", "P1", "--operator", "anna")["session"]
    raise_pressure(d, monitor)
    alarm = s.wait("alarm", chair="chair-2", rule="sbp-hi-crit", change="raised")["alarm"]
    d.ctl("alarm", "ack", "--chair", "chair-2", alarm, "--operator", "anna")
    s.wait("alarm", alarm=alarm, change="acknowledged")
    assert wait_for(lambda: d.sql(f"select 1 from audit_alarm where alarm = '{alarm}' and acknowledged_at is not null"))
    db = sqlite3.connect(d.log, isolation_level=None, timeout=PATIENCE)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'reading'").fetchone()[0]
    db.execute("BEGIN IMMEDIATE")
    scribble(d.log, (page - 1) * 4096, 4096)
    db.execute("PRAGMA user_version = %d" % db.execute("PRAGMA user_version").fetchone()[0])  # whoever remembers pages forgets them
    db.execute("COMMIT")
    db.close()
    s.wait("alarm", rule="log-fail", change="raised")
    s.wait("alarm", rule="log-fail", change="cleared")
    kept, = [f for f in d.folder.glob("vitals.db.damaged-*") if not f.name.endswith("-wal")]
    assert kept.name in d.said() and "recording goes on in a new file" in d.said()
    assert wait_for(lambda: d.sql("select 1 from audit_alarm where rule = 'log-fail'")), "recorded where recording goes on"
    d.kill()
    d.start()
    standing = {a["alarm"]: a["signal"] for a in d.ctl_json("alarm", "list")["alarms"]}
    assert standing.get(alarm) == "acknowledged", standing
    assert d.ctl_json("session", "show", "--chair", "chair-1")["session"] == session
    d.ctl("session", "phase", "--chair", "chair-1", "discharged", "--reason", "cancelled", "--operator", "anna")
    again = d.ctl_json("session", "start", "--chair", "chair-1", "--patient", "P-4", "--protocol", "P1", "--operator", "anna")["session"]
    assert int(again[11:]) == int(session[11:]) + 1, "numbers of the damaged file are not given again"
    assert d.stop() == 0, d.said()
    verdict = json.loads(subprocess.run([VITALSCTL, "audit", "verify", "--log", d.log, "--json"], capture_output=True).stdout)
    assert verdict["ok"] and any(kept.name in n["what"] and "last seal" in n["what"] for n in verdict["notes"]), verdict


# ---- the end, at any moment

def test_sigterm_under_load_ends_clean_with_everything_recorded(daemon, monitor):
    d = daemon(busy_chairs(monitor)).start()
    s = d.subscribe()
    s.wait("vitals", chair="chair-4")
    raise_pressure(d, monitor)
    s.wait("alarm", rule="sbp-hi-crit", change="raised")
    assert wait_for(lambda: len(s.messages()) > 100)
    assert d.stop(signal.SIGTERM) == 0, d.said()
    heard = [b for _, b in s.all()]
    rows = check_kept(d, heard)
    check_contiguous(rows)


def test_kill_9_under_load_again_and_again(daemon, monitor):
    """Everything that was heard is in the log as it was heard; no number is missing, none has two meanings."""
    kills = int(os.environ.get("VITALSD_KILLS", "30"))
    d = daemon(busy_chairs(monitor))
    dice = random.Random(9)
    heard, s = [], None
    for n in range(1, kills + 1):
        d.start()
        if not s:
            s = d.subscribe()
        monitor.measures(150 if n % 2 else 184, 92, 110)
        if n % 3:  # since messages come; else they may not be coming yet
            assert wait_for(lambda: sum(f'"epoch":{n},' in line for line in s.lines()) > 20), "too little was heard to tell anything"
        time.sleep(dice.uniform(0, 0.5 if n % 3 else 0.9))
        d.kill()
        if n % 30 == 0:
            heard, s = heard + s.all(), None
    d.start()
    assert d.stop() == 0, d.said()
    heard = [b for _, b in heard + (s.all() if s else [])]
    rows = check_kept(d, heard)
    check_contiguous(rows)
    assert {epoch for epoch, _, _, _ in rows} == set(range(1, kills + 2))
