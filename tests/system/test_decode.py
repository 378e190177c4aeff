"""vitalsctl decode: the promises of the command itself (values are in the replay suite)."""
import json
import os
import pathlib
import select
import signal
import subprocess
import time
import tty

import pytest

from house import ROOT, VITALSCTL

DF2 = {v["name"]: bytes.fromhex(v["bytes_hex"])
       for v in json.loads((ROOT / "plugins/nonin-df2/captures/nonin-df2.json").read_text())}


def decode(*args, data=b""):
    return subprocess.run([VITALSCTL, "decode", *args], input=data, capture_output=True, timeout=60)


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_observation_a_line():
    done = decode("--plugin", "nonin-df2", "--json", data=DF2["bad_checksum_in_spo2_frame"])
    assert done.returncode == 0
    assert done.stdout.splitlines()[1] == \
        b'{"offset":125,"frame":0,"metric":"spo2","value":97,"unit":"%","flags":[]}'
    assert [(o["offset"], o["frame"]) for o in lines(done)] == [(125, 0), (125, 0), (375, 1), (375, 1)]
    assert b"dropped 125 bytes" in done.stderr


@pytest.mark.parametrize("chunk", [1, 2, 5, 124, 125, 126, 1000])
def test_the_pieces_do_not_matter(chunk):
    data = DF2["garbage_then_packet"] + DF2["lost_frame_13"]
    whole = decode("--plugin", "nonin-df2", "--json", data=data)
    assert decode("--plugin", "nonin-df2", "--json", "--chunk", str(chunk), data=data).stdout == whole.stdout != b""


def test_no_value_is_null_with_its_flag():
    seen = lines(decode("--plugin", "nonin-df2", "--json", data=DF2["missing_finger_display_held"]))
    assert [(o["value"], o["flags"]) for o in seen] == [(None, ["sensor_off"])] * 2


def test_an_event_is_a_word_without_a_unit():
    seen = lines(decode("--plugin", "suntech-nibp", "--json", data=bytes.fromhex("3e044b73")))
    assert seen == [{"offset": 4, "frame": 0, "metric": "nibp_event", "value": "done", "unit": None, "flags": []}]


def test_a_dialect_is_an_option():
    data = bytes.fromhex("a000407f7f")
    flags = {d: lines(decode("--plugin", "cms50-5byte", "--json", "--option", f"dialect={d}", data=data))[0]["flags"]
             for d in ("contec", "berry")}
    assert flags == {"contec": ["spo2_drop"], "berry": ["sensor_disconnected"]}


def test_a_register_map_is_a_profile(tmp_path):
    """One that ships, or a file beside us; what is wrong with it is said."""
    v = json.loads((ROOT / "plugins/modbus/captures/modbus_sen0344.json").read_text())[0]
    data = bytes.fromhex(v["bytes_hex"])
    want = {e["metric"]: e["value"] for e in v["expect"]}
    own = tmp_path / "own.yaml"
    own.write_text((ROOT / "plugins/modbus/profiles/dfrobot-sen0344.yaml").read_text())
    for profile in ("dfrobot-sen0344", str(own)):
        seen = lines(decode("--plugin", "modbus", "--json", "--option", f"profile={profile}", data=data))
        assert {o["metric"]: o["value"] for o in seen if o["value"] is not None} == want
    own.write_text("summary: x\nregisters: [ { metric: spo9, table: input, address: 1 } ]\n")
    for profile, words in ((str(own), "spo2"), ("dfrobot-sen344", "did you mean"), ("./none.yaml", "cannot be read"), ('a"b', "no profile")):
        done = subprocess.run([VITALSCTL, "decode", "--plugin", "modbus", "--option", f"profile={profile}"], input=data,
                              capture_output=True, timeout=60)
        assert done.returncode == 2 and words in done.stderr.decode(), (profile, done.stderr)


def test_files_hex_and_stdin(tmp_path):
    data = DF2["normal_72_97"]
    (tmp_path / "raw").write_bytes(data)
    (tmp_path / "hex").write_text("# a packet\n" + data.hex(" ") + "\n")
    want = decode("--plugin", "nonin-df2", "--json", data=data).stdout
    for args in (["raw"], ["hex", "--hex"]):
        assert decode("--plugin", "nonin-df2", "--json", str(tmp_path / args[0]), *args[1:]).stdout == want
    assert decode("--plugin", "nonin-df2", "--json", "-", data=data).stdout == want


def test_a_person_sees_bytes_beside_meaning():
    text = decode("--plugin", "nonin-df2", data=b"\xff\xfe" + DF2["normal_72_97"]).stdout.decode()
    assert "2 bytes that belong to no frame" in text and "01 81 14 00 96" in text and "pr 72 /min, spo2 97 %" in text


def test_a_patient_s_number_is_shown_in_no_form():
    line = b"2026,07,11,09,05,12345678901234567890,0,120,080,072,0\r\n"
    for more in ([], ["--json"]):
        done = decode("--plugin", "omron-hbp9030-fmt5", *more, data=line)
        assert b"120" in done.stdout
        for shape in (b"1234567890", line[17:37].hex(" ").encode()[:20], line[17:37].hex().encode()[:12]):
            assert shape not in done.stdout + done.stderr


