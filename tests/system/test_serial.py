"""Devices that talk by themselves, on a serial line (a pty) and behind a serial device server."""
import json
import os
import signal
import socket
import threading
import time

import pytest

from house import PATIENCE, ROOT, wait_for
from probing import Probe, RtuDevice

VECTORS = json.loads((ROOT / "plugins/nonin-df2/captures/nonin-df2.json").read_text())
PACKET = bytes.fromhex(next(v for v in VECTORS if v["name"] == "normal_72_97")["bytes_hex"])


@pytest.fixture
def probe(tmp_path):
    made = []

    def make(*devices):
        made.append(Probe(tmp_path, list(devices)))
        return made[-1]
    yield make
    for p in made:
        if p.process.poll() is None:
            p.stop()


@pytest.fixture
def line(tmp_path):
    d = RtuDevice(str(tmp_path / "oximeter"), lambda line, q: None)
    yield d
    if not d.unplugged:
        d.unplug()


def oximeter(path):
    return {"id": "ox", "plugin": "nonin-df2", "serial": {"path": str(path)}}


def opened(p):
    """The line is open when the probe has it among its descriptors: what was sent before would be lost."""
    def is_open():
        fds = f"/proc/{p.process.pid}/fd"
        try:
            return any("/pts/" in os.readlink(f"{fds}/{f}") for f in os.listdir(fds))
        except FileNotFoundError:
            return False
    assert wait_for(is_open), "the line was not opened"


def test_readings_from_a_line(probe, line):
    p = probe(oximeter(line.path))
    opened(p)
    line.send(PACKET)
    x = p.value("spo2", 97)
    assert x["values"]["pr"] == 72
    assert p.stop()["ox"]["rejected"] == 0


def test_byte_by_byte_with_noise_around(probe, line):
    p = probe(oximeter(line.path))
    opened(p)
    for byte in bytes([0x01, 0x81, 0x55]) + PACKET + os.urandom(64) + PACKET:
        line.send(bytes([byte]))
        time.sleep(0.001)
    p.value("spo2", 97)
    p.value("spo2", 97, after=p.lines.index(p.value("spo2", 97)) + 1)
    assert set(p.values("spo2")) == {97}
    assert p.stop()["ox"]["dropped"] > 0


def test_random_bytes_are_no_reading_and_are_said(probe, line):
    p = probe(oximeter(line.path))
    opened(p)
    stop = time.monotonic() + PATIENCE
    while time.monotonic() < stop and not any(x.get("status") == "no-signal" for x in p.lines):
        line.send(os.urandom(50))
        time.sleep(0.05)
    assert "speed and parity" in p.status("no-signal")["detail"]
    assert p.values("spo2") == []
    line.send(PACKET)
    p.value("spo2", 97)


def test_silence_is_said(probe, line):
    p = probe(oximeter(line.path))
    opened(p)
    line.send(PACKET)
    p.status("online")
    x = p.status("no-signal")
    assert "is the device on" in x["detail"]
    at = len(p.lines)
    line.send(PACKET)
    p.status("online", after=at)


def test_unplugged_and_plugged_in_again(probe, line):
    p = probe(oximeter(line.path))
    for _ in range(2):
        opened(p)
        at = len(p.lines)
        line.send(PACKET)
        p.value("spo2", 97, after=at)
        line.unplug()
        assert "plugged in" in p.status("offline", after=at)["detail"]
        line.plug()


def test_what_is_no_line_is_said(probe, tmp_path):
    (tmp_path / "file").write_text("not a line")
    p = probe(oximeter(tmp_path / "file"))
    assert "not a serial line" in p.status("offline")["detail"]


def test_a_device_that_cannot_inflate_says_so(probe, line):
    p = probe(oximeter(line.path))
    opened(p)
    p.process.send_signal(signal.SIGUSR1)
    assert p.wait(lambda x: "cuff" in x)["cuff"] == -95  # -EOPNOTSUPP


def test_closing_and_opening_again_leaves_nothing(probe, line):
    p = probe(oximeter(line.path))
    for _ in range(5):
        opened(p)
        p.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
    assert wait_for(lambda: line.send(PACKET) or p.values("spo2"), step=0.3)
    assert set(p.values("spo2")) == {97}
    p.stop()


def test_behind_a_device_server(probe):
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(PATIENCE)
    p = probe({"id": "ox", "plugin": "nonin-df2", "tcp": {"host": "127.0.0.1", "port": server.getsockname()[1]}})
    for _ in range(3):  # the server closes, and is there again
        c, _ = server.accept()
        at = len(p.lines)
        c.sendall(PACKET[:40])
        time.sleep(0.05)
        c.sendall(PACKET[40:])
        p.value("spo2", 97, after=at)
        c.close()
    c, _ = server.accept()
    server.close()
    c.close()
    assert "refused" in p.status("offline")["detail"]


def test_a_server_that_accepts_and_closes_is_not_online(daemon):
    """A device server whose line is taken by another accepts each time and closes at once: nothing comes."""
    good = threading.Event()
    good.set()
    frame = [bytes([1, 0x81 if i == 0 else 0x80, 64, {1: 72, 2: 97}.get(i, 0)]) for i in range(25)]
    packet = b"".join(f + bytes([sum(f) & 255]) for f in frame)
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            while True:
                try:
                    c, _ = server.accept()
                except OSError:
                    return
                with c:
                    try:
                        while good.is_set():
                            c.sendall(packet)
                            time.sleep(0.3)
                    except OSError:
                        pass
        threading.Thread(target=serve, daemon=True).start()
        d = daemon([{"id": "chair-1", "limits": "ketamine-adult", "devices": [
            {"id": "oximeter", "plugin": "nonin-df2", "tcp": {"host": "127.0.0.1", "port": server.getsockname()[1]}}]}]).start()
        s = d.subscribe()
        s.wait("vitals", values={"pr": 72, "spo2": 97})
        good.clear()
        # offline, and no-signal where the moment that is looked at falls into one of the short connections
        assert wait_for(lambda: [b for b in s.bodies("device") if b["status"] in ("offline", "no-signal")])
        good.set()
        assert wait_for(lambda: s.bodies("device")[-1]["status"] == "online")
        server.shutdown(socket.SHUT_RDWR)
    assert d.stop() == 0
