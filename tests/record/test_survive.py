"""What the record survives: kill -9 at any instant and at every write, failing disks, power loss.

Longer runs, by the environment:
    RECORD_KILLS=2000    kills under load (60)
    RECORD_EVERY=1       each n-th call is the one at which the writer is killed or the disk fails (23: every 23rd)
    RECORD_CUTS=2000     power cuts (40); all: before and behind every flush, five ways each, and behind every other call
RECORD_FIGURES=FILE takes one line a test of what came out.
"""
import datetime
import json
import os
import random
import shutil
import sqlite3
import time

import pytest

from powerloss import Disk, read_trace
from record import BUILD, Writer, asan, key_of, recorded, rows_in, sql, verify, wait_for

KILLS = int(os.environ.get("RECORD_KILLS", "60"))
EVERY = int(os.environ.get("RECORD_EVERY", "23"))
CUTS = os.environ.get("RECORD_CUTS", "40")
SHIM = BUILD / "tests/tools/faulty-disk.so"
RING = ("--ring", 64 << 10)


def figures(text):
    print(text)
    if "RECORD_FIGURES" in os.environ:
        with open(os.environ["RECORD_FIGURES"], "a") as f:
            f.write(text + "\n")


def disk(folder, **what):
    """The environment of a writer whose disk is not to be trusted."""
    return {"LD_PRELOAD": f"{asan()} {SHIM}".strip(), "ASAN_OPTIONS": "verify_asan_link_order=0", "DISK_FOLDER": str(folder),
            **{f"DISK_{k.upper()}": str(v) for k, v in what.items()}}


def go_on(folder, published):
    """The next start.  Everything published is in the log, once and as it was; new messages come; it verifies."""
    w = Writer(folder, "--readings", 2, *RING)
    more = w.end()
    assert w.process.returncode == 0, w.err
    rows = recorded(folder / "vitals.db")
    expected = {}
    for m in published + more:
        assert expected.setdefault(key_of(m), m) == m, "a number was used for two messages"
    lost = [k for k in expected if k not in rows]
    assert not lost, f"{len(lost)} of {len(expected)} are missing: {lost[:3]}; {w.err}"
    assert all(json.loads(rows[k]) == m for k, m in expected.items())
    verdict = verify(folder / "vitals.db")
    assert verdict["ok"], verdict["findings"]
    return rows, w


# ---- kill -9 at any instant ----

def test_kill_9_at_any_instant_loses_nothing_that_was_published(tmp_path):
    """Also while it starts, which is when it records what the one before left."""
    dice = random.Random(5)
    published = {}
    for n in range(KILLS):
        w = Writer(tmp_path, "--readings", 100000, "--chairs", 3, "--rate", 4000)
        if n % 3:  # since it is there; else it may not be yet
            assert wait_for(lambda: os.fstat(w.said.fileno()).st_size)
        time.sleep(dice.uniform(0, 0.25))
        for m in w.kill():
            assert published.setdefault(key_of(m), m) == m, "a number was used for two messages"
        if n % 20 == 19:
            verdict = verify(tmp_path / "vitals.db")
            assert verdict["ok"], (n, verdict["findings"])
    rows, _ = go_on(tmp_path, list(published.values()))
    assert len({k[0] for k in rows}) > KILLS // 2, "each that said a word has an epoch of its own"
    verdict = verify(tmp_path / "vitals.db")
    assert any("did not end in order" in n["what"] for n in verdict["notes"])
    figures(f"{KILLS} kills, {len(published)} messages published, 0 missing; {verdict['rows']} rows and "
            f"{verdict['seals']} seals verified at the end, and whatever there was after every 20th kill")


# ---- at every write ----

@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """What a killed writer left: rows in the WAL, and the newest in the ring alone."""
    folder = tmp_path_factory.mktemp("left")
    w = Writer(folder, "--readings", 100000, "--rate", 2000, *RING)
    assert wait_for(lambda: b'"kind":"request"' in os.pread(w.said.fileno(), 1 << 20, 0))
    time.sleep(0.1)
    return folder, w.kill()


def calls_of(tmp_path, left, *options):
    """How many calls on its files a run makes that nothing disturbs: the fewest of three, for one that takes longer commits more often."""
    found = []
    for n in range(3):
        count = tmp_path / f"count{n}"
        folder = start_from(tmp_path / f"undisturbed{n}", left)
        w = Writer(folder, *options, env=disk(folder, count=count))
        w.end()
        found.append(int.from_bytes(count.read_bytes(), "little"))
        shutil.rmtree(folder)
    return min(found)


