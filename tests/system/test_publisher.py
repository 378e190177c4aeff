"""The publisher process: every event, in order, whatever strangers send and whoever dies."""
import json
import os
import random
import signal
import socket
import subprocess
import time

import pytest

from house import PATIENCE
from synthetic import Synthetic, Watch, alive, wait_for


@pytest.fixture
def synthetic(tmp_path):
    made = []

    def make(**more):
        s = Synthetic(tmp_path, **more)
        made.append(s)
        return s.start()
    yield make
    for s in made:
        s.end()


def connected(s, subscriber):
    """A subscriber is connected when something has come, be it a sign of life."""
    assert wait_for(lambda: (s.commit("device"), time.sleep(0.05), subscriber.lines())[-1])


def numbers(subscriber, kind):
    return [b["seq"] for b in subscriber.bodies(kind)]


def send_as_subscriber(port, payload):
    """What kills a process that owns a PUB socket: a peer that says it is a subscriber, and sends."""
    with socket.create_connection(("127.0.0.1", port)) as c:
        c.sendall(b"\0SP\0\0\x21\0\0")
        c.recv(8)
        c.sendall(len(payload).to_bytes(8, "big") + payload)
        c.settimeout(PATIENCE)
        try:
            while c.recv(4096):
                pass  # what is published just then goes to everybody
            return True
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False


def test_messages_come_on_every_url_in_order_and_the_query_socket_knows_them(synthetic):
    s = synthetic()
    tcp, ipc = s.subscribe(url=s.tcp), s.subscribe("alarm/chair-1 ")
    connected(s, tcp), connected(s, ipc)
    s.commit("alarm", 50)
    s.commit("alarm", 5, "chair-10")
    s.commit("vitals", 50)
    assert wait_for(lambda: numbers(tcp, "vitals") == list(range(1, 51)))
    assert [b["seq"] for b in tcp.bodies("alarm", chair="chair-1")] == list(range(1, 51))
    assert wait_for(lambda: numbers(ipc, "alarm") == list(range(1, 51)))
    assert {b["chair"] for b in ipc.bodies("alarm")} == {"chair-1"}  # the space ends the topic
    answer = s.replay("alarm", 1)
    assert answer["ok"] and not answer["more"]
    assert answer["events"] == tcp.bodies("alarm", chair="chair-1")
    assert [c["chair"] for c in s.ask({"op": "snapshot"})["chairs"]] == ["chair-1", "chair-10"]
    assert [c["chair"] for c in s.ask({"op": "snapshot", "chair": "chair-10"})["chairs"]] == ["chair-10"]


def test_replay_holds_at_once_and_is_what_was_published_before_and_after_the_commit(synthetic):
    s = synthetic()
    heard = s.subscribe()
    connected(s, heard)
    for last in (3, 6, 9):
        s.commit("alarm", 3)
        s.commit("vitals", 3)
        for kind in ("alarm", "vitals"):  # at once: the log commits up to 250 ms later
            assert [e["seq"] for e in s.replay(kind, 1)["events"]] == list(range(1, last + 1))
        assert wait_for(lambda: s.sql(s.log, "SELECT count(*) FROM audit_event WHERE kind = 'vitals'") == str(last))
    assert wait_for(lambda: len(numbers(heard, "vitals")) == 9)
    for kind in ("alarm", "vitals"):
        assert s.replay(kind, 1)["events"] == heard.bodies(kind)
    page = s.replay("alarm", 1, after=2, limit=4)
    assert [e["seq"] for e in page["events"]] == [3, 4, 5, 6] and page["more"] is True
    assert s.replay("alarm", 1, after=5, limit=4)["more"] is False
    assert s.replay("alarm", 2)["events"] == []


