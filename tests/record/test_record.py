"""The record from outside: what was published is in the log, once, in order, and nobody changes it unseen."""
import json
import os
import pathlib
import random
import shutil
import sqlite3
import signal
import subprocess
import tempfile

import pytest

from record import Writer, ctl, key_of, recorded, rows_in, sql, tamper, verify, wait_for, write


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log of two chairs and two starts."""
    folder = tmp_path_factory.mktemp("log")
    published = write(folder, "--readings", 920, "--chairs", 2)
    published += write(folder, "--readings", 450, "--chairs", 2)
    return folder / "vitals.db", published


@pytest.fixture
def copy(log, tmp_path):
    """A copy to spoil."""
    for name in os.listdir(log[0].parent):
        if name.startswith("vitals.db"):
            shutil.copy(log[0].parent / name, tmp_path / name)
    return tmp_path / "vitals.db"


# ---- What is in it ----

def test_every_message_stands_in_the_log_as_it_was_published(log):
    path, published = log
    rows = recorded(path)
    assert len(rows) == len(published) > 2700
    for message in published:
        assert json.loads(rows[key_of(message)]) == message
    kinds = {k[2] for k in rows}
    assert kinds >= {"vitals", "alarm", "session", "entry", "device", "request"}


def test_columns_are_those_that_were_promised(log):
    promised = {
        "audit_session": "session chair patient operator protocol weight_kg phase started_at infusion_started_at "
                         "infusion_ended_at ended_at outcome",
        "audit_observation": "session chair device metric unit value flags observed_at observed_ms",
        "audit_alarm": "alarm session chair rule class metric device priority value limit_value onset_at "
                       "acknowledged_at acknowledged_by cleared_at",
        "audit_event": "epoch chair kind seq session operator recorded_at recorded_ms body",
    }
    for view, names in promised.items():
        columns = [c.split("|")[1] for c in sql(log[0], f"PRAGMA table_info({view})").split("\n")]
        assert columns[:len(names.split())] == names.split(), view
    for view, names in (("audit_session", "started_ms infusion_started_ms infusion_ended_ms ended_ms"),
                        ("audit_alarm", "onset_ms acknowledged_ms cleared_ms text")):
        columns = sql(log[0], f"SELECT group_concat(name, ' ') FROM pragma_table_info('{view}')").split()
        assert set(names.split()) <= set(columns)


def test_observations_are_what_the_readings_said(log):
    path, published = log
    expected = sum(len(m["values"]) for m in published if m["kind"] == "vitals")
    assert int(sql(path, "SELECT count(value) FROM audit_observation")) == expected
    assert sql(path, "SELECT DISTINCT unit FROM audit_observation WHERE metric = 'spo2'") == "%"
    missing = sql(path, "SELECT DISTINCT metric || flags FROM audit_observation WHERE value IS NULL ORDER BY 1")
    assert missing.split("\n") == ['nibp_dia["device_error:87"]', 'pr["no_value"]', 'spo2["sensor_off"]']
    assert sql(path, "SELECT DISTINCT value FROM audit_observation WHERE metric = 'nibp_event'") == "done"
    assert sql(path, "SELECT DISTINCT value FROM audit_observation WHERE metric = 'temp'") == "36.6"
    assert int(sql(path, "SELECT count(*) FROM audit_observation WHERE session IS NULL")) > 0, "kept without a session too"


def test_times_agree(log):
    odd = sql(log[0], """SELECT count(*) FROM audit_event WHERE recorded_at <> json_extract(body, '$.time')
        OR recorded_ms <> CAST(round((julianday(recorded_at) - 2440587.5) * 86400000.0) AS INTEGER)""")
    assert odd == "0"


def test_sessions_and_alarms_have_their_course(log):
    path, published = log
    first = next(m for m in published if m["kind"] == "session")
    row = json.loads(sql(path, f"SELECT * FROM audit_session WHERE session = '{first['session']}'", mode="-json"))[0]
    assert (row["patient"], row["operator"], row["protocol"], row["weight_kg"]) == ("P-7", "nurse-1", "P1", 72.5)
    assert (row["phase"], row["outcome"]) == ("discharged", "completed")
    assert row["started_ms"] <= row["infusion_started_ms"] <= row["infusion_ended_ms"] <= row["ended_ms"]
    events = [m for m in published if m["kind"] == "alarm"]
    alarms = json.loads(sql(path, "SELECT * FROM audit_alarm", mode="-json"))
    assert sorted(a["alarm"] for a in alarms) == sorted({m["alarm"] for m in events})
    for a in alarms:
        mine = {m["change"]: m for m in events if m["alarm"] == a["alarm"]}
        assert a["onset_at"] == mine["raised"]["onset"] and a["priority"] == "high"
        assert a["acknowledged_at"] == mine["acknowledged"]["time"] and a["acknowledged_by"] == "nurse O'Neil"
        assert a["cleared_at"] == mine["cleared"]["time"]
        assert (a["value"], a["limit_value"], a["text"]) == (184, 180, mine["raised"]["text"])


def test_history_refuses_change(log, copy):
    tables = sql(copy, """SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('head', 'chair_state')
        AND name NOT LIKE 'sqlite_%'""").split("\n")
    assert len(tables) >= 12
    for table in tables:
        column = sql(copy, f"SELECT name FROM pragma_table_info('{table}') LIMIT 1 OFFSET 1")
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            if sql(copy, f"SELECT count(*) FROM {table}") == "0":
                continue
            r = subprocess.run(["sqlite3", str(copy), statement], capture_output=True, text=True)
            assert r.returncode != 0 and "history is never" in r.stderr, statement
    for view in ("audit_event", "audit_observation", "audit_session", "audit_alarm"):
        r = subprocess.run(["sqlite3", str(copy), f"DELETE FROM {view}"], capture_output=True, text=True)
        assert r.returncode != 0


# ---- Starts ----

def test_a_start_goes_on_where_the_last_one_ended(tmp_path):
    w = Writer(tmp_path, "--readings", 200)
    first = w.end()
    assert w.found[:4] == ["epoch", "1", "alarm", "0"]
    w = Writer(tmp_path, "--readings", 50)
    w.end()
    last = [m for m in first if m["kind"] != "vitals"][-1]
    assert w.found[1] == "2" and w.found[3] == max(m["alarm"] for m in first if m["kind"] == "alarm")[2:].lstrip("0")
    assert w.found[5] == "1001", "the number of the day's last session"
    assert w.found[7] == f"chair-1 after {last['kind']} {last['seq']}", "the chair's state as it was kept last"
    assert "an orderly stop" in sql(tmp_path / "vitals.db", "SELECT restarted_after FROM epoch WHERE epoch = 2")


def test_the_last_group_reaches_the_log_while_nothing_follows(tmp_path):
    w = Writer(tmp_path, "--readings", 30, "--wait")
    assert wait_for(lambda: rows_in(tmp_path / "vitals.db", "reading") == 30), "readings are not in the log while the writer runs"
    assert verify(tmp_path / "vitals.db")["ok"], "a log that is being written verifies"
    w.end()


# ---- Seals ----

TAMPERINGS = {
    "a value changed": ("UPDATE reading SET v1 = 99 WHERE id = (SELECT id FROM reading WHERE v1 = 94 LIMIT 1)", "readings"),
    "an event's words changed": ("UPDATE event SET body = replace(body, 'calm', 'upset') WHERE kind = 'entry'", "event"),
    "a reading removed": ("DELETE FROM reading WHERE id = (SELECT id FROM reading LIMIT 1 OFFSET 40)", "removed"),
    "an alarm removed": ("DELETE FROM event WHERE event = (SELECT event FROM alarm LIMIT 1); DELETE FROM alarm WHERE event ="
                         "(SELECT event FROM alarm LIMIT 1)", "removed"),
    "a reading added": ("INSERT INTO reading SELECT max(id) + 1, shape, t, v1, v2, v3, v4, more FROM reading", "rows"),
    "an event added": ("INSERT INTO event SELECT max(event) + 1, origin, kind, seq + 99, at_ms, session, operator, alarm, body"
                       " FROM event", "rows"),
    "two readings exchanged": ("""CREATE TEMP TABLE two AS SELECT * FROM reading WHERE id IN (SELECT id FROM reading WHERE v1 IS
        NOT NULL GROUP BY shape, v1 LIMIT 2); DELETE FROM reading WHERE id IN (SELECT id FROM two); INSERT INTO reading SELECT
        (SELECT sum(id) FROM two) - id, shape, t, v1, v2, v3, v4, more FROM two""", "order"),
    "a time moved": ("UPDATE run SET start_ms = start_ms + 3600000 WHERE run = 1", "run"),
    "who did it": ("UPDATE event SET operator = 'nurse-9' WHERE operator IS NOT NULL", "event"),
    "a chair renamed": ("UPDATE origin SET chair = 'chair-7' WHERE origin = 1", "origin"),
    "a metric renamed": ("UPDATE shape_metric SET metric = 'rr' WHERE metric = 'pr'", "shape_metric"),
    "a seal removed": ("DELETE FROM seal WHERE seal = 2", "seal"),
    "the last seals removed with their rows": (
        "DELETE FROM reading WHERE id > (SELECT max(last) FROM seal_part WHERE part = 'reading' AND seal = 2);"
        "DELETE FROM seal_part WHERE seal > 2; DELETE FROM seal WHERE seal > 2", "last seal"),
    "a seal computed anew for its rows alone": ("UPDATE seal SET hash = randomblob(32) WHERE seal = 2", "seal"),
    "a signature exchanged": ("UPDATE seal SET signature = zeroblob(64) WHERE signature IS NOT NULL", "signature"),
    "the key exchanged": ("UPDATE epoch SET public_key = randomblob(32)", "key"),
    "an epoch's configuration": ("UPDATE epoch SET config_hash = 'ffff'", "epoch"),
    "a view redefined": ("DROP VIEW audit_alarm; CREATE VIEW audit_alarm AS SELECT * FROM alarm WHERE 0", "view audit_alarm"),
    "a trigger dropped": ("CREATE TRIGGER more BEFORE INSERT ON alarm BEGIN SELECT raise(IGNORE); END", "trigger more"),
    "an index dropped": ("DROP INDEX event_alarm", "index event_alarm"),
    "a table added": ("CREATE TABLE aside(x)", "table aside"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_tampering_is_found_and_named(copy, what):
    script, word = TAMPERINGS[what]
    assert verify(copy)["ok"], "the copy is whole before"
    tamper(copy, script)
    verdict = verify(copy, status=1)
    assert not verdict["ok"] and any(word in f["place"] + " " + f["what"] for f in verdict["findings"]), verdict["findings"]


def test_a_dropped_trigger_is_a_finding(copy):
    sql(copy, "DROP TRIGGER keep_event_u")
    assert [f["place"] for f in verify(copy, status=1)["findings"]] == ["trigger keep_event_u"]


def test_rows_that_wait_for_their_seal_are_watched_too(tmp_path):
    w = Writer(tmp_path / "a", "--readings", 45, "--rate", 40, "--wait")
    assert wait_for(lambda: rows_in(tmp_path / "a/vitals.db", "reading") == 45)
    w.kill()
    log = tmp_path / "a/vitals.db"
    verdict = verify(log)
    assert verdict["ok"] and verdict["unsealed"] > 10
    tamper(log, "UPDATE reading SET v1 = 99 WHERE id = (SELECT max(id) FROM reading WHERE v1 IS NOT NULL)")
    assert "not as they were recorded" in verify(log, status=1)["findings"][0]["what"]
    Writer(tmp_path / "a", "--readings", 1).end()
    assert "do not match their checksum" in verify(log, status=1)["findings"][0]["what"], "the daemon saw it and says so"


def test_the_log_written_anew_is_found_by_a_witness(log, copy, tmp_path):
    path, published = log
    seals = [m for m in published if m["kind"] == "seal"]
    if not seals:
        seals = [{"kind": "seal", "seal": r["seal"], "rows": r["rows"], "head": r["h"], "signature": r["g"]} for r in json.loads(
            sql(path, "SELECT seal, rows, lower(hex(hash)) AS h, lower(hex(signature)) AS g FROM seal WHERE signature IS NOT NULL",
                mode="-json"))]
    witness = tmp_path / "witness.jsonl"
    witness.write_text("".join(f"seal/chair-1 {json.dumps(s)}\n" for s in seals))
    assert verify(path, "--witness", witness)["witnesses"] == len(seals)
    other = tmp_path / "other"
    write(other, "--readings", 920, "--chairs", 2)
    findings = verify(other / "vitals.db", "--witness", witness, status=1)["findings"]
    assert any("signature" in f["what"] for f in findings) and any("published" in f["what"] for f in findings)
    ctl("audit", "verify", "--log", path, "--witness", path.parent / "nowhere", status=1)
    key = ctl("log", "key", "--log", path).strip()
    assert verify(path, "--key", key)["ok"]
    assert not verify(path, "--key", "00" * 32, status=1)["ok"]


def test_anybody_can_compute_a_seal_with_sqlite3_and_sha256sum(log):
    """The recipe of schema/README.md, by its letter."""
    path = log[0]
    previous = "0" * 64
    columns = {"event": ("event", "event, origin, kind, seq, at_ms, session, operator, alarm, body"),
               "reading": ("id", "id, shape, t, v1, v2, v3, v4, more")}
    checked = set()
    last = {}
    for line in sql(path, "SELECT seal, at_ms, rows, lower(hex(hash)) FROM seal ORDER BY seal").split("\n"):
        seal, at, rows, expected = line.split("|")
        order = ("epoch", "epoch_end", "origin", "event", "session", "alarm", "shape", "shape_metric", "run", "gap", "finding",
                 "limit_text", "limit_set", "clock", "reading")
        parts = [p.split("|") for p in sql(path, f"SELECT part, last, rows, lower(hex(digest)) FROM seal_part WHERE seal = {seal}")
                 .split("\n")]
        parts.sort(key=lambda p: (order.index(p[0]), int(p[1])))
        text = f"{previous}|{seal}|{at}|{rows}\n" + "".join("|".join(p) + "\n" for p in parts)
        assert sha256sum(text) == expected
        previous = expected
        for part, upto, _, digest in parts:
            if part in columns:
                number, names = columns[part]
                after = last.get((part, int(upto) // 8192 if part == "reading" else 0), -1)
                low = max(after + 1, int(upto) // 8192 * 8192 if part == "reading" else 0)
                quoted = " || '|' || ".join(f"quote({c})" for c in names.split(", "))
                rows_text = sql(path, f"SELECT {quoted} FROM {part} WHERE {number} BETWEEN {low} AND {upto} ORDER BY {number}")
                assert sha256sum(rows_text + "\n") == digest, (part, upto)
                checked.add(part)
            last[part, int(upto) // 8192 if part == "reading" else 0] = int(upto)
    assert checked == set(columns)


def sha256sum(text):
    return subprocess.run(["sha256sum"], input=text.encode(), capture_output=True).stdout.decode().split()[0]


# ---- When the disk or the file fails ----

@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place]).returncode:
        pytest.skip("no right to mount here")
    yield place
    subprocess.run(["umount", "-l", place])


def test_a_full_disk_costs_no_event_and_is_said_once(small_disk):
    """The ring is on the same disk, made before it fills; readings are given up, what people did is not."""
    w = Writer(small_disk, "--readings", 1000000, "--rate", 1500, "--ring", 256 << 10)
    assert wait_for(lambda: rows_in(small_disk / "vitals.db", "reading"))
    ballast = small_disk / "ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        while True:
            os.write(fd, b"x" * 4096)
    os.close(fd)
    assert wait_for(lambda: "cannot be written" in w.complaints())
    assert wait_for(lambda: len(w.last()) > 7 and "vitals" not in w.last()), "readings are not given up"
    os.unlink(ballast)
    assert wait_for(lambda: "can be written again" in w.complaints() and "vitals" in w.last())
    published = w.end()
    log = small_disk / "vitals.db"
    rows = recorded(log)
    lost = [key_of(m) for m in published if key_of(m) not in rows]
    assert not lost, f"{len(lost)} lost, {lost[:3]}; {w.err}"
    assert w.err.count("cannot be written") == 1 and "free space" in w.err and "can be written again" in w.err
    assert verify(log)["ok"]
    given_up = int(w.err.split("given up ")[1].split(",")[0])
    told = sql(log, "SELECT coalesce(sum(readings), 0) FROM gap")
    assert int(told) == given_up


def test_a_locked_database_is_waited_for(tmp_path):
    w = Writer(tmp_path, "--readings", 1000000, "--rate", 1000)
    assert wait_for(lambda: rows_in(tmp_path / "vitals.db", "reading"))
    db = sqlite3.connect(tmp_path / "vitals.db", isolation_level=None, timeout=60)
    db.execute("BEGIN IMMEDIATE")
    assert wait_for(lambda: "locked" in w.complaints())
    db.execute("ROLLBACK")
    db.close()
    assert wait_for(lambda: "can be written again" in w.complaints())
    published = w.end()
    assert "locked" in w.err and "can be written again" in w.err
    assert {key_of(m) for m in published} == set(recorded(tmp_path / "vitals.db"))


def test_a_log_that_is_deleted_is_begun_anew(tmp_path):
    w = Writer(tmp_path, "--readings", 1000000, "--rate", 500)
    assert wait_for(lambda: rows_in(tmp_path / "vitals.db", "reading"))
    os.rename(tmp_path / "vitals.db", tmp_path / "moved.db")
    assert wait_for(lambda: "moved or deleted" in w.complaints() and rows_in(tmp_path / "vitals.db", "reading") > 100)
    w.end()
    assert len(recorded(tmp_path / "vitals.db")) > 100
    assert "moved or deleted" in sql(tmp_path / "vitals.db", "SELECT text FROM finding")


@pytest.mark.parametrize("damage", ["a page", "the header", "cut short"])
def test_a_damaged_file_is_set_aside_and_recording_goes_on(tmp_path, damage):
    write(tmp_path, "--readings", 3000)
    log = tmp_path / "vitals.db"
    size = log.stat().st_size
    if damage == "a page":
        root = int(sql(log, "SELECT rootpage FROM sqlite_schema WHERE name = 'event'"))
    with open(log, "r+b") as f:
        if damage == "a page":
            f.seek((root - 1) * 4096)
            f.write(b"\xa5" * 4096)
        elif damage == "the header":
            f.write(b"\0" * 100)
        else:
            f.truncate(size // 2 // 4096 * 4096 + 100)
    w = Writer(tmp_path, "--readings", 100)
    published = w.end()
    assert "damaged" in w.err, w.err
    assert w.found[1] == "2", "the epoch is not used twice"
    assert {key_of(m) for m in published} <= set(recorded(log))
    assert list(tmp_path.glob("vitals.db.damaged-*")), "the damaged file is kept"
    assert "damaged" in sql(log, "SELECT text FROM finding")


def test_what_is_no_log_is_refused(tmp_path):
    cases = {"text": b"some text of somebody\n" * 50, "folder": None, "foreign": "CREATE TABLE t(x)",
             "newer": "PRAGMA application_id = 1987341427; PRAGMA user_version = 99; CREATE TABLE t(x)"}
    for name, content in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        if content is None:
            (folder / "vitals.db").mkdir()
        elif isinstance(content, bytes):
            (folder / "vitals.db").write_bytes(content)
        else:
            sqlite3.connect(folder / "vitals.db").executescript(content)
        w = Writer(folder, "--readings", 5)
        w.end()
        assert w.process.returncode == 1 and "vitals.db" in w.err, name
        out = ctl("audit", "sessions", "--log", folder / "vitals.db", status=1)
        assert str(folder / "vitals.db") in out, name
        if isinstance(content, bytes):
            assert (folder / "vitals.db").read_bytes() == content, "somebody's file is left alone"
    ctl("audit", "sessions", "--log", tmp_path / "nowhere.db", status=1)


# ---- Reading it ----

@pytest.fixture
def public():
    """A folder that other users can reach.  Below pytest's own they could not for long: each pytest that starts shuts it again."""
    folder = tempfile.mkdtemp(prefix="vitalsd-test-")
    os.chmod(folder, 0o755)
    yield pathlib.Path(folder)
    shutil.rmtree(folder)


