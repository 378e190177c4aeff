"""A log of several files: read as one, sealed as one, closed and begun anew at any moment, migrated."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import struct
import subprocess

import pytest

import seals
from record import BUILD, CTL, ROOT, asan, ctl, sql, tamper, verify, write

DECADE = BUILD / "tests/bench/decade"
FROM = 1768208400000  # 12 January 2026, 9:00 UTC
YEAR = 31557600000
NEWEST = 4  # version of the schema
EVERY = int(os.environ.get("RECORD_EVERY", "23"))  # each n-th call is one at which the writer is killed


def decade(folder, *options, status=0, env=None):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    r = subprocess.run([DECADE, folder, *map(str, options)], capture_output=True, text=True, timeout=120,
                       env={**os.environ, **(env or {})})
    assert r.returncode == status, f"exit {r.returncode}: {r.stdout} {r.stderr[-2000:]}"
    return r


def strip(text):
    """Without seals, whose times and keys are each log's own."""
    return [line for line in text.splitlines() if '"kind":"seal"' not in line and ",seal," not in line]


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    """The same three years in three files, and in one."""
    folder = tmp_path_factory.mktemp("years")
    for name, rotate in (("many", "year"), ("one", "never")):
        decade(folder / name, "--years", 3, "--sessions", 9, "--seconds", 1500, "--rotate", rotate)
    return folder


@pytest.fixture
def copy(years, tmp_path):
    shutil.copytree(years / "many", tmp_path / "log")
    for f in (tmp_path / "log").glob("*.db"):
        f.chmod(0o640)
    return tmp_path / "log"


def sessions(log):
    return [s["session"] for s in json.loads(ctl("audit", "sessions", "--log", log, "--json"))]


# ---- Read as one ----

def test_each_file_has_the_limits_that_were_in_force(years):
    """A file of long ago is judged again without the others; read as one, each text stands once."""
    question = "SELECT s.name, s.hash, t.text FROM limit_set s JOIN json_each(s.chain) c JOIN limit_text t ON t.hash = c.value"
    found = {sql(f, question) for f in (years / "many").glob("*.db")}
    assert len(found) == 1 and "name: ten-years" in found.pop()
    assert {sql(f, "SELECT count(*) FROM limit_text") for f in (years / "many").glob("*.db")} == {"1"}
    numbers = [n for f in sorted((years / "many").glob("*.db")) for n in sql(f, "SELECT clock FROM clock ORDER BY clock").split()]
    assert numbers and len(numbers) == len(set(numbers)), "numbers of `clock` go on from file to file"



def test_one_file_a_year(years):
    names = sorted(f.name for f in (years / "many").glob("*.db*"))
    assert names == ["vitals-2026.db", "vitals-2027.db", "vitals.db", "vitals.db.key"]
    assert all((years / "many" / n).stat().st_mode & 0o777 == 0o440 for n in names[:2]), "closed files can be written"
    assert [sql(years / "many" / n, "SELECT name FROM closed") for n in names[:2]] == names[:2]
    info = json.loads(ctl("log", "info", "--log", years / "many", "--json"))
    assert [f["file"] for f in info["files"]] == names[:3] and info["sessions"] == 9 and info["schema"] == NEWEST


@pytest.mark.parametrize("words", [
    ["audit", "sessions"], ["audit", "alarms", "--json"], ["audit", "entries", "--csv"], ["audit", "operators"],
    ["audit", "events", "--csv"], ["audit", "alarms", "--since", "2026-06-01", "--until", "2027-06-01"],
    ["audit", "sessions", "--patient", "P-004", "--json"], ["audit", "sessions", "--from", "2026-06-01", "--until", "2027-06-01"],
    ["audit", "alarms", "--from", "2027-01-01", "--until", "2027-12-31", "--patient", "P-004"],
    ["audit", "alarms", "--from", "2028-01-01", "--chair", "chair-1", "--json"], ["audit", "events", "--until", "2026-12-31", "--csv"],
    ["audit", "operators", "--from", "2027-01-01", "--until", "2027-12-31"], ["audit", "compare", 1, 7], ["audit", "show", 1], ["audit", "show", 4, "--json"],
    ["audit", "show", 8], ["audit", "export", 5, "--format", "json"], ["replay", "--session", 4, "--json"]],
    ids=lambda w: " ".join(map(str, w)))
