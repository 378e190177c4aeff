"""Modbus devices that behave as devices do: each must recover by itself, and a number that was not measured must
never come through.  97 is what the device measures; 11 stands for every number that is not the answer."""
import json
import os
import socket
import struct
import subprocess
import threading
import time

import pytest

from house import PATIENCE, VITALSCTL, VITALSD, free_port, wait_for
from monitors import ModbusMonitor
from probing import Probe, RtuDevice, TcpDevice, mbap, rtu, words

RIGHT, WRONG = 97, 11


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


def device(port=None, path=None, name="d", unit=1, **more):
    where = {"tcp": {"host": "127.0.0.1", "port": port}} if port else {"rtu": {"path": str(path), "baud": 19200}}
    return {"id": name, "plugin": "modbus", **where, "unit": unit, "poll": "200ms", "timeout": "150ms",
            "registers": [{"metric": "spo2", "table": "input", "address": 0, "type": "u16"},
                          {"metric": "pr", "table": "input", "address": 1, "type": "u16"}], **more}


def right(q):
    """The true answer to a TCP request."""
    t, unit = struct.unpack(">H", q[:2])[0], q[6]
    return mbap(t, unit, words(q[7], RIGHT, 72))


def wrong(q, **change):
    t, unit, pdu = struct.unpack(">H", q[:2])[0], q[6], words(q[7], WRONG, WRONG)
    if "unit" in change:
        unit = change["unit"]
    if "transaction" in change:
        t = (t + change["transaction"]) % 65536
    return mbap(t, unit, change.get("pdu", pdu), change.get("protocol", 0))


def reset(c, q):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def drip(c, q):
    for byte in wrong(q):
        time.sleep(0.05)
        c.sendall(bytes([byte]))


def late(c, q):
    time.sleep(0.2)
    c.sendall(wrong(q))


MISBEHAVIOUR = {
    "reset": reset,
    "closed": lambda c, q: c.close(),
    "silent": lambda c, q: None,
    "dripping": drip,
    "late": late,
    "garbage": lambda c, q: c.sendall(os.urandom(300)),
    "a web server": lambda c, q: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "another unit": lambda c, q: c.sendall(wrong(q, unit=2)),
    "an answer to the next request": lambda c, q: c.sendall(wrong(q, transaction=1)),
    "an old answer": lambda c, q: c.sendall(wrong(q, transaction=-1)),
    "another function": lambda c, q: c.sendall(wrong(q, pdu=words(3, WRONG, WRONG))),
    "too many registers": lambda c, q: c.sendall(wrong(q, pdu=words(4, WRONG, WRONG, WRONG))),
    "too few registers": lambda c, q: c.sendall(wrong(q, pdu=words(4, WRONG))),
    "another protocol": lambda c, q: c.sendall(wrong(q, protocol=1)),
    "a length of zero": lambda c, q: c.sendall(q[:4] + b"\0\0"),
    "a length of 64 KiB": lambda c, q: c.sendall(q[:4] + b"\xff\xff" + b"\x01\x04\x04\0\x0b\0\x0b"),
    "half an answer, then closed": lambda c, q: (c.sendall(wrong(q)[:9]), c.close()),
    "a flood": lambda c, q: c.sendall(bytes(1 << 20)),
}


@pytest.mark.parametrize("how", MISBEHAVIOUR)
def test_recovers_and_never_a_wrong_number(probe, how):
    bad = [True]

    def act(c, q):
        if bad[0]:
            MISBEHAVIOUR[how](c, q)
        else:
            c.sendall(right(q))
    d = TcpDevice(act)
    p = probe(device(d.port))
    p.status("no-signal")
    time.sleep(0.3)
    bad[0] = False
    p.value("spo2", RIGHT)
    p.status("online")
    assert set(p.values("spo2")) == {RIGHT} and WRONG not in p.values("pr")
    p.stop()
    d.stop()


def test_a_good_answer_with_others_around_it(probe):
    """Doubled, foreign and late frames beside the right answer: the right one is taken or none is."""
    n = [0]

    def act(c, q):
        n[0] += 1
        extra = [b"", right(q), wrong(q, transaction=1), wrong(q, transaction=-1), wrong(q, transaction=1)[:5],
                 b"\0", wrong(q)][n[0] % 7]
        if n[0] % 2:
            c.sendall(right(q) + extra)
        else:
            c.sendall(right(q))
            time.sleep(0.05)
            c.sendall(extra)
    d = TcpDevice(act)
    p = probe(device(d.port))
    assert wait_for(lambda: n[0] >= 28 and len(p.values("spo2")) > 8), "four times each"
    assert set(p.values("spo2")) == {RIGHT}
    counters = p.stop()["d"]
    assert counters["rejected"] > 3
    d.stop()