def test_reading_takes_no_right_to_write(log, tmp_path, public):
    """As a user who owns nothing: the log as it stands, and a copy of log and WAL taken while the daemon writes."""
    if os.geteuid() != 0:
        pytest.skip("becoming somebody else takes root")
    place = public / "shown"
    place.mkdir()
    w = Writer(tmp_path / "running", "--readings", 100000, "--rate", 300)
    assert wait_for(lambda: rows_in(tmp_path / "running/vitals.db", "reading") > 50)
    for name in ("vitals.db", "vitals.db-wal"):
        shutil.copy(tmp_path / "running" / name, place / name)
    shutil.copy(log[0], place / "ended.db")
    tool = public / "vitalsctl"
    from record import CTL
    shutil.copy(CTL, tool)
    os.chmod(tool, 0o755)
    for p in place.iterdir():
        os.chmod(p, 0o444)
    os.chmod(place, 0o555)
    scratch = public / "scratch"
    scratch.mkdir()
    os.chmod(scratch, 0o777)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"TMPDIR={scratch}"]
    for name in ("vitals.db", "ended.db"):
        r = subprocess.run([*nobody, tool, "audit", "verify", "--log", place / name], capture_output=True, text=True)
        assert r.returncode == 0, r.stdout + r.stderr
    w.end()
    assert not list(scratch.iterdir()), "no copy is left behind"
    assert sorted(p.name for p in place.iterdir()) == ["ended.db", "vitals.db", "vitals.db-wal"]


