"""Running the real programs for system tests: the daemon, subscribers, queries, auditors.

Nothing here knows the implementation: it speaks the contract (YAML in, nanomsg and SQLite out).
"""
import json
import os
import pathlib
import random
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


PATIENCE = 60.0  # seconds for whatever must come: a machine that is slow today is no failure; how soon it comes is judged by its own times

taken = []  # ports of this process


def free_port():
    """A port on loopback where nobody listens until the test does: not one of those that the system gives to whoever connects, and
    kept from other tests that run now by a name that this process holds."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(min(15000, first - 5000), first) if first > 10000 else 0
        name, s = socket.socket(socket.AF_UNIX), socket.socket()
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            port = s.getsockname()[1]
            name.bind(f"\0vitalsd-test-port-{port}")
            taken.append(name)
            return port
        except OSError:
            name.close()
        finally:
            s.close()


def has_open(pid, *paths):
    """Has the process opened these devices?  What they say before is lost."""
    fds = pathlib.Path(f"/proc/{pid}/fd")
    try:
        return {os.path.realpath(p) for p in paths} <= {os.readlink(f) for f in fds.iterdir()}
    except OSError:  # it is gone, or has just closed one
        return False


def wait_for(what, seconds=PATIENCE, step=0.02):
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

    def start(self, seconds=PATIENCE, env=None, wrap=()):
        """Starts and waits for READY=1."""
        notify = self.folder / f"notify-{time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(str(notify))
            s.settimeout(0.2)
            self.process = subprocess.Popen(
                [*wrap, VITALSD, "--config", self.config], stderr=open(self.stderr, "ab"), stdin=subprocess.DEVNULL,
                env={**os.environ, "NOTIFY_SOCKET": str(notify), **(env or {})})
            self.notified, end = "", time.monotonic() + seconds
            while "READY=1" not in self.notified:
                try:
                    self.notified = s.recv(4096).decode()
                except socket.timeout:
                    assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said()}"
                    assert time.monotonic() < end, f"no READY=1 within {seconds} s: {self.said()}"
        return self

    def said(self):
        return self.stderr.read_text() if self.stderr.exists() else ""

    def stop(self, how=signal.SIGTERM, seconds=PATIENCE):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(seconds)
        return self.process.returncode if self.process else None

    def kill(self):
        self.stop(signal.SIGKILL)

    def ctl(self, *words, check=True, timeout=PATIENCE):
        p = subprocess.run([VITALSCTL, *words, "--control", self.control], capture_output=True, text=True, timeout=timeout)
        if check and p.returncode != 0:
            raise AssertionError(f"vitalsctl {' '.join(map(str, words))}: {p.returncode}\n{p.stderr}{p.stdout}")
        return p

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "--json").stdout)

    def sql(self, query, seconds=PATIENCE):
        """What an auditor sees: rows of the sqlite3 shell, as dicts."""
        p = subprocess.run(["sqlite3", "-readonly", "-json", self.log, query], capture_output=True, text=True, timeout=seconds)
        assert p.returncode == 0, p.stderr
        return json.loads(p.stdout or "[]")

    def ask(self, request):
        return ask(self.query, request)

    def subscribe(self, topic=""):
        """Where the daemon runs, from here on nothing is missed: a sign of life has come."""
        s = Subscriber(self.events, topic, self.folder)
        if self.process and self.process.poll() is None:
            assert wait_for(lambda: s.process.poll() is not None or s.lines()) and s.process.poll() is None, self.said()
        return s


def derived_again(log, seconds=300):
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


def ask(url, request):
    """One request to the query socket with nanocat; the answer as JSON."""
    text = request if isinstance(request, str) else json.dumps(request)
    p = subprocess.run(["timeout", str(PATIENCE + 2), "nanocat", "--req", "--connect", url, "--data", text, "--ascii",
                        "--recv-timeout", str(int(PATIENCE))], capture_output=True, text=True)
    line = p.stdout.splitlines()
    assert line, f"no answer to {text[:200]}: {p.stderr}"
    return json.loads(line[0])


class Subscriber:
    """nanocat as the subscriber: a program nobody here wrote.  It also takes the signs of life, which tell that it is connected."""

    def __init__(self, url, topic, folder):
        self.topic = topic
        self.file = tempfile.NamedTemporaryFile(dir=folder, prefix="nanocat-", suffix=".txt", delete=False)
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "nanocat", "--sub", "--connect", url, "--subscribe", topic, "--subscribe", "alive/", "--ascii"],
            stdout=self.file, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def lines(self):
        """Whole ones: the last may just be on its way."""
        return pathlib.Path(self.file.name).read_text(errors="replace").split("\n")[:-1]

    def messages(self):
        """Everything so far: [(topic, body)]."""
        found = []
        for line in self.lines():
            m = re.match(r"(\S+) (\{.*\})$", line)
            if m and line.startswith(self.topic):
                found.append((m.group(1), json.loads(m.group(2))))
        return found

    def bodies(self, kind, **fields):
        return [b for t, b in self.messages()
                if t.startswith(kind + "/") and all(b.get(k) == v for k, v in fields.items())]

    def wait(self, kind, seconds=PATIENCE, **fields):
        found = wait_for(lambda: self.bodies(kind, **fields), seconds)
        assert found, f"no {kind} with {fields} within {seconds} s; last: {self.messages()[-5:]}"
        return found[0]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def all(self):
        """Everything, where the publisher has ended: what was on its way to this subscriber has come when its file grows no more."""
        before = -1
        while before != (before := len(self.lines())):
            time.sleep(0.2)
        self.stop()
        return self.messages()