class Device:
    """A device on a pseudo terminal: what it hears, and what it says."""

    def __init__(self):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self.slave = slave

    def hear(self, seconds=60):
        ready = select.select([self.master], [], [], seconds)[0]
        return os.read(self.master, 4096) if ready else b""

    def close(self):
        for fd in (self.slave, self.master):
            os.close(fd)


@pytest.fixture
def device():
    d = Device()
    yield d
    d.close()


CONTEC = [bytes.fromhex(line.split("#")[0]) for line in
          (ROOT / "plugins/contec-v7/captures/exchange.hex").read_text().splitlines()]


def test_a_device_on_a_line_is_asked_and_read(device):
    with subprocess.Popen([VITALSCTL, "decode", "--plugin", "contec-v7", "--json", device.path],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        assert device.hear().hex().startswith("7d81a7")  # it must be asked before it speaks
        for answer in CONTEC:
            os.write(device.master, answer)
        first = json.loads(p.stdout.readline())
        assert (first["metric"], first["value"]) == ("pr", 65)
        p.send_signal(signal.SIGINT)
        rest, said = p.communicate(timeout=60)
        assert p.returncode == 0 and b"readings" in said


def test_a_recording_can_be_decoded(device, tmp_path):
    file = tmp_path / "recording"
    with subprocess.Popen([VITALSCTL, "record", "--plugin", "nonin-df2", "--for", "90", device.path, file],
                          stderr=subprocess.PIPE) as p:
        while not file.exists() and p.poll() is None:
            time.sleep(0.02)
        time.sleep(0.1)
        os.write(device.master, DF2["normal_72_97"][:60])
        time.sleep(0.1)
        os.write(device.master, DF2["normal_72_97"][60:])
        recorded = lambda: sum(len(line.split("#")[0].split()) for line in file.read_text().splitlines())
        for _ in range(3000):
            if recorded() >= 125:
                break
            time.sleep(0.02)
        p.send_signal(signal.SIGTERM)
        assert b"125 bytes recorded" in p.communicate(timeout=60)[1] and p.returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    want = decode("--plugin", "nonin-df2", "--json", data=DF2["normal_72_97"]).stdout
    assert decode("--plugin", "nonin-df2", "--json", "--hex", file).stdout == want
    again = subprocess.run([VITALSCTL, "record", "--plugin", "nonin-df2", device.path, file], capture_output=True)
    assert again.returncode == 1 and b"File exists" in again.stderr  # a recording is never overwritten


@pytest.mark.parametrize("data", [b"", b"\x00" * 10000, os.urandom(20000)])
def test_any_bytes_end_well(data):
    for plugin in json.loads("[" + subprocess.run([VITALSCTL, "plugins", "--json"], capture_output=True, text=True)
                             .stdout.strip().replace("\n", ",") + "]"):
        if plugin["name"] != "modbus":
            assert decode("--plugin", plugin["name"], "--json", data=data).returncode == 0


@pytest.mark.parametrize("args, status, words", [
    (["--plugin", "nonin-df2", "/no/such/file"], 1, "cannot open /no/such/file"),
    (["--plugin", "nonin-df2", "/"], 1, "cannot read /"),
    (["--plugin", "no-such-device"], 2, "no plugin 'no-such-device'"),
    ([], 2, "--plugin"),
    (["--plugin", "nonin-df2", "--chunk", "0"], 2, "--chunk"),
    (["--plugin", "nonin-df2", "--option", "dialect=x"], 2, "9560, oem3"),
    (["--plugin", "nonin-df2", "--option", "x=y"], 2, "dialect, select"),
    (["--plugin", "nonin-df2", "--nonsense"], 2, "--nonsense"),
    (["--plugin", "nonin-df2", "--hex", "-"], 1, "not hex text"),
])
def test_what_is_wrong_is_said(args, status, words):
    done = decode(*args, data=b"hello")
    assert done.returncode == status and words in done.stderr.decode()


def test_the_table_of_devices_is_the_one_in_the_documents():
    shown = subprocess.run([VITALSCTL, "plugins", "--markdown"], capture_output=True, text=True).stdout
    assert shown in pathlib.Path(ROOT / "docs/devices.md").read_text(), \
        "put the output of 'vitalsctl plugins --markdown' into docs/devices.md"


@pytest.mark.parametrize("words", [["status"], ["watch"], ["session", "start"], ["entry"], ["alarm", "ack"], ["cuff", "start"], ["why"], ["audit", "show"],
                                   ["replay"], ["decode"], ["record"], ["burden"], ["log", "info"], ["modbus", "read"], ["probe"], ["plugins"], ["chair"]])
def test_help_behind_any_command(words):
    """Nobody should have to know which commands understand it."""
    p = subprocess.run([VITALSCTL, *words, "--help"], capture_output=True, text=True, timeout=60)
    assert (p.returncode, p.stderr) == (0, "") and f"vitalsctl {words[0]} " in p.stdout
