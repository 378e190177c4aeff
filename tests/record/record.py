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


class Writer:
    """A run of logwriter in a folder."""

    def __init__(self, folder, *options, env=None, prefix=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True, parents=True)
        self.said = tempfile.TemporaryFile()  # a pipe that nobody reads would hold the writer up
        self.process = subprocess.Popen(
            [*prefix, str(WRITER), str(folder), *map(str, options)], stdin=subprocess.PIPE, stdout=self.said,
            stderr=subprocess.PIPE, env={**os.environ, **(env or {})})

    def end(self, timeout=60):
        """What it published, in order; the first line is what it found at its start."""
        _, err = self.process.communicate(b"stop\n", timeout=timeout)
        self.err = err.decode()
        return self.read()

    def read(self):
        self.said.seek(0)
        lines = self.said.read().decode().split("\n")
        self.found = lines[0].split(" ", 7) if lines[0] else []
        return [json.loads(line.split(" ", 1)[1]) for line in lines[1:-1]]

    def kill(self):
        self.process.kill()
        _, err = self.process.communicate(timeout=30)
        self.err = err.decode()
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
    r = subprocess.run(["sqlite3", "-batch", mode, str(log), statement], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    return r.stdout.rstrip("\n") if mode == "-list" else r.stdout


def ctl(*args, status=0, text=True):
    r = subprocess.run([str(CTL), *map(str, args)], capture_output=True, text=text, timeout=60)
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


def wait_for(what, seconds):
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def rows_in(log, what):
    try:
        return int(sql(log, f"SELECT count(*) FROM {what}"))
    except (AssertionError, ValueError):
        return 0
