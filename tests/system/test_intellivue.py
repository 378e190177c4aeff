"""A Philips IntelliVue that insists on its protocol, on a pseudo terminal and on the network: it answers polls only of an
association that was made in order, keeps that until it is ended, and refuses a second one without a word."""
import json
import os
import re
import select
import socket
import subprocess
import threading
import tty

import pytest

from house import ROOT, Daemon, wait_for
from test_sim import Sim

VECTORS = {v["name"]: bytes.fromhex(v["bytes_hex"]) for v in
           json.loads((ROOT / "plugins/philips-intellivue/captures/philips-intellivue-lan.json").read_text())}
RESULT = VECTORS["spo2_97"]  # as the answer to a poll
ABORT = VECTORS["abort"]
MDS_CREATE_AT = VECTORS["associates"].index(bytes.fromhex("e1000002000100"))
ACCEPTED = VECTORS["associates"][:MDS_CREATE_AT]
MDS_CREATE = VECTORS["associates"][MDS_CREATE_AT:-len(RESULT)]


def fcs(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc ^ 0xFFFF


def to_wire(message):
    body = bytes([0x11, 0x01]) + len(message).to_bytes(2, "big") + message
    body += fcs(body).to_bytes(2, "little")
    return b"\xc0" + re.sub(rb"[\xc0\xc1\x7d]", lambda m: bytes([0x7D, m[0][0] ^ 0x20]), body) + b"\xc1"


def from_wire(data):
    """The messages in the bytes, and what is left."""
    *frames, rest = data.split(b"\xc1")
    for f in frames:
        body = re.sub(rb"\x7d(.)", lambda m: bytes([m[1][0] ^ 0x20]), f[f.index(b"\xc0") + 1:], flags=re.S)
        assert fcs(body[:-2]) == int.from_bytes(body[-2:], "little") and int.from_bytes(body[2:4], "big") == len(body) - 6
        yield body[4:-2]
    yield rest


class Pty:
    """The MIB port."""
    plugin = "philips-intellivue"

    def __init__(self, folder):
        self.fd, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.link = {"serial": {"path": os.ttyname(self.slave), "parity": "none"}}
        self.rest = b""

    def receive(self):
        *messages, self.rest = from_wire(self.rest + os.read(self.fd, 4096))
        return messages

    def send(self, message):
        os.write(self.fd, to_wire(message))

    def close(self):
        os.close(self.fd)
        os.close(self.slave)


class Lan:
    plugin = "philips-intellivue-lan"

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.fd = self.socket.fileno()
        self.link = {"udp": {"host": "127.0.0.1", "port": self.socket.getsockname()[1]}}
        self.peer = None

    def receive(self):
        message, self.peer = self.socket.recvfrom(4096)
        return [message]

    def send(self, message):
        self.socket.sendto(message, self.peer)

    def close(self):
        self.socket.close()


class Monitor:
    """state: alone, introduced (accepted, waits for the result of its MDS create event), together."""

    def __init__(self, port):
        self.port, self.state, self.refuses = port, "alone", False
        self.requests = self.polls = self.strangers = self.aborts = 0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.end.is_set():
            if select.select([self.port.fd], [], [], 0.1)[0]:
                for m in self.port.receive():
                    self.take(m)

    def take(self, m):
        if m[0] == 0x0D:
            self.requests += 1
            assert len(m) == 238 and m == VECTORS["association_request"]
            self.asked()
        elif m[0] == 0x19:
            self.aborts += 1
            self.state = "alone"
        elif m == VECTORS["mds_create_result"]:
            self.state = "together"
        elif m == VECTORS["poll_request"]:
            self.polls += 1
            if self.state == "together":
                self.port.send(RESULT)
            elif self.state == "alone":
                self.port.send(ABORT)
        else:
            self.strangers += 1

    def asked(self):
        if self.refuses:
            self.port.send(VECTORS["refused"])
        elif self.state == "alone":
            self.state = "introduced"
            self.port.send(ACCEPTED)
            self.port.send(MDS_CREATE)

    def close(self):
        self.end.set()
        self.thread.join()
        self.port.close()


@pytest.fixture(params=[Pty, Lan])
def monitor(request, tmp_path):
    m = Monitor(request.param(tmp_path))
    yield m
    m.close()


@pytest.fixture
def daemon(tmp_path, monitor):
    d = Daemon(tmp_path / "d", [{"id": "c", "limits": "ketamine-adult", "devices": [
        {"id": "monitor", "plugin": monitor.port.plugin, **monitor.port.link}]}])
    d.start()
    yield d
    d.stop()


def saturation(d):
    v = d.ask({"op": "snapshot", "chair": "c"})["chairs"][0]["values"].get("spo2")
    return v and v["value"]


def test_associates_polls_and_shows_values(daemon, monitor):
    assert wait_for(lambda: saturation(daemon) == 97)
    assert monitor.state == "together" and monitor.requests == 1
    polls = monitor.polls
    assert wait_for(lambda: monitor.polls >= polls + 2)  # which is also what keeps the association
    assert monitor.requests == 1 and monitor.aborts == 0 and monitor.strangers == 0


def test_a_monitor_that_was_switched_off_and_on(daemon, monitor):
    """It has forgotten the association: it aborts at the next poll, and is asked again."""
    assert wait_for(lambda: monitor.state == "together")
    monitor.state = "alone"
    assert wait_for(lambda: monitor.state == "together" and monitor.requests >= 2)
    polls = monitor.polls
    assert wait_for(lambda: monitor.polls > polls)


def test_the_association_of_a_killed_daemon_is_ended(daemon, monitor):
    assert wait_for(lambda: monitor.state == "together")
    daemon.kill()
    daemon.start()
    assert wait_for(lambda: monitor.aborts and monitor.state == "together")
    assert wait_for(lambda: saturation(daemon) == 97)


def test_a_monitor_that_is_with_another_host(daemon, monitor):
    """It is asked now and then, and never polled."""
    assert wait_for(lambda: monitor.state == "together")
    monitor.refuses, monitor.state = True, "alone"
    assert wait_for(lambda: monitor.requests >= 3)
    polls = monitor.polls
    requests = monitor.requests
    assert wait_for(lambda: monitor.requests > requests)
    assert monitor.polls == polls
    monitor.refuses = False
    assert wait_for(lambda: monitor.state == "together")


# ---- the monitor of vitals-sim: a second one, written apart from this file's

@pytest.fixture(params=["intellivue", "intellivue-lan"])
def simulated(request, tmp_path):
    lan = request.param == "intellivue-lan"
    sim = Sim("--scenario", "normal", "--start", "2min", "--speed", "5", "--commands", f"--{request.param}",
              "127.0.0.1:0" if lan else tmp_path / "mib", stdin=subprocess.PIPE)
    where = sim.chairs[0][request.param.replace("-", "_")]
    link = {"udp": {"host": "127.0.0.1", "port": int(where.rsplit(":", 1)[1])}} if lan else {
        "serial": {"path": where, "parity": "none"}}
    d = Daemon(tmp_path / "d", [{"id": "c", "limits": "ketamine-adult", "devices": [
        {"id": "monitor", "plugin": "philips-" + request.param, **link}]}])
    d.start()
    yield sim, d
    d.stop()
    sim.stop()


def shown(d):
    values = d.ask({"op": "snapshot", "chair": "c"})["chairs"][0]["values"]
    return {m: v["value"] for m, v in values.items() if "value" in v}


def test_a_simulated_patient_behind_it(simulated):
    """Its numbers come, its cuff results are those that it measured, and the association of a killed daemon is no obstacle."""
    sim, d = simulated
    assert wait_for(lambda: {"hr", "pr", "spo2", "rr", "temp"} <= shown(d).keys())
    now = shown(d)
    assert 40 < now["hr"] < 140 and abs(now["hr"] - now["pr"]) < 60 and 85 <= now["spo2"] <= 100 and 35 < now["temp"] < 39, now
    sim.process.stdin.write(b"cuff\n")
    sim.process.stdin.flush()
    measured = wait_for(lambda: sim.events("cuff"))
    sys, dia = map(int, measured[-1]["detail"].split(",")[0].split("/"))
    assert wait_for(lambda: (shown(d).get("nibp_sys"), shown(d).get("nibp_dia")) == (sys, dia)), (shown(d), measured)
    d.kill()
    d.start()
    assert wait_for(lambda: "spo2" in shown(d))