def test_every_question_is_answered_as_from_one_file(years, words):
    names = sessions(years / "one/vitals.db")
    words = [names[w] if isinstance(w, int) else w for w in words]
    one = strip(ctl(*words, "--log", years / "one/vitals.db"))
    assert one and strip(ctl(*words, "--log", years / "many/vitals.db")) == one
    if words[0] == "audit":
        assert strip(ctl(*words, "--log", years / "many")) == one, "the folder stands for the log"


def test_numbers_go_on(years):
    for table, key in (("event", "event"), ("run", "run"), ("shape", "shape"), ("origin", "origin"), ("seal", "seal")):
        ends = [sql(years / "many" / f, f"SELECT min({key}) || ' ' || max({key}) FROM {table}").split()
                for f in ("vitals-2026.db", "vitals-2027.db", "vitals.db")]
        assert int(ends[0][0]) == 1
        assert [int(b[0]) - int(a[1]) for a, b in zip(ends, ends[1:])] == [1, 1], (table, ends)
    same = "SELECT epoch, chair, kind, seq, body FROM audit_event WHERE kind <> 'seal'"
    rows = [row for f in ("vitals-2026.db", "vitals-2027.db", "vitals.db") for row in sql(years / "many" / f, same).splitlines()]
    assert sorted(rows) == sorted(sql(years / "one/vitals.db", same).splitlines())


def test_a_closed_file_alone_is_that_file(years):
    assert len(sessions(years / "many/vitals-2027.db")) == 3
    verdict = verify(years / "many/vitals-2027.db")
    assert verdict["ok"] and verdict["files"] == 1, verdict["findings"]


def test_the_worked_statement_for_those_who_only_have_sqlite3(years):
    text = (ROOT / "schema/README.md").read_text()
    statement = re.search(r"```sql\n(ATTACH .*?)```", text, re.S).group(1)
    r = subprocess.run(["sqlite3", "-batch", "-readonly", "file:vitals.db", statement], cwd=years / "many", text=True,
                       capture_output=True, timeout=60)
    assert r.returncode == 0, r.stderr
    whole = sql(years / "one/vitals.db", "SELECT strftime('%Y', onset_at), rule, count(*) FROM audit_alarm GROUP BY 1, 2")
    last_two = sql(years / "many/vitals-2026.db", "SELECT count(*) FROM audit_alarm"), sql(years / "many/vitals.db",
                                                                                           "SELECT count(*) FROM audit_alarm")
    assert r.stdout.splitlines() and sum(int(line.split("|")[2]) for line in r.stdout.splitlines()) == sum(map(int, last_two))
    assert r.stdout.splitlines()[0] == whole.splitlines()[0]


def test_a_session_may_span_two_files(tmp_path):
    """A file that is a quarter larger than it may be waits no longer: alarms, course, ledger are as from one file."""
    for name, rotate in (("many", 1 << 19), ("one", "never")):
        decade(tmp_path / name, "--years", 1, "--sessions", 1, "--seconds", 12500, "--rotate", rotate)
    name, = sessions(tmp_path / "one/vitals.db")
    files = list((tmp_path / "many").glob("vitals*.db"))
    assert len([f for f in files if int(sql(f, f"SELECT count(*) FROM run WHERE session = '{name}'"))]) > 1
    onsets = [a["onset_at"] for a in alarms(tmp_path / "one")]
    windows = [["audit", "alarms", "--from", t, "--until", t, "--patient", "P-000", "--json"] for t in onsets]
    assert len(windows) > 3
    for words in (["audit", "show", name, "--json"], ["audit", "alarms", "--json"], ["audit", "sessions"],
                  ["replay", "--session", name, "--json"], *windows):
        assert strip(ctl(*words, "--log", tmp_path / "many")) == strip(ctl(*words, "--log", tmp_path / "one")), words
    for verdict in (verify(tmp_path / "many"), verify(tmp_path / "many", "--session", name)):
        assert verdict["ok"] and verdict["files"] == len(files), verdict["findings"]


def alarms(log, *words):
    return json.loads(ctl("audit", "alarms", "--log", log, "--json", *words))