def test_refused_and_then_there(probe):
    port = free_port()
    p = probe(device(port))
    line = p.status("offline")
    assert "refused" in line["detail"] and str(port) in line["detail"]
    time.sleep(1.5)
    d = TcpDevice(lambda c, q: c.sendall(right(q)), port)
    p.value("spo2", RIGHT)
    at = len(p.lines)
    d.stop()
    p.status("offline", after=at)


def test_black_holed(probe):
    """A host that swallows connections: a full backlog does the same to SYNs."""
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(0)
    port = hole.getsockname()[1]
    fill = [socket.socket() for _ in range(4)]
    for s in fill:
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
    d = TcpDevice(lambda c, q: c.sendall(right(q)))
    p = probe(device(port, name="dead"), device(d.port, name="alive"))
    line = p.status("offline", device="dead")
    assert "timed out" in line["detail"]
    assert len(p.values("spo2", device="alive")) >= 4, "fifteen would be in time"
    for s in fill:
        s.close()
    hole.close()
    back = TcpDevice(lambda c, q: c.sendall(right(q)), port)
    p.value("spo2", RIGHT, device="dead")
    back.stop()
    d.stop()


def test_name_that_cannot_be_resolved(probe):
    broken = device(1, name="lost")
    broken["tcp"] = {"host": "no-such-host.invalid", "port": 502}
    d = TcpDevice(lambda c, q: c.sendall(right(q)))
    named = device(d.port, name="named")
    named["tcp"]["host"] = "localhost"
    p = probe(broken, named)
    p.status("offline", device="lost")
    p.value("spo2", RIGHT, device="named")
    d.stop()


def test_banner_before_any_request(probe):
    d = TcpDevice(lambda c, q: None, greet=lambda c: c.sendall(b"Welcome to the terminal server\r\n"))
    p = probe(device(d.port))
    detail = p.status("no-signal")["detail"]
    assert "nobody asked" in detail or "no answer to the request" in detail
    d.stop()


def test_busy_is_not_zero_and_refusals_are_not_hammered(probe):
    asked = {1: [], 2: []}

    def act(c, q):
        code = {1: 6, 2: 2}[q[6]]
        asked[q[6]].append(time.monotonic())
        c.sendall(mbap(struct.unpack(">H", q[:2])[0], q[6], bytes([q[7] | 0x80, code])))
    d = TcpDevice(act)
    p = probe(device(d.port, name="busy", unit=1), device(d.port, name="refuses", unit=2))
    line = p.status("no-signal", device="refuses")
    assert "exception 2 (illegal data address) for input register 0..1" in line["detail"]
    read = lambda: [x for x in p.lines if x["device"] == "busy" and "values" in x]
    assert wait_for(lambda: len(asked[2]) >= 4 and len(read()) > 5)
    busy = read()
    assert all(x["values"] == {} and "spo2:device_error:6" in x["flags"] for x in busy)
    assert len(asked[1]) > 2 * len(busy) - 3  # asked again within the poll
    apart = [b - a for a, b in zip(asked[2], asked[2][1:])]
    assert all(seen > due - 0.4 for seen, due in zip(apart, (1, 2, 4))), apart  # and later, as it was seen, where this test was late
    said = [x for x in p.lines if x["device"] == "refuses" and "status" in x and x["status"] == "no-signal"]
    assert len(said) == 1
    d.stop()


def test_registers_between_are_refused(probe):
    """The device knows registers 0 and 5 only: what was read across them is asked for one by one."""
    def act(c, q):
        address, count = struct.unpack(">HH", q[8:12])
        t = struct.unpack(">H", q[:2])[0]
        if count > 1:
            c.sendall(mbap(t, q[6], b"\x84\x02"))
        else:
            c.sendall(mbap(t, q[6], words(4, {0: RIGHT, 5: 72}[address])))
    d = TcpDevice(act)
    dev = device(d.port)
    dev["registers"][1]["address"] = 5
    p = probe(dev)
    line = p.value("spo2", RIGHT)
    assert line["values"] == {"spo2": RIGHT, "pr": 72}
    d.stop()


