"""A daemon that dies in the middle: what it says afterwards about the time in which nobody watched."""
import datetime
import time

import pytest

from house import wait_for
from monitors import ModbusMonitor, bp_device, oximeter_device


@pytest.fixture
def monitor():
    m = ModbusMonitor()
    m.set("input", 0, [121, 79, 93])
    m.set("input", 9, [1])
    m.set("holding", 0, [97, 72])
    yield m
    m.stop()


def chairs(monitor):
    return [{"id": "chair-1", "limits": "ketamine-adult", "devices": [bp_device(monitor.port), oximeter_device(monitor.port)]},
            {"id": "chair-2", "limits": "ketamine-adult", "devices": [oximeter_device(monitor.port)]}]


def told(d, epoch):
    return d.sql("select recorded_ms, chair, kind, session, json_extract(body, '$.blind_s') as blind_s, json_extract(body, '$.phase') as phase,"
                 " json_extract(body, '$.request') as request, json_extract(body, '$.patient') as patient from audit_event"
                 f" where json_extract(body, '$.blind_s') is not null and epoch = {epoch} order by chair")


def epoch(d):
    return d.ctl_json("status")["epoch"]


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_time_in_which_nobody_watched_stands_in_the_record(daemon, monitor, how):
    d = daemon(chairs(monitor)).start()
    s = d.subscribe("alive/")
    assert wait_for(lambda: "97" in d.ctl("status").stdout)
    assert told(d, epoch(d)) == [], "the first start ever follows nobody"
    d.ctl("session", "start", "--chair", "chair-1", "--patient", "N-17", "--protocol", "P1", "--weight", "70")
    time.sleep(6)  # nothing durable happens meanwhile: this is no blind time
    session = d.ctl_json("session", "show", "--chair", "chair-1")["session"]
    getattr(d, how)()
    lived = datetime.datetime.fromisoformat(s.all()[-1][1]["time"].replace("Z", "+00:00")).timestamp()
    time.sleep(4)
    d.start()
    assert wait_for(lambda: len(told(d, epoch(d))) == 2)
    one, two = told(d, epoch(d))
    assert (one["chair"], one["kind"], one["session"]) == ("chair-1", "session", session)
    assert one["patient"] == "N-17" and one["phase"] == "screening"
    assert (two["chair"], two["kind"], two["session"]) == ("chair-2", "request", None)
    assert two["request"] == "restarted"
    for r in (one, two):  # never less than nobody watched, and not more than since the last sign of life
        assert 4 <= r["blind_s"] <= r["recorded_ms"] / 1000 - lived + 0.2, (r, lived)
    assert d.ctl_json("session", "show", "--chair", "chair-1")["session"] == session
    asked = d.sql("select body from audit_event where kind = 'request' and body like '%session-check%'")
    assert asked == [], "so short a gap asks nothing"