def test_an_alarm_of_a_month_may_have_ended_in_the_next_file(copy):
    """Only files with alarms of the time are read, and those that tell how these went on."""
    last = alarms(copy, "--until", "2026-12-31")[-1]
    assert last["cleared_at"] and not alarms(copy, "--from", last["onset_at"], "--until", last["onset_at"])[1:]
    body, = json.loads("[" + sql(copy / "vitals-2026.db", f"SELECT json_quote(body) FROM event WHERE alarm = '{last['alarm']}'"
                                                          " ORDER BY event DESC LIMIT 1") + "]")
    tamper(copy / "vitals-2026.db", f"DELETE FROM event WHERE event = (SELECT max(event) FROM event WHERE alarm = '{last['alarm']}')")
    assert alarms(copy, "--from", last["onset_at"], "--until", last["onset_at"])[0]["cleared_at"] is None
    tamper(copy / "vitals-2027.db", "INSERT INTO event SELECT max(event) + 1, max(origin), 'alarm', 9999, min(at_ms) + 5, NULL, NULL,"
                                    f" '{last['alarm']}', '{body}' FROM event")
    row, = alarms(copy, "--from", last["onset_at"], "--until", last["onset_at"])
    assert row["cleared_at"] > "2027" and alarms(copy)[:1] == alarms(copy, "--until", alarms(copy)[0]["onset_at"])
    assert alarms(copy, "--session", last["session"])[-1]["cleared_at"] == row["cleared_at"]


def test_a_filter_is_known_when_any_file_knows_it(copy):
    """A chair of another year is no mistake: it just had no alarm in this one."""
    tamper(copy / "vitals-2026.db", "INSERT INTO origin SELECT max(origin), epoch, site, 'chair-7' FROM (SELECT -1 AS origin, epoch, site"
                                    " FROM origin)")
    assert alarms(copy, "--from", "2028-01-01", "--chair", "chair-7") == []
    assert "known: chair-1" in ctl("audit", "alarms", "--log", copy, "--from", "2028-01-01", "--chair", "chair-8", status=1)


def test_the_next_start_goes_on(years, tmp_path):
    folder = shutil.copytree(years / "many", tmp_path / "log")
    decade(folder, "--years", 1, "--sessions", 2, "--seconds", 700, "--from", FROM + 3 * YEAR)
    assert verify(folder)["ok"]
    assert [len(sessions(folder)), len(set(sessions(folder)))] == [11, 11]
    rows = json.loads(ctl("audit", "alarms", "--log", folder, "--json"))
    assert len({a["alarm"] for a in rows}) == len(rows) == 9, "an alarm's number is given once"
    assert sql(folder / "vitals.db", "SELECT restarted_after LIKE 'an orderly stop%' FROM epoch WHERE epoch = 2") == "1"


# ---- Sealed as one ----

def test_the_chain_runs_through_all_files(years):
    verdict = verify(years / "many")
    assert verdict["ok"] and verdict["files"] == 3 and verdict["notes"] == [], verdict["findings"]
    whole = verify(years / "one/vitals.db")
    kinds = "SELECT count(*) FROM seal"
    assert verdict["seals"] == sum(int(sql(f, kinds)) for f in (years / "many").glob("vitals*.db"))
    assert verdict["rows"] > whole["rows"]  # link, carried, closed, and the epoch again


