"""The questions of schema/README.md, each run as it stands there, on a log with every kind of answer."""
import hashlib
import json
import re
import sqlite3

import pytest

from record import ROOT, Writer, sql, write

TEXT = (ROOT / "schema/README.md").read_text()
QUESTIONS = re.findall(r"^\*\*(\d+)\. (.*?)\*\*\n\n```sql\n(.*?)```", TEXT, re.S | re.M)
NEVER_HERE = {12, 18, 22}  # every alarm of this log was acknowledged, no gate overridden, reading left no trace


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    w = Writer(folder, "--readings", 920, "--rate", 2000)  # a session takes time: its messages are not of one millisecond
    w.process.wait(120)
    w.end()
    write(folder, "--readings", 5)
    path = folder / "vitals.db"
    db = sqlite3.connect(path)
    session = db.execute("SELECT session FROM audit_session").fetchone()[0]
    day = db.execute("SELECT substr(onset_at, 1, 10), date(onset_at, '+1 day') FROM audit_alarm").fetchone()
    db.execute("INSERT INTO gap VALUES(1, 1, 0, 1000, 5, 'made for the test')")
    db.execute("INSERT INTO hold VALUES(1, 'h-1-1', 0, 's-1', NULL, NULL, NULL, 'made for the test', 'ada', 0)")
    db.execute("INSERT INTO removal VALUES(1, 0, 'vitals-2019.db', 0, 86400000, 1, 9, 99, x'00', NULL, 3, 4, 5, 6, '6y', 'over', 'emil', 0)")
    db.execute("INSERT INTO removal_end VALUES(1, 5, 'removed')")
    # of a session that is still open: the others may have begun and ended within one millisecond
    moment = db.execute("SELECT infusion_started_at FROM audit_session WHERE ended_ms IS NULL").fetchone()[0]
    db.commit()
    db.close()
    return path, {"s-20261121-1001": session, "2026-11-21T14:30:00Z": moment, "'2026-11-21'": f"'{day[0]}'",
                  "'2026-11-22'": f"'{day[1]}'"}


def test_there_are_twenty_and_more():
    assert [int(number) for number, _, _ in QUESTIONS] == list(range(1, 26))


def put(statement, words):
    return re.sub("|".join(map(re.escape, words)), lambda m: words[m.group(0)], statement)


@pytest.mark.parametrize("number,question,statement", QUESTIONS, ids=[q[0] for q in QUESTIONS])
def test_question(log, number, question, statement):
    path, words = log
    statement = put(statement, words)
    out = sql(path, statement, mode="-json")
    rows = json.loads(out) if out.strip() else []
    assert bool(rows) != (int(number) in NEVER_HERE), question
    plan = sql(path, "EXPLAIN QUERY PLAN " + statement)
    if "audit_observation WHERE session =" in statement:
        assert "run_session" in plan, f"{question}: looks at every reading of the log"


def test_answers_are_right(log):
    path, words = log
    by_number = {int(n): s for n, _, s in QUESTIONS}

    def ask(number):
        return json.loads(sql(path, put(by_number[number], words), mode="-json"))
    sits = sql(path, "SELECT session FROM audit_session WHERE ended_ms IS NULL")
    assert [r["session"] for r in ask(2)].count(sits) == 1
    assert all(r["systolic"] == 120 and r["diastolic"] is None for r in ask(6))
    assert {(r["metric"], r["flags"]) for r in ask(7)} == {
        ("spo2", '["sensor_off"]'), ("pr", '["no_value"]'), ("nibp_dia", '["device_error:87"]')}
    assert {r["change"] for r in ask(15)} == {"raised", "escalated", "acknowledged", "cleared"}
    assert [r["restarted_after"] is None for r in ask(19)] == [True, False]
    assert ask(13)[0]["rule"] == "sbp-hi"
    assert ask(20)[0]["readings"] == 5
    assert [(r["name"], r["sessions"], r["last_day"], r["outcome"]) for r in ask(23)] == [("vitals-2019.db", 3, "1970-01-02", "removed")]
    assert [(r["id"], r["session"], r["operator"]) for r in ask(24)] == [("h-1-1", "s-1", "ada")]
    texts = {}
    for r in ask(25):
        texts.setdefault((r["recorded_at"], r["hash"]), []).append(r["text"])
    assert len(texts) > 1 and all(hashlib.sha256("".join(t).encode()).hexdigest() == h for (_, h), t in texts.items())
    assert all(len(t) == 2 for t in texts.values()), "what the set extends, and the set"