def share_of_the_dead(p, calm=lambda: True):
    """What `dead` costs `a` and `b` on its line, from the first moment on: twenty readings of each, three of four polls."""
    began = time.monotonic()
    p.status("no-signal", device="dead")
    assert wait_for(lambda: all(len(p.values("spo2", device=x)) > 30 for x in "ab"))
    counters, times = p.stop(), max(1, (time.monotonic() - began) / 8)
    for name in "ab":
        assert counters[name]["readings"] > 0.75 * (counters[name]["readings"] + counters[name]["missed"])
    assert 2 <= counters["dead"]["polls"] < 12 * times
    assert calm() or times > 1


def test_gateway_with_a_dead_unit(probe):
    """Behind one gateway a unit that never answers delays the others by one timeout now and then, no more."""
    def act(c, q):
        if q[6] != 7:
            c.sendall(right(q))
    d = TcpDevice(act)
    p = probe(device(d.port, name="dead", unit=7), device(d.port, name="a", unit=1), device(d.port, name="b", unit=2))
    share_of_the_dead(p, lambda: len(d.connections) < 15)
    d.stop()


def test_every_table_type_and_order_from_a_server_nobody_here_wrote(probe):
    m = ModbusMonitor(units=(1, 2))
    f = struct.unpack(">HH", struct.pack(">f", 36.625))
    swap = lambda w: (w & 255) << 8 | w >> 8
    m.set("input", 0, [366, 0xFFFE, *f, f[1], f[0], swap(f[0]), swap(f[1]), swap(f[1]), swap(f[0])])
    m.set("holding", 20, [0x6148, 0, 72, 0xFFFF])
    m.set("coil", 3, [1, 0, 1])
    m.set("discrete", 9, [1])
    entry = lambda metric, table, address, type, **more: {"metric": metric, "table": table, "address": address, "type": type, **more}
    registers = [
        entry("temp", "input", 0, "u16", scale=0.1), entry("rr", "input", 1, "i16", scale=-1, offset=10),
        entry("hr", "input", 2, "f32"), entry("pr", "input", 4, "f32", order="cdab"),
        entry("pi", "input", 6, "f32", order="badc"), entry("temp2", "input", 8, "f32", order="dcba"),
        entry("spo2", "holding", 20, "u8hi"), entry("nibp_sys", "holding", 21, "u32"),
        entry("nibp_dia", "holding", 23, "u16", invalid=[65535]),
        {"flag": "motion", "table": "coil", "address": 3}, {"flag": "demo", "table": "coil", "address": 4},
        {"flag": "low_battery", "table": "holding", "address": 20, "type": "bit", "bit": 14},
        {"flag": "alarm", "table": "discrete", "address": 9}]
    dev = device(m.port, timeout="10s")
    dev["registers"] = registers
    p = probe(dev, device(m.port, name="second", unit=2, timeout="10s"))
    line = p.wait(lambda x: x["device"] == "d" and "values" in x)
    assert line["values"] == {"temp": 36.6, "rr": 12, "hr": 36.625, "pr": 36.625, "pi": 36.625, "temp2": 36.625,
                              "spo2": 97, "nibp_sys": 72}
    assert set(line["flags"]) == {"motion", "low_battery", "alarm", "nibp_sys:from_memory", "nibp_dia:no_value"}
    p.value("spo2", 0, device="second")
    m.stop()


def test_more_than_1024_descriptors(probe):
    """Every address of 127.0.0.0/8 is this machine: 1,100 hosts, as many connections."""
    d = TcpDevice(lambda c, q: c.sendall(right(q)), host="0.0.0.0", backlog=2048)
    devices = [device(d.port, name=f"m{i}", poll="2s", timeout="10s", retries=2) for i in range(1100)]
    for i, x in enumerate(devices):
        x["tcp"]["host"] = f"127.1.{i // 250}.{i % 250 + 1}"
    p = probe(*devices)
    heard = lambda: {x["device"] for x in p.lines if "values" in x}
    assert wait_for(lambda: len(heard()) == len(devices), 3 * PATIENCE, step=0.5)
    assert len(os.listdir(f"/proc/{p.process.pid}/fd")) > 1100
    p.stop()
    d.stop()


# ---- RTU

