"""A line that damages what it carries, between a monitor without a checksum and the daemon: from the moment that this shows, no number
is shown that the monitor did not send, people are told why numbers are late, and once, and it ends when the line is clean again."""
import random
import subprocess

import pytest

from house import VITALSCTL, Daemon, wait_for
from test_every_plugin import Player, decode, opened, readings, without_metric

CLEAN, NOISY, AFTER = 30, 160, 230  # lines of 17 bytes; 3072 good bytes make a line clean again
SHOWN = 4  # readings back: a number that was said so lately can bear witness for another


def walk(r, n, spo2=96, rate=72):
    """What the monitor sends, line by line."""
    for _ in range(n):
        spo2 = min(99, max(90, spo2 + r.choice((0, 0, 0, 0, 0, 1, -1))))
        rate = min(120, max(50, rate + r.choice((0, 0, 0, 1, -1))))
        yield spo2, rate


def on_the_line(r, sent):
    for i, (spo2, rate) in enumerate(sent):
        line = bytearray(b"SPO2=%03d HR=%03d\r\n" % (spo2, rate))
        for k in range(len(line)):
            if CLEAN <= i < CLEAN + NOISY and r.random() < 0.02:
                line[k] = r.randrange(256)
        yield bytes(line)


@pytest.fixture
def disturbed(tmp_path):
    """The values as sent, the bytes as they come, and a player of them."""
    r = random.Random(11)
    sent = list(walk(r, CLEAN + NOISY + AFTER))
    parts = list(on_the_line(r, sent))
    p = Player(parts, tmp_path / "oximeter")
    yield sent, parts, p
    p.stop()


def strange(units, sent):
    """Numbers that the monitor had not sent a moment before."""
    at = 0
    for values in units:
        near = {v for pair in sent[max(0, at - 2 * SHOWN):at + 60] for v in pair}
        yield from (v for v in values if v not in near)
        at += 1


def test_a_noisy_line_is_told_and_brings_no_number_of_its_own(tmp_path, disturbed):
    sent, parts, line = disturbed
    d = Daemon(tmp_path / "d", [{"id": "c", "limits": "ketamine-adult", "devices": [
        {"id": "oximeter", "plugin": "nonin-ascii", "serial": {"path": str(tmp_path / "oximeter"), "parity": "none"}}]}])
    wanted = [({m: v for m, (v, _) in u.items() if v is not None}, {f for _, of in u.values() for f in of})
              for u in readings(decode("nonin-ascii", b"".join(parts)))]
    d.start()
    try:
        s = d.subscribe("")
        opened(d, line.link)
        line.play()
        told = wait_for(lambda: [e for e in s.bodies("device") if "line noisy" in e["detail"]])
        assert told and told[0]["status"] == "online" and "check cable, grounding and baud rate" in told[0]["detail"]
        assert "line noisy" in d.ctl("status", "--chair", "c").stdout
        assert wait_for(lambda: len(s.bodies("vitals")) >= len(wanted))
        noisy = [e for e in s.bodies("device") if e["status"] == "online"]
        assert [e["detail"][:10] for e in noisy] == ["", "line noisy", ""], noisy
        assert "line noisy" not in d.ctl("status", "--chair", "c").stdout
        units = [e["values"] for e in s.bodies("vitals")]
        held = [f for e in s.bodies("vitals") for f in e["flags"]]
        s.stop()
    finally:
        d.stop()
    assert not list(strange([u.values() for u in units], sent))
    assert set(held) <= {"spo2:questionable", "pr:questionable"} and held
    assert [(u["spo2"], u["pr"]) for u in units[:CLEAN]] == sent[:CLEAN]  # a clean line: everything, at once
    assert [(u["spo2"], u["pr"]) for u in units[-20:]] == sent[-20:]
    assert [u for u, _ in wanted] == units  # `vitalsctl decode` goes through the same door
    assert sum(len(f) for _, f in wanted) and {without_metric(f) for f in held} == {f for _, of in wanted for f in of}


def test_a_recording_of_it_says_so(disturbed):
    _, parts, _ = disturbed
    p = subprocess.run([VITALSCTL, "decode", "--plugin", "nonin-ascii"], input=b"".join(parts), capture_output=True, timeout=60)
    assert p.returncode == 0 and b"the line is noisy" in p.stderr and b"(questionable)" in p.stdout
    clean = subprocess.run([VITALSCTL, "decode", "--plugin", "nonin-ascii"], input=b"".join(parts[:CLEAN]), capture_output=True,
                           timeout=60)
    assert b"noisy" not in clean.stderr and b"questionable" not in clean.stdout
