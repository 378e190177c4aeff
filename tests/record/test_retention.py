"""How long the record is kept: what is due and what is not, holds, and removing: recorded first, once, whatever happens between."""
import datetime
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys

import pytest

import seals
from record import BUILD, CTL, ROOT, asan, asked, ctl, sql, tamper, verify
from test_years import FROM, YEAR, decade, sessions

sys.path.insert(0, str(ROOT / "tests/system"))
from warp import Clock  # noqa: E402

EVERY = int(os.environ.get("RECORD_EVERY", "23"))
OLD = "vitals-2026.db"
NOW = FROM + round(2.85 * YEAR)  # behind the last session, and in the same year
DAY = 86400000


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    decade(folder / "log", "--years", 3, "--sessions", 6, "--seconds", 800)
    return folder / "log"


@pytest.fixture
def log(years, tmp_path):
    return shutil.copytree(years, tmp_path / "log")


def link_of(folder, name=OLD):
    return asked(folder / "vitals.db", f"SELECT *, lower(hex(hash)) AS head FROM link WHERE name = '{name}'")[0]


def removal(folder, name=OLD, **over):
    """The entry that the daemon makes of an order (daemon/retention.c); over: what is not as it should be."""
    k = link_of(folder)
    body = {"entry": "removal", "value": name, "unit": "", "note": "over six years old", "policy": "6y",
            "file": {"first_seal": 1, "seal": k["seal"], "rows": k["rows"], "head": k["head"], "signature": None, "sessions": 2, "alarms": 3,
                     "readings": 1600, "bytes": 100000}, "operator": "gustav", "uid": 1000}
    for key, value in over.items():
        body["file" if key in body["file"] else key] = {**body["file"], key: value} if key in body["file"] else value
    return members(body)


def members(body):
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)[1:-1]


def hold(number=1, **of):
    return members({"entry": "legal-hold", "value": f"h-9-{number}", "unit": "", "note": "a letter of the insurer", "of": of, "operator": "ada",
                    "uid": 1001})


def release(number=1):
    return members({"entry": "hold-release", "value": f"h-9-{number}", "unit": "", "note": "it is settled", "operator": "ada", "uid": 1001})


def enter(folder, *bodies, at=NOW, **more):
    return decade(folder, "--years", 1, "--sessions", 0, "--from", at, *[w for b in bodies for w in ("--entry", b)], **more)


def rows(folder, table):
    return asked(folder / "vitals.db", f"SELECT * FROM {table}")


# ---- Recorded, then removed ----

def test_a_file_is_removed_once_its_removal_is_recorded(log):
    before = verify(log)
    told = sessions(log)
    bytes_of = (log / OLD).stat().st_size
    enter(log, removal(log))
    assert not (log / OLD).exists() and (log / "vitals-2027.db").exists() and bytes_of
    r, = rows(log, "removal")
    k = link_of(log)
    assert (r["name"], r["seal"], r["rows"], r["policy"], r["operator"], r["uid"]) == (OLD, k["seal"], k["rows"], "6y", "gustav", 1000)
    assert sql(log / "vitals.db", "SELECT outcome FROM removal_end") == "removed"
    # The record of it was under a signed seal before anything happened.
    when, = json.loads(sql(log / "vitals.db", "SELECT s.at_ms, s.signature IS NOT NULL AS signed, e.at_ms AS done_ms FROM seal_part p JOIN seal s"
                           " USING(seal), removal_end e WHERE p.part = 'removal'", mode="-json"))
    assert when["signed"] and when["at_ms"] <= when["done_ms"]
    verdict = verify(log)
    assert verdict["ok"] and verdict["files"] == before["files"] - 1, verdict["findings"]
    note, = [n for n in verdict["notes"] if n["place"].startswith(OLD)]
    assert "removed by policy (6y)" in note["what"] and "gustav" in note["what"] and "over six years old" in note["what"]
    assert seals.check(log / "vitals.db") == []
    left = sessions(log)
    assert left == told[2:], "what was in the file is gone, and nothing else"
    out = subprocess.run([CTL, "audit", "sessions", "--log", log], capture_output=True, text=True)
    assert out.returncode == 0 and f"note: {log / OLD}, removed by policy (6y)" in out.stderr and "2 sessions were in it" in out.stderr
    first = json.loads(ctl("log", "info", "--log", log, "--json"))["files"][0]
    assert first["removed"]["by"] == "gustav" and first["removed"]["sessions"] == 2 and "missing" not in first
    assert json.loads(ctl("log", "check", "--log", log, "--json"))["ok"]