def rtu_right(q):
    return rtu(q[0], words(q[1], RIGHT, 72))


def rtu_wrong(q):
    return rtu(q[0], words(q[1], WRONG, WRONG))


def slow(line, q):
    time.sleep(0.65)
    line.send(rtu_wrong(q))


def rtu_drip(line, q):
    for byte in rtu_wrong(q):
        time.sleep(0.08)
        line.send(bytes([byte]))


RTU_MISBEHAVIOUR = {
    "silent": lambda line, q: None,
    "one flipped bit": lambda line, q: line.send(rtu_wrong(q)[:-1] + bytes([rtu_wrong(q)[-1] ^ 1])),
    "truncated": lambda line, q: line.send(rtu_wrong(q)[:-3]),
    "dripping": rtu_drip,
    "late": slow,
    "another unit": lambda line, q: line.send(rtu(9, words(q[1], WRONG, WRONG))),
    "another function": lambda line, q: line.send(rtu(q[0], words(3, WRONG, WRONG))),
    "garbage": lambda line, q: line.send(os.urandom(80)),
    "only its echo": lambda line, q: line.send(q),
    "too few registers": lambda line, q: line.send(rtu(q[0], words(q[1], WRONG))),
}


@pytest.mark.parametrize("how", RTU_MISBEHAVIOUR)
def test_rtu_recovers_and_never_a_wrong_number(probe, tmp_path, how):
    bad = [True]

    def act(line, q):
        if bad[0]:
            RTU_MISBEHAVIOUR[how](line, q)
        else:
            line.send(rtu_right(q))
    d = RtuDevice(str(tmp_path / "line"), act)
    # On this wire nothing tells whose answer it is that comes late: only the patience with which the line is left alone does.
    p = probe(device(path=d.path, timeout="600ms") if how == "late" else device(path=d.path))
    p.status("no-signal")
    time.sleep(0.5)
    bad[0] = False
    p.value("spo2", RIGHT)
    assert set(p.values("spo2")) == {RIGHT}
    p.stop()
    d.unplug()


def test_rtu_echo_glitches_and_doubles(probe, tmp_path):
    n = [0]

    def act(line, q):
        n[0] += 1
        line.send([q + rtu_right(q), b"\0" + rtu_right(q), q + b"\xff" + rtu_right(q), rtu_right(q) + rtu_right(q),
                   rtu_right(q)][n[0] % 5])
        if n[0] % 5 == 4:
            time.sleep(0.03)
            line.send(rtu_wrong(q))
    d = RtuDevice(str(tmp_path / "line"), act)
    p = probe(device(path=d.path, poll="500ms", timeout="10s"))
    assert wait_for(lambda: len(p.values("spo2")) > 10)
    assert set(p.values("spo2")) == {RIGHT}
    assert p.stop()["d"]["timeouts"] == 0
    d.unplug()


def test_rtu_line_that_is_never_silent(probe, tmp_path):
    d = RtuDevice(str(tmp_path / "line"), lambda line, q: line.send(rtu_right(q)))
    p = probe(device(path=d.path))
    p.value("spo2", RIGHT)
    stop = threading.Event()

    def babble():
        while not stop.is_set():
            d.send(b"\x55\x01\x04")
            time.sleep(0.01)
    t = threading.Thread(target=babble)
    t.start()
    line = p.status("no-signal")
    stop.set()
    t.join()
    p.value("spo2", RIGHT, after=len(p.lines))
    assert set(p.values("spo2")) == {RIGHT}, line
    p.stop()
    d.unplug()


def test_rtu_adapter_unplugged_and_plugged_in_again(probe, tmp_path):
    d = RtuDevice(str(tmp_path / "line"), lambda line, q: line.send(rtu_right(q)))
    p = probe(device(path=d.path))
    p.value("spo2", RIGHT)
    for _ in range(2):
        at = len(p.lines)
        d.unplug()
        line = p.status("offline", after=at)
        assert "plugged in" in line["detail"]
        d.plug()
        p.value("spo2", RIGHT, after=len(p.lines))
    p.stop()
    d.unplug()


def test_rtu_line_shared_with_a_dead_unit(probe, tmp_path):
    def act(line, q):
        if q[0] != 7:
            line.send(rtu_right(q))
    d = RtuDevice(str(tmp_path / "line"), act)
    p = probe(device(path=d.path, name="dead", unit=7), device(path=d.path, name="a", unit=1),
              device(path=d.path, name="b", unit=2))
    share_of_the_dead(p)
    d.unplug()