def test_replay_goes_from_file_to_file(synthetic):
    """The log goes on in a new file in the midst of what is asked for, twice: no number is missing or given twice, whoever asks for how
    many, also of the publisher that was there before the new file and of one that comes after it."""
    s = synthetic(rotate=4096)  # each file is larger as soon as it is made
    heard = s.subscribe()
    connected(s, heard)
    seams = {"vitals": [], "alarm": []}
    for _ in range(2):
        s.commit("vitals", 120)
        s.commit("alarm", 25)
        for kind, at in seams.items():
            at.append(s.replay(kind, 1)["events"][-1]["seq"])
        s.begin_file()
    s.commit("vitals", 120)
    s.commit("alarm", 25)
    assert seams == {"vitals": [120, 240], "alarm": [25, 50]}

    assert wait_for(lambda: [len(numbers(heard, kind)) for kind in seams] == [360, 75])
    published = {kind: heard.bodies(kind) for kind in seams}

    def ask_all(pages):
        for kind, messages in published.items():
            answer = s.replay(kind, 1)
            assert answer["events"] == messages and answer["more"] is False
            for after, limit in [(seam - back, n) for seam in seams[kind] for back in (1, 0) for n in pages]:
                page = s.replay(kind, 1, after=after, limit=limit)
                assert [e["seq"] for e in page["events"]] == list(range(after + 1, after + 1 + limit)) and page["more"]
            assert s.replay(kind, 1, after=len(messages) - 1, limit=1)["more"] is False
    ask_all((1, 3))
    runs = "SELECT count(*) FROM run JOIN origin USING(origin) WHERE epoch = 1"
    assert wait_for(lambda: [s.sql(f, runs) for f in s.files()].count("1") == 3), "the readings are in three files"
    os.kill(s.publisher_pid(), signal.SIGKILL)
    assert wait_for(lambda: int(s.do("restarts").split()[1]) == 1)
    ask_all((2,))
    s.quit()
    s.start()
    ask_all(())  # of the epoch before this one
    s.begin_file()
    s.commit("alarm", 5)
    ask_all(())
    assert [e["seq"] for e in s.replay("alarm", 2)["events"]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("how", ["removed", "spoiled"])
def test_replay_gives_what_is_left_of_the_files(synthetic, how):
    """A file of the past was removed by policy, or cannot be read: of the epoch that reaches back into it the rest is given."""
    s = synthetic(rotate=4096)
    heard = s.subscribe()
    connected(s, heard)
    there = "SELECT count(*) FROM event WHERE kind = 'alarm'"
    s.commit("alarm", 25)
    assert wait_for(lambda: "25" in [s.sql(f, there) for f in s.files()])
    s.begin_file()
    s.commit("alarm", 5)
    assert s.quit() == 0
    old = next(f for f in s.files() if s.sql(f, there) == "25")
    if how == "removed":
        old.unlink()
    else:
        old.chmod(0o640)
        old.write_bytes(b"\xa5" * 8192)
    s.start()  # the ring of the run before is empty: the log alone can tell
    answer = wait_for(lambda: (a := s.replay("alarm", 1))["ok"] and a)
    assert answer and [e["seq"] for e in answer["events"]] == [26, 27, 28, 29, 30], answer


REFUSED = [
    ("garbage", "not JSON"), ("{", "not JSON"), ("[]", "object"), ("{}", "op"), ('{"op":"erase"}', "op"),
    ('{"op":"snapshot","chair":"chair-9"}', "chair"),
    ('{"op":"replay","chair":"chair-9","kind":"alarm","epoch":1}', "chair"),
    ('{"op":"replay","chair":"chair-1","kind":"alarms","epoch":1}', "kind"),
    ('{"op":"replay","chair":"chair-1","kind":"alarm","epoch":-1}', "epoch"),
    ('{"op":"replay","chair":"chair-1","kind":"alarm","epoch":1,"limit":0}', "limit"),
    ('{"op":' * 2000, "not JSON"), ("\xff\xfe\x01", "not JSON"),
]


def test_what_is_no_question_is_refused_in_words(synthetic):
    s = synthetic()
    s.commit("alarm")
    for text, word in REFUSED:
        answer = s.ask(text)
        assert answer["ok"] is False and word in answer["error"], (text, answer)
    assert s.ask({"op": "snapshot"})["ok"]
    assert s.do("restarts") == "restarts 0"


@pytest.mark.parametrize("size, ok", [(1 << 20, True), ((1 << 20) + 1, False), (8 << 20, False)])
def test_a_question_may_be_a_mebibyte(synthetic, tmp_path, size, ok):
    s = synthetic()
    begin, end = b'{"op":"snapshot","x":"', b'"}'
    file = tmp_path / "question"
    file.write_bytes(begin + b"x" * (size - len(begin) - len(end)) + end)
    p = subprocess.run(["nanocat", "--req", "--connect", s.query, "--file", file, "--ascii", "--recv-timeout", str(int(PATIENCE))],
                       capture_output=True, text=True, timeout=2 * PATIENCE)
    answer = json.loads(p.stdout.splitlines()[0])
    assert answer["ok"] is ok and (ok or "too large" in answer["error"])


def test_a_stranger_that_sends_to_the_events_port_stops_the_messages_for_a_moment_only(synthetic):
    s = synthetic()
    tcp, ipc = s.subscribe(url=s.tcp), s.subscribe()
    connected(s, tcp), connected(s, ipc)
    daemon = s.process.pid
    took = []

    def complete(numbered):
        return all(numbered <= set(numbers(heard, "alarm")) for heard in (tcp, ipc))
    for round in range(1, 11):  # the next publisher waits for nanomsg's subscribers, if only as long as they take where nothing holds them up
        before = s.commit("alarm")
        assert send_as_subscriber(s.port, b"die")
        began = time.monotonic()
        after = s.commit("alarm", 5)  # while nobody publishes
        if wait_for(lambda: complete(set(range(before, after + 1))), 3):
            took.append(time.monotonic() - began)
        mark = s.commit("device")
        for heard in (tcp, ipc):
            assert wait_for(lambda: (s.commit("device"), time.sleep(0.05), numbers(heard, "device")[-1] >= mark)[-1]), "it came not back"
        assert s.ask({"op": "snapshot"})["ok"]
        assert [e["seq"] for e in s.replay("alarm", 1, before - 1)["events"]] == list(range(before, after + 1))
        if len(took) == 3:
            break
    assert len(took) == 3 and min(took) < 1, (took, numbers(tcp, "alarm"), numbers(ipc, "alarm"))
    assert s.do("restarts") == f"restarts {round}"
    assert s.process.pid == daemon and s.process.poll() is None
    assert "only subscribers belong there" in (s.folder / "stderr.txt").read_text()


def test_noise_and_wrong_peers_do_no_harm(synthetic):
    s = synthetic()
    s.commit("device")
    heard = Watch(s.folder, "--connect", s.tcp, "--query", s.query, "--json").connected()
    noise = random.Random(4)
    for length in (1, 7, 8, 64, 5000):
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(noise.randbytes(length))
    with socket.create_connection(("127.0.0.1", s.port)) as c:  # the greeting, then a length nobody has
        c.sendall(b"\0SP\0\0\x21\0\0" + b"\xff" * 8 + b"x" * 100)
    for kind in ("--push", "--pair", "--req", "--bus"):
        subprocess.run(["nanocat", kind, "--connect", s.tcp, "--data", "hello", "--send-timeout", "1",
                        *(["--recv-timeout", "1"] if kind in ("--pair", "--req", "--bus") else [])],
                       capture_output=True, timeout=PATIENCE)
    s.commit("alarm", 3)
    assert wait_for(lambda: heard.numbers("alarm") == [(1, 1), (1, 2), (1, 3)])
    assert heard.stop() == 0


def test_a_publisher_that_is_killed_goes_on_at_its_place(synthetic):
    s = synthetic()
    s.commit("device")
    watch = Watch(s.folder, "--connect", s.events, "--json", "--topic", "alarm/", "--topic", "alive/").connected()
    for round in range(5):
        s.commit("alarm", 20)
        os.kill(s.publisher_pid(), signal.SIGKILL)
        s.commit("alarm", 20)
        time.sleep(0.3)
    s.commit("alarm")
    assert wait_for(lambda: len(watch.numbers("alarm")) >= 201)
    assert watch.stop() == 0
    assert watch.numbers("alarm") == [(1, n) for n in range(1, 202)]  # each once, in order
    assert s.do("restarts") == "restarts 5"


def test_the_publisher_ends_with_the_daemon(synthetic):
    s = synthetic()
    pid = s.publisher_pid()
    os.kill(pid, signal.SIGTERM)  # a stop of the whole group reaches it as well: it waits for the last messages
    time.sleep(0.2)
    assert alive(pid)
    s.kill()
    assert wait_for(lambda: not alive(pid))
    s.start()
    pid = s.publisher_pid()
    heard = s.subscribe()
    connected(s, heard)
    last = s.commit("alarm", 100)
    assert s.quit() == 0 and not alive(pid)
    assert wait_for(lambda: numbers(heard, "alarm") == list(range(1, last + 1))), "the last words were not sent"


def test_what_was_published_is_in_the_log_after_kill_9(synthetic):
    s = synthetic()
    published = {}
    noise = random.Random(9)
    for epoch in range(1, 5):
        heard = s.subscribe()
        connected(s, heard)
        end = time.monotonic() + 0.2 + noise.random() * 0.4
        while time.monotonic() < end:
            s.commit("alarm", noise.randint(1, 20))
            s.commit("vitals", noise.randint(1, 20))
        assert wait_for(lambda: s.commit("alarm") and len(heard.bodies("alarm", epoch=epoch)) > 20, step=0.1)
        s.commit("alarm", 20), s.commit("vitals", 20)
        s.kill()
        time.sleep(0.1)
        for topic, body in heard.messages():
            if body["kind"] != "alive":
                published[(body["epoch"], body["kind"], body["seq"])] = body
        s.start()
    assert len(published) >= 80
    for (epoch, kind) in sorted({(e, k) for e, k, _ in published}):
        kept, after = {}, 0
        while True:
            answer = s.replay(kind, epoch, after)
            kept.update({e["seq"]: e for e in answer["events"]})
            after = max(kept)
            if not answer["more"]:
                break
        assert sorted(kept) == list(range(1, after + 1))  # no number is missing
        for (e, k, seq), body in published.items():
            if (e, k) == (epoch, kind):
                assert kept[seq] == body


def test_a_subscriber_that_stalls_loses_nothing(synthetic):
    s = synthetic()
    heard = s.subscribe("alarm/", url=s.tcp)
    assert wait_for(lambda: (s.commit("alarm"), time.sleep(0.05), heard.messages())[-1])
    heard.process.send_signal(signal.SIGSTOP)
    last = s.commit("alarm", 5000)  # 5 s at 1,000 messages/s
    time.sleep(0.5)
    heard.process.send_signal(signal.SIGCONT)
    first = numbers(heard, "alarm")[0]
    assert wait_for(lambda: len(numbers(heard, "alarm")) >= last - first + 1)
    assert numbers(heard, "alarm") == list(range(first, last + 1))


def test_what_cannot_be_kept_is_not_published_until_it_can(synthetic):
    s = synthetic(log=False)  # nobody drains the ring: a full disk, for hours
    heard = s.subscribe("alarm/", url=s.tcp)
    assert wait_for(lambda: (s.commit("alarm"), time.sleep(0.05), heard.messages())[-1])
    readings = s.commit("vitals", 80000)
    assert readings < 80000 and s.commit("vitals") == readings  # given up first, and no number is spent on them
    last = s.commit("alarm", 9000)
    assert s.do("waiting") == "waiting 0"  # the other half of the ring is theirs
    while s.do("waiting") == "waiting 0":
        last = s.commit("alarm", 200)
    assert wait_for(lambda: numbers(heard, "alarm")[-1] == last)
    for _ in range(5):
        assert s.commit("alarm", 100) == last  # no numbers for what waits
    waiting = int(s.do("waiting").split()[1])
    assert waiting > 500
    time.sleep(0.3)
    assert numbers(heard, "alarm")[-1] == last
    s.do("logged")
    assert s.do("waiting") == "waiting 0"
    assert wait_for(lambda: numbers(heard, "alarm")[-1] == last + waiting)
    assert numbers(heard, "alarm") == list(range(numbers(heard, "alarm")[0], last + waiting + 1))


def test_an_address_in_use_is_said_and_tried_until_it_is_free(synthetic, tmp_path):
    s = synthetic()
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = Synthetic(other_folder)
    other.tcp = s.tcp
    other.start(expect="failed cannot bind tcp://127.0.0.1:")
    try:
        s.quit()
        assert other.said().startswith("bound")
    finally:
        other.end()