TAMPERING = {
    "a value in a closed file": ("vitals-2026.db", "UPDATE reading SET v1 = 88 WHERE id = (SELECT max(id) - 9 FROM reading)",
                                 "vitals-2026.db: chair-1, epoch 1, readings"),
    "the last seal of a closed file": ("vitals-2026.db", "DELETE FROM seal WHERE seal = (SELECT max(seal) FROM seal)",
                                       "vitals-2026.db: "),
    "what a file goes on from": ("vitals-2027.db", "UPDATE link SET rows = rows - 1", "vitals-2027.db: link"),
    "that a file was closed": ("vitals-2027.db", "DELETE FROM closed", "vitals-2027.db: closed"),
    "where numbers go on": ("vitals.db", "UPDATE carried SET number = 1 WHERE what = 'event'", "vitals.db: carried"),
    "the list of files": ("vitals.db", "DELETE FROM link WHERE link = 1", "vitals.db: link"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_across_files(copy, what):
    name, script, place = TAMPERING[what]
    tamper(copy / name, script)
    verdict = verify(copy, status=1)
    assert not verdict["ok"] and any(f["place"].startswith(place) for f in verdict["findings"]), verdict["findings"]


def test_files_are_looked_at_together_and_told_in_order(copy):
    """Whatever thread is done first: the same findings at the same places, and the same counts."""
    for f in ("vitals.db", "vitals-2026.db", "vitals-2027.db"):
        tamper(copy / f, "UPDATE reading SET v1 = 88 WHERE id IN (SELECT min(id) + 7 FROM reading UNION SELECT max(id) - 9 FROM reading)")
    alone = verify(copy, "--jobs", 1, status=1)
    assert [f["place"].split(":")[0] for f in alone["findings"]] == [f for f in ("vitals-2026.db", "vitals-2027.db", "vitals.db") for _ in "ab"]
    for jobs in ((), ("--jobs", 2), ("--jobs", 64)):
        assert verify(copy, *jobs, status=1) == alone
    for jobs in ("0", "65", "two", "-1"):
        assert "--jobs wants a number from 1 to 64" in ctl("audit", "verify", "--log", copy, "--jobs", jobs, status=2)


def test_a_file_that_is_missing_is_a_finding_and_the_rest_is_read(copy):
    (copy / "vitals-2026.db").unlink()
    verdict = verify(copy, status=1)
    assert [f["place"] for f in verdict["findings"]] == [f"vitals-2026.db: seals up to {sql(copy / 'vitals-2027.db', 'SELECT seal FROM link')}"]
    assert len(sessions(copy)) == 6
    r = subprocess.run([CTL, "audit", "sessions", "--log", copy], capture_output=True, text=True)
    assert r.returncode == 0 and "vitals-2026.db: No such file" in r.stderr


def test_another_log_in_its_place_is_found(copy, tmp_path):
    decade(tmp_path / "other", "--years", 2, "--sessions", 4, "--seconds", 400)
    shutil.copy(tmp_path / "other/vitals-2026.db", copy / "vitals-2026.db")
    verdict = verify(copy, status=1)
    assert any("another hash" in f["what"] for f in verdict["findings"]), verdict["findings"]


def test_seals_that_others_kept_are_found_in_any_file(years, copy, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("".join(sql(f, "SELECT body FROM audit_event WHERE kind = 'seal'") + "\n"
                            for f in sorted((years / "many").glob("vitals*.db"))))
    verdict = verify(copy, "--witness", kept)
    assert verdict["ok"] and verdict["witnesses"] > 9, verdict["findings"]
    kept.write_text(re.sub(r'"rows":(\d+)', lambda m: f'"rows":{int(m[1]) + 1}', kept.read_text(), count=1))
    verify(copy, "--witness", kept, status=1)


def test_one_session_is_verified_by_the_seals_over_it(copy):
    names = sessions(copy)
    whole = verify(copy)
    for s in names[0], names[4], names[8]:
        verdict = verify(copy, "--session", s)
        assert verdict["ok"] and 3000 < verdict["rows"] < whole["rows"] / 2, verdict
    other, own = names[3], names[4]
    run = int(sql(copy / "vitals-2027.db", f"SELECT min(run) FROM run WHERE session = '{own}'"))
    tamper(copy / "vitals-2027.db", f"UPDATE reading SET t = t + 1 WHERE id = {run * 8192 + 100}")
    found = verify(copy, "--session", own, status=1)["findings"]
    assert len(found) == 1 and "readings" in found[0]["place"]
    assert verify(copy, "--session", other)["ok"], "another session's rows are not looked at"
    assert verify(copy, status=1)["findings"]
    tamper(copy / "vitals-2027.db", f"DELETE FROM event WHERE event = (SELECT max(event) FROM event WHERE session = '{other}')")
    verify(copy, "--session", other, status=1)
    ctl("audit", "verify", "--log", copy, "--session", "s-19990101-1", status=1)


def test_backup_of_all_files(years, tmp_path):
    out = tmp_path / "backup"
    out.mkdir()
    assert "with the 2 files before it" in ctl("log", "backup", "--log", years / "many", "--out", out / "vitals.db")
    assert sorted(f.name for f in out.iterdir()) == ["vitals-2026.db", "vitals-2027.db", "vitals.db"]
    assert verify(out)["rows"] == verify(years / "many")["rows"]
    (out / "vitals.db").unlink()
    before = (out / "vitals-2026.db").stat().st_ino
    ctl("log", "backup", "--log", years / "many", "--out", out / "vitals.db")
    assert (out / "vitals-2026.db").stat().st_ino == before, "what is there already is not copied again"
    assert json.loads(ctl("log", "check", "--log", out, "--json"))["ok"]
    (out / "vitals.db").unlink()
    shutil.copy(years / "many/vitals-2027.db", tmp_path / "x")
    os.replace(tmp_path / "x", out / "vitals-2026.db")
    assert "another file of this name" in ctl("log", "backup", "--log", years / "many", "--out", out / "vitals.db", status=1)


# ---- Closed and begun anew at any moment ----

def test_a_turn_of_the_year_that_cannot_be_finished_is_finished_later(tmp_path):
    """The new file cannot be made: custody keeps what comes, the next start finishes the turn, and nothing is missing."""
    (tmp_path / "log/vitals.db.next/x").mkdir(parents=True)
    plan = ["--years", 1, "--sessions", 4, "--seconds", 600, "--from", FROM + YEAR - 90 * 86400000]
    p = subprocess.Popen([DECADE, tmp_path / "log", *map(str, plan)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in p.stderr:
        if "cannot be written" in line:
            break
    p.kill()
    p.communicate()
    assert (tmp_path / "log/vitals-2026.db").exists() and sql(tmp_path / "log/vitals.db", "SELECT count(*) FROM closed") == "1"
    shutil.rmtree(tmp_path / "log/vitals.db.next")
    decade(tmp_path / "log", "--years", 1, "--sessions", 1, "--seconds", 60, "--from", FROM + 2 * YEAR - 90 * 86400000)
    verdict = verify(tmp_path / "log")
    assert verdict["ok"] and verdict["files"] >= 2, verdict["findings"]


def test_kill_9_at_any_write_of_a_turn(tmp_path):
    """At every n-th write, flush or rename, before, in and after the turn, the daemon is killed; the next start goes on."""
    plan = ["--years", 1, "--sessions", 2, "--seconds", 60, "--from", FROM + YEAR - 31 * 86400000]
    shim = BUILD / "tests/tools/faulty-disk.so"

    def run(folder, *more, at=1 << 40):
        count = folder.parent / f"{folder.name}.count"
        count.write_bytes(struct.pack("q", 0))
        r = subprocess.run([DECADE, folder, *map(str, more or plan)], capture_output=True, text=True, timeout=60, env={
            **os.environ, "LD_PRELOAD": f"{asan()} {shim}".strip(), "ASAN_OPTIONS": "verify_asan_link_order=0",
            "DISK_FOLDER": str(folder), "DISK_COUNT": str(count), "DISK_AT": str(at), "DISK_HOW": "kill"})
        return r, struct.unpack("q", count.read_bytes())[0]

    (tmp_path / "whole").mkdir()
    r, calls = run(tmp_path / "whole")
    assert r.returncode == 0 and (tmp_path / "whole/vitals-2026.db").exists(), r.stderr
    turned = 0
    for at in range(calls // 3, calls, EVERY):
        folder = tmp_path / str(at)
        folder.mkdir()
        r, _ = run(folder, at=at)
        assert r.returncode in (-9, 0), r.stderr  # 0: there were fewer calls this time
        run(folder, "--years", 1, "--sessions", 1, "--seconds", 5, "--from", FROM + YEAR + 200 * 86400000)
        verdict = verify(folder)
        assert verdict["ok"], (at, verdict["findings"])
        turned += verdict["files"] == 2
        shutil.rmtree(folder)
    assert turned > 3


# ---- Migrations ----

RELEASED = {"001-log.sql": "bfdffa9e314ec56e", "002-files.sql": "2d8609229589d3dc"}


def of_version(version, log, folder, heads=None):
    """A log as an earlier version of the schema had it, with data: the rows of one of today's, without the tables that were not yet
    there, under seals of their own.  heads: {file: its last seal} of the files before it; this one is added."""
    folder.mkdir(exist_ok=True)
    old = sqlite3.connect(folder / log.name, isolation_level=None)
    for script in sorted((ROOT / "schema").glob("0*.sql"))[:version]:
        old.executescript(script.read_text())
    old.execute(f"PRAGMA application_id = {0x76746c73}")
    old.execute(f"PRAGMA user_version = {version}")
    old.execute("DELETE FROM head")
    tables = [t for t, in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    old.execute("ATTACH ? AS today", [str(log)])
    for t in tables:
        old.execute(f"INSERT INTO main.{t} SELECT * FROM today.{t}")
    triggers = old.execute("SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        old.execute(f"DROP TRIGGER main.{name}")
    old.execute(f"DELETE FROM main.seal_part WHERE part NOT IN ({', '.join(repr(t) for t in tables)})")
    for name, (hash_, rows) in (heads or {}).items():
        old.execute("UPDATE main.link SET hash = ?, rows = ? WHERE name = ?", (hash_, rows, name))
    old.execute("DETACH today")
    seals.forge(old)
    seals.sign_anew(old, bytes.fromhex((log.parent / "vitals.db.key").read_text().strip()))
    for _, text in triggers:
        old.execute(text)
    if heads is not None:
        heads[log.name] = old.execute("SELECT hash, rows FROM seal ORDER BY seal DESC LIMIT 1").fetchone()
    old.close()
    shutil.copy(log.parent / "vitals.db.key", folder)
    return folder / log.name


@pytest.mark.parametrize("name", RELEASED)
def test_a_migration_that_was_released_never_changes(name):
    assert hashlib.sha256((ROOT / "schema" / name).read_bytes()).hexdigest().startswith(RELEASED[name])


@pytest.mark.parametrize("version", range(1, NEWEST))
def test_a_log_of_an_earlier_version_is_migrated_with_its_data(tmp_path, version):
    write(tmp_path / "today", "--readings", 900, "--chairs", 2)
    log = of_version(version, tmp_path / "today/vitals.db", tmp_path / "old")
    views = [f"SELECT * FROM {v} ORDER BY 1, 2, 3, 4" for v in
             ("audit_session", "audit_alarm", "audit_observation", "audit_event")]
    before = [sql(log, v) for v in views]
    rows = verify(log)["rows"]  # before the daemon has migrated it
    assert sessions(log) and sql(log, "PRAGMA user_version") == str(version) and rows > 1800
    write(tmp_path / "old", "--readings", 0)
    assert sql(log, "PRAGMA user_version") == str(NEWEST)
    assert [sql(log, v) for v in views] == before
    verdict = verify(log)
    assert verdict["ok"] and verdict["rows"] == rows + 5, "the start and its end, its limits and their two texts are the only rows more"
    write(tmp_path / "old", "--readings", 500)
    assert verify(log)["ok"]
    decade(tmp_path / "turned", "--years", 1, "--sessions", 0)
    for f in (log, tmp_path / "old/vitals.db.key"):
        shutil.copy(f, tmp_path / "turned")
    (tmp_path / "turned/ring").unlink()
    decade(tmp_path / "turned", "--years", 2, "--sessions", 3, "--seconds", 60, "--from", FROM + 20 * YEAR)
    assert verify(tmp_path / "turned")["files"] > 1


def test_a_log_of_several_files_is_migrated_as_they_are_written(years, tmp_path):
    """Closed files stay what they were; the present one goes on, and what comes of it has everything."""
    names = sorted(f.name for f in (years / "many").glob("vitals*.db"))
    heads = {}
    for name in names:
        of_version(2, years / "many" / name, tmp_path / "log", heads)
    before, told = verify(tmp_path / "log"), sessions(tmp_path / "log")
    assert before["ok"] and before["files"] == 3 and len(told) == 9
    assert 27027 < before["rows"] < verify(years / "many")["rows"], "today's has rows of newer tables, too"
    decade(tmp_path / "log", "--years", 1, "--sessions", 2, "--seconds", 60, "--from", FROM + 3 * YEAR)
    verdict = verify(tmp_path / "log")
    assert verdict["ok"] and verdict["files"] == 4, verdict["findings"]
    assert sessions(tmp_path / "log")[:9] == told and len(sessions(tmp_path / "log")) == 11
    assert [sql(tmp_path / "log" / n, "PRAGMA user_version") for n in names[:2]] == ["2", "2"]


def test_the_figures_can_be_measured(years):
    r = subprocess.run([ROOT / "tests/bench/decade.py", BUILD, years / "many", "--rounds", "2", "--whole"], capture_output=True,
                       text=True, timeout=120)
    assert r.returncode == 0, r.stderr
    assert "9 sessions, 27027 readings, 54144 observations, 3 files" in r.stdout and r.stdout.count("2 rounds") == 4
