"""A configuration as a person meets it: --check, starting with a wrong one, reloading; and events that fit their schema."""
import json
import pathlib
import signal
import subprocess
import time

import jsonschema
import pytest

from house import PATIENCE, ROOT, VITALSCTL, VITALSD, free_port, wait_for
from monitors import ModbusMonitor, bp_device, cuff, oximeter_device

TEN_WAYS_WRONG = """\
sitte: north
log: { path: /tmp/x.db, custody: much }
publish: { events: [ "udp://a:1" ] }
chairs:
  - id: Chair
    limits: none-such
    devices:
      - { id: a, plugin: nonin-df9, serial: { path: /dev/ttyS0 } }
      - id: b
        plugin: modbus
        tcp: { host: h, port: 99999 }
        unit: 300
        poll: soon
        registers:
          - { metric: spo2, table: input, address: 65536 }
          - { metric: pulse, table: input, address: 2 }
"""


def run(*words):
    return subprocess.run([VITALSD, *words], capture_output=True, text=True, timeout=PATIENCE)


def test_ten_ways_wrong_are_said_in_one_run(tmp_path):
    file = tmp_path / "vitalsd.yaml"
    file.write_text(TEN_WAYS_WRONG)
    for words in (["--check"], []):
        p = run("--config", file, *words)
        assert p.returncode == 78
        assert p.stdout == ""
        lines = [line.removeprefix(f"{file}:").split(":")[0] for line in p.stderr.splitlines() if line.startswith(f"{file}:")]
        assert lines == [str(n) for n in (1, 1, 2, 3, 5, 6, 8, 11, 12, 13, 15, 16)], p.stderr


def test_what_ships_is_accepted():
    p = run("--config", ROOT / "packaging/vitalsd.yaml", "--check")
    assert (p.returncode, p.stderr) == (0, "")


def test_a_limit_beyond_the_outer_bounds_is_refused(tmp_path):
    (tmp_path / "limits.yaml").write_text(
        "sets:\n  - name: loose\n    extends: ketamine-adult\n    rules:\n      - { id: sbp-hi-crit, limit: 240 }\n")
    file = tmp_path / "vitalsd.yaml"
    file.write_text((ROOT / "packaging/vitalsd.yaml").read_text().replace("# limit_files:", "limit_files:"))
    p = run("--config", file, "--check")
    assert p.returncode == 78
    assert p.stderr == f"{tmp_path}/limits.yaml:5: limit 240 of nibp_sys is looser than any set may be; it must be at most 220\n"


def test_no_such_file_and_no_file_at_all(tmp_path):
    assert run("--config", tmp_path / "nowhere.yaml", "--check").returncode == 78
    assert run("--config", tmp_path, "--check").returncode == 78
    assert run("--check").returncode == 2


def test_every_program_that_reads_a_configuration_says_what_is_wrong_with_it(tmp_path):
    file = tmp_path / "vitalsd.yaml"
    file.write_text((ROOT / "packaging/vitalsd.yaml").read_text().replace("site:", "sitte:"))
    for words in (["status"], ["entry", "--chair", "chair-1", "note", "x"], ["alarm", "list"], ["watch"], ["audit", "verify"]):
        p = subprocess.run([VITALSCTL, *words, "--config", file], capture_output=True, text=True, timeout=PATIENCE)
        assert p.returncode == 78 and "unknown key `sitte`; did you mean `site`?" in p.stderr, (words, p)


@pytest.fixture
def monitor():
    m = ModbusMonitor()
    m.set("input", 0, [121, 79, 93])
    m.set("input", 9, [1])
    m.set("holding", 0, [97, 72])
    yield m
    m.stop()


def chair(monitor, name="chair-1", **more):
    return {"id": name, "limits": "ketamine-adult", "devices": [bp_device(monitor.port), oximeter_device(monitor.port)], **more}


def test_reload_refuses_the_wrong_and_keeps_what_did_not_change(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    s.wait("vitals", device="bp")
    s.wait("vitals", device="oximeter")
    good = d.config.read_text()
    connecting = len(s.bodies("device", chair="chair-1"))

    d.config.write_text(good.replace('"ketamine-adult"', '"no-such-set"'))
    d.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: "no-such-set" in d.said()), d.said()
    before = len(s.bodies("vitals", device="bp"))
    assert wait_for(lambda: len(s.bodies("vitals", device="bp")) > before + 2)

    config = json.loads(good)
    config["chairs"].append(chair(monitor, "chair-2"))
    d.config.write_text(json.dumps(config))
    d.process.send_signal(signal.SIGHUP)
    s.wait("vitals", chair="chair-2", device="bp")
    assert len(s.bodies("device", chair="chair-1")) == connecting  # its connections were not touched


