"""What the tests of the record share: running the writer, asking the log as an auditor would."""
import json
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VITALSD_BUILD", ROOT / "build"))
WRITER = BUILD / "tests/record/logwriter"
CTL = BUILD / "clients/vitalsctl"
PATIENCE = 60.0  # seconds for whatever must come: a machine that is slow today is no failure


class Writer:
    """A run of logwriter in a folder.  `err` is all that it complained of, once it has ended."""

    def __init__(self, folder, *options, env=None, prefix=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True, parents=True)
        self.said, self.complained = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # a pipe that nobody reads would hold the writer up
        self.process = subprocess.Popen(
            [*prefix, str(WRITER), str(folder), *map(str, options)], stdin=subprocess.PIPE, stdout=self.said,
            stderr=self.complained, env={**os.environ, **(env or {})})

    def complaints(self):
        """What it complained of so far."""
        return os.pread(self.complained.fileno(), 1 << 20, 0).decode()

    def last(self, n=8):
        """The kinds of the last messages so far."""
        size = os.fstat(self.said.fileno()).st_size
        lines = os.pread(self.said.fileno(), 8192, max(0, size - 8192)).decode(errors="replace").split("\n")[1:-1]
        return [line.split("/")[0] for line in lines[-n:]]

    def end(self, timeout=5 * PATIENCE):
        """What it published, in order; the first line is what it found at its start."""
        self.process.communicate(b"stop\n", timeout=timeout)
        self.err = self.complaints()
        return self.read()

    def read(self):
        self.said.seek(0)
        lines = self.said.read().decode().split("\n")
        self.found = lines[0].split(" ", 7) if lines[0] else []
        return [json.loads(line.split(" ", 1)[1]) for line in lines[1:-1]]

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)
        self.err = self.complaints()
        return self.read()


def write(folder, *options, **more):
    w = Writer(folder, *options, **more)
    published = w.end()
    assert w.process.returncode == 0, w.err
    return published


def key_of(message):
    return message["epoch"], message["chair"], message["kind"], message["seq"]


def recorded(log):
    """The messages in the log, through the sqlite3 program and nothing else."""
    out = sql(log, "SELECT epoch, chair, kind, seq, body FROM audit_event", mode="-json")
    rows = json.loads(out) if out.strip() else []
    return {(r["epoch"], r["chair"], r["kind"], r["seq"]): r["body"] for r in rows}


def sql(log, statement, mode="-list"):
    r = subprocess.run(["sqlite3", "-batch", mode, str(log), statement], capture_output=True, text=True, timeout=2 * PATIENCE)
    assert r.returncode == 0, r.stderr
    return r.stdout.rstrip("\n") if mode == "-list" else r.stdout


def ctl(*args, status=0, text=True):
    r = subprocess.run([str(CTL), *map(str, args)], capture_output=True, text=text, timeout=2 * PATIENCE)
    assert r.returncode == status, f"{args}: exit {r.returncode}\n{r.stdout}\n{r.stderr}"
    return r.stdout if status == 0 else r.stdout + r.stderr


def verify(log, *args, status=0):
    out = ctl("audit", "verify", "--log", log, "--json", *args, status=status)
    return json.loads(out[out.index("{"):out.rindex("}") + 1])


def add_event(log, session, at_ms, body, chair="chair-1"):
    """A message of the kind that its body is, as the daemon would have recorded it; it waits for its seal for ever."""
    kind = "alarm" if "change" in body else "entry" if "entry" in body else "session"
    db = sqlite3.connect(log)
    origin, = db.execute("SELECT max(origin) FROM origin WHERE chair = ?", (chair,)).fetchone()
    seq, = db.execute("SELECT ifnull(max(seq), 0) + 1 FROM event WHERE origin = ? AND kind = ?", (origin, kind)).fetchone()
    who = body.get("operator", body.get("by"))
    event = db.execute("INSERT INTO event(origin, kind, seq, at_ms, session, operator, alarm, body) VALUES(?,?,?,?,?,?,?,?)",
                       (origin, kind, seq, at_ms, session, who, body.get("alarm"), json.dumps(body, ensure_ascii=False)[1:-1])
                       ).lastrowid
    if kind == "alarm":
        db.execute("INSERT OR IGNORE INTO alarm VALUES(?,?,?)", (event, body["alarm"], at_ms))
    if kind == "session":
        db.execute("INSERT OR IGNORE INTO session VALUES(?,?,?)", (event, session, at_ms))
    db.commit()
    db.close()


def asked(path, statement):
    """The rows of one file by the names of their columns, without vitalsctl and without touching anything."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    found = [dict(r) for r in db.execute(statement)]
    db.close()
    return found


def tamper(log, script):
    """As somebody does who owns the file and does not care for triggers: they are put back as they were."""
    db = sqlite3.connect(log, isolation_level=None)
    triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")
    db.executescript(script)
    for _, text in triggers:
        db.execute(text)
    db.close()


def asan():
    """The sanitizer's library wants to be loaded before ours, where the build has one."""
    out = subprocess.run(["ldd", WRITER], capture_output=True, text=True).stdout
    return next((line.split()[2] for line in out.split("\n") if "libasan" in line), "")


def wait_for(what, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def rows_in(log, what):
    """How many there are so far; a log that is just being made has none.  Looking changes nothing, not even the WAL."""
    try:
        db = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0
    try:
        return db.execute(f"SELECT count(*) FROM {what}").fetchone()[0]
    except sqlite3.Error:
        return 0
    finally:
        db.close()
