"""Running the real programs for system tests: the daemon, subscribers, queries, auditors.

Nothing here knows the implementation: it speaks the contract (YAML in, nanomsg and SQLite out).
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VITALSD_BUILD", ROOT / "build"))
VITALSD = BUILD / "daemon" / "vitalsd"
VITALSCTL = BUILD / "clients" / "vitalsctl"
VITALS_SIM = BUILD / "clients" / "vitals-sim"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, seconds=10.0, step=0.02):
    """The first true answer of what(), or the last one when the time is over."""
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(step)


class Daemon:
    """vitalsd on a configuration (text, or a dict: JSON is YAML), in a folder of its own."""

    def __init__(self, folder, chairs, **more):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "vitals.db"
        self.control = self.folder / "control.sock"
        self.events = f"ipc://{self.folder}/events.ipc"
        self.query = f"ipc://{self.folder}/query.ipc"
        self.config = self.folder / "vitalsd.yaml"
        self.stderr = self.folder / "stderr.txt"
        self.process = None
        self.configure(chairs, **more)

    def configure(self, chairs, **more):
        config = {
            "site": "test-clinic",
            "log": {"path": str(self.log)},
            "publish": {"events": [self.events], "query": [self.query]},
            "control": str(self.control),
            "chairs": chairs,
        }
        config.update(more)
        self.config.write_text(json.dumps(config, indent=1))

    def start(self, seconds=15, env=None, wrap=()):
        """Starts and waits for READY=1."""
        notify = self.folder / f"notify-{time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(str(notify))
            s.settimeout(seconds)
            self.process = subprocess.Popen(
                [*wrap, VITALSD, "--config", self.config], stderr=open(self.stderr, "ab"), stdin=subprocess.DEVNULL,
                env={**os.environ, "NOTIFY_SOCKET": str(notify), **(env or {})})
            self.notified = ""
            while "READY=1" not in self.notified:
                try:
                    self.notified = s.recv(4096).decode()
                except socket.timeout:
                    raise AssertionError("no READY=1 within %s s: %s" % (seconds, self.said())) from None
        return self

    def said(self):
        return self.stderr.read_text() if self.stderr.exists() else ""

    def stop(self, how=signal.SIGTERM, seconds=10):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(seconds)
        return self.process.returncode if self.process else None

    def kill(self):
        self.stop(signal.SIGKILL)

    def ctl(self, *words, check=True, timeout=20):
        p = subprocess.run([VITALSCTL, *words, "--control", self.control], capture_output=True, text=True, timeout=timeout)
        if check and p.returncode != 0:
            raise AssertionError(f"vitalsctl {' '.join(map(str, words))}: {p.returncode}\n{p.stderr}{p.stdout}")
        return p

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "--json").stdout)

    def sql(self, query, seconds=20):
        """What an auditor sees: rows of the sqlite3 shell, as dicts."""
        p = subprocess.run(["sqlite3", "-readonly", "-json", self.log, query], capture_output=True, text=True, timeout=seconds)
        assert p.returncode == 0, p.stderr
        return json.loads(p.stdout or "[]")

    def ask(self, request, seconds=5):
        return ask(self.query, request, seconds)

    def subscribe(self, topic=""):
        return Subscriber(self.events, topic, self.folder)


def derived_again(log, seconds=120):
    """Every session of a log, judged once more: the alarms of the time follow from what the log says went in.  Returns how many
    sessions and alarm messages there were."""
    def ctl(*words):
        return subprocess.run([VITALSCTL, *map(str, words)], capture_output=True, text=True, timeout=seconds)
    p = ctl("audit", "sessions", "--log", log, "--json")
    assert p.returncode == 0, p.stderr
    sessions, messages = [json.loads(line) for line in p.stdout.splitlines()] if p.stdout.startswith("{") else json.loads(p.stdout), 0
    for s in sessions:
        p = ctl("replay", "--log", log, "--session", s["session"], "--diff", "--json", "--untraced")
        assert p.returncode == 0, f"{s['session']}: {p.stderr}{p.stdout}"
        messages += json.loads(p.stdout)["messages"]
    return len(sessions), messages


def ask(url, request, seconds=5):
    """One request to the query socket with nanocat; the answer as JSON."""
    text = request if isinstance(request, str) else json.dumps(request)
    p = subprocess.run(["timeout", str(seconds + 2), "nanocat", "--req", "--connect", url, "--data", text, "--ascii",
                        "--recv-timeout", str(seconds)], capture_output=True, text=True)
    line = p.stdout.splitlines()
    assert line, f"no answer to {text[:200]}: {p.stderr}"
    return json.loads(line[0])


class Subscriber:
    """nanocat as the subscriber: a program nobody here wrote."""

    def __init__(self, url, topic, folder):
        self.file = tempfile.NamedTemporaryFile(dir=folder, prefix="nanocat-", suffix=".txt", delete=False)
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "nanocat", "--sub", "--connect", url, "--subscribe", topic, "--ascii"],
            stdout=self.file, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def messages(self):
        """Everything so far: [(topic, body)]."""
        text = pathlib.Path(self.file.name).read_text(errors="replace")
        found = []
        for line in text.splitlines():
            m = re.match(r"(\S+) (\{.*\})$", line)
            if m:
                found.append((m.group(1), json.loads(m.group(2))))
        return found

    def bodies(self, kind, **fields):
        return [b for t, b in self.messages()
                if t.startswith(kind + "/") and all(b.get(k) == v for k, v in fields.items())]

    def wait(self, kind, seconds=10, **fields):
        found = wait_for(lambda: self.bodies(kind, **fields), seconds)
        assert found, f"no {kind} with {fields} within {seconds} s; last: {self.messages()[-5:]}"
        return found[0]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(5)
