"""A file that is damaged, moved or deleted while it is written: the new one goes on from its last seal that is known, and from all
the files before it; what is on hold stays on hold."""
import json
import os
import shutil
import sqlite3
import struct
import subprocess

import pytest

import seals
from record import BUILD, Writer, asan, asked, ctl, rows_in, sql, tamper, verify, wait_for
from test_retention import DAY, NOW, OLD, at, enter, hold, removal, rows
from test_survive import RING, spoil_pages
from test_years import FROM, YEAR, decade, sessions

EVERY = int(os.environ.get("RECORD_EVERY", "23"))


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    """Two closed files and the present one, with a hold on a session of the first."""
    folder = tmp_path_factory.mktemp("lost")
    decade(folder / "log", "--years", 3, "--sessions", 6, "--seconds", 400)
    enter(folder / "log", hold(session=sessions(folder / "log")[0]))
    return folder / "log"


@pytest.fixture
def log(years, tmp_path):
    return shutil.copytree(years, tmp_path / "log")


def damaged(folder):
    kept, = [f for f in folder.glob("vitals.db.damaged-*") if f.name[-1].isdigit()]
    return kept


def end_of(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = db.execute("SELECT seal, rows, hash FROM seal ORDER BY seal DESC LIMIT 1").fetchone()
    db.close()
    return found


def check_gone_on(folder, told):
    """The files of the past are read on, the chain runs through, holds hold."""
    verdict = verify(folder)
    assert verdict["ok"], verdict["findings"]
    assert sessions(folder)[:4] == told[:4], "the closed files are not forgotten"
    assert seals.check(folder / "vitals.db") == []
    assert [f["state"] for f in at(folder, FROM + 12 * YEAR, "--keep", "6y")["files"]][:2] == ["held", "due"]
    return verdict


@pytest.mark.parametrize("tables", ["reading", "event seal_part", "chair_state head"])
def test_damaged_when_it_starts(log, tables):
    told, end = sessions(log), end_of(log / "vitals.db")
    spoil_pages(log / "vitals.db", *tables.split())
    decade(log, "--years", 1, "--sessions", 1, "--seconds", 60, "--from", NOW)
    verdict = check_gone_on(log, told)
    kept = damaged(log)
    link = asked(log / "vitals.db", f"SELECT * FROM link WHERE name = '{kept.name}'")[0]
    assert (link["seal"], link["rows"], link["hash"]) == end, "the chain goes on behind its last seal"
    assert any(n["place"].startswith(kept.name) and "damaged" in n["what"] for n in verdict["notes"])
    r = subprocess.run([BUILD / "clients/vitalsctl", "audit", "sessions", "--log", log], capture_output=True, text=True)
    assert r.returncode == 0 and "it is not read with the others" in r.stderr
    info = json.loads(ctl("log", "info", "--log", log, "--json"))
    assert [f["file"] for f in info["files"]] == [OLD, "vitals-2027.db", kept.name, "vitals.db"]
    # Later files know of it too.
    decade(log, "--years", 2, "--sessions", 2, "--seconds", 60, "--from", NOW + YEAR)
    check_gone_on(log, told)
    ids = [r["event"] for f in sorted(log.glob("vitals*.db")) for r in asked(f, "SELECT event FROM event")]
    assert len(ids) == len(set(ids)), "a number is given once"


def test_where_holds_cannot_be_read_everything_is_on_hold(log):
    spoil_pages(log / "vitals.db", "hold_end", "reading")
    decade(log, "--years", 1, "--sessions", 1, "--seconds", 60, "--from", NOW)
    seen = at(log, FROM + 12 * YEAR, "--keep", "6y")
    assert [f["state"] for f in seen["files"]][:2] == ["held", "held"], seen
    everything, = [h for h in seen["holds"] if h["by"] == "vitalsd"]
    assert "place the holds anew" in everything["reason"]
    assert any("what is on hold" in n["what"] for n in verify(log)["notes"]), "and it says so"
    gone = json.dumps({"entry": "hold-release", "value": everything["hold"], "unit": "", "note": "placed anew", "operator": "ada", "uid": 1},
                      separators=(",", ":"))[1:-1]
    enter(log, gone, at=NOW + DAY)
    assert [f["state"] for f in at(log, FROM + 12 * YEAR, "--keep", "6y")["files"]][1] == "due"


def test_nothing_of_it_can_be_read(log):
    """Its beginning is gone: what was before cannot be known, which is said, and it records all the same."""
    (log / "vitals.db").write_bytes(b"\xa5" * 4096 + (log / "vitals.db").read_bytes()[4096:])
    decade(log, "--years", 1, "--sessions", 1, "--seconds", 60, "--from", NOW)
    verdict = verify(log)
    assert verdict["ok"] and any("which files there are before it" in n["what"] for n in verdict["notes"]), verdict
    assert len(rows(log, "hold")) == 1 and damaged(log).exists()


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_gone_while_it_is_written(tmp_path, how):
    w = Writer(tmp_path, "--readings", 100000, "--chairs", 2, "--rate", 800, *RING)
    log = tmp_path / "vitals.db"
    assert wait_for(lambda: rows_in(log, "seal") and rows_in(log, "event") > 6)
    before = end_of(log)
    os.rename(log, tmp_path / "elsewhere.db")
    if how == "deleted":
        (tmp_path / "elsewhere.db").unlink()
    assert wait_for(lambda: log.exists() and rows_in(log, "reading") > 20)
    w.end()
    assert w.process.returncode == 0 and "moved or deleted" in w.err
    link, = asked(tmp_path / "vitals.db", "SELECT * FROM link")
    assert link["name"].startswith("vitals.db.lost-") and link["seal"] >= before[0]
    assert sql(log, "SELECT min(seal) FROM seal") == str(link["seal"] + 1)
    if how == "moved":
        os.rename(tmp_path / "elsewhere.db", tmp_path / link["name"])  # where its WAL waits for it
        assert asked(tmp_path / link["name"], f"SELECT hash FROM seal WHERE seal = {link['seal']}")[0]["hash"] == link["hash"]
    verdict = verify(log)
    assert verdict["ok"] and any("moved or deleted" in n["what"] for n in verdict["notes"]), verdict["findings"]
    assert seals.check(log) == []


def test_cut_off_in_the_midst_of_it(log, tmp_path):
    """Killed at any call while a damaged file is set aside: the next start finishes it, and nothing is forgotten."""
    told = sessions(log)
    spoil_pages(log / "vitals.db", "reading")
    shim = BUILD / "tests/tools/faulty-disk.so"

    def run(folder, fault):
        count = tmp_path / "count"
        count.write_bytes(struct.pack("q", 0))
        r = subprocess.run([BUILD / "tests/bench/decade", folder, "--years", "1", "--sessions", "0", "--from", str(NOW)], capture_output=True,
                           text=True, timeout=60, env={**os.environ, "LD_PRELOAD": f"{asan()} {shim}".strip(),
                                                       "ASAN_OPTIONS": "verify_asan_link_order=0", "DISK_FOLDER": str(folder),
                                                       "DISK_COUNT": str(count), "DISK_AT": str(fault), "DISK_HOW": "kill"})
        return r, struct.unpack("q", count.read_bytes())[0]
    whole = shutil.copytree(log, tmp_path / "whole")
    r, calls = run(whole, 1 << 40)
    assert r.returncode == 0 and calls > 30, r.stderr
    for n in range(1, calls + 1, EVERY):
        folder = shutil.copytree(log, tmp_path / "cut")
        run(folder, n)
        assert (folder / "vitals.db").exists(), f"at call {n} there was no log"
        run(folder, 1 << 40)
        verdict = verify(folder)
        assert verdict["ok"], (n, verdict["findings"])
        assert sessions(folder) == told[:4] and damaged(folder), n
        assert len(rows(folder, "hold")) == len(rows(folder, "broken")) == 1, n
        shutil.rmtree(folder)


def test_a_damaged_file_is_no_excuse_for_another(log):
    """A `broken` row that nobody sealed, for a file that somebody took away."""
    tamper(log / "vitals.db", "INSERT INTO broken VALUES(1, 0, 'it was damaged')")
    (log / OLD).unlink()
    assert verify(log, status=1)["findings"]


def test_a_removal_goes_along(log):
    enter(log, removal(log, name="vitals-2027.db", **{k: v for k, v in asked(
        log / "vitals.db", "SELECT seal, rows, lower(hex(hash)) AS head FROM link WHERE name = 'vitals-2027.db'")[0].items()}))
    spoil_pages(log / "vitals.db", "reading")
    enter(log, at=NOW + DAY)
    verdict = verify(log)
    assert verdict["ok"] and any("removed by policy" in n["what"] for n in verdict["notes"]), verdict["findings"]
