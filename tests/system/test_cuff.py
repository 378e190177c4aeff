"""Who may inflate a cuff: a person, and the engine where the configuration allows it; never a connection, a reconnection,
a restart, or anything else that happens by itself."""
import json
import os
import select
import threading
import time
import tty

import pytest

from house import ROOT, Daemon, wait_for

STARTS = {"suntech-nibp": "cmd_start", "par-nibp": "cmd_start", "berry-pm6750": "cmd_nibp_start", "oem7bit-806c": "cmd_nibp_start"}


def vector(plugin, name):
    vectors = json.loads((ROOT / f"plugins/{plugin}/captures/{plugin}.json").read_text())
    return bytes.fromhex(next(v for v in vectors if v["name"] == name)["bytes_hex"])


def berry(*data):
    """A frame of the PM6750."""
    frame = bytes([2 + len(data), *data])
    return b"\x55\xaa" + frame + bytes([~sum(frame) & 0xFF])


def cuff_result(sys):
    """It inflates, then it is done."""
    return berry(3, 4, 75, 0, 0, 0) + berry(3, 0, 0, sys, sys - 25, sys - 40)


def starts_recorded(d):
    rows = [json.loads(r["body"]) for r in d.sql("select body from audit_event where kind = 'request' order by recorded_ms")]
    return [r for r in rows if r["request"] == "cuff-start"]


class Monitor:
    """A device on a pseudo terminal: all that it was sent."""

    def __init__(self, plugin):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.plugin, self.start, self.heard = plugin, vector(plugin, STARTS[plugin]), b""
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.end.is_set():
            if select.select([self.master], [], [], 0.05)[0]:
                self.heard += os.read(self.master, 4096)

    def starts(self):
        return self.heard.count(self.start)

    def say(self, data):
        os.write(self.master, data)

    def close(self):
        self.end.set()
        self.thread.join()
        os.close(self.master)
        os.close(self.slave)


def chair(monitor, **more):
    return {"id": monitor.plugin, "limits": "ketamine-adult", "devices": [
        {"id": "bp", "plugin": monitor.plugin, "serial": {"path": monitor.path, "parity": "none"}, **more}]}


@pytest.fixture
def monitors():
    made = [Monitor(p) for p in STARTS]
    yield made
    for m in made:
        m.close()


def status(d, name):
    snapshot = d.ask({"op": "snapshot", "chair": name})["chairs"][0]
    return snapshot["devices"][0]["status"]


def online(d, monitors, frames):
    """They speak (also of results above every limit, errors, and whatever else the vectors hold), until the daemon has heard each."""
    def once():
        silent = [m for m in monitors if status(d, m.plugin) != "online"]
        for m in silent:
            m.say(frames[m.plugin])
        return not silent
    assert wait_for(once, step=0.3)


def test_only_a_person_starts_one(tmp_path, monitors):
    """Connecting, polling, answering, a restart by SIGKILL, a reload, a device that comes back: no cuff moves.  Asked, it does."""
    d = Daemon(tmp_path / "d", [chair(m, start_cuff="allowed") for m in monitors])
    d.start()
    frames = {p: b"".join(bytes.fromhex(v["bytes_hex"]) for v in json.loads((ROOT / f"plugins/{p}/captures/{p}.json").read_text())
                          if "direction" not in v and "options" not in v) for p in STARTS}
    try:
        online(d, monitors, frames)
        d.kill()
        d.start()
        online(d, monitors, frames)
        d.configure([chair(m, start_cuff="never") for m in monitors])
        d.process.send_signal(1)
        for m in monitors:
            assert wait_for(lambda: len(m.heard))
        assert [m.starts() for m in monitors] == [0] * len(monitors)
        for m in monitors:
            assert "told to measure" in d.ctl("cuff", "start", "--chair", m.plugin, "--operator", "kim").stdout
            assert wait_for(lambda: m.starts() == 1)
            d.ctl("cuff", "stop", "--chair", m.plugin)
        assert wait_for(lambda: len(starts_recorded(d)) == len(monitors))
        rows = starts_recorded(d)
        assert [(r["chair"], r["by"]) for r in rows] == [(m.plugin, "kim") for m in monitors]
        assert [m.starts() for m in monitors] == [1] * len(monitors)
    finally:
        d.stop()