def test_a_chair_that_goes_and_comes_back_goes_on_counting(daemon, monitor):
    """A number stands for one message only: what repeats one would be left out of the record."""
    d = daemon([chair(monitor), chair(monitor, "chair-2")]).start()
    s = d.subscribe()
    s.wait("vitals", chair="chair-2", device="bp")
    both = d.config.read_text()
    config = json.loads(both)
    config["chairs"].pop()
    d.config.write_text(json.dumps(config))
    d.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: len(d.ask({"op": "snapshot"})["chairs"]) == 1)
    gone = len(s.bodies("vitals", chair="chair-2"))
    d.config.write_text(both)
    d.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: len(s.bodies("vitals", chair="chair-2")) > gone + 3)
    assert d.stop() == 0
    heard = [b for _, b in s.all() if b["chair"] == "chair-2" and b["kind"] != "alive"]
    numbers = [(b["kind"], b["seq"]) for b in heard]
    assert len(set(numbers)) == len(numbers)
    rows = {(r["kind"], r["seq"]): json.loads(r["body"]) for r in d.sql("select * from audit_event where chair = 'chair-2'")}
    assert all(rows[b["kind"], b["seq"]] == b for b in heard)


FEW = """
sets:
  - name: few
    rules:
      - { id: device-offline, type: device-offline, steps: [ { to: low, after: 3s } ], text: "{device} is silent" }
  - name: many
    extends: ketamine-adult
    rules:
      - { id: device-offline, type: device-offline, steps: [ { to: low, after: 3s } ], text: "{device} is silent" }
"""


def test_a_reload_that_takes_a_device_away_ends_its_alarm_and_no_other(daemon, monitor, tmp_path):
    """The device that stays has another place in the list, and the set more rules than the chair had room for."""
    (tmp_path / "limits.yaml").write_text(FEW)
    dead, gone = (oximeter_device(free_port()) | {"id": name} for name in ("dead", "gone"))
    chairs = [{"id": "chair-1", "limits": "few", "devices": [gone, dead, bp_device(monitor.port)]}]
    d = daemon(chairs, limit_files=[str(tmp_path / "limits.yaml")]).start()
    s = d.subscribe("alarm/")
    first = s.wait("alarm", device="gone", change="raised")
    stays = s.wait("alarm", device="dead", change="raised")
    chairs[0].update(limits="many", devices=[dead, bp_device(monitor.port)])
    d.configure(chairs, limit_files=[str(tmp_path / "limits.yaml")])
    d.process.send_signal(signal.SIGHUP)
    assert s.wait("alarm", change="cleared")["alarm"] == first["alarm"]
    monitor.set("input", 0, [152, 112, 126])
    monitor.set("input", 9, [2])
    s.wait("alarm", rule="dbp-hi-crit", change="raised")
    standing = {(a["rule"], a["device"]): a["alarm"] for a in d.ask({"op": "snapshot"})["chairs"][0]["alarms"]}
    assert standing["device-offline", "dead"] == stays["alarm"] and ("device-offline", "bp") not in standing
    assert {b["device"] for b in s.bodies("alarm", rule="device-offline")} == {"gone", "dead"}


def test_every_event_fits_the_schema(daemon, monitor):
    schema = json.loads((ROOT / "schema/event.schema.json").read_text())
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    s.wait("vitals", device="bp")
    for pressure in (150, 170, 184):
        cuff(d, monitor, pressure, pressure - 70, pressure - 45)
    monitor.set("holding", 0, [0, 0])  # no saturation, no pulse: a technical alarm follows
    s.wait("alarm", rule="sbp-hi-crit")
    d.ctl("session", "start", "--chair", "chair-1", "--patient", "p-1", "--protocol", "P2", "--weight", "70", "--operator", "anna")
    d.ctl("entry", "--chair", "chair-1", "pain", "4", "--note", "lower back", "--operator", "anna")
    s.wait("alive")
    d.config.write_text(d.config.read_text().replace('"poll": "', '"poll": "1'))  # other devices: they come online anew
    d.process.send_signal(signal.SIGHUP)
    wait_for(lambda: not {"vitals", "alarm", "session", "entry", "device", "alive"} - {b["kind"] for _, b in s.messages()})
    messages = s.messages()
    validator = jsonschema.Draft202012Validator(schema)
    for topic, body in messages:
        assert topic == f"{body['kind']}/{body['chair']}"
        assert [e.message for e in validator.iter_errors(body)] == [], body
    assert {"vitals", "alarm", "session", "entry", "device", "alive"} <= {b["kind"] for _, b in messages}
