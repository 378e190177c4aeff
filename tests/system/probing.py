"""Acquisition alone, under test: the program acquire-probe, and Modbus devices that misbehave on purpose."""
import json
import os
import pathlib
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
import tty

from house import BUILD, PATIENCE

PROBE = BUILD / "tests" / "system" / "acquire-probe"


class Probe:
    """Runs the devices; `lines` are what it printed so far."""

    def __init__(self, folder, devices):
        config = pathlib.Path(folder) / "probe.yaml"
        config.write_text(json.dumps({
            "site": "test", "log": {"path": str(folder / "v.db")}, "control": str(folder / "c"),
            "publish": {"events": [f"ipc://{folder}/e"], "query": [f"ipc://{folder}/q"]},
            "chairs": [{"id": f"chair-{i}", "limits": "ketamine-adult", "devices": devices[i:i + 16]}
                       for i in range(0, len(devices), 16)]}))
        self.lines = []
        self.more = threading.Condition()
        self.process = subprocess.Popen([str(PROBE), str(config)], stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.more:
                self.lines.append(json.loads(line))
                self.more.notify_all()

    def wait(self, test, seconds=PATIENCE, after=0):
        """The first line from number `after` on for which test(line) holds."""
        end = time.monotonic() + seconds
        seen = after
        with self.more:
            while True:
                for line in self.lines[seen:]:
                    if test(line):
                        return line
                seen = len(self.lines)
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"nothing in {seconds} s; last: {self.lines[-5:]}")
                self.more.wait(left)

    def value(self, metric, value, seconds=PATIENCE, after=0, device=None):
        return self.wait(lambda x: x.get("values", {}).get(metric) == value and device in (None, x["device"]), seconds, after)

    def status(self, status, seconds=PATIENCE, after=0, device=None):
        return self.wait(lambda x: x.get("status") == status and device in (None, x["device"]), seconds, after)

    def values(self, metric, device=None):
        return [x["values"][metric] for x in self.lines if metric in x.get("values", {}) and device in (None, x["device"])]

    def stop(self):
        """Counters by device; the program must end with nothing left open."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0
        self.reader.join(PATIENCE)
        assert self.lines[-1] == {"closed": 0}
        return {x["device"]: x["counters"] for x in self.lines if "counters" in x}


def crc(data):
    c = 0xFFFF
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ 0xA001 if c & 1 else c >> 1
    return struct.pack("<H", c)


def rtu(unit, pdu):
    return bytes([unit]) + pdu + crc(bytes([unit]) + pdu)


def mbap(transaction, unit, pdu, protocol=0):
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1, unit) + pdu


def words(function, *values):
    """The PDU of an answer with registers."""
    return struct.pack(">BB", function, 2 * len(values)) + struct.pack(f">{len(values)}H", *values)


class TcpDevice:
    """A TCP server; act(connection, request) does with each Modbus request what it likes."""

    def __init__(self, act, port=0, framing="tcp", greet=None, host="127.0.0.1", backlog=16):
        self.act, self.framing, self.greet = act, framing, greet
        self.requests = 0
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.bind((host, port))
        self.server.listen(backlog)
        self.port = self.server.getsockname()[1]
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                c, _ = self.server.accept()
            except OSError:
                return
            self.connections.append(c)
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    def _serve(self, c):
        size = 12 if self.framing == "tcp" else 8
        try:
            if self.greet:
                self.greet(c)
            while True:
                q = b""
                while len(q) < size:
                    more = c.recv(size - len(q))
                    if not more:
                        return
                    q += more
                self.requests += 1
                self.act(c, q)
        except OSError:
            return

    def stop(self):
        # shutdown wakes the thread in accept(); close alone would leave the port listening
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for c in self.connections:
            c.close()


class RtuDevice:
    """The far end of an RTU line (a pty whose path is a link); act(line, request) does what it likes."""

    def __init__(self, path, act):
        self.path, self.act = path, act
        self.requests = []
        self.stopping = False
        self.plug()

    def plug(self):
        self.master, slave = pty.openpty()
        tty.setraw(slave, termios.TCSANOW)
        if os.path.lexists(self.path):
            os.unlink(self.path)
        os.symlink(os.ttyname(slave), self.path)
        os.close(slave)
        self.unplugged = False
        self.thread = threading.Thread(target=self._serve, args=(self.master,), daemon=True)
        self.thread.start()

    def unplug(self):
        self.unplugged = True
        os.unlink(self.path)
        self.thread.join(PATIENCE)
        os.close(self.master)

    def _serve(self, master):
        buf = b""
        while not self.unplugged:
            try:
                if not select.select([master], [], [], 0.05)[0]:
                    continue
                buf += os.read(master, 256)
            except OSError:  # nobody has the other end open
                time.sleep(0.02)
                continue
            while len(buf) >= 8:
                q, buf = buf[:8], buf[8:]
                self.requests.append((time.monotonic(), q))
                self.act(self, q)

    def send(self, data):
        os.write(self.master, data)
