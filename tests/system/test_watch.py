"""vitalsctl watch: a live view without holes."""
import json
import os
import signal
import subprocess
import time

import pytest

from house import PATIENCE, VITALSCTL
from synthetic import Synthetic, Watch, wait_for


@pytest.fixture
def synthetic(tmp_path):
    s = Synthetic(tmp_path)
    yield s.start()
    s.end()


def test_a_person_reads_the_alarm_first(synthetic):
    s = synthetic
    s.commit("device")
    watch = Watch(s.folder, "--connect", s.events)
    assert wait_for(lambda: any("chair-1" in line and "phase none" in line for line in watch.lines()))
    s.commit("alarm"), s.commit("vitals"), s.commit("device")
    assert wait_for(lambda: len(watch.lines()) >= 4)
    assert watch.stop() == 0
    alarm = [line for line in watch.lines() if line.startswith("*** Systolic pressure 184, limit 180")]
    assert len(alarm) == 1 and "high" in alarm[0] and "raised" in alarm[0] and "chair-1" in alarm[0]
    assert any("spo2 97 %" in line and "pr 61 /min" in line for line in watch.lines())
    assert any("bp  online" in line for line in watch.lines())


def test_topics_choose(synthetic):
    s = synthetic
    one = Watch(s.folder, "--connect", s.events, "--json", "--topic", "alarm/chair-1 ")
    both = Watch(s.folder, "--connect", s.tcp, "--query", s.query, "--json", "--topic", "alarm/", "--topic", "device/")

    def until_heard():
        """Of each kind and chair one a time, until both are connected, and one that both hear of each."""
        for chair in ("chair-1", "chair-10"):
            for kind in ("alarm", "vitals", "device"):
                s.commit(kind, 1, chair)
        return both.events("device") and one.events()
    assert wait_for(until_heard, step=0.3)
    last = {kind: s.commit(kind, 1, "chair-10") for kind in ("alarm", "vitals", "device")}
    own = s.commit("alarm")
    assert wait_for(lambda: [e for e in both.events("device") if e["seq"] == last["device"]] and
                    [e for e in one.events() if e["seq"] == own])
    assert one.stop() == 0 and both.stop() == 0
    assert {(e["kind"], e["chair"]) for e in one.events()} == {("alarm", "chair-1")}
    assert {(e["kind"], e["chair"]) for e in both.events()} == {(k, c) for k in ("alarm", "device") for c in ("chair-1", "chair-10")}


def test_gaps_are_filled_in_order_also_across_a_restart(synthetic):
    s = synthetic
    s.commit("device")
    watch = Watch(s.folder, "--connect", s.events, "--json", "--topic", "alarm/", "--topic", "alive/").connected()
    s.commit("alarm", 5)
    assert wait_for(lambda: len(watch.numbers("alarm")) == 5)
    watch.process.send_signal(signal.SIGSTOP)
    s.commit("alarm", 5)
    s.kill()
    s.start()
    s.commit("alarm", 5)
    time.sleep(0.3)
    watch.process.send_signal(signal.SIGCONT)
    s.commit("alarm", 1)
    assert wait_for(lambda: len(watch.numbers("alarm")) >= 16)
    assert watch.stop() == 0
    assert watch.numbers("alarm") == [(1, n) for n in range(1, 11)] + [(2, n) for n in range(1, 7)]


def test_what_alive_tells_of_is_asked_for(synthetic):
    """Lost messages after which nothing else happens: the next sign of life gives them away."""
    s = synthetic
    s.commit("device")
    watch = Watch(s.folder, "--connect", s.events, "--json", "--topic", "alarm/", "--topic", "alive/").connected()
    s.commit("alarm", 2)
    assert wait_for(lambda: len(watch.numbers("alarm")) == 2)
    pid = s.publisher_pid()
    s.commit("device")  # so that the last alarm is not among what is sent again
    time.sleep(0.5)
    watch.process.send_signal(signal.SIGSTOP)
    s.commit("alarm", 2)
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)  # what the stopped subscriber had not taken yet goes with the connection
    watch.process.send_signal(signal.SIGCONT)
    assert wait_for(lambda: len(watch.numbers("alarm")) == 4)
    assert watch.stop() == 0
    assert watch.numbers("alarm") == [(1, 1), (1, 2), (1, 3), (1, 4)]


def test_a_lost_chair_is_said_and_so_is_its_return(synthetic):
    s = synthetic
    s.commit("device")
    machine = Watch(s.folder, "--connect", s.events, "--json")
    person = Watch(s.folder, "--connect", s.events)
    assert wait_for(lambda: machine.events("alive") and any("phase none" in line for line in person.lines()))
    s.process.send_signal(signal.SIGSTOP)
    assert wait_for(lambda: machine.events("lost") and any(line.startswith("chair-1: LOST") for line in person.lines()))
    s.process.send_signal(signal.SIGCONT)
    assert wait_for(lambda: machine.events("returned"))
    assert [(e["kind"], e["chair"]) for e in machine.events() if e["kind"] in ("lost", "returned")][:2] == [
        ("lost", "chair-1"), ("returned", "chair-1")]
    assert wait_for(lambda: any(line.startswith("chair-1: back") for line in person.lines()))
    assert machine.stop() == 0 and person.stop() == 0


def test_the_configuration_names_where_to_listen_and_ask(synthetic):
    s = synthetic
    device = {"id": "bp", "plugin": "modbus", "tcp": {"host": "127.0.0.1"}, "unit": 1, "profile": "dfrobot-sen0344"}
    config = {"site": "x", "log": {"path": "l"}, "publish": {"events": [s.events], "query": [s.query]}, "control": "c",
              "chairs": [{"id": "chair-1", "limits": "ketamine-adult", "devices": [device]}]}
    (s.folder / "c.yaml").write_text(json.dumps(config))
    watch = Watch(s.folder, "--config", s.folder / "c.yaml", "--json").connected()
    assert watch.stop() == 0
    (s.folder / "c.yaml").write_text("")
    for words in (["watch"], ["status"], ["alarm", "list"], ["session", "checks"]):
        p = subprocess.run([VITALSCTL, *words, "--config", s.folder / "c.yaml"], capture_output=True, text=True, timeout=PATIENCE)
        assert p.returncode == 78 and "c.yaml:1: " in p.stderr, (words, p.stderr)


def test_it_ends_when_told_and_says_when_nobody_is_there(tmp_path):
    url = f"ipc://{tmp_path}/events.ipc"
    p = subprocess.run([VITALSCTL, "watch", "--connect", url, "--for", "0.5"], capture_output=True, text=True, timeout=PATIENCE)
    assert p.returncode == 1 and "is vitalsd running" in p.stderr and p.stdout == ""
    watch = Watch(tmp_path, "--connect", url)
    time.sleep(0.5)  # as a rule it is there first; the other way round it must work as well
    s = Synthetic(tmp_path).start()  # it comes later
    try:
        s.commit("device")
        assert wait_for(lambda: watch.lines())
        assert watch.stop() == 0
    finally:
        s.end()
    for words in (["--for", "x"], ["--connect"], ["chair-1"], ["--no-such"]):
        p = subprocess.run([VITALSCTL, "watch", *words], capture_output=True, text=True, timeout=PATIENCE)
        assert p.returncode == 2, words
    p = subprocess.run([VITALSCTL, "watch", "--connect", "nonsense"], capture_output=True, text=True, timeout=PATIENCE)
    assert p.returncode == 1 and "nonsense" in p.stderr