def size_of(file):
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it was removed just now
        return 0


def test_a_copy_in_whose_midst_the_wal_begins_anew_is_made_again(public):
    """Who may only read gets database and WAL one after the other; a checkpoint between must not cost him pages."""
    write(public / "log", "--readings", 2000)
    log = public / "log/vitals.db"
    db = sqlite3.connect(log, isolation_level=None, timeout=60)
    db.executescript("CREATE TABLE big(x); INSERT INTO big VALUES(zeroblob(40000000)); DROP TABLE big; PRAGMA wal_checkpoint(TRUNCATE)")
    w = Writer(public / "log", "--readings", 800, "--wait")
    assert wait_for(lambda: rows_in(log, "reading") >= 2700)
    os.chmod(public / "log", 0o755)
    tool, scratch = public / "vitalsctl", public / "scratch"
    from record import CTL
    shutil.copy(CTL, tool)
    scratch.mkdir()
    os.chmod(scratch, 0o777)
    for name in ("vitals.db", "vitals.db-wal"):
        os.chmod(public / "log" / name, 0o644)
    os.chmod(public / "log/vitals.db-shm", 0o600)
    reader = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"TMPDIR={scratch}", tool, "audit", "verify",
                               "--log", log, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while reader.poll() is None and not any(size_of(f) for f in scratch.glob("*/log")):
        pass
    reader.send_signal(signal.SIGSTOP)
    db.execute("PRAGMA wal_checkpoint(RESTART)")
    db.execute("PRAGMA user_version = %d" % db.execute("PRAGMA user_version").fetchone()[0])  # the first frame of a WAL that begins anew
    reader.send_signal(signal.SIGCONT)
    out, err = reader.communicate(timeout=60)
    assert reader.returncode == 0 and json.loads(out)["ok"], out + err
    assert not list(scratch.iterdir())
    db.close()
    w.end()


