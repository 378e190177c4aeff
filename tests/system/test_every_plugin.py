"""Every serial plugin from end to end: a recording is played into a pseudo terminal, and the daemon publishes what
`vitalsctl decode` says of the same bytes.  And a port of which nobody knows what it is becomes a device of a chair.
"""
import json
import os
import subprocess
import threading
import time
import tty

import pytest

from house import PATIENCE, ROOT, VITALSCTL, VITALSD, VITALS_SIM, Daemon, has_open, wait_for

STEP_MS = 15
ENGINE_FLAGS = {"suspect"}  # the alarm engine's doubt, not the device's


def plugins():
    out = subprocess.run([VITALSCTL, "plugins", "--json"], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    return {p["name"]: p for p in map(json.loads, out.splitlines()) if not p["link"].startswith("udp") and p["name"] != "modbus"}


PLUGINS = plugins()
METRICS = {m for p in PLUGINS.values() for m in p["metrics"]}


def pieces(name):
    """The bytes of the plugin's own vectors that its default settings read, as they would come in reads."""
    first = {o["name"]: o["values"][0] for o in PLUGINS[name]["options"] if o["values"]}
    path = next((ROOT / "plugins").glob(f"*/captures/{name}.json"))
    for v in json.loads(path.read_text()):
        others = dict(v.get("options", {}), **({"dialect": v["dialect"]} if "dialect" in v else {}))
        if v.get("direction") == "tx" or any(first.get(k) != value for k, value in others.items()):
            continue
        data = bytes.fromhex(v["bytes_hex"])
        for at in range(0, len(data), 400):
            yield data[at:at + 400]


class Player:
    """vitals-sim --play, ready: the line `link` is there.  It plays what is recorded while it listens, and that begins when the
    test says so: when those that shall hear it have opened the line."""

    def __init__(self, parts, link, step_ms=STEP_MS):
        self.parts, self.step_ms, self.link = list(parts), step_ms, link
        self.recording = link.with_name(link.name + ".rec")
        os.mkfifo(self.recording)
        self.feed = os.open(self.recording, os.O_RDWR)
        self.process = subprocess.Popen([VITALS_SIM, "--play", self.recording, "--link", link, "--for", "3600"],
                                        stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        assert self.process.stdout.readline() == "ready\n"
        self.ready = time.monotonic()
        self.thread = None

    def play(self):
        first_ms = 1000 * (time.monotonic() - self.ready) + 300
        rows = "".join(f"{first_ms + i * self.step_ms:.0f} {part.hex()}\n" for i, part in enumerate(self.parts))
        text = f"vitals-recording 1 {self.link.name}\n{rows}".encode()
        self.thread = threading.Thread(target=self.record, args=(text,), daemon=True)
        self.thread.start()
        return self

    def record(self, text):
        while text:
            try:
                text = text[os.write(self.feed, text[:4096]):]
            except OSError:  # stopped
                return

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()  # it would wait for a reader of the last bytes
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        os.set_blocking(self.feed, False)
        try:
            while os.read(self.feed, 65536) or (self.thread and self.thread.is_alive()):
                pass
        except BlockingIOError:
            pass
        os.close(self.feed)


@pytest.fixture
def player():
    made = []

    def play(*args, **more):
        made.append(Player(*args, **more))
        return made[-1]
    yield play
    for p in made:
        p.stop()


def decode(name, data, *more):
    done = subprocess.run([VITALSCTL, "decode", "--plugin", name, "--json", *more], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def readings(text):
    """Of what decode prints, each unit that says anything: {metric: (value or None, flags)}."""
    units = {}
    for o in map(json.loads, text.splitlines()):
        units.setdefault(o["frame"], {})[o["metric"]] = o["value"], frozenset(o["flags"])
    return list(units.values())


def impossible(unit):
    """Decoded as sent, and refused by the engine: no living adult has it."""
    v = {m: value for m, (value, _) in unit.items() if value is not None}
    return any(v.get(m, low) < low for m, low in (("spo2", 10), ("pr", 10))) or v.get("nibp_sys", 0) >= 300 or \
        ("nibp_sys" in v and v["nibp_sys"] == v["nibp_dia"])


def as_published(units):
    """What the daemon should make of it: [(values, {"METRIC:FLAG", "FLAG"} without places, may it be left out?)]."""
    last = None
    for unit in units:
        values = {m: v for m, (v, _) in unit.items() if v is not None}
        flags = {f for _, of in unit.values() for f in of} | {"no_value" for v, of in unit.values() if v is None and not of}
        if impossible(unit):
            values, flags = {}, {"invalid"}
        cuff = {m: v for m, v in values.items() if m.startswith("nibp_") and m != "nibp_event"}
        yield values, flags, bool(cuff) and cuff == last
        last = cuff or last


def published(events, chair):
    found = []
    for e in events:
        if e["chair"] == chair:
            values = {m: v for m, v in e["values"].items() if m != "rpp"}  # derived
            found.append((values, {without_metric(f) for f in e["flags"]} - ENGINE_FLAGS))
    return found


def without_metric(flag):
    first, _, rest = flag.partition(":")
    return rest if first in METRICS else flag


def difference(units, seen):
    """None, or where the daemon said something else.  An equal cuff result may count as the old one on the display."""
    seen = [u for u in seen if any(u)]
    for i, (values, flags, repeated) in enumerate(as_published(units)):
        if not values and not flags:
            continue
        if seen and seen[0] == (values, flags):
            seen.pop(0)
        elif repeated:
            rest = {m: v for m, v in values.items() if not m.startswith("nibp_")}
            if rest and seen and seen[0] == (rest, flags):
                seen.pop(0)
        else:
            return f"unit {i}: decode says {values} {flags}, the daemon {seen[:1]}"
    return f"the daemon also says {seen}" if seen else None


# From a noisy line a result of these is wanted once more (plugins/gate.h).  A recording does not answer: like `decode`, the
# daemon waits for nothing where nobody polls.
ASKED_AGAIN = ("suntech-nibp", "par-nibp", "berry-pm6750", "ge-dri")


def a_chair(name, path):
    # a pseudo terminal takes no parity
    device = {"id": "device", "plugin": name, "serial": {"path": str(path), "parity": "none"}}
    if name in ASKED_AGAIN:
        device["poll"] = "1h"
    return {"id": name, "limits": "ketamine-adult", "devices": [device]}


def test_the_daemon_says_what_decode_says(tmp_path, player):
    """Each plugin on a chair of its own, all at once."""
    d = Daemon(tmp_path / "d", [a_chair(name, tmp_path / name) for name in PLUGINS])
    wanted = {name: readings(decode(name, b"".join(pieces(name)))) for name in PLUGINS}
    players = [player(pieces(name), tmp_path / name) for name in PLUGINS]
    d.start()
    try:
        s = d.subscribe("vitals/")
        opened(d, *(p.link for p in players))
        for p in players:
            p.play()
        assert wait_for(lambda: not differences(s, wanted), step=0.5), json.dumps(differences(s, wanted), indent=1)
        time.sleep(0.5)  # and nothing more
        wrong = differences(s, wanted)
        s.stop()
        assert not wrong, json.dumps(wrong, indent=1)
        assert all(wanted.values()), [n for n in PLUGINS if not wanted[n]]
    finally:
        d.stop()


def opened(d, *links):
    assert wait_for(lambda: has_open(d.process.pid, *links)), "a line was not opened"
    assert d.ask({"op": "snapshot"})["ok"]  # whatever belongs to the opening is done


def differences(subscriber, wanted):
    events = subscriber.bodies("vitals")
    found = {n: difference(units, published(events, n)) for n, units in wanted.items()}
    return {n: why for n, why in found.items() if why}


def recorded(path):
    """How many bytes a recording has so far."""
    return sum(len(line.split("#")[0].split()) for line in path.read_text().splitlines())


def test_a_record_decodes_like_the_bytes(tmp_path, player):
    at_work = {}
    for name in PLUGINS:
        p = player(pieces(name), tmp_path / name, step_ms=5)
        at_work[name] = p, subprocess.Popen([VITALSCTL, "record", "--line", "9600 8N1", p.link, tmp_path / f"{name}.txt"],
                                            stderr=subprocess.DEVNULL)
    for name, (p, _) in at_work.items():
        assert wait_for((tmp_path / f"{name}.txt").exists), "it makes its file when the line is open"
        p.play()
    for name, (_, process) in at_work.items():
        data = b"".join(pieces(name))
        assert wait_for(lambda: recorded(tmp_path / f"{name}.txt") >= len(data)), name
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert decode(name, b"", "--hex", tmp_path / f"{name}.txt") == decode(name, data) != "", name


# Sent whole these are frames of the other format as well: the values stand in the same places.
ALIKE = {"nonin-df7": "nonin-df2", "nonin-df1": "nonin-df8"}


def good_stream(name):
    """Vectors that are read without loss, again and again: an undisturbed device."""
    first = {o["name"]: o["values"][0] for o in PLUGINS[name]["options"] if o["values"]}
    path = next((ROOT / "plugins").glob(f"*/captures/{name}.json"))
    good = []
    for v in json.loads(path.read_text()):
        others = dict(v.get("options", {}), **({"dialect": v["dialect"]} if "dialect" in v else {}))
        if v.get("direction") == "tx" or not v.get("expect") or any(first.get(k) != value for k, value in others.items()):
            continue
        data = bytes.fromhex(v["bytes_hex"])
        done = subprocess.run([VITALSCTL, "decode", "--plugin", name, "--json"], input=data, capture_output=True, timeout=PATIENCE)
        if b"dropped 0 bytes, 0 frames rejected" in done.stderr and b'"value":null' not in done.stdout:
            good.append(data)
    return good


def probe_of(path, *more):
    return subprocess.Popen([VITALSCTL, "probe", path, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def probe(player, *more):
    """A probe at work on a line that begins to speak when it listens."""
    process = probe_of(player.link, *more)
    assert wait_for(lambda: has_open(process.pid, player.link) or process.poll() is not None), "the line was not opened"
    player.play()
    return process


def test_each_device_is_found_out(tmp_path, player):
    """The plugin itself comes first, or one that reads the same bytes in the same way."""
    at_work = {}
    for name in PLUGINS:
        good = good_stream(name)
        if not good:
            continue
        p = player((good * (60 // len(good) + 1))[:60], tmp_path / name, step_ms=60)
        at_work[name] = probe(p, "--line", "9600 8N1", "--for", "5", "--json")
    wrong = {}
    for name, process in at_work.items():
        out, err = process.communicate(timeout=PATIENCE)
        found = [json.loads(line) for line in out.splitlines()]
        names = [f["plugin"] for f in found]
        if not names or names[0] not in (name, ALIKE.get(name)) or name not in names:
            wrong[name] = [(f["plugin"], f["grade"], f["share"], f["frames"], f["rejected"]) for f in found] or err
    assert not wrong, json.dumps(wrong, indent=1)
    assert len(at_work) >= len(PLUGINS) - 2


UNKNOWN = ("nonin-df2", "masimo-ascii1", "nellcor-ascii", "berry-pm6750", "ge-dri")


def probed(name, tmp_path, player):
    """A port of which nobody knows what it is, and the probe at work on it."""
    return probe(player(good_stream(name)[:1] * 1500, tmp_path / name, step_ms=200), "--for", "2")


def test_from_unknown_ports_to_values(tmp_path, player):
    """As a biomedical engineer would: probe, paste, check, start."""
    at_work = {name: probed(name, tmp_path, player) for name in UNKNOWN}
    chairs = ""
    for name, p in at_work.items():
        out, err = p.communicate(timeout=2 * PATIENCE)
        assert p.returncode == 0, err
        assert out.startswith(f"1. {name}, certain at ") or out.startswith(f"1. {name}, likely at "), out
        assert "listening at 9600 8N1 for 2 s" in err
        fragment = out[out.index("- id: new-device"):]
        chairs += f"  - id: {name}\n    limits: ketamine-adult\n    devices:\n" + "".join(
            f"      {line}\n" for line in fragment.splitlines())
    d = Daemon(tmp_path / "d", [])
    head = json.loads(d.config.read_text())
    del head["chairs"]
    d.config.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in head.items()) + "chairs:\n" + chairs)
    check = subprocess.run([VITALSD, "--check", "--config", d.config], capture_output=True, text=True, timeout=PATIENCE)
    assert check.returncode == 0, check.stderr
    d.start()
    try:
        s = d.subscribe("vitals/")
        for name in UNKNOWN:
            wanted = readings(decode(name, good_stream(name)[0]))
            want = {m for unit in wanted for m, (v, _) in unit.items() if v is not None and not m.startswith("nibp")}
            assert wait_for(lambda: any(want & set(e["values"]) for e in s.bodies("vitals", chair=name)))
            assert all(e["values"][m] in {u[m][0] for u in wanted if m in u} for e in s.bodies("vitals", chair=name)
                       for m in want & set(e["values"]))
        s.stop()
    finally:
        d.stop()


def test_a_fragment_names_what_differs_and_every_one_passes_the_check(tmp_path, player):
    """A dialect that reads more than the default; a pseudo terminal that takes no parity."""
    port = tmp_path / "cms50"
    path = ROOT / "plugins/cms50-5byte/captures/cms50-5byte.json"
    data = bytes.fromhex(json.loads(path.read_text())[0]["bytes_hex"])
    out, err = probe(player([data] * 100, port, step_ms=30), "--line", "19200 8O1", "--for", "2", "--json").communicate(timeout=PATIENCE)
    found = [json.loads(line) for line in out.splitlines()]
    assert found[0]["plugin"] == "cms50-5byte" and "parity: none" in found[0]["fragment"], (found, err)
    for f in found:
        config = tmp_path / "c.yaml"
        config.write_text(f"site: s\nlog: {{ path: {tmp_path}/x.db }}\nchairs:\n  - id: c\n    limits: ketamine-adult\n"
                          "    devices:\n" + "".join(f"      {line}\n" for line in f["fragment"].splitlines()))
        check = subprocess.run([VITALSD, "--check", "--config", config], capture_output=True, text=True, timeout=PATIENCE)
        assert check.returncode == 0, (f, check.stderr)


@pytest.mark.parametrize("parts, words", [
    ([], "is the device on"),
    ([bytes(50)] * 20, "mostly zeros"),
    ([b"HELLO WORLD, I AM NO MONITOR\r\n"] * 20, "readable text"),
    ([bytes([0x9C, 0xE7, 0xF3, 0xFE]) * 10] * 20, "another speed or parity")])
def test_what_cannot_be_found_out_is_said(tmp_path, player, parts, words):
    p = probe(player(parts, tmp_path / "x", step_ms=20), "--line", "9600 8N1", "--for", "1.6")
    out, err = p.communicate(timeout=PATIENCE)
    assert p.returncode == 1 and out == "" and words.lower() in err.lower(), err


def test_nothing_is_sent_without_talk_and_no_cuff_is_started_with_it(tmp_path):
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    name = os.ttyname(slave)

    def sent():
        try:
            return os.read(master, 65536)
        except BlockingIOError:
            return b""
    assert probe_of(name, "--for", "0.1").wait(PATIENCE) == 1
    assert sent() == b""
    assert probe_of(name, "--for", "0.1", "--talk").wait(2 * PATIENCE) == 1
    talk = sent()
    assert talk
    for plugin, vector in (("berry-pm6750", "cmd_nibp_start"), ("oem7bit-806c", "cmd_nibp_start"), ("par-nibp", "cmd_start"),
                           ("suntech-nibp", "cmd_start")):
        vectors = json.loads((ROOT / f"plugins/{plugin}/captures/{plugin}.json").read_text())
        assert bytes.fromhex(next(v for v in vectors if v["name"] == vector)["bytes_hex"]) not in talk, plugin
    os.close(master)
    os.close(slave)


def test_a_device_that_waits_to_be_asked(tmp_path):
    """A Contec starts to stream when told so: silent without --talk, found with it."""
    vectors = {v["name"]: bytes.fromhex(v["bytes_hex"])
               for v in json.loads((ROOT / "plugins/contec-v7/captures/contec-v7.json").read_text())}
    stream = b"".join(good_stream("contec-v7"))
    for more, status in (([], 1), (["--talk"], 0)):
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        p = probe_of(os.ttyname(slave), "--plugin", "contec-v7", "--for", "1", *more)
        heard, started = b"", False
        while p.poll() is None:
            try:
                heard += os.read(master, 4096)
            except BlockingIOError:
                pass
            started = started or vectors["cmd_start"] in heard
            if started:
                os.write(master, stream[:400])
            time.sleep(0.05)
        out, err = p.communicate()
        assert p.returncode == status and ("1. contec-v7, " in out) == (status == 0), (out, err)
        assert status == 0 or "--talk" in err
        os.close(master)
        os.close(slave)