def test_rtu_over_tcp(probe):
    n = [0]

    def act(c, q):
        n[0] += 1
        if n[0] % 4:
            c.sendall(rtu_right(q))
        else:
            time.sleep(0.2)
            c.sendall(rtu_wrong(q))
    d = TcpDevice(act, framing="rtu")
    dev = device(d.port)
    dev["tcp"]["framing"] = "rtu"
    p = probe(dev)
    assert wait_for(lambda: len(p.values("spo2")) > 9)
    assert set(p.values("spo2")) == {RIGHT}
    p.stop()
    d.stop()


def test_rtu_server_nobody_here_wrote(probe, tmp_path):
    """pymodbus at one end of a pty pair, we at the other."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    socat = subprocess.Popen(["socat", f"pty,raw,echo=0,link={ours}", f"pty,raw,echo=0,link={theirs}"])
    while not (ours.exists() and theirs.exists()):
        time.sleep(0.02)
    server = subprocess.Popen(["/usr/bin/python3", "-c", """
import asyncio, sys
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server.async_io import StartAsyncSerialServer
from pymodbus.transaction import ModbusRtuFramer
store = ModbusSlaveContext(zero_mode=True, ir=ModbusSequentialDataBlock(0, [97, 72] + [0] * 98))
async def main():
    await StartAsyncSerialServer(ModbusServerContext(slaves={1: store}, single=False), framer=ModbusRtuFramer, port=sys.argv[1], baudrate=19200)
asyncio.run(main())
""", str(theirs)])
    try:
        p = probe(device(path=ours, timeout="1s"))
        p.value("spo2", RIGHT)
        p.value("spo2", RIGHT, after=len(p.lines))
        p.stop()
    finally:
        server.kill()
        server.wait()
        socat.terminate()
        socat.wait()


# ---- by hand

def test_read_by_hand_and_paste_into_a_configuration(tmp_path):
    m = ModbusMonitor(units=(3,))
    m.set("input", 10, [97, 72, 121, 80], unit=3)
    where = ["--tcp", f"127.0.0.1:{m.port}"]
    try:
        found = subprocess.run([VITALSCTL, "probe", *where, "--units", "1-4", "--json"], capture_output=True, text=True, timeout=PATIENCE)
        assert found.returncode == 0 and [json.loads(x)["unit"] for x in found.stdout.splitlines()] == [3]
        read = subprocess.run([VITALSCTL, "modbus", "read", *where, "--unit", "3", "--address", "10", "--count", "4"],
                              capture_output=True, text=True, timeout=PATIENCE)
        assert read.returncode == 0 and "u16 97*" in read.stdout
        fragment = read.stdout[read.stdout.index("- id:"):]
        config = tmp_path / "v.yaml"
        config.write_text(f"site: t\nlog: {{ path: {tmp_path}/v.db }}\npublish: {{ events: [ 'ipc://{tmp_path}/e' ], query: [ 'ipc://{tmp_path}/q' ] }}\n"
                          f"control: {tmp_path}/c\nchairs:\n  - id: chair-1\n    limits: ketamine-adult\n    devices:\n"
                          + "".join("      " + line + "\n" for line in fragment.splitlines()))
        check = subprocess.run([VITALSD, "--config", config, "--check"], capture_output=True, text=True, timeout=PATIENCE)
        assert check.returncode == 0, check.stderr + config.read_text()
        refused = subprocess.run([VITALSCTL, "modbus", "read", *where, "--unit", "3", "--address", "300"],
                                 capture_output=True, text=True, timeout=PATIENCE)
        assert refused.returncode == 1 and "exception 2, illegal data address" in refused.stderr
    finally:
        m.stop()


@pytest.mark.parametrize("words", [["modbus"], ["modbus", "read"], ["modbus", "read", "--tcp", "h:0"], ["probe"],
                                   ["modbus", "read", "--tcp", "h", "--rtu", "/dev/x"], ["probe", "--tcp", "h", "--units", "9-3"],
                                   ["modbus", "read", "--tcp", "h", "--count", "126"], ["probe", "--tcp", "h", "more"]])
def test_wrong_usage_by_hand(words):
    assert subprocess.run([VITALSCTL, *words], capture_output=True, timeout=PATIENCE).returncode == 2
