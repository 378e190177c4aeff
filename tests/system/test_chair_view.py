"""vitalsctl chair: the screen at the bedside, in a real terminal (tmux)."""
import os
import re
import subprocess
import time

import pytest

from house import PATIENCE, VITALSCTL, wait_for
from monitors import ModbusMonitor, bp_device, oximeter_device


class Terminal:
    """A terminal of 80 by 24 with one program in it; keys go in, the screen comes out."""

    def __init__(self, folder, *command, term="screen-256color", size=(80, 24), env=None):
        self.folder, self.socket = folder, folder / "tmux.sock"
        self.config = folder / "tmux.conf"
        self.config.write_text(f"set -g default-terminal {term}\nset -g status off\n")
        clean = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR")}
        words = [f"{k}={v}" for k, v in (env or {}).items()]
        subprocess.run(["tmux", "-S", self.socket, "-f", self.config, "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]),
                        "sh", "-c", '"$@"; echo "ended $?"; stty -a; sleep 3600', "sh", "env", *words, *map(str, command)], check=True, timeout=PATIENCE,
                       env={**clean, "LC_ALL": "C.UTF-8", "ASAN_OPTIONS": "detect_leaks=0"})

    def _tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, text=True, timeout=PATIENCE).stdout

    def screen(self, colours=False):
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def keys(self, *keys):
        for k in keys:
            self._tmux("send-keys", *(["-l", k] if len(k) > 1 and " " in k else [k]))

    def types(self, line):
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def shows(self, pattern):
        found = wait_for(lambda: re.search(pattern, self.screen()), step=0.1)
        assert found, f"{pattern!r} is not on the screen:\n{self.screen()}"
        return found

    def program(self):
        """The process id of what runs in the shell."""
        shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        return int(subprocess.run(["ps", "-o", "pid=", "--ppid", shell], capture_output=True, text=True).stdout.split()[0])

    def ends(self, status):
        """It left, with this status, and the terminal is as it was."""
        self.shows(rf"ended {status}\b")
        self.shows(r" icanon"), self.shows(r" echo ")
        assert "97 %" not in self.screen(), "what it had drawn is gone"

    def close(self):
        self._tmux("kill-server")


@pytest.fixture
def monitor():
    m = ModbusMonitor()
    m.set("input", 0, [121, 79, 93])
    m.set("input", 9, [1])
    m.set("holding", 0, [97, 72])
    yield m
    m.stop()


@pytest.fixture
def terminal(tmp_path):
    made = []

    def make(d, *words, **more):
        folder = tmp_path / f"t{len(made)}"
        folder.mkdir()
        made.append(Terminal(folder, VITALSCTL, "chair", "--chair", "chair-1", "--control", d.control, *words, **more))
        return made[-1]
    yield make
    for t in made:
        t.close()


def chair(monitor):
    return {"id": "chair-1", "limits": "ketamine-adult", "devices": [bp_device(monitor.port), oximeter_device(monitor.port)]}


def test_values_an_alarm_and_the_hand_that_acknowledges_it(daemon, monitor, terminal):
    d = daemon([chair(monitor)]).start()
    t = terminal(d, "--operator", "anna")
    t.shows(r"97 %"), t.shows(r"72 /min"), t.shows(r"121/79 \(93\) mm\[Hg\]"), t.shows(r"no session")
    t.shows(r"limit > 9\d"), t.shows("oximeter"), t.shows("no alarm stands")
    rows = t.screen().splitlines()
    assert len(rows) <= 24 and max(map(len, rows)) <= 80
    assert "\x1b[7m" in t.screen(colours=True), "the big digits are cells in reverse"

    monitor.set("holding", 0, [80, 72])
    t.shows(r"\*\*\* .*80")
    assert re.search(r"\x1b\[[0-9;]*31", t.screen(colours=True)), "a high alarm is red"
    t.shows(r"SpO2 \*\*\*")
    t.keys("a")
    t.shows(r"\*\*\* .*acknowledged by anna")
    by = d.ctl_json("alarm", "list")["alarms"]
    assert any(a["by"] == "anna" and a["signal"] == "acknowledged" for a in by)
    t.keys("q")
    t.ends(0)


def test_a_session_by_keys(daemon, monitor, terminal):
    d = daemon([chair(monitor)]).start()
    d.ctl("session", "start", "--chair", "chair-1", "--patient", "N-17", "--protocol", "P1", "--weight", "70")
    t = terminal(d, "--operator", "anna")
    t.shows(r"chair-1  screening"), t.shows("N-17"), t.shows(r"session 0:0\d:\d\d")
    t.keys("f")
    t.types("infusion")
    t.shows(r"from screening to infusion\? y/n")
    t.keys("n")
    t.shows("not done")
    t.keys("f")
    t.types("baseline")
    t.keys("y")
    t.shows("S1: ")
    for line in ("check all no", "pain 6", "consent yes"):
        t.keys("e")
        t.types(line)
        t.shows(re.escape(line) + " is in the record")
    t.keys("o")
    t.types("bert")
    t.shows("done by bert")
    t.keys("f")
    t.types("baseline")
    t.keys("y")
    t.shows(r"chair-1  baseline")
    assert d.ctl_json("session", "show", "--chair", "chair-1")["phase"] == "baseline"
    entered = d.sql("select kind, operator from audit_event where kind in ('entry','session') order by recorded_ms")
    assert [e["operator"] for e in entered if e["kind"] == "entry"][-1] == "anna"
    t.keys("e", "x", "Escape")
    t.shows("a ack  p pause")
    t.keys("?")
    t.shows("leave this screen")
    t.keys("?")
    t.shows(r"97 %")