def test_lists_and_filters(log):
    path, published = log
    sessions = json.loads(ctl("audit", "sessions", "--log", path, "--json"))
    assert len(sessions) == len({m["session"] for m in published if m["kind"] == "session"})
    one = sessions[0]
    assert [s["session"] for s in json.loads(ctl("audit", "sessions", "--log", path, "--json", "--session", one["session"]))] \
        == [one["session"]]
    assert json.loads(ctl("audit", "sessions", "--log", path, "--json", "--patient", "nobody")) == []
    assert json.loads(ctl("audit", "sessions", "--log", path, "--json", "--until", "2001-01-01")) == []
    assert len(json.loads(ctl("audit", "sessions", "--log", path, "--json", "--since", "1d", "--chair", "chair-2"))) \
        == sum(s["chair"] == "chair-2" for s in sessions)
    alarms = json.loads(ctl("audit", "alarms", "--log", path, "--json", "--rule", "sbp-hi", "--operator", "nurse O'Neil"))
    assert len(alarms) == len({m["alarm"] for m in published if m["kind"] == "alarm"})
    assert "No alarm was found." in ctl("audit", "alarms", "--log", path, "--rule", "spo2-lo-crit")
    assert "sbp-hi" in ctl("audit", "alarms", "--log", path)
    assert len(json.loads(ctl("audit", "entries", "--log", path, "--json"))) == sum(m["kind"] == "entry" for m in published)
    ctl("audit", "sessions", "--log", path, "--since", "yesterday-ish", status=2)
    ctl("audit", "sessions", "--log", path, "--since", "2026-01-02", "--until", "2026-01-01", status=2)
    ctl("audit", "nonsense", status=2)
    ctl("audit", "show", "--log", path, "s-none", status=1)


