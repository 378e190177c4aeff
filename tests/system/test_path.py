"""The whole path on the real programs: monitor -> alarm -> log -> subscriber."""
import json
import os
import signal
import socket
import struct
import subprocess
import time

import pytest

from house import PATIENCE, VITALSCTL, VITALSD, free_port, wait_for
from monitors import ModbusMonitor, bp_device, cuff, oximeter_device, raise_pressure


@pytest.fixture
def monitor():
    m = ModbusMonitor()
    m.set("input", 0, [121, 79, 93])
    m.set("input", 9, [1])
    m.set("holding", 0, [97, 72])
    yield m
    m.stop()


def chair(monitor, name="chair-1", **more):
    return {"id": name, "limits": "ketamine-adult",
            "devices": [bp_device(monitor.port), oximeter_device(monitor.port)], **more}


def test_pressure_rises_alarm_comes_and_goes_and_is_recorded(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    s.wait("vitals", device="bp")
    cuff(d, monitor, 124, 80, 95)
    vitals = s.wait("vitals", device="bp", values={"nibp_sys": 124, "nibp_dia": 80, "nibp_map": 95})
    assert (vitals["v"], vitals["site"], vitals["chair"], vitals["session"]) == (1, "test-clinic", "chair-1", None)
    raise_pressure(d, monitor)
    raised = s.wait("alarm", rule="sbp-hi-crit", change="raised")
    assert raised["priority"] == "high" and raised["state"] == "active" and raised["signal"] == "on"
    assert raised["value"] == 184 and raised["limit"] == 180 and raised["unit"] == "mm[Hg]"
    assert raised["direction"] == "high" and raised["metric"] == "nibp_sys" and raised["text"].startswith("***")

    listed = d.ctl_json("alarm", "list")
    assert raised["alarm"] in [a["alarm"] for a in listed["alarms"]]
    cuff(d, monitor, 150, 92, 110)
    latched = s.wait("alarm", rule="sbp-hi-crit", change="latched")
    assert latched["alarm"] == raised["alarm"] and latched["state"] == "latched"
    d.ctl("alarm", "ack", "--chair", "chair-1", raised["alarm"], "--operator", "anna")
    cleared = s.wait("alarm", alarm=raised["alarm"], change="cleared")
    assert cleared["state"] == "cleared"

    rows = wait_for(lambda: [r for r in d.sql("select * from audit_alarm where rule='sbp-hi-crit'") if r["cleared_at"]])
    assert rows[0]["alarm"] == raised["alarm"] and rows[0]["acknowledged_by"] == "anna"
    assert rows[0]["value"] == 184 and rows[0]["limit_value"] == 180
    assert d.stop() == 0, d.said()


def test_what_is_published_is_numbered_without_gaps_and_stands_in_the_log_as_published(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    raise_pressure(d, monitor)
    s.wait("alarm", rule="sbp-hi-crit")
    signs = len(s.bodies("alive"))
    assert wait_for(lambda: len(s.bodies("alive")) > signs + 1), "and a second more"
    assert d.stop() == 0
    heard = s.all()
    by_topic = {}
    for topic, body in heard:
        by_topic.setdefault(topic, []).append(body)
    assert set(by_topic) >= {"vitals/chair-1", "alarm/chair-1", "alive/chair-1"}
    for topic, bodies in by_topic.items():
        numbers = [b["seq"] for b in bodies]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), topic
    logged = {(r["kind"], r["seq"]): json.loads(r["body"])
              for r in d.sql("select kind, seq, body from audit_event where epoch = (select max(epoch) from audit_event)")}
    for topic, bodies in by_topic.items():
        if not topic.startswith("alive/"):
            for b in bodies:
                assert logged[b["kind"], b["seq"]] == b
    # ... and everything in the log has numbers from 1 without a gap.
    for kind in {k for k, _ in logged}:
        numbers = sorted(n for k, n in logged if k == kind)
        assert numbers == list(range(1, len(numbers) + 1)), kind


def test_probe_off_is_no_value_with_its_reason_and_never_a_number(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe("vitals/")
    s.wait("vitals", device="oximeter", values={"spo2": 97, "pr": 72})
    monitor.set("discrete", 3, [True])
    assert wait_for(lambda: [v for v in s.bodies("vitals", device="oximeter") if not v["values"]])
    last = [v for v in s.bodies("vitals", device="oximeter") if not v["values"]][0]
    assert "spo2:probe_off" in last["flags"] and "pr:probe_off" in last["flags"]
    monitor.set("holding", 0, [0, 72])
    monitor.set("discrete", 3, [False])
    assert s.wait("vitals", device="oximeter", values={"pr": 72})["flags"] == ["spo2:no_value"]


def test_an_old_cuff_reading_is_not_shown_as_new(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe("vitals/")
    first = s.wait("vitals", device="bp")

    def with_values():
        return [v for v in s.bodies("vitals", device="bp") if v["values"]]

    def polled(times):
        seen = len(s.bodies("vitals", device="bp"))
        assert wait_for(lambda: len(s.bodies("vitals", device="bp")) >= seen + times)
    polled(5)
    before = len(with_values())
    assert before <= 1 and all(v["seq"] <= first["seq"] + 1 for v in with_values())
    monitor.measures(121, 79, 93)  # an equal one, but new
    assert wait_for(lambda: len(with_values()) == before + 1)
    polled(5)
    assert len(with_values()) == before + 1


def test_kill_9_at_any_moment_loses_nothing_that_was_published(daemon, monitor):
    d = daemon([chair(monitor)])
    heard = []
    for n in range(6):
        d.start()
        s = d.subscribe()
        epoch = s.wait("alive")["epoch"]
        monitor.measures(150 + n, 92, 110)
        assert wait_for(lambda: len(s.bodies("vitals", epoch=epoch)) > 9)
        monitor.measures(184, 101, 127)
        time.sleep(0.31 + 0.13 * n)
        d.kill()
        heard += s.all()
    d.start()
    d.stop()
    logged = {(r["epoch"], r["kind"], r["seq"]): json.loads(r["body"]) for r in d.sql("select * from audit_event")}
    kept = [b for _, b in heard if b["kind"] != "alive"]
    for b in kept:
        assert logged.get((b["epoch"], b["kind"], b["seq"])) == b
    epochs = sorted({b["epoch"] for b in kept})
    assert epochs == list(range(epochs[0], epochs[0] + 6))


def test_an_alarm_and_its_acknowledgement_outlive_kill_9(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe("alarm/")
    assert wait_for(lambda: d.ctl_json("status")["chairs"][0]["values"].get("nibp_sys"))
    raise_pressure(d, monitor)
    alarm = s.wait("alarm", rule="sbp-hi-crit", change="raised")["alarm"]
    d.ctl("alarm", "ack", "--chair", "chair-1", alarm, "--operator", "anna")
    took = []
    for _ in range(3):
        d.kill()
        began = time.monotonic()
        d.start()
        took.append(time.monotonic() - began)
        standing = {a["alarm"]: a for a in d.ctl_json("alarm", "list")["alarms"]}
        assert standing[alarm]["state"] == "active" and standing[alarm]["signal"] == "acknowledged"
        assert standing[alarm]["rule"] == "sbp-hi-crit"
    assert min(took) < 2.0, "once of three times the machine had nothing else to do"


def test_a_peer_that_sends_to_the_pub_socket_costs_at_most_the_publisher_for_a_moment(daemon, monitor):
    port = free_port()
    d = daemon([chair(monitor)], publish={"events": [f"tcp://127.0.0.1:{port}"], "query": [f"tcp://127.0.0.1:{free_port()}"]})
    d.events = f"tcp://127.0.0.1:{port}"
    d.start()
    s = d.subscribe()
    subprocess.run(["timeout", "1", "nanocat", "--pub", "--connect", d.events, "--data", "x", "--interval", "1"],
                   capture_output=True)
    subprocess.run(["timeout", "1", "nanocat", "--push", "--connect", d.events, "--data", "x"], capture_output=True)
    assert d.process.poll() is None
    before = len(s.bodies("vitals"))
    assert wait_for(lambda: len(s.bodies("vitals")) > before), "it does not go on"
    raise_pressure(d, monitor)
    s.wait("alarm", rule="sbp-hi-crit", change="raised")
    for topic in ("vitals/chair-1", "alarm/chair-1"):
        seqs = [b["seq"] for t, b in s.messages() if t == topic]
        assert seqs == sorted(set(seqs))


def test_a_silent_monitor_is_an_alarm_and_its_old_value_looks_old(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    monitor.stop()
    monitor.stop = lambda: None
    raised = s.wait("alarm", rule="device-offline", change="raised")
    assert raised["class"] == "technical" and raised["device"] in ("bp", "oximeter") and raised["priority"] == "low"
    assert wait_for(lambda: d.ask({"op": "snapshot"})["chairs"][0]["values"]["spo2"]["value"] is None)
    snap = d.ask({"op": "snapshot"})
    spo2 = snap["chairs"][0]["values"]["spo2"]
    assert "stale" in spo2["flags"] and spo2["last_value"] == 97, spo2
    assert {x["status"] for x in snap["chairs"][0]["devices"]} <= {"offline", "no-signal"}


def test_snapshot_and_replay_answer_and_nonsense_is_refused_in_words(daemon, monitor):
    d = daemon([chair(monitor), chair(monitor, "chair-2")]).start()
    s = d.subscribe()
    last = s.wait("alive", chair="chair-1")
    s.wait("vitals", device="bp")
    snap = d.ask({"op": "snapshot"})
    assert snap["ok"] and snap["site"] == "test-clinic" and [c["chair"] for c in snap["chairs"]] == ["chair-1", "chair-2"]
    one = d.ask({"op": "snapshot", "chair": "chair-1"})["chairs"]
    assert len(one) == 1 and one[0]["values"]["nibp_sys"]["unit"] == "mm[Hg]" and one[0]["last"]["vitals"] >= 1
    back = d.ask({"op": "replay", "chair": "chair-1", "kind": "vitals", "epoch": snap["epoch"], "after": 0, "limit": 3})
    assert back["ok"] and [e["seq"] for e in back["events"]] == [1, 2, 3] and back["more"] is True
    assert last["last"]["vitals"] >= 0
    for nonsense in ("hello", "{}", '{"op":"drop table"}', '{"op":"snapshot","chair":"chair-9"}', "[" * 5000,
                     '{"op":"replay","chair":"chair-1","kind":"vitals","epoch":-1,"after":"x"}', "\x01\x02"):
        answer = d.ask(nonsense)
        assert answer["ok"] is False and isinstance(answer["error"], str) and len(answer["error"]) > 5, nonsense
    assert d.ask({"op": "snapshot"})["ok"]


def test_reload_touches_only_what_changed(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    touched = [b for b in s.bodies("device", chair="chair-1", device="oximeter")]
    changed = chair(monitor)
    changed["devices"][0]["poll"] = "400ms"
    second = {"id": "chair-2", "limits": "ketamine-adult", "devices": [oximeter_device(monitor.port)]}
    d.configure([changed, second])
    d.process.send_signal(signal.SIGHUP)
    s.wait("vitals", chair="chair-2")
    assert s.bodies("device", chair="chair-1", device="oximeter") == touched, "the oximeter was not touched"
    d.config.write_text("site: 7\nchairs: nonsense\nwhat: is this\n")
    d.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: f"{d.config}:3:" in d.said())
    before = len(s.bodies("vitals", chair="chair-1"))
    assert wait_for(lambda: len(s.bodies("vitals", chair="chair-1")) > before + 3)
    assert d.stop() == 0


def test_a_configuration_wrong_in_many_ways_is_refused_with_every_finding(tmp_path):
    f = tmp_path / "bad.yaml"
    f.write_text("""site: clinic
log: { path: /tmp/x.db }
publish: { events: [ "udp://1.2.3.4:5" ], query: [ "ipc:///tmp/q" ] }
control: /tmp/c
chairs:
  - id: Chair_1
    limits: no-such-set
    devices:
      - id: bp
        plugin: modbus
        tcp: { host: 127.0.0.1, port: 70000 }
        unit: 300
        poll: 5 parsecs
        registers:
          - { metric: blood, table: input, address: 0, type: u16 }
          - { metric: spo2, table: attic, address: 0, type: u17 }
      - id: bp
        plugin: no-such-plugin
        serial: { path: /dev/null }
        colour: blue
""")
    p = subprocess.run([VITALSD, "--config", f, "--check"], capture_output=True, text=True)
    assert p.returncode == 78
    lines = {int(x.split(":")[1]) for x in p.stderr.splitlines() if x.startswith(f"{f}:")}
    assert lines >= {3, 6, 7, 11, 12, 13, 15, 16, 18, 20}, p.stderr
    assert subprocess.run([VITALSD], capture_output=True).returncode == 2
    assert subprocess.run([VITALSCTL, "dance"], capture_output=True).returncode == 2


def test_the_log_cannot_be_written_for_a_while(daemon, monitor):
    """Somebody holds the database locked: alarms go on, it is said, nothing is missing afterwards."""
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    s.wait("vitals", device="oximeter")
    locker = subprocess.Popen(["sqlite3", d.log], stdin=subprocess.PIPE, text=True)
    locker.stdin.write(".timeout 60000\nbegin exclusive;\n")
    locker.stdin.flush()
    s.wait("alarm", rule="log-fail", change="raised")
    raise_pressure(d, monitor)
    alarm = s.wait("alarm", rule="sbp-hi-crit", change="raised")
    locker.stdin.write("rollback;\n.quit\n")
    locker.stdin.close()
    locker.wait(PATIENCE)
    s.wait("alarm", rule="log-fail", change="cleared")
    assert wait_for(lambda: d.sql(f"select * from audit_alarm where alarm='{alarm['alarm']}'"))
    assert d.stop() == 0
    numbers = [r["seq"] for r in d.sql("select seq from audit_event where kind='vitals' order by seq")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_session_commands_and_entries_reach_log_and_subscriber(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    d.ctl("session", "start", "--chair", "chair-1", "--patient", "P-0042", "--protocol", "P1", "--weight", "70",
          "--operator", "anna")
    opened = s.wait("session", phase="screening")
    assert opened["patient"] == "P-0042" and opened["operator"] == "anna" and opened["session"]
    d.ctl("entry", "--chair", "chair-1", "pain", "6", "--note", "left knee", "--operator", "ben")
    entry = s.wait("entry", entry="pain")
    assert entry["value"] == 6 and entry["operator"] == "ben" and entry["note"] == "left knee"
    refused = d.ctl("session", "phase", "--chair", "chair-1", "infusion", "--operator", "anna", check=False)
    assert refused.returncode == 1 and refused.stderr
    shown = d.ctl_json("session", "show", "--chair", "chair-1")
    assert shown["session"] == opened["session"] and shown["phase"] == "screening"
    assert wait_for(lambda: d.sql("select * from audit_session where patient='P-0042'"))
    show = subprocess.run([VITALSCTL, "audit", "sessions", "--log", d.log], capture_output=True, text=True)
    assert show.returncode == 0 and "P-0042" in show.stdout


def test_control_clients_that_misbehave_hurt_nobody(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    hangers = []
    for _ in range(80):
        c = socket.socket(socket.AF_UNIX)
        c.connect(str(d.control))
        try:
            c.send(b'{"op":"snap')
        except OSError:
            pass
        hangers.append(c)
    for c in hangers:
        c.close()
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(str(d.control))
        c.settimeout(PATIENCE)
        try:
            c.sendall(os.urandom(200_000))
            while c.recv(65536):
                pass
        except OSError:
            pass
    assert d.ctl_json("status")["ok"]
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(str(d.control))
        c.sendall(b"[]\nnull\n{}\n{\"op\":5}\n")
        f = c.makefile()
        for _ in range(4):
            assert json.loads(f.readline())["ok"] is False


def test_what_each_role_may_do_and_that_a_refusal_is_recorded(daemon, monitor):
    d = daemon([chair(monitor)], operators=[
        {"name": "anna", "role": "nurse"}, {"name": "otto", "role": "auditor"},
        {"name": "uwe", "role": "nurse", "uid": os.getuid() + 1}]).start()
    start = ("session", "start", "--chair", "chair-1", "--patient", "P-1", "--protocol", "P1", "--weight", "70")
    for who, words in (("otto", "auditor"), ("mallory", "no operator"), ("uwe", "login of his own")):
        p = d.ctl(*start, "--operator", who, check=False)
        assert p.returncode == 1 and words in p.stderr, p.stderr
    assert d.ctl("status", "--operator", "otto").returncode == 0
    d.ctl(*start, "--operator", "anna")
    p = d.ctl("session", "phase", "--chair", "chair-1", "infusion", "--operator", "anna", check=False)
    assert p.returncode == 1
    refusals = wait_for(lambda: [r for r in map(lambda x: json.loads(x["body"]),
                                               d.sql("select body from audit_event where kind='entry' order by seq"))
                                 if r["entry"] == "refused"][3:])
    assert refusals and refusals[0]["operator"] == "anna" and refusals[0]["uid"] == os.getuid()
    assert refusals[0]["value"] == "session-phase infusion"


def test_a_publisher_that_hangs_is_noticed_and_started_again(daemon, monitor):
    d = daemon([chair(monitor)]).start()
    s = d.subscribe()
    s.wait("alive")
    publisher = int(subprocess.run(["pgrep", "-P", str(d.process.pid)], capture_output=True, text=True).stdout)
    os.kill(publisher, signal.SIGSTOP)
    assert wait_for(lambda: "sent nothing for 3 s" in d.said())
    before = len(s.bodies("alive"))
    assert wait_for(lambda: len(s.bodies("alive")) > before + 1)
    assert d.process.poll() is None


SO_TIMESTAMP = 29  # Linux: each message comes with the time at which it was sent


def test_the_watchdog_is_fed_from_the_far_end_of_the_path(daemon, monitor, tmp_path):
    d = daemon([chair(monitor)])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
        n.bind(str(tmp_path / "notify"))
        n.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
        n.settimeout(PATIENCE)
        d.process = subprocess.Popen([VITALSD, "--config", d.config], stderr=open(d.stderr, "ab"), env={
            **os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "5000000"})
        heard, fed = [], []

        def hears():
            """One more message; when it was fed, as the kernel knows: however late the test comes to read it."""
            data, (stamp,), _, _ = n.recvmsg(4096, 256)
            heard.extend(data.decode().split("\n"))
            if b"WATCHDOG=1" in data:
                fed.append(sum(x * y for x, y in zip(struct.unpack("qq", stamp[2]), (1, 1e-6))))
        while len(fed) < 3:
            hears()
        assert "READY=1" in heard
        publisher = int(subprocess.run(["pgrep", "-P", str(d.process.pid)], capture_output=True, text=True).stdout)
        os.kill(publisher, signal.SIGSTOP)
        assert wait_for(lambda: "sent nothing for 3 s" in d.said())
        back = time.time()
        while fed[-1] < back:  # another publisher is there
            hears()
        assert max(b - a for a, b in zip(fed, fed[1:])) > 2.5, "fed although nothing was sent any more"
        d.process.send_signal(signal.SIGTERM)
        assert d.process.wait(PATIENCE) == 0
        while "STOPPING=1" not in heard:
            hears()


def fill(path):
    """Writes to a datagram socket that nobody reads until it takes no more; several senders, each with its own buffer."""
    import socket
    full = False
    while not full:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            for n in range(100000):
                try:
                    s.sendto(b"X_FILL=1", str(path))
                except BlockingIOError:
                    full = n == 0
                    break


def test_a_service_manager_that_reads_nothing_holds_nothing_up(daemon, monitor, tmp_path):
    """sd_notify() waits for room; ten messages on a plain kernel, and the daemon stood still with its alarms."""
    import socket
    d = daemon([chair(monitor)])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
        n.bind(str(tmp_path / "notify"))
        n.settimeout(PATIENCE)
        d.process = subprocess.Popen([VITALSD, "--config", d.config], stderr=open(d.stderr, "ab"), env={
            **os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")})
        while "READY=1" not in n.recv(4096).decode():
            pass
        fill(tmp_path / "notify")
        s = d.subscribe()
        d.process.send_signal(signal.SIGHUP)
        assert wait_for(lambda: "the new configuration is in force" in d.said())
        before = len(s.bodies("alive"))
        assert wait_for(lambda: len(s.bodies("alive")) > before + 2)  # the loop goes on
        assert d.ask({"op": "snapshot"})["ok"]
        said = []
        while "READY=1" not in said:  # nothing is lost: it comes as soon as there is room, in its order
            said += n.recv(4096).decode().split("\n")
        assert "RELOADING=1" in said and "STATUS=watching with the new configuration" in said
        fill(tmp_path / "notify")
        d.process.send_signal(signal.SIGTERM)
        assert d.process.wait(PATIENCE) == 0


def test_a_reader_of_stderr_who_is_stuck_holds_nothing_up(daemon, monitor):
    d = daemon([chair(monitor)])
    reader, writer = os.pipe()
    try:
        d.process = subprocess.Popen([VITALSD, "--config", d.config], stderr=writer)
        s = d.subscribe()
        s.wait("alive")
        os.set_blocking(writer, False)  # only to find out when it is full; the daemon's end is the same pipe
        full = 0
        try:
            while True:
                full += os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        d.config.write_text("chairs: 5\n")
        d.process.send_signal(signal.SIGHUP)
        before = len(s.bodies("alive"))
        assert wait_for(lambda: len(s.bodies("alive")) > before + 2)
        while full > 0:
            full -= len(os.read(reader, 4096))
    finally:
        os.close(writer)
        d.stop()
    rest = os.fdopen(reader, "rb").read().decode()
    assert "found no room here and are lost\n" in rest, rest


def test_a_reload_makes_nothing_ready_that_is_not(daemon, monitor, tmp_path):
    """READY=1 says that every endpoint is bound; a configuration that is read again binds none."""
    import socket
    d = daemon([chair(monitor)])
    port = free_port()
    d.configure([chair(monitor)], publish={"events": [f"tcp://127.0.0.1:{port}"], "query": [d.query]})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n, socket.create_server(("127.0.0.1", port)) as other:
        n.bind(str(tmp_path / "notify"))
        n.settimeout(PATIENCE)
        d.process = subprocess.Popen([VITALSD, "--config", d.config], stderr=open(d.stderr, "ab"), env={
            **os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert wait_for(lambda: f"tcp://127.0.0.1:{port}" in d.said())
        d.process.send_signal(signal.SIGHUP)
        first = n.recv(4096).decode()
        assert "STATUS=" in first and "READY=1" not in first
        other.close()
        said = ""
        while "READY=1" not in said:
            said = n.recv(4096).decode()


def test_an_alarm_whose_device_is_taken_out_while_the_daemon_is_down_is_told_as_ended(daemon, monitor):
    d = daemon([chair(monitor)])
    own = d.folder / "own.yaml"
    own.write_text("sets:\n  - name: own\n    extends: ketamine-adult\n    rules:\n"
                   "      - { id: my-spo2, metric: spo2, when: above, limit: 90, priority: medium, text: \"mine\" }\n")
    with_own = [dict(chair(monitor), limits="own")]
    d.configure(with_own, limit_files=["own.yaml"])
    d.start()
    assert wait_for(lambda: [a for a in d.ctl_json("alarm", "list")["alarms"] if a["rule"] == "my-spo2"])
    alarm = [a for a in d.ctl_json("alarm", "list")["alarms"] if a["rule"] == "my-spo2"][0]["alarm"]
    d.stop()
    d.configure([chair(monitor)])
    d.start()
    assert alarm not in [a["alarm"] for a in d.ctl_json("alarm", "list")["alarms"]]
    assert wait_for(lambda: [r for r in d.sql(f"select cleared_at from audit_alarm where alarm='{alarm}'") if r["cleared_at"]])


def test_a_socket_takes_the_place_of_a_dead_socket_and_of_nothing_else(daemon, monitor):
    """A file that stands where a socket is to be is somebody's: nanomsg would remove it, or abort at a folder."""
    d = daemon([chair(monitor)])
    file, folder = d.folder / "notes.txt", d.folder / "folder"
    file.write_text("not ours")
    folder.mkdir()
    d.configure([chair(monitor)], control=str(file))
    p = subprocess.run([VITALSD, "--config", d.config], capture_output=True, text=True, timeout=PATIENCE)
    assert p.returncode == 1 and f"{file}: something that is no socket stands there; move it away" in p.stderr
    d.configure([chair(monitor)], control=str(d.folder / "nowhere" / "c.sock"))
    p = subprocess.run([VITALSD, "--config", d.config], capture_output=True, text=True, timeout=PATIENCE)
    assert p.returncode == 1 and "there is no such folder; make it" in p.stderr
    for place in (file, folder):
        d.configure([chair(monitor)], publish={"events": [f"ipc://{place}"], "query": [d.query]})
        d.process = subprocess.Popen([VITALSD, "--config", d.config], stderr=open(d.stderr, "ab"))
        assert wait_for(lambda: f"cannot bind ipc://{place}: something that is no socket stands there" in d.said())
        assert d.stop() == 0
    assert file.read_text() == "not ours" and folder.is_dir()
    assert "libnanomsg" not in d.said()


def test_what_is_asked_for_before_there_is_a_loop_is_done_by_it(daemon, monitor):
    """`systemctl reload` or `stop` right behind the start: no death by the signal, and no deaf daemon."""
    d = daemon([chair(monitor)])

    def pending(*numbers):
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for number in numbers:
            os.kill(os.getpid(), number)

    d.process = subprocess.Popen([VITALSD, "--config", d.config], stderr=open(d.stderr, "ab"),
                                 preexec_fn=lambda: pending(signal.SIGHUP))
    assert wait_for(lambda: "the new configuration is in force: 1 chair\n" in d.said())
    assert d.stop() == 0
    d.process = subprocess.Popen([VITALSD, "--config", d.config], stderr=open(d.stderr, "ab"),
                                 preexec_fn=lambda: pending(signal.SIGTERM))
    assert d.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("closed", ["0<&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_it_runs_without_the_three_standard_files(daemon, monitor, closed):
    """The first files that it opens would be 0, 1 and 2: what is said would be written into them, and closing them aborts."""
    d = daemon([chair(monitor)]).start(wrap=["sh", "-c", f'exec "$@" {closed}', "sh"])
    d.subscribe().wait("vitals", device="bp")
    assert d.stop() == 0


def test_a_limit_on_the_size_of_files_is_said_and_kills_nobody(daemon, monitor):
    d = daemon([chair(monitor)])
    p = subprocess.run(["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", VITALSD, "--config", d.config], capture_output=True, text=True,
                       timeout=PATIENCE)
    assert p.returncode == 1 and "cannot be opened: File too large" in p.stderr


def test_localhost_is_an_address_to_bind_and_another_name_is_told(daemon, monitor):
    """nanomsg binds addresses and interfaces, and says 'No such device' of a name."""
    import socket
    d = daemon([chair(monitor)])
    port = free_port()
    d.configure([chair(monitor)], publish={"events": [f"tcp://localhost:{port}"], "query": [d.query]})
    d.start()
    socket.create_connection(("127.0.0.1", port)).close()
    d.stop()
    d.configure([chair(monitor)], publish={"events": [f"tcp://station.invalid:{port}"], "query": [d.query]})
    d.process = subprocess.Popen([VITALSD, "--config", d.config], stderr=open(d.stderr, "ab"))
    assert wait_for(lambda: f"cannot bind tcp://station.invalid:{port}: that is no address of this machine; write 127.0.0.1" in d.said())
    assert d.stop() == 0


def test_whoever_watches_by_the_configuration_finds_what_is_bound_on_every_card(daemon, monitor):
    d = daemon([chair(monitor)])
    d.configure([chair(monitor)], publish={"events": [f"tcp://*:{free_port()}"], "query": [f"tcp://*:{free_port()}"]})
    d.start()
    with subprocess.Popen([VITALSCTL, "watch", "--config", d.config, "--json"], stdout=subprocess.PIPE, text=True) as watch:
        first = watch.stdout.readline()
        watch.terminate()
    assert json.loads(first)["chair"] == "chair-1"
