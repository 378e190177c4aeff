"""The gap ledger: every second of a session in exactly one column, whatever happened in it.

Random sessions with silences, missing and doubtful values, pauses and restarts are written down as schema/001-log.sql says; what
`audit show` makes of them has to be what an oracle finds that asks the views about one moment after the other.
RECORD_SESSIONS=N: so many sessions (20).
"""
import bisect
import json
import os
import random
import sqlite3

import pytest

from record import ROOT, ctl

SESSIONS = int(os.environ.get("RECORD_SESSIONS", "20"))
COLUMNS = ("valid", "stale", "lost", "suspect", "paused", "restarting")
FRESH_MS = {"nibp_sys": 600_000, "nibp_dia": 600_000}  # others: 10 s
KEPT_MS = {"nibp_sys": 1_200_000, "nibp_dia": 1_200_000}  # others: 2 min
DAY = 1_763_700_000_000


class Log:
    """A log written by hand: the tables, and nothing of the product."""

    def __init__(self, file):
        self.db = sqlite3.connect(file, isolation_level=None)
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.execute("BEGIN")
        scripts = sorted((ROOT / "schema").glob("[0-9]*.sql"))
        for script in scripts:
            for statement in statements(script.read_text()):
                self.db.execute(statement)
        self.db.execute("PRAGMA application_id = 1987341427")
        self.db.execute(f"PRAGMA user_version = {len(scripts)}")
        self.epoch = self.seq = self.run = self.rows = 0
        self.session = None

    def start(self, at):
        self.epoch += 1
        self.db.execute("INSERT INTO epoch(epoch, started_ms, site, config_hash, version) VALUES(?, ?, 's', '', '')", (self.epoch, at))
        self.origin = {chair: self.db.execute("INSERT INTO origin(epoch, site, chair) VALUES(?, 's', ?)", (self.epoch, chair)).lastrowid
                       for chair in ("chair-1", "chair-2")}
        self.seq, self.run = {}, {}

    def phase(self, at, session, phase):
        body = json.dumps({"phase": phase, "patient": "P-1", "operator": "anna"})[1:-1]
        self.seq["session"] = self.seq.get("session", 0) + 1
        event = self.db.execute("INSERT INTO event(origin, kind, seq, at_ms, session, body) VALUES(?, 'session', ?, ?, ?, ?)",
                                (self.origin["chair-1"], self.seq["session"], at, session, body)).lastrowid
        self.db.execute("INSERT OR IGNORE INTO session VALUES(?, ?, ?)", (event, session, at))
        self.session = None if phase == "discharged" else session
        self.run = {}

    def reading(self, at, chair, device, values):
        """values: {metric: (value or None, [flags])}"""
        self.seq[chair] = self.seq.get(chair, 0) + 1
        run = self.run.get(chair)
        if not run or at - run[2] > 8_000_000 or run[1] == 8192:
            no = self.db.execute("INSERT INTO run(origin, session, first_seq, start_ms, boot_ms) VALUES(?, ?, ?, ?, 0)", (
                self.origin[chair], self.session if chair == "chair-1" else None, self.seq[chair], at)).lastrowid
            run = self.run[chair] = [no, 0, at]
        shape = self.shape(device, values)
        given = [v for v, _ in values.values() if v is not None]
        self.db.execute("INSERT INTO reading(id, shape, t, v1, v2) VALUES(?, ?, ?, ?, ?)",
                        (run[0] * 8192 + run[1], shape, at - run[2], *(given + [None, None])[:2]))
        run[1] += 1

    def shape(self, device, values):
        key = json.dumps([device, [(m, v is None, f) for m, (v, f) in values.items()]])
        found = self.db.execute("SELECT shape FROM shape WHERE key = ?", (key,)).fetchone()
        if found:
            return found[0]
        shape = self.db.execute("INSERT INTO shape(device, key, reading_flags, flags) VALUES(?, ?, '[]', '[]')", (device, key)).lastrowid
        place = 0
        for i, (metric, (value, flags)) in enumerate(values.items()):
            place += value is not None
            self.db.execute("INSERT INTO shape_metric VALUES(?, ?, '', ?, ?, ?)", (
                shape * 32 + i, metric, place if value is not None else 0, json.dumps(flags), json.dumps(flags)))
        return shape


def statements(text):
    found, statement = [], ""
    for line in text.splitlines(True):
        statement += line
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found