def start_from(folder, left):
    if left:
        shutil.copytree(left, folder)
    else:
        folder.mkdir()
    return folder


RUN = ("--readings", 110, "--rate", 1500, *RING)


@pytest.mark.parametrize("how", ["kill", "torn"])
@pytest.mark.parametrize("begin", ["anew", "with what a killed one left"])
def test_killed_at_every_write(tmp_path, left, how, begin):
    before, said = left if begin != "anew" else (None, [])
    calls = calls_of(tmp_path, before, *RUN)
    assert calls > 100
    killed = 0
    for n in range(1 + (how == "torn") * (EVERY // 2), calls + 1, EVERY):
        folder = start_from(tmp_path / str(n), before)
        w = Writer(folder, *RUN, env=disk(folder, at=n, how=how))
        published = w.end()
        killed += w.process.returncode == -9
        go_on(folder, said + published)
        shutil.rmtree(folder)
    assert killed > 0.8 * calls / EVERY - 1, "the number of calls differs a little from run to run, but not so much"
    figures(f"{how} at call n of {calls}, starting {begin}, every {EVERY}: {killed} killed, nothing missing, all verify")


@pytest.mark.parametrize("how", ["eio", "enospc", "short"])
def test_a_call_fails_at_every_place(tmp_path, left, how):
    """Once, and for a while: nothing is missing when it is over.  What cannot begin says why and ends with 1."""
    before, said = left
    calls = calls_of(tmp_path, before, *RUN)
    state = ["{chair} after {kind} {seq}".format(**m) for m in said if m["kind"] != "vitals"][-1]
    refused = 0
    for i, n in enumerate(range(1 + len(how), calls + 1, EVERY)):
        folder = start_from(tmp_path / str(n), before)
        w = Writer(folder, *RUN, env=disk(folder, at=n, how=how, times=(1, 2, 5)[i % 3]))
        published = w.end()
        assert w.process.returncode in (0, 1), (n, w.err)
        if w.process.returncode:
            refused += 1
            assert str(folder) in w.err and not published, (n, w.err)
        else:
            assert w.found[7] == state, "a start that went on knows what was left"
        go_on(folder, said + published)
        shutil.rmtree(folder)
    assert refused <= 1 + calls // EVERY // 10
    figures(f"{how} at call n of {calls}, every {EVERY}: {refused} starts refused, nothing missing, all verify")


# ---- power loss ----

@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """Three runs with every call kept: from nothing, killed in its midst, ended in order."""
    folder = tmp_path_factory.mktemp("traced")
    place, trace = folder / "log", folder / "trace"
    published, bounds, rows = [], [], 0
    for n, seconds in enumerate((0.6, 0.9, 0.4)):
        w = Writer(place, "--readings", 100000, "--chairs", 2, "--rate", 600, "--acks", *RING,
                   env=disk(place, trace=trace, count=folder / "count"))
        time.sleep(seconds)
        assert wait_for(lambda: w.last()) and wait_for(lambda: rows_in(place / "vitals.db", "reading") > rows + 200), "it has not committed"
        rows = rows_in(place / "vitals.db", "reading")
        published += w.kill() if n == 1 else w.end()
        bounds.append((len(read_trace(trace)), in_the_log(place, folder / f"look{n}")))
    return place, read_trace(trace), bounds, published


def in_the_log(place, aside):
    """How many messages are in the database itself; a copy is asked, so that the original stays as it is."""
    shutil.copytree(place, aside)
    db = sqlite3.connect(aside / "vitals.db")
    n = db.execute("SELECT count(*) FROM audit_event").fetchone()[0]
    db.close()
    return n


def power_cuts(traced):
    """(call, disk, acknowledged) behind every call."""
    place, calls, bounds, published = traced
    d, run, base = Disk(place), 0, 0
    for i, call in enumerate(calls):
        if i == bounds[run][0]:
            base = bounds[run][1]
            run += 1
            d.acknowledged = 0
        d.feed(call)
        yield i, d, base + d.acknowledged


def test_power_loss_costs_nothing_that_was_committed(tmp_path, traced):
    place, calls, bounds, published = traced
    flushes = [i for i, c in enumerate(calls) if c.what == "S"]
    assert len(flushes) > 25
    # Before and behind every flush, and between: each with nothing but what was flushed, with everything, and in between.
    dice = random.Random(1)
    points = [(i, share) for f in flushes for i in (f - 1, f) for share in (0, 1, 0.2, 0.5, 0.8)] + \
             [(dice.randrange(len(calls)), dice.random()) for _ in range(len(flushes))]
    if CUTS == "all":
        points = sorted(set(points[:len(flushes) * 10]) | {(i, round(dice.random(), 3)) for i in range(len(calls))})
    chosen = collect(points, len(points) if CUTS == "all" else int(CUTS), dice)
    dropped = 0
    for i, d, acknowledged in power_cuts(traced):
        for share in chosen.get(i, ()):
            folder = tmp_path / "cut"
            folder.mkdir()
            for name, content in d.left(i * 31 + int(share * 100), share).items():
                if name != "acks":
                    (folder / name).write_bytes(content)
                    (folder / name).chmod(0o600)
            rows, w = go_on(folder, published[:acknowledged])
            for m in published:
                if ms_of(m) <= calls[i].wall_ms and key_of(m) in rows:
                    assert json.loads(rows[key_of(m)]) == m, "a number is not used again for another message"
            assert sql(folder / "vitals.db", "SELECT count(DISTINCT public_key) FROM epoch") == "1", "the key was lost"
            dropped += "not completely written" in w.err
            shutil.rmtree(folder)
    figures(f"{sum(map(len, chosen.values()))} power cuts at {len(chosen)} of {len(calls)} calls ({len(flushes)} flushes): nothing that was "
            f"committed is missing, all verify; a torn ring was met {dropped} times")


def ms_of(message):
    return datetime.datetime.fromisoformat(message["time"].replace("Z", "+00:00")).timestamp() * 1000


def collect(points, n, dice):
    chosen = {}
    for i, share in dice.sample(points, min(n, len(points))):
        if i >= 0:
            chosen.setdefault(i, []).append(share)
    return chosen


# ---- a damaged page ----

def spoil_pages(log, *tables):
    """The first page of each table is no page any more; and somebody else writes, so that nobody trusts what he remembers."""
    db = sqlite3.connect(log, isolation_level=None, timeout=60)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    roots = [db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (t,)).fetchone()[0] for t in tables]
    db.execute("BEGIN IMMEDIATE")
    fd = os.open(log, os.O_RDWR)
    for root in roots:
        os.pwrite(fd, b"\xa5" * 4096, (root - 1) * 4096)
    os.close(fd)
    db.execute("PRAGMA user_version = %d" % db.execute("PRAGMA user_version").fetchone()[0])
    db.execute("COMMIT")
    db.close()


@pytest.mark.parametrize("tables", ["reading", "head", "head chair_state"])
def test_a_page_that_is_damaged_while_it_runs(tmp_path, tables):
    """It goes on in a new file and says so there; the damaged one is kept as it was, and named with its last seal; states and
    numbers are not lost, also when the next start finds nothing but the new file."""
    w = Writer(tmp_path, "--readings", 100000, "--chairs", 2, "--rate", 800, "--calm", 110, *RING)
    log = tmp_path / "vitals.db"
    assert wait_for(lambda: rows_in(log, "event WHERE kind = 'request'") == 2)
    last_seal = sql(log, "SELECT seal || ', ' || lower(hex(hash)) FROM seal ORDER BY seal DESC LIMIT 1")
    spoil_pages(log, *tables.split())
    assert wait_for(lambda: any(p.stat().st_ino != log.stat().st_ino for p in tmp_path.glob("vitals.db.damaged-*[0-9]"))), w.process.poll()
    assert wait_for(lambda: rows_in(log, "reading") > 50)
    published = w.kill()
    kept, = [p for p in tmp_path.glob("vitals.db.damaged-*") if not p.name.endswith("-wal")]
    assert "damaged" in w.err and "Keep both" in w.err
    assert rows_in(log, "event") == 0, "nothing has happened since but readings"
    states = {m["chair"]: f"{m['chair']} after {m['kind']} {m['seq']}" for m in published if m["kind"] != "vitals"}
    assert states == dict(line.split("|", 1) for line in sql(
        log, "SELECT chair, CAST(state AS TEXT) FROM chair_state WHERE chair <> ''").split("\n"))
    w = Writer(tmp_path, "--readings", 5, *RING)
    published += w.end()
    rows = recorded(log)
    assert min(k[0] for k in rows) == 1, "the same start goes on in it"
    newest = published[-1]
    assert key_of(newest) in rows
    assert w.found[1] == "2" and int(w.found[3]) == max(int(m["alarm"][2:]) for m in published if m["kind"] == "alarm")
    assert int(w.found[5]) == max(int(m["session"][11:]) for m in published if m["kind"] == "session")
    assert w.found[7] == states["chair-1"], "the chair's state, as it was last"
    verdict = verify(log)
    assert verdict["ok"]
    told, = [n["what"] for n in verdict["notes"] if "damaged" in n["what"] and n["place"].startswith("vitals.db: finding")]
    assert kept.name in told and (last_seal in told or int(told.split("seal was ")[1].split(",")[0]) > int(last_seal.split(",")[0]))
    # The chain goes on behind the damaged file's last seal, and no number is given twice.
    noted, = [n for n in verdict["notes"] if n["place"].startswith(kept.name)]
    assert "it was damaged on" in noted["what"]
    seal, hash_ = (sql(log, f"SELECT {c} FROM link WHERE name = '{kept.name}'") for c in ("seal", "lower(hex(hash))"))
    assert sql(kept, f"SELECT lower(hex(hash)) FROM seal WHERE seal = {seal}") == hash_
    assert sql(log, "SELECT min(seal) FROM seal") == str(int(seal) + 1)
    for table in ("event", "run", "origin"):
        assert int(sql(log, f"SELECT number FROM carried WHERE what = '{table}'")) >= int(sql(kept, f"SELECT max({table}) FROM {table}")), table
    unseen = [k for k in map(key_of, published) if k not in rows]
    if tables != "reading":
        assert unseen and set(unseen) <= set(recorded(kept)), "what is not in the new file is in the damaged one"


# ---- a key that is none, a copy taken in the midst ----

@pytest.mark.parametrize("what, mode, words", [("", 0o600, "no key"), ("ab" * 31 + "\n", 0o600, "no key"), ("z" * 64, 0o600, "no key"),
                                               ("ab" * 32 + "\n", 0o644, "0600"), (None, 0, "cannot be read")])
def test_a_key_that_cannot_be_used(tmp_path, what, mode, words):
    """It records all the same, unsigned, says what to do, and overwrites nothing."""
    key = tmp_path / "vitals.db.key"
    if what is None:
        key.mkdir()
    else:
        key.write_text(what)
        key.chmod(mode)
    w = Writer(tmp_path, "--readings", 30, *RING)
    published = w.end()
    assert w.process.returncode == 0 and str(key) in w.err and "not signed" in w.err, w.err
    assert what is None or (words in w.err and key.read_text() == what), w.err
    assert {key_of(m) for m in published} == set(recorded(tmp_path / "vitals.db"))
    verdict = verify(tmp_path / "vitals.db")
    assert verdict["ok"] and verdict["signatures"] == 0


def test_another_key_signs_from_then_on(tmp_path):
    """Both public keys stand in the log; who kept the first one sees that there is a second."""
    Writer(tmp_path, "--readings", 30, *RING).end()
    first = sql(tmp_path / "vitals.db", "SELECT lower(hex(public_key)) FROM epoch")
    (tmp_path / "vitals.db.key").unlink()
    Writer(tmp_path, "--readings", 30, *RING).end()
    verdict = verify(tmp_path / "vitals.db")
    assert verdict["ok"] and verdict["signatures"] >= 2
    assert any("signature" in f["what"] for f in verify(tmp_path / "vitals.db", "--key", first, status=1)["findings"])


def test_copies_taken_in_the_midst_of_writing(tmp_path):
    """cp of database and WAL, in this order, as schema/README.md says."""
    w = Writer(tmp_path / "log", "--readings", 1000000, "--chairs", 2, "--rate", 2000, *RING)
    log = tmp_path / "log/vitals.db"
    assert wait_for(lambda: rows_in(log, "reading") > 500)
    copies = []
    for n in range(8):
        grown = rows_in(log, "reading")
        assert wait_for(lambda: rows_in(log, "reading") > grown), "there is no writing to be in the midst of"
        copy = tmp_path / str(n)
        copy.mkdir()
        begun = None
        while begun != begin_of_wal(log):  # begun anew meanwhile: what it had before is in neither copy
            begun = begin_of_wal(log)
            shutil.copy(log, copy)
            shutil.copy(f"{log}-wal", copy)
        verdict = verify(copy / "vitals.db")
        assert verdict["ok"], verdict["findings"]
        copies.append(verdict["rows"] + verdict["unsealed"])
    w.end()
    assert copies == sorted(set(copies)), "each copy has more than the one before"


def begin_of_wal(log):
    with open(f"{log}-wal", "rb") as f:
        return f.read(32)