def test_the_ledger_accounts_for_every_second(tmp_path):
    write(tmp_path, "--readings", 1200, "--step-ms", 1000)
    log = tmp_path / "vitals.db"
    # Session events carry the writer's own time, readings one second each: take a session's span from the view.
    for s in json.loads(ctl("audit", "sessions", "--log", log, "--json")):
        shown = json.loads(ctl("audit", "show", "--log", log, "--json", s["session"]))
        length = (s["ended_ms"] - s["started_ms"]) / 1000 if s["ended_ms"] else None
        for metric, row in shown["ledger"].items():
            assert set(row) == {"valid", "stale", "lost", "suspect", "paused", "restarting"}
            if length is not None:
                assert sum(row.values()) == pytest.approx(length, abs=1e-6), metric


def test_exports(log, tmp_path):
    path, published = log
    session = next(m["session"] for m in published if m["kind"] == "session")
    mine = [m for m in published if m["session"] == session]
    lines = [json.loads(x) for x in ctl("audit", "export", session, "--log", path, "--format", "json").splitlines()]
    assert sorted(map(key_of, lines)) == sorted(map(key_of, mine)) and all(m in lines for m in mine)
    rows = ctl("audit", "export", session, "--log", path, "--format", "csv").splitlines()
    assert rows[0] == "session,chair,device,metric,unit,value,flags,observed_at,observed_ms"
    assert len(rows) - 1 == int(sql(path, f"SELECT count(*) FROM audit_observation WHERE session = '{session}'"))
    ctl("audit", "export", session, "--log", path, "--format", "csv", "--out", tmp_path / "tables")
    assert {p.name for p in (tmp_path / "tables").iterdir()} == {
        "observations.csv", "session.csv", "alarms.csv", "events.csv", "dictionary.csv"}
    ctl("audit", "export", session, "--log", path, "--format", "csv", "--out", tmp_path / "tables", status=1)
    ctl("audit", "export", session, "--log", path, "--format", "pdf", status=2)
    ctl("audit", "export", "s-none", "--log", path, "--format", "json", status=1)