def story(log, dice):
    """One session of chair-1, with what came before and after it; times in ms, nothing on a grid."""
    now = DAY + dice.randrange(10 ** 9)
    log.start(now)
    until = now + dice.randrange(60_000, 5_400_000)
    opened = now + dice.randrange(1000, 30_000 if dice.random() < 0.5 else 1_500_000)
    closed = None if dice.random() < 0.2 else opened + dice.randrange(60_000, 3_600_000)
    until = max(until, (closed or opened) + dice.randrange(1000, 60_000))
    todo = [(opened, "phase", "screening")]
    for n in range(dice.randrange(4)):
        at = dice.randrange(opened + 1, closed or until)
        todo += [(at, "phase", "paused"), (dice.randrange(at, (closed or until) + 1), "phase", "infusion")]
    if closed:
        todo.append((closed, "phase", "discharged"))
    for n in range(dice.choice((0, 0, 1, 1, 2, 5))):
        todo.append((dice.randrange(now + 1, until), "restart", dice.choice((300, 4000, 30_000, 400_000))))
    for chair, device, every in (("chair-1", "oximeter", 1000), ("chair-1", "bp", dice.choice((150_000, 300_000, 700_000))),
                                 ("chair-2", "oximeter", 5000)):
        at = now + dice.randrange(1, 2000)
        while at < until:
            todo.append((at, "reading", (chair, device)))
            silence = dice.choice((8000, 15_000, 100_000, 500_000)) if dice.random() < 0.004 else 0
            at += every + dice.randrange(-40, 40) + silence * (1 + (device == "bp"))
    down, state = 0, "plain"
    for at, what, more in sorted(todo, key=lambda t: (t[0], t[1])):
        if what == "phase" and (at >= down or more in ("screening", "discharged")):
            log.phase(at, "s-1", more)
        elif what == "restart" and at >= down:
            down = at + more
            log.start(at + dice.randrange(more))
        elif what == "reading" and at >= down:
            chair, device = more
            if device == "bp":
                log.reading(at, chair, "bp", {"nibp_sys": (dice.choice((120, 121, None)), dice.choice(([], ["artifact"]))),
                                              "nibp_dia": (80, [])})
                continue
            if dice.random() < 0.02:
                state = dice.choice(("plain", "off", "doubtful", "half"))
            off, doubt = state == "off", ["questionable"] if state == "doubtful" else []
            log.reading(at, chair, device, {"spo2": (None if off or state == "half" else 97, ["sensor_off"] if off else doubt),
                                            "pr": (None if off else 70, [] if off else doubt)})


def oracle(db):
    """By the words of the documentation, one moment after the other."""
    def ask(sql, *more):
        return db.execute(sql, more).fetchall()
    start, end = ask("SELECT started_ms, ended_ms FROM audit_session")[0]
    if end is None:
        end = max(r[0] or 0 for r in ask("SELECT max(recorded_ms) FROM audit_event WHERE session = 's-1'"))
    seen = {}
    times = sorted({r[0] for r in ask("SELECT observed_ms FROM audit_observation WHERE chair = 'chair-1'")})
    for metric, value, flags, at in ask("SELECT metric, value, flags, observed_ms FROM audit_observation WHERE chair = 'chair-1' AND "
                                        "observed_ms BETWEEN ? AND ? ORDER BY observed_ms", start - 1_200_000, end):
        doubtful = {"suspect", "questionable", "artifact"} & set(json.loads(flags))
        seen.setdefault(metric, []).append((at, "lost" if value is None else "suspect" if doubtful else "valid"))
    phases = ask("SELECT recorded_ms, json_extract(body, '$.phase') FROM audit_event WHERE kind = 'session' ORDER BY recorded_ms, epoch, seq")
    pauses = [(at, phases[i + 1][0] if i + 1 < len(phases) else end) for i, (at, p) in enumerate(phases) if p == "paused"]
    restarts = []
    for epoch, began in ask("SELECT epoch, started_ms FROM epoch WHERE epoch > 1"):
        first = ask("SELECT min(recorded_ms) FROM audit_event WHERE kind = 'vitals' AND chair = 'chair-1' AND epoch = ?", epoch)[0][0]
        last = ask("SELECT max(recorded_ms) FROM audit_event WHERE kind = 'vitals' AND chair = 'chair-1' AND epoch < ?", epoch)[0][0]
        restarts.append((last or began, first or began))
    found = {}
    for metric, readings in seen.items():
        fresh, kept = FRESH_MS.get(metric, 10_000), KEPT_MS.get(metric, 120_000)
        edges = {start, end} | {e for span in pauses + restarts for e in span}
        edges |= {at + d for at, _ in readings for d in (0, fresh, kept)}
        edges = sorted(e for e in edges if start <= e <= end)
        row = dict.fromkeys(COLUMNS, 0)
        for one, two in zip(edges, edges[1:]):
            row[judge(readings, one, fresh, kept, pauses, restarts)] += two - one
        found[metric] = row
    assert times
    return start, end, found


def judge(readings, t, fresh, kept, pauses, restarts):
    n = bisect.bisect_right(readings, t, key=lambda r: r[0])
    at, said = readings[n - 1] if n else (t, "lost")
    if said != "lost" and t - at < fresh:
        return said
    if any(a <= t < b for a, b in restarts):
        return "restarting"
    if any(a <= t < b for a, b in pauses):
        return "paused"
    return "lost" if said == "lost" or t - at >= kept else "stale"


@pytest.mark.parametrize("seed", range(0, SESSIONS, 10))
def test_every_second_is_accounted_for(tmp_path, seed):
    met = set()
    for n in range(seed, min(seed + 10, SESSIONS)):
        file = tmp_path / f"{n}.db"
        log = Log(file)
        story(log, random.Random(n))
        log.db.execute("COMMIT")
        start, end, expected = oracle(log.db)
        log.db.close()
        shown = json.loads(ctl("audit", "show", "s-1", "--log", file, "--json"))["ledger"]
        assert set(shown) == set(expected), n
        for metric, row in shown.items():
            assert tuple(sorted(row)) == tuple(sorted(COLUMNS)), "and no other column"
            assert sum(round(v * 1000) for v in row.values()) == end - start, (n, metric)
            assert {c: round(v * 1000) for c, v in row.items()} == expected[metric], (n, metric)
            met |= {c for c, v in row.items() if v}
    assert met == set(COLUMNS), "the stories were too tame"