def test_the_engine_starts_one_where_it_may_and_not_soon_after_a_connection(tmp_path):
    """A pressure that jumped wants to be measured again: the daemon does it by itself only where that is allowed, and
    not within half a minute after the device came."""
    may, may_not = Monitor("berry-pm6750"), Monitor("berry-pm6750")
    (tmp_path / "limits.yaml").write_text("sets: [ { name: soon, extends: ketamine-adult, validity: { suspect_repeat: 1s } } ]\n")
    d = Daemon(tmp_path / "d", [dict(chair(may, start_cuff="allowed"), id="may", limits="soon"),
                                dict(chair(may_not), id="may-not", limits="soon")], limit_files=[str(tmp_path / "limits.yaml")])
    d.start()
    s = d.subscribe("request/")

    def say(pressure):
        for m in (may, may_not):
            m.say(cuff_result(pressure))

    def asked(times):
        assert wait_for(lambda: all(len(s.bodies("request", chair=c, request="nibp-repeat")) >= times for c in ("may", "may-not")))
    try:
        assert wait_for(lambda: s.messages() or say(120) or time.sleep(0.3) or say(185) or time.sleep(0.3))
        asked(1)
        for _ in range(32):
            time.sleep(1)
            for m in (may, may_not):
                m.say(berry(4, 0, 97, 72))
        assert may.starts() == may_not.starts() == 0
        seen = len(s.bodies("request", chair="may", request="nibp-repeat"))
        for pressure in (118, 119, 190):
            say(pressure)
            time.sleep(0.3)
        asked(seen + 1)
        assert wait_for(lambda: may.starts() == 1)
        assert may_not.starts() == 0
        assert wait_for(lambda: [(r["chair"], r["by"]) for r in starts_recorded(d)] == [("may", "engine")])
    finally:
        s.stop()
        d.stop()
        may.close()
        may_not.close()


DONE, TALK = bytes.fromhex("3e044b73"), bytes.fromhex("3e050201ba")  # of a SunTech module: done; a pressure in its cuff
RESULT = bytes.fromhex("3e1873004a001e01000000000000310755005800000000e9")  # 115/74, mean 88, pulse 85


@pytest.mark.parametrize("answers, poll, marked", [
    ([RESULT, RESULT], "2s", False),
    ([RESULT, RESULT[:9] + b"\x55" + RESULT[10:], RESULT], "2s", False),  # the second is damaged
    ([RESULT], "200ms", True),
], ids=["the next answer", "a later answer", "no second answer"])
def test_a_result_from_a_noisy_line_is_asked_for_again(tmp_path, answers, poll, marked):
    """One measurement, not doubted: the module is asked until two answers say the same.  Where it says no more, the pressure
    comes all the same, marked."""
    m = Monitor("suntech-nibp")
    asks_pressure, asks_result = vector(m.plugin, "cmd_cuff"), vector(m.plugin, "cmd_result")
    d = Daemon(tmp_path / "d", [chair(m, poll=poll)])
    d.start()
    s = d.subscribe("vitals/")
    try:
        assert wait_for(lambda: s.messages() or m.say(TALK) or time.sleep(0.1))
        d.ctl("cuff", "start", "--chair", m.plugin, "--operator", "kim")
        assert wait_for(lambda: asks_pressure in m.heard)
        m.say((4 * TALK + b"\0") * 5 + TALK)
        assert wait_for(lambda: "line noisy" in d.ask({"op": "snapshot"})["chairs"][0]["devices"][0]["detail"])
        m.say(DONE)
        for i, answer in enumerate(answers):
            assert wait_for(lambda: m.heard.count(asks_result) > i)
            m.say(answer)
        assert wait_for(lambda: any("nibp_sys" in b["values"] for b in s.bodies("vitals")))
        came = len(s.bodies("vitals"))
        m.say(TALK)  # what comes before this has come
        assert wait_for(lambda: len(s.bodies("vitals")) > came)
        waited = [b for b in s.bodies("vitals") if "nibp_sys:questionable" in b["flags"] and "nibp_sys" not in b["values"]]
        results = [b for b in s.bodies("vitals") if "nibp_sys" in b["values"]]
        assert len(waited) == 1
        assert [(b["values"]["nibp_sys"], b["values"]["nibp_map"]) for b in results] == [(115, 88)]
        assert ("questionable" in results[0]["flags"]) == marked
    finally:
        s.stop()
        d.stop()
        m.close()


def test_a_device_that_cannot_is_said(tmp_path):
    master, slave = os.openpty()
    tty.setraw(slave)
    d = Daemon(tmp_path / "d", [{"id": "c", "limits": "ketamine-adult", "devices": [
        {"id": "ox", "plugin": "nonin-df2", "serial": {"path": os.ttyname(slave)}}]}])
    d.start()
    try:
        for words, said in ((("start", "--chair", "c"), "press the button on the monitor"),
                            (("start", "--chair", "c", "none"), "there is no device 'none'"),
                            (("start", "--chair", "c", "ox"), "press the button")):
            done = d.ctl("cuff", *words, check=False)
            assert done.returncode == 1 and said in done.stderr, done.stderr
        assert d.ctl("cuff", "up", "--chair", "c", check=False).returncode == 2
    finally:
        d.stop()
        os.close(master)
        os.close(slave)
