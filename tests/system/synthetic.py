"""A daemon without devices (tests/tools/synthetic.c): custody, publisher, log, and events on command."""
import json
import os
import pathlib
import signal
import subprocess
import time

from house import BUILD, PATIENCE, VITALSCTL, Subscriber, ask, free_port, wait_for


class Synthetic:
    def __init__(self, folder, log=True, rotate=0):
        self.rotate = {"SYNTHETIC_ROTATE": str(rotate)} if rotate else {}
        self.folder = pathlib.Path(folder)
        self.log = self.folder / "vitals.db" if log else "-"
        self.port = free_port()
        self.events = f"ipc://{self.folder}/events.ipc"
        self.query = f"ipc://{self.folder}/query.ipc"
        self.tcp = f"tcp://127.0.0.1:{self.port}"
        self.process = None
        self.heard = []

    def start(self, expect="bound"):
        self.process = subprocess.Popen(
            [BUILD / "tests/tools/synthetic", self.folder / "ring", self.log, self.events, self.query, self.tcp],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.folder / "stderr.txt", "ab"), text=True,
            env={**os.environ, **self.rotate})
        assert self.said().startswith(expect)
        return self

    def said(self):
        return self.process.stdout.readline().strip()

    def do(self, command):
        """The answer to a command; what the publisher says of itself in between is skipped."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        while (line := self.said()).startswith("bound"):
            pass
        return line

    def commit(self, kind, n=1, chair="chair-1"):
        return int(self.do(f"{kind} {chair} {n}").split()[-1])

    def subscribe(self, topic="", url=None):
        s = Subscriber(url or self.events, topic, self.folder)
        self.heard.append(s)
        return s

    def ask(self, request):
        return ask(self.query, request)

    def replay(self, kind, epoch, after=0, limit=1000, chair="chair-1"):
        return self.ask({"op": "replay", "chair": chair, "kind": kind, "epoch": epoch, "after": after, "limit": limit})

    def begin_file(self):
        """The log goes on in a new file, which is asked once a minute."""
        before = len(self.files())
        self.do("pass 61")
        assert wait_for(lambda: len(self.files()) > before), "the log stayed in one file"

    def files(self):
        return sorted(self.folder.glob("vitals*.db"))

    def sql(self, file, query):
        return subprocess.run(["sqlite3", "-readonly", file, query], capture_output=True, text=True, timeout=PATIENCE).stdout.strip()

    def publisher_pid(self):
        pid = self.process.pid
        return int((pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or ["0"])[0])

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    def quit(self):
        self.process.stdin.write("quit\n")
        self.process.stdin.flush()
        return self.process.wait(PATIENCE)

    def end(self):
        for s in self.heard:
            s.stop()
        if self.process and self.process.poll() is None:
            self.kill()


class Watch:
    """vitalsctl watch, its lines as they come."""

    def __init__(self, folder, *words):
        self.out = pathlib.Path(folder) / f"watch-{time.monotonic_ns()}.txt"
        self.err = self.out.with_suffix(".err")
        self.process = subprocess.Popen([VITALSCTL, "watch", *map(str, words)], stdout=open(self.out, "w"),
                                        stderr=open(self.err, "w"), stdin=subprocess.DEVNULL)

    def lines(self):
        """Whole ones: the last may just be on its way."""
        return self.out.read_text().split("\n")[:-1]

    def connected(self):
        """From here on it misses nothing; for one with --json that hears a chair's signs of life."""
        assert wait_for(lambda: self.events("alive")), self.err.read_text()
        return self

    def events(self, kind=None):
        found = [json.loads(line) for line in self.lines() if line.endswith("}")]
        return [e for e in found if kind is None or e["kind"] == kind]

    def numbers(self, kind):
        return [(e["epoch"], e["seq"]) for e in self.events(kind)]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


__all__ = ["Synthetic", "Watch", "alive", "wait_for"]
