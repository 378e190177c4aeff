"""Nobody changes the record unseen: every column of every row, every way to add, remove, exchange; and what a forger gains.

Each change is judged twice: by `vitalsctl audit verify`, and by seals.py, which knows nothing but schema/README.md.
RECORD_TAMPER=N: so many rows of each table are tried for each column (1).
"""
import json
import os
import random
import shutil
import sqlite3
import time

import pytest

import seals
from record import Writer, ctl, key_of, rows_in, sql, verify, wait_for, write

TRIES = int(os.environ.get("RECORD_TAMPER", "1"))
# What a log of one file has; rows about other files are looked at in test_years.py and test_retention.py.
TABLES = [t for t in seals.PARTS if t not in ("link", "carried", "closed", "hold", "hold_end", "removal", "removal_end", "broken")]
CHAIN = {"seal": "seal", "seal_part": "part", "head": "one"}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Something in every table: two starts, a damaged file set aside, readings given up, sessions, alarms; then a kill, so
    that the newest rows are under no seal yet."""
    folder = tmp_path_factory.mktemp("log")
    write(folder, "--readings", 10, "--ring", 64 << 10)
    with open(folder / "vitals.db", "r+b") as f:
        f.write(bytes(100))
    w = Writer(folder, "--readings", 450, "--chairs", 2, "--ring", 64 << 10, "--wait")
    assert wait_for(lambda: b'"closed":' in os.pread(w.said.fileno(), 1 << 20, 0)), "the seal of a closed session"
    published = w.end()
    crowded = Writer(folder, "--readings", 1000000, "--rate", 4000, "--ring", 64 << 10)
    for _ in range(10):
        locker = sqlite3.connect(folder / "vitals.db", isolation_level=None, timeout=60)
        locker.execute("BEGIN IMMEDIATE")
        time.sleep(0.7)
        locker.execute("ROLLBACK")
        locker.close()
        if wait_for(lambda: rows_in(folder / "vitals.db", "gap"), 5):
            break
    published += crowded.end()
    w = Writer(folder, "--readings", 45, "--rate", 60, "--wait", "--ring", 64 << 10)
    assert wait_for(lambda: rows_in(folder / "vitals.db", "audit_event WHERE epoch = 4") >= 45)
    published += w.kill()
    db = sqlite3.connect(folder / "vitals.db")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return folder / "vitals.db", published


@pytest.fixture
def spoil(log, tmp_path):
    """spoil(script or function): a copy with that done to it by somebody who owns the file; triggers stand again."""
    def do(what):
        copy = tmp_path / "vitals.db"
        shutil.copy(log[0], copy)
        db = sqlite3.connect(copy, isolation_level=None)
        db.execute("PRAGMA synchronous = OFF")
        triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        what(db) if callable(what) else db.executescript(what)
        for _, text in triggers:
            db.execute(text)
        db.close()
        return copy
    return do


def places(verdict):
    return [f["place"] + ": " + f["what"] for f in verdict["findings"]]


def test_the_log_is_whole_to_begin_with(log):
    verdict = verify(log[0])
    assert verdict["ok"] and verdict["unsealed"] > 20 and verdict["signatures"] >= 3
    assert seals.check(log[0]) == []
    for table in TABLES:
        assert rows_in(log[0], table), f"there is something in {table} to change"


def changed(value, dice):
    """Another value of the same type, as little different as can be."""
    if value is None:
        return 7
    if isinstance(value, int):
        return value + dice.choice([1, -1, 1000])
    if isinstance(value, float):
        return dice.choice([value + 0.1, value * (1 + 2.0 ** -52), int(value)])
    if isinstance(value, bytes):
        i = dice.randrange(len(value))
        return value[:i] + bytes([value[i] ^ 1 << dice.randrange(8)]) + value[i + 1:]
    return dice.choice([value + " ", value[:-1], value.replace("1", "2", 1) + "x", value + "\0and more behind a NUL"])


def named(table, verdict):
    """Whether it is said where: the table, or for readings the chair; or that it is among the rows without a seal."""
    words = {"reading": "chair-", "seal_part": "seal"}
    return any(words.get(table, table) in p or "under no seal" in p for p in places(verdict))


@pytest.mark.parametrize("table", [*TABLES, *CHAIN])
def test_any_column_of_any_row(log, spoil, table):
    db = sqlite3.connect(log[0])
    dice = random.Random(table)
    columns = seals.columns_of(db, table)
    if table == "head":
        columns = ["seal", "rows", "tail"]  # the others are the daemon's own notes, of no row
    rows = [r[0] for r in db.execute(f"SELECT rowid FROM {table}")] if table != "seal_part" else \
        [f"part = '{p}' AND last = {n}" for p, n in db.execute("SELECT part, last FROM seal_part")]
    tried = 0
    for column in columns:
        for row in dice.sample(rows, min(TRIES, len(rows))):
            where = row if table == "seal_part" else f"rowid = {row}"
            old = db.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()[0]
            new = changed(old, dice)
            try:
                copy = spoil(lambda d: d.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (new,)))
            except sqlite3.IntegrityError:
                copy = spoil(lambda d: d.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (
                    old + 10 ** 6 if isinstance(old, int) else str(new) + "x",)))
            verdict = verify(copy, status=1)
            assert named(table, verdict), (column, row, old, new, places(verdict))
            if "\0" not in str(new) and (table, column) != ("seal", "signature"):
                assert seals.check(copy, signatures=False), f"by the documentation: {table}.{column} {old!r} to {new!r}"
            tried += 1
    db.close()
    assert tried >= len(columns) * min(TRIES, len(rows))


@pytest.mark.parametrize("table", [*TABLES, "seal", "seal_part"])
@pytest.mark.parametrize("how", ["removed", "added", "exchanged"])
def test_any_row_removed_added_or_exchanged(log, spoil, table, how):
    db = sqlite3.connect(log[0])
    dice = random.Random(table + how)
    columns = seals.columns_of(db, table)
    rows = db.execute(f"SELECT * FROM {table}").fetchall()
    db.close()
    places_of = ", ".join("?" * len(columns))

    def without(d, row):
        d.execute(f"DELETE FROM {table} WHERE " + " AND ".join(f"{c} IS ?" for c in columns), row)

    def do(d):
        victim = dice.choice(rows)
        if how == "removed":
            without(d, victim)
        elif how == "added":
            more = list(victim)
            for i, c in enumerate(columns):  # what must differ
                if c in ("event", "epoch", "id", "run", "shape", "origin", "gap", "finding", "seal", "seq", "last", "first_seq", "limit_text",
                         "limit_set", "clock"):
                    more[i] = max(r[i] for r in rows if r[i] is not None) + 1
                if (table, c) in (("session", "session"), ("alarm", "alarm"), ("shape", "key"), ("limit_text", "hash"),
                                  ("limit_set", "hash")):
                    more[i] += "9"
            d.execute(f"INSERT INTO {table} VALUES({places_of})", more)
        else:
            others = [r for r in rows if r[1:] != victim[1:]]
            other = dice.choice(others) if others else victim[:1] + (None,) * (len(victim) - 1)
            without(d, victim), without(d, other)
            keys = 2 if table == "seal_part" else 1
            for one, two in ((victim, other), (other, victim)):
                d.execute(f"INSERT INTO {table} VALUES({places_of})", one[:keys] + two[keys:])
    if how == "exchanged" and len({r[1:] for r in rows}) < 2:
        pytest.skip("there is one such row, and nothing to exchange it with")
    for _ in range(TRIES):
        copy = spoil(do)
        verdict = verify(copy, status=1)
        assert named(table, verdict), places(verdict)
        assert seals.check(copy, signatures=False)


SCHEMA = {
    "a trigger that swallows alarms": (
        "CREATE TRIGGER sqlitexquiet BEFORE INSERT ON alarm BEGIN SELECT raise(IGNORE); END", "trigger sqlitexquiet"),
    "a trigger with a name that SQLite keeps for itself": (
        "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES('trigger', 'sqlite_quiet', 'alarm', 0, 'CREATE TRIGGER "
        "sqlite_quiet BEFORE INSERT ON alarm BEGIN SELECT raise(IGNORE); END')", "trigger sqlite_quiet"),
    "a view that leaves sessions out": (
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = sql || ' WHERE c.session <> ''s-1''' WHERE name = "
        "'audit_session'", "view audit_session"),
    "an index that leaves rows out": (
        "DROP INDEX event_session; CREATE INDEX event_session ON event(session, kind) WHERE session = 's-1'", "index event_session"),
    "a table that takes other types": (
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE name = 'event'", "table event"),
    "a view of that name before all others": ("CREATE VIEW aside AS SELECT * FROM audit_event", "view aside"),
}


@pytest.mark.parametrize("what", SCHEMA)
def test_views_triggers_indexes(spoil, what):
    script, place = SCHEMA[what]
    assert any(place in p for p in places(verify(spoil(script), status=1)))


def test_a_log_that_says_it_is_of_another_version_is_not_judged(spoil):
    for pragma, word in (("user_version = 99", "newer"), ("application_id = 7", "not a log"), ("user_version = 0", "not a log")):
        copy = spoil(f"PRAGMA {pragma}")
        assert word in ctl("audit", "verify", "--log", copy, status=1), pragma


# ---- What a forger gains, who computes everything anew that needs no key ----

def forge(script):
    def do(db):
        db.executescript(script)
        db.text_factory = lambda b: b.decode(errors="surrogateescape")
        seals.forge(db)
    return do


CHANGE = "UPDATE event SET body = replace(body, '\"value\":184', '\"value\":148') WHERE kind = 'alarm';"


def test_a_chain_computed_anew_has_no_signature(spoil):
    copy = spoil(forge(CHANGE))
    assert all("signature" in p for p in places(verify(copy, status=1))), "all else fits: the forger was good"
    assert all("signature" in w for w in seals.check(copy)), "by OpenSSL and the documentation too"


def test_signatures_that_were_taken_away_are_missed(spoil):
    copy = spoil(forge(CHANGE + "UPDATE seal SET signature = NULL;"))
    found = places(verify(copy, status=1))
    assert any("not signed" in p for p in found), found
    copy = spoil("UPDATE seal SET signature = NULL WHERE seal = (SELECT min(seal) FROM seal WHERE signature IS NOT NULL)")
    assert any("not signed" in p for p in places(verify(copy, status=1)))


def witness_of(log, file):
    """What a station kept: the published seals, one a line."""
    heads = json.loads(sql(log[0], "SELECT 'seal' AS kind, seal, rows, lower(hex(hash)) AS head, lower(hex(signature)) AS signature"
                           " FROM seal WHERE signature IS NOT NULL", mode="-json"))
    file.write_text("".join(f"seal/chair-1 {json.dumps(h)}\n" for h in heads))
    return file


def test_the_newest_cut_off_is_seen_by_a_witness_alone(log, spoil, tmp_path):
    """So it is said in schema/README.md; a log that is shorter, and whole, proves nothing about what is gone."""
    def cut(db):
        db.executescript("DELETE FROM reading WHERE id NOT IN (SELECT r.id FROM reading r JOIN seal_part p ON p.part = 'reading' AND "
                         "p.last / 8192 = r.id / 8192 AND r.id <= p.last AND p.seal <= 3)")
        for table in seals.PARTS[:-1]:
            number = seals.columns_of(db, table)[0]
            db.execute(f"DELETE FROM {table} WHERE {number} > coalesce((SELECT max(last) FROM seal_part WHERE part = ? AND seal <= 3),"
                       " -1)", (table,))
        db.executescript("DELETE FROM seal_part WHERE seal > 3; DELETE FROM seal WHERE seal > 3")
        seals.forge(db)
    witness = witness_of(log, tmp_path / "witness.jsonl")
    whole = verify(log[0], "--witness", witness)
    assert whole["ok"] and whole["witnesses"] >= 3
    copy = spoil(cut)
    assert verify(copy)["ok"] and seals.check(copy) == []
    found = places(verify(copy, "--witness", witness, status=1))
    assert any("was published and is not in this log" in p for p in found), found


def test_another_key_is_seen_by_witness_and_key(log, spoil, tmp_path):
    """Who writes all of it anew, with a key of his own: the log alone cannot tell, a head or a key kept elsewhere can."""
    witness, key = witness_of(log, tmp_path / "witness.jsonl"), ctl("log", "key", "--log", log[0]).strip()
    other = tmp_path / "other"
    write(other, "--readings", 450, "--chairs", 2, "--ring", 64 << 10)
    shutil.copy(other / "vitals.db", tmp_path / "vitals.db")
    assert verify(tmp_path / "vitals.db")["ok"]
    assert any("signature" in p for p in places(verify(tmp_path / "vitals.db", "--key", key, status=1)))
    assert any("witness, line 1" in p for p in places(verify(tmp_path / "vitals.db", "--witness", witness, status=1)))


def test_signatures_are_ed25519_to_openssl_too(log):
    db = sqlite3.connect(log[0])
    key = bytes.fromhex(ctl("log", "key", "--log", log[0]).strip())
    signed = db.execute("SELECT hash, signature FROM seal WHERE signature IS NOT NULL").fetchall()
    db.close()
    assert len(signed) >= 3
    for hash_, signature in signed:
        assert seals.signed_by(key, signature, hash_.hex().encode())
        assert not seals.signed_by(key, signature, hash_[::-1].hex().encode())


def test_a_seal_that_is_published_is_the_one_in_the_log(log):
    """As an event of kind `seal`: the head, how many rows, the signature; when a session is closed."""
    path, published = log
    heads = [m for m in published if m["kind"] == "seal"]
    closed = [m for m in published if m["kind"] == "session" and m["phase"] == "discharged"]
    for m in heads:
        row = json.loads(sql(path, f"SELECT rows, lower(hex(hash)) AS head, lower(hex(signature)) AS signature FROM seal WHERE seal = "
                             f"{m['seal']}", mode="-json"))
        assert row == [{"rows": m["rows"], "head": m["head"], "signature": m["signature"]}], key_of(m)
    assert heads and {m["session"] for m in heads if m.get("closed")} <= {m["session"] for m in closed}