def test_fhir(log):
    path, published = log
    session = next(m["session"] for m in published if m["kind"] == "session")
    mine = [m for m in published if m["session"] == session]
    bundle = json.loads(ctl("audit", "export", session, "--log", path, "--format", "fhir"))
    resources = [e["resource"] for e in bundle["entry"]]
    urls = {e["fullUrl"] for e in bundle["entry"]}
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    assert len(urls) == len(resources), "every resource has a name of its own"

    def references(x):
        if isinstance(x, dict):
            yield from ([x["reference"]] if "reference" in x else [])
            for v in x.values():
                yield from references(v)
        elif isinstance(x, list):
            for v in x:
                yield from references(v)
    assert set(references(resources)) <= urls, "what is referred to is in the bundle"

    def of(kind):
        return [r for r in resources if r["resourceType"] == kind]
    assert of("Patient")[0]["identifier"][0]["value"] == "P-7"
    assert len(of("DetectedIssue")) == len({m["alarm"] for m in mine if m["kind"] == "alarm"})
    cuffs = [m for m in mine if m["kind"] == "vitals" and "nibp_sys" in m["values"]]
    panels = [o for o in of("Observation") if o["code"]["coding"][0]["code"] == "85354-9"]
    assert len(panels) == len({m["time"] for m in cuffs})
    systolic, diastolic = panels[0]["component"][:2]
    assert systolic["code"]["coding"][0]["code"] == "8480-6"
    assert systolic["valueQuantity"] == {"value": 120, "unit": "mm[Hg]", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    assert "valueQuantity" not in diastolic and diastolic["dataAbsentReason"]["coding"][0]["code"] == "error"
    names = {e["fullUrl"]: e["resource"]["deviceName"][0]["name"] for e in bundle["entry"]
             if e["resource"]["resourceType"] == "Device"}
    spo2 = next(o for o in of("Observation") if o["code"]["text"] == "spo2" and names[o["device"]["reference"]] == "oximeter")
    assert [c["code"] for c in spo2["code"]["coding"]] == ["59408-5", "2708-6", "150456"]
    values = sorted(m["values"]["spo2"] for m in mine if m["kind"] == "vitals" and "spo2" in m["values"]
                    and m["device"] == "oximeter" and m["time"][:16] == spo2["effectivePeriod"]["start"][:16])
    assert spo2["valueQuantity"]["value"] in (values[len(values) // 2], (values[len(values) // 2 - 1] + values[len(values) // 2]) / 2)
    assert {a["agent"][0]["who"]["display"] for a in of("AuditEvent")} >= {"nurse-1", "nurse-2", "nurse O'Neil"}
    again = json.loads(ctl("audit", "export", session, "--log", path, "--format", "fhir"))
    assert again["entry"] == bundle["entry"], "an export can be repeated"


def test_backup_of_a_running_log(tmp_path):
    w = Writer(tmp_path / "a", "--readings", 100000, "--rate", 1000)
    assert wait_for(lambda: rows_in(tmp_path / "a/vitals.db", "reading") > 100)
    out = ctl("log", "backup", "--log", tmp_path / "a/vitals.db", "--out", tmp_path / "copy.db")
    assert "copied and verified" in out and verify(tmp_path / "copy.db")["ok"]
    ctl("log", "backup", "--log", tmp_path / "a/vitals.db", "--out", tmp_path / "copy.db", status=1)
    w.end()
    assert json.loads(ctl("log", "info", "--log", tmp_path / "copy.db", "--json"))["schema"] == 4
    assert json.loads(ctl("log", "check", "--log", tmp_path / "copy.db", "--json"))["ok"]
