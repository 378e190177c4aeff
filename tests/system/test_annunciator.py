"""What people hear and see at the chair: bursts through ALSA into a file, a command that switches lights, and the test of both."""
import array
import datetime
import json
import os
import subprocess
import time

import pytest

from house import PATIENCE, VITALSD, wait_for
from monitors import ModbusMonitor, bp_device, oximeter_device, raise_pressure

RATE = 44100


@pytest.fixture
def monitor():
    m = ModbusMonitor()
    m.set("input", 0, [121, 79, 93])
    m.set("input", 9, [1])
    m.set("holding", 0, [97, 72])
    yield m
    m.stop()


def chair(monitor, **annunciator):
    one = {"id": "chair-1", "limits": "ketamine-adult", "devices": [bp_device(monitor.port), oximeter_device(monitor.port)]}
    return {**one, "annunciator": annunciator} if annunciator else one


def lights(folder, body="echo \"$1 $2 ${VITALSD_TEST:-0} $VITALSD_CHAIR $VITALSD_PRIORITY\" >>%s\n"):
    """A program that a clinic might have, and the lines that it wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    program, out = folder / "lights", folder / "lights.txt"
    program.write_text("#!/bin/sh\n" + (body % out if "%s" in body else body))
    program.chmod(0o755)
    return str(program), lambda: [line.split() for line in out.read_text().splitlines()] if out.exists() else []


def test_the_lights_follow_the_highest_alarm(daemon, monitor, tmp_path):
    program, lines = lights(tmp_path)
    d = daemon([chair(monitor, command=program)]).start()
    s = d.subscribe()
    assert wait_for(lambda: lines() == [["chair-1", "none", "0", "chair-1", "none"]]), "at the start: all is dark"
    s.wait("vitals", device="oximeter")
    raise_pressure(d, monitor)
    s.wait("alarm", rule="sbp-hi-crit", change="raised")
    assert wait_for(lambda: lines()[-1][1] == "high"), lines()
    d.ctl("alarm", "pause", "--chair", "chair-1", "--for", "3s")
    assert wait_for(lambda: lines()[-1][1] != "high"), "a paused alarm is silent"
    assert wait_for(lambda: lines()[-1][1] == "high"), "and sounds again when the time is over"
    d.ctl("alarm", "ack", "--chair", "chair-1")
    assert wait_for(lambda: lines()[-1][1] == "none"), lines()
    assert all(a != b for a, b in zip(lines(), lines()[1:])), "a run for every change, none without one"
    assert d.stop() == 0, d.said()


def test_a_test_runs_the_whole_path_and_is_recorded(daemon, monitor, tmp_path):
    program, lines = lights(tmp_path)
    d = daemon([chair(monitor, command=program)]).start()
    s = d.subscribe()
    assert wait_for(lines)
    said = d.ctl("alarm", "test", "--chair", "chair-1", "--operator", "anna").stdout
    assert "published and recorded" in said and program in said
    event = s.wait("request", request="alarm-test")
    assert event["test"] is True and event["by"] == "anna" and event["uid"] == os.getuid()
    assert wait_for(lambda: len(lines()) == 5), lines()
    assert [line[1:3] for line in lines()[1:]] == [["low", "1"], ["medium", "1"], ["high", "1"], ["none", "0"]]
    assert d.ctl_json("alarm", "list")["alarms"] == [], "a test is no alarm"
    assert d.stop() == 0, d.said()
    kept = [json.loads(r["body"]) for r in d.sql("SELECT body FROM audit_event WHERE kind = 'request'")]
    assert [k["seq"] for k in kept if k["request"] == "alarm-test"] == [event["seq"]]


@pytest.mark.parametrize("body, why", [
    ("exit 3\n", "status 3"),
    ("kill -9 $$\n", "signal 9"),
    (None, "no such file"),
])
def test_a_command_that_fails_is_said_once(daemon, monitor, tmp_path, body, why):
    program, _ = lights(tmp_path, body) if body else (str(tmp_path / "absent"), None)
    d = daemon([chair(monitor, command=program)]).start()
    s = d.subscribe()
    assert wait_for(lambda: why in d.said()), d.said()
    s.wait("vitals", device="oximeter")
    d.ctl("alarm", "test", "--chair", "chair-1")
    answer = d.ctl_json("alarm", "test", "--chair", "chair-1")
    assert why in answer["annunciator"]["command_trouble"]
    assert d.said().count("annunciator's command") == 1, d.said()
    raise_pressure(d, monitor)
    s.wait("alarm", rule="sbp-hi-crit", change="raised")
    assert d.stop() == 0, d.said()


def test_a_command_that_hangs_holds_up_nobody(daemon, monitor, tmp_path):
    program, _ = lights(tmp_path, "exec sleep 60\n")
    d = daemon([chair(monitor, command=program)]).start()
    s = d.subscribe()
    assert wait_for(lambda: "signal 9" in d.said())
    at = [datetime.datetime.fromisoformat(b["time"][:-1]).timestamp() for b in s.bodies("alive")]
    assert at[-1] - at[0] > 3 and max(b - a for a, b in zip(at, at[1:])) < 4, "it had five seconds"
    took = []
    for _ in range(3):
        d.ctl("alarm", "test", "--chair", "chair-1")
        began = time.monotonic()
        assert d.stop() == 0, d.said()
        took.append(time.monotonic() - began)
        d.start()
    assert min(took) < 4, "an end does not wait for the lights"


def pulses(path):
    """Where sound begins and ends in what was played, in ms: gaps shorter than 30 ms belong to a pulse."""
    samples = array.array("h", path.read_bytes()[: path.stat().st_size // 2 * 2])
    step = RATE // 200
    loud = [max(map(abs, samples[i:i + step]), default=0) > 300 for i in range(0, len(samples), step)]
    found = []
    for i, on in enumerate(loud):
        if on and found and i * 5 - found[-1][1] < 30:
            found[-1][1] = i * 5 + 5
        elif on:
            found.append([i * 5, i * 5 + 5])
    return found


def has_alsa():
    return "libasound" in subprocess.run(["ldd", VITALSD], capture_output=True, text=True).stdout


@pytest.mark.skipif(not has_alsa(), reason="built without ALSA")
def test_the_bursts_are_those_of_the_table(daemon, monitor, tmp_path):
    sound = tmp_path / "sound.raw"
    d = daemon([chair(monitor, audio="alsa", device=f"file:'{sound}',raw")]).start()
    answer = d.ctl_json("alarm", "test", "--chair", "chair-1")
    assert answer["annunciator"]["audio"] == "alsa"
    assert wait_for(lambda: sound.exists() and len(pulses(sound)) >= 14), pulses(sound) if sound.exists() else d.said()
    assert d.stop() == 0, d.said()
    heard = pulses(sound)
    assert len(heard) == 1 + 3 + 10, "low, medium, high"
    lengths = [end - begin for begin, end in heard]
    gaps = [b[0] - a[1] for a, b in zip(heard, heard[1:])]
    assert all(125 <= n <= 250 for n in lengths[:4]) and all(75 <= n <= 200 for n in lengths[4:]), lengths
    assert all(125 <= g <= 260 for g in gaps[1:3]), gaps
    assert gaps[0] > 900 and gaps[3] > 900, "a pause tells low, medium and high apart"
    high = gaps[4:]
    assert [g > 300 for g in high] == [False, False, True, False, True, False, False, True, False], high
    assert 350 <= high[4] <= 1300 and high[4] > high[2] == high[7], "two groups of five, each three and two"


@pytest.mark.skipif(not has_alsa(), reason="built without ALSA")
def test_a_missing_sound_card_is_a_warning_said_once(daemon, monitor):
    d = daemon([chair(monitor, audio="alsa", device="hw:31,7")]).start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    for _ in range(2):
        d.ctl("alarm", "test", "--chair", "chair-1")
        assert wait_for(lambda: "no alarm can be heard" in d.said()), d.said()
    assert "hw:31,7" in d.ctl_json("alarm", "test", "--chair", "chair-1")["annunciator"]["audio_trouble"]
    raise_pressure(d, monitor)
    s.wait("alarm", rule="sbp-hi-crit", change="raised")
    assert d.said().count("no alarm can be heard") == 1 and "ALSA lib" not in d.said(), d.said()
    assert d.stop() == 0, d.said()


def test_the_station_has_one_for_chairs_without_their_own_and_a_reload_changes_it(daemon, monitor, tmp_path):
    first, first_lines = lights(tmp_path / "a")
    second, second_lines = lights(tmp_path / "b")
    d = daemon([chair(monitor), {**chair(monitor, command=second), "id": "chair-2"}], annunciator={"command": first}).start()
    assert wait_for(lambda: first_lines() and second_lines())
    assert {line[0] for line in first_lines()} == {"chair-1"} and {line[0] for line in second_lines()} == {"chair-2"}
    d.configure([chair(monitor), {**chair(monitor), "id": "chair-2"}], annunciator={"command": first})
    d.process.send_signal(1)
    assert wait_for(lambda: {line[0] for line in first_lines()} == {"chair-1", "chair-2"}), d.said()
    assert d.stop() == 0, d.said()


@pytest.mark.parametrize("annunciator, why", [
    ({"audio": "loud"}, "alsa"),
    ({"command": "lights"}, "absolute path"),
    ({"device": "hw:0"}, "audio: alsa"),
    ({"volume": 3}, "volume"),
])
def test_what_cannot_be_is_found(daemon, monitor, annunciator, why):
    d = daemon([chair(monitor, **annunciator)])
    p = subprocess.run([VITALSD, "--config", d.config, "--check"], capture_output=True, text=True, timeout=PATIENCE)
    assert p.returncode == 78 and why in p.stderr, p.stderr