def test_what_is_recorded_is_told_by_every_later_file(log):
    """The next turn of the year takes holds and removals along: they outlive the file in which they were written."""
    enter(log, hold(session="s-x"), removal(log))
    decade(log, "--years", 3, "--sessions", 3, "--seconds", 60, "--from", FROM + 4 * YEAR)
    assert len(rows(log, "link")) > 3 and len(rows(log, "hold")) == len(rows(log, "removal")) == len(rows(log, "removal_end")) == 1
    verdict = verify(log)
    assert verdict["ok"], verdict["findings"]
    assert [h["hold"] for h in json.loads(ctl("log", "retention", "--log", log, "--json"))["holds"]] == ["h-9-1"]


def test_seals_of_a_removed_file_that_others_kept_are_no_riddle(log, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("".join(sql(f, "SELECT body FROM audit_event WHERE kind = 'seal'") + "\n" for f in sorted(log.glob("vitals*.db"))))
    whole = verify(log, "--witness", kept)["witnesses"]
    enter(log, removal(log, name="vitals-2027.db", **{k: link_of(log, "vitals-2027.db")[k] for k in ("head", "seal", "rows")}))
    assert not (log / "vitals-2027.db").exists(), "a file in the midst may go as well"
    verdict = verify(log, "--witness", kept)
    assert verdict["ok"] and 0 < verdict["witnesses"] < whole, verdict["findings"]


@pytest.mark.parametrize("over", [{"head": "ab" * 32}, {"name": "vitals-2031.db"}, {"name": "../log/vitals-2026.db"}, {"name": "vitals.db"},
                                  {"name": "vitals.db.key"}], ids=str)
def test_what_is_not_of_this_log_is_never_removed(log, over):
    before = sorted(f.name for f in log.iterdir() if f.name.endswith((".db", ".key")))
    enter(log, removal(log, **over))
    assert sorted(f.name for f in log.iterdir() if f.name.endswith((".db", ".key"))) == before and rows(log, "removal") == []


def test_another_file_in_its_place_is_not_removed(log):
    shutil.copy(log / "vitals-2027.db", log / "x")
    os.replace(log / "x", log / OLD)
    enter(log, removal(log))
    assert (log / OLD).exists()
    assert sql(log / "vitals.db", "SELECT outcome FROM removal_end") == "kept: it is not the file that the record tells of"


def test_a_file_that_came_back_stays(log):
    """Restored from a backup for somebody who asks: it is read, and never removed again on the old word."""
    shutil.copy(log / OLD, log / "kept")
    enter(log, removal(log))
    os.rename(log / "kept", log / OLD)
    enter(log, at=NOW + DAY)
    assert (log / OLD).exists() and len(sessions(log)) == 6
    verdict = verify(log)
    assert verdict["ok"] and any("it is here again" in n["what"] for n in verdict["notes"]), verdict


# ---- Holds ----

HOLDS = {
    "a session": lambda names: {"session": names[1]},
    "a patient": lambda names: {"patient": "P-001"},
    "a span of time": lambda names: {"from_ms": FROM + 1000, "until_ms": FROM + 2000},
    "a span that ends with the file": lambda names: {"from_ms": 0, "until_ms": FROM + DAY},
}


@pytest.mark.parametrize("what", HOLDS)
def test_a_hold_beats_the_policy(log, what):
    of = HOLDS[what](sessions(log))
    enter(log, hold(**of), removal(log))
    assert (log / OLD).exists() and sql(log / "vitals.db", "SELECT outcome FROM removal_end") == "kept: on hold h-9-1"
    seen = json.loads(ctl("log", "retention", "--log", log, "--json", "--keep", "6y"))
    assert seen["files"][0]["state"] == "young"
    seen = at(log, FROM + 9 * YEAR, "--keep", "6y")
    assert [f["state"] for f in seen["files"]] == ["held", "due"] and "insurer" in seen["files"][0]["why"] and "ada" in seen["files"][0]["why"]
    assert verify(log)["ok"]
    enter(log, release(), at=NOW + DAY)
    assert at(log, FROM + 9 * YEAR, "--keep", "6y")["files"][0]["state"] == "due"
    enter(log, removal(log), at=NOW + 2 * DAY)
    assert not (log / OLD).exists() and len(rows(log, "removal")) == 2
    assert verify(log)["ok"]


@pytest.mark.parametrize("of", [{"session": "s-20280101-1"}, {"patient": "P-005"}, {"from_ms": 0, "until_ms": FROM - 1}], ids=str)
def test_a_hold_on_something_else_keeps_nothing(log, of):
    enter(log, hold(**of), removal(log))
    assert not (log / OLD).exists()


def test_a_hold_is_placed_and_released_once(log):
    enter(log, hold(session="s-1"), hold(session="s-2"), release(), release(), release(7))
    assert [h["session"] for h in rows(log, "hold")] == ["s-1"] and len(rows(log, "hold_end")) == 1
    assert verify(log)["ok"], "an entry that changes nothing is an entry all the same"


# ---- When a file is due ----

def at(folder, wall_ms, *words):
    """What would be due at that moment."""
    clock = Clock(folder.parent / "clock", wall=wall_ms // 1000)
    clock.step_wall(wall_ms % 1000 / 1000)
    r = subprocess.run([CTL, "log", "retention", "--log", folder, "--json", *words], capture_output=True, text=True, timeout=60,
                       env=clock.environ(LD_PRELOAD=f"{asan()} {BUILD / 'tests/tools/libwarp.so'}".strip(), ASAN_OPTIONS="verify_asan_link_order=0"))
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def later(ms, years):
    t = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    return round(t.replace(year=t.year + years).timestamp() * 1000)


def test_a_file_is_due_when_its_newest_is_older_than_the_policy(log):
    until = link_of(log)["until_ms"]
    for keep, moment in (("6y", later(until, 6)), ("10y", later(until, 10)), ("2555d", until + 2555 * DAY)):
        states = [at(log, moment + more, "--keep", keep)["files"][0]["state"] for more in (-1000, 0, 1000)]
        assert states == ["young", "young", "due"], keep
    assert [f["state"] for f in at(log, FROM + 200 * YEAR, "--keep", "keep")["files"]] == ["young", "young"]
    assert at(log, FROM + 100 * YEAR)["policy"] == "keep", "where nothing is said, everything is kept"


def test_the_policy_is_what_the_record_says_last(log):
    for policy in ("9y", "7y"):
        enter(log, members({"entry": "retention-policy", "value": policy, "unit": "", "note": "applied by hand"}))
    seen = at(log, FROM + 12 * YEAR)
    assert (seen["policy"], seen["source"]) == ("7y", "as the record says") and [f["state"] for f in seen["files"]] == ["due", "due"]


def test_a_session_that_goes_on_in_the_next_file_keeps_the_one_in_which_it_began(tmp_path):
    decade(tmp_path / "log", "--years", 1, "--sessions", 1, "--seconds", 12500, "--rotate", 1 << 19)
    folder = tmp_path / "log"
    name, = sessions(folder)
    links = rows(folder, "link")
    ended = int(sql(folder / "vitals.db", "SELECT max(at_ms) FROM event WHERE kind = 'session'"))
    assert len(links) >= 1 and ended > links[-1]["until_ms"]
    last = [at(folder, later(ended, 6) + more, "--keep", "6y")["files"][-1]["state"] for more in (-1000, 3 * 3600000)]
    assert last == ["young", "due"], "due only when the whole session is"
    enter(folder, hold(patient="P-000"), at=ended + 3600000)
    assert {f["state"] for f in at(folder, later(ended, 7), "--keep", "6y")["files"]} == {"held"}, "by patient, in each file of the session"


@pytest.mark.parametrize("how", ["spoiled", "cut", "gone"])
def test_what_cannot_be_read_is_kept(log, how):
    (log / OLD).chmod(0o640)
    if how == "gone":
        (log / OLD).unlink()
    else:
        content = (log / OLD).read_bytes()
        (log / OLD).write_bytes(b"\xa5" * 4096 + content[4096:] if how == "spoiled" else content[:6000])
    f = at(log, FROM + 20 * YEAR, "--keep", "6y")["files"][0]
    assert f["state"] == ("missing" if how == "gone" else "unreadable"), f
    assert any(x["place"].startswith(OLD) for x in verify(log, status=1)["findings"]), "without a record it stays a finding"


# ---- Whatever happens in between ----

SHIM = BUILD / "tests/tools/faulty-disk.so"


@pytest.mark.parametrize("how", ["kill", "eio"])
def test_cut_off_at_any_call(log, tmp_path, how):
    """At every n-th write, flush or removal: afterwards the file is there and nothing is recorded, or it is gone and recorded, once."""
    body = removal(log)

    def run(folder, *bodies, fault=1 << 40):
        count = tmp_path / "count"
        count.write_bytes(struct.pack("q", 0))
        r = subprocess.run([BUILD / "tests/bench/decade", folder, "--years", "1", "--sessions", "0", "--from", str(NOW),
                            *[w for b in bodies for w in ("--entry", b)]], capture_output=True, text=True, timeout=60, env={
            **os.environ, "LD_PRELOAD": f"{asan()} {SHIM}".strip(), "ASAN_OPTIONS": "verify_asan_link_order=0",
            "DISK_FOLDER": str(folder), "DISK_COUNT": str(count), "DISK_AT": str(fault), "DISK_HOW": how})
        return r, struct.unpack("q", count.read_bytes())[0]
    whole = shutil.copytree(log, tmp_path / "whole")
    r, calls = run(whole, body)
    assert r.returncode == 0 and not (whole / OLD).exists() and calls > 30, r.stderr
    outcomes = set()
    for n in range(1, calls + 1, max(1, EVERY // (3 if how == "kill" else 1))):
        folder = shutil.copytree(log, tmp_path / "cut")
        run(folder, body, fault=n)
        was_there = (folder / OLD).exists()
        at_once = len(rows(folder, "removal")) - len(rows(folder, "removal_end"))
        run(folder)  # the next start
        decided, ended = rows(folder, "removal"), rows(folder, "removal_end")
        assert (folder / OLD).exists() == (not decided), (n, decided, ended)
        assert len(decided) == len(ended) <= 1 and all(e["outcome"] == "removed" for e in ended), (n, decided, ended)
        assert not was_there <= (not (folder / OLD).exists()) or decided, n
        verdict = verify(folder)
        assert verdict["ok"], (n, verdict["findings"])
        outcomes.add((was_there, at_once, bool(decided)))
        shutil.rmtree(folder)
    if how == "kill" and EVERY <= 23:
        assert {(True, 0, False), (False, 0, True)} <= outcomes and any(o[1] for o in outcomes), f"between record and end, too: {outcomes}"


# ---- Nobody forges it ----

FORGERIES = {
    "a removal that nobody ordered": "INSERT INTO removal SELECT 1, 0, name, from_ms, until_ms, 1, seal, rows, hash, NULL, 0, 0, 0, 0, '6y', 'x', 'y', 0"
                                     " FROM link LIMIT 1; INSERT INTO removal_end VALUES(1, 0, 'removed')",
    "a release": "INSERT INTO hold_end VALUES(1, 0, 'x', 'y', 0)",
    "a hold taken away": "DELETE FROM hold",
    "another reason": "UPDATE hold SET reason = 'none'",
    "a damaged file that is none": "INSERT INTO broken VALUES(1, 0, 'x')",
}


@pytest.mark.parametrize("what", FORGERIES)
def test_forging_is_found(log, what):
    enter(log, hold(session="s-1"))
    assert verify(log)["ok"]
    tamper(log / "vitals.db", FORGERIES[what])
    if "removal" in what:
        (log / OLD).unlink()
    assert verify(log, status=1)["findings"]
    assert seals.check(log / "vitals.db") != []


def test_nothing_of_it_can_be_changed(log):
    enter(log, hold(session="s-1"), release(), removal(log))
    for table in ("hold", "hold_end", "removal", "removal_end"):
        column = seals.columns_of(sqlite3.connect(log / "vitals.db"), table)[1]
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            r = subprocess.run(["sqlite3", log / "vitals.db", statement], capture_output=True, text=True)
            assert r.returncode != 0 and "history is never" in r.stderr, statement