@pytest.mark.parametrize("term", ["screen-256color", "vt100"])
def test_opening_overriding_and_one_alarm_of_two(daemon, monitor, terminal, term):
    """With one hand, with colours and without: open a session, go on by two people, acknowledge one alarm alone."""
    d = daemon([chair(monitor)]).start()
    t = terminal(d, "--operator", "anna", env={"TERM": term})
    t.shows(r"97 %")
    t.keys("s")
    t.types("N-17 P1 dose")
    t.shows("not done: CODE PROTOCOL KG")
    t.keys("s")
    t.types("N-17 P8 70")
    t.keys("y")
    t.shows(r"336 mg/h")
    t.keys("s")
    t.shows("patient protocol kg> ")
    t.types("N-17 P2 70 dose 0.5 over 50")
    t.shows(r"open a session, N-17 P2 70 dose 0.5 over 50\? y/n")
    t.keys("y")
    t.shows(r"chair-1  screening")
    assert "0.5 mg/kg over 50 min" in d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]["dose"]
    t.keys("f")
    t.types("baseline")
    t.keys("y")
    t.shows("S1: "), t.shows("v: override, by two people")
    t.keys("v")
    t.shows("override: reason / second person> "), t.shows("S1: ")
    t.types("asked on the ward")
    t.shows("not done: an override needs its reason")
    for line, said in (("asked on the ward / anna", "must be somebody else"), ("asked on the ward / bert", r"chair-1  baseline")):
        t.keys("v")
        t.shows("second person> ")
        t.types(line)
        t.shows(said)
    t.keys("v")
    t.shows("nothing was refused")
    shown = d.ctl_json("session", "show", "--chair", "chair-1")["session_state"]
    assert {"S1", "S3", "S4"} <= set(shown["overrides"])

    monitor.set("holding", 0, [84, 150])  # saturation and heart rate both
    standing = wait_for(lambda: len([a for a in d.ctl_json("alarm", "list")["alarms"] if a["signal"] == "on"
                                     and a["change"] != "superseded"]) >= 2 and d.ctl_json("alarm", "list")["alarms"])
    assert standing, d.ctl("alarm", "list").stdout
    row, = [r for r in wait_for(lambda: [r for r in t.screen().splitlines() if re.match(r" [1-9] \*.*(rate|HR)", r)])]
    t.keys(row.strip()[0])
    t.shows(r"acknowledge \*+ .*y/n")
    t.keys("y")
    t.shows("acknowledged by anna")
    left = {a["metric"]: a["signal"] for a in d.ctl_json("alarm", "list")["alarms"] if a["change"] != "superseded"}
    assert left["hr"] == "acknowledged" and left["spo2"] == "on", left
    t.keys("9")
    t.shows("there is no such alarm")


@pytest.mark.parametrize("term", ["screen-256color", "vt100"])
def test_a_daemon_that_dies_leaves_no_number_on_the_screen(daemon, monitor, terminal, term):
    d = daemon([chair(monitor)]).start()
    t = terminal(d, env={"TERM": term})
    t.shows(r"97 %")
    d.kill()
    t.shows(r"NOT CONNECTED since \d+ s")
    dead = t.screen()
    assert "97 %" not in dead and "121/79" not in dead and "72 /min" not in dead and "--" in dead, dead
    first = int(re.search(r"since (\d+) s", dead)[1])
    assert wait_for(lambda: int(t.shows(r"since (\d+) s")[1]) > first + 1), "its age does not grow"
    d.start()
    t.shows(r"97 %")
    assert "NOT CONNECTED" not in t.screen()


def test_a_daemon_that_hangs_is_told_and_keys_still_work(daemon, monitor, terminal):
    d = daemon([chair(monitor)]).start()
    t = terminal(d)
    t.shows(r"97 %")
    d.process.send_signal(19)
    try:
        t.shows(r"NOT CONNECTED since \d+ s: vitalsd gave no answer")
        assert "97 %" not in t.screen()
        t.keys("?")
        t.shows("leave this screen")
        t.keys("?", "q")
        t.ends(0)
    finally:
        d.process.send_signal(18)


def test_without_colour_the_marks_stay(daemon, monitor, terminal):
    monitor.set("holding", 0, [80, 72])
    d = daemon([chair(monitor)]).start()
    plain = terminal(d, env={"NO_COLOR": "1"})
    mono = terminal(d, env={"TERM": "vt100"})
    for t in (plain, mono):
        t.shows(r"\*\*\* .*80")
        assert not re.search(r"\x1b\[[0-9;]*3[1-7]m", t.screen(colours=True))


@pytest.mark.parametrize("number, status", [(15, 143), (1, 129), (2, 0)])
def test_a_signal_restores_the_terminal(daemon, monitor, terminal, number, status):
    t = terminal(daemon([chair(monitor)]).start())
    t.shows(r"97 %")
    os.kill(t.program(), number)
    t.ends(status)


def test_small_and_resized(daemon, monitor, terminal):
    d = daemon([chair(monitor)]).start()
    t = terminal(d, size=(60, 12))
    t.shows(r"SpO2 +97 %"), t.shows("121/79")
    t._tmux("resize-window", "-x", "100", "-y", "40")
    t.shows(r"limit > 9\d")
    t._tmux("resize-window", "-x", "20", "-y", "5")
    time.sleep(0.5)
    t._tmux("resize-window", "-x", "80", "-y", "24")
    t.shows(r"97 %")


def test_no_terminal_is_said_in_words(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    p = d.ctl("chair", "--chair", "chair-1", check=False)
    assert p.returncode == 1 and "no terminal" in p.stderr and "status" in p.stderr
    p = d.ctl("chair", check=False)
    assert p.returncode == 2
