"""How long the record is kept, on the real daemon: policy, holds, roles, and what is published of it."""
import datetime
import json
import os
import shutil
import subprocess

import pytest

from house import BUILD, VITALSCTL, VITALSD, free_port, wait_for

DECADE = BUILD / "tests/bench/decade"
FROM = 1421053200000  # 12 January 2015, 9:00 UTC
PEOPLE = [{"name": "ada", "role": "auditor"}, {"name": "emil", "role": "engineer"}, {"name": "nora", "role": "nurse"},
          {"name": "paul", "role": "prescriber"}]


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    """Six sessions of 2015 to 2017, in a file a year."""
    folder = tmp_path_factory.mktemp("years")
    subprocess.run([DECADE, folder, "--years", "3", "--sessions", "6", "--seconds", "400", "--from", str(FROM)], check=True, timeout=60,
                   capture_output=True)
    return folder


@pytest.fixture
def kept(daemon, years):
    """kept(policy): a daemon that goes on with that log, and first of all closes the file of 2017: that one is young."""
    def make(retention="10y", start=True, years_of=years, **more):
        d = daemon([{"id": "chair-1", "limits": "ketamine-adult", "devices": [
            {"id": "bp", "plugin": "modbus", "tcp": {"host": "127.0.0.1", "port": free_port()}, "registers": [
                {"metric": "nibp_sys", "table": "input", "address": 0, "type": "u16"}]}]}], operators=PEOPLE)
        config = json.loads(d.config.read_text())
        config["log"].update({"retention": retention, **more})
        d.config.write_text(json.dumps(config))
        for f in years_of.glob("vitals*"):
            shutil.copy(f, d.folder)
        if start:
            d.start()
            assert wait_for(lambda: (d.folder / "vitals-2017.db").exists()), "the year was over long ago"
            assert wait_for(lambda: log(d, "retention", "--json").returncode == 0)
        return d
    return make


def log(d, *words):
    return subprocess.run([VITALSCTL, "log", *words, "--log", d.log, "--control", d.control], capture_output=True, text=True, timeout=60)


def seen(d):
    return json.loads(log(d, "retention", "--json").stdout)


def states(d):
    return [f["state"] for f in seen(d)["files"]]


def names(d):
    return sorted(f.name for f in d.folder.glob("vitals-*.db"))


def verified(d):
    p = subprocess.run([VITALSCTL, "audit", "verify", "--log", d.log, "--json"], capture_output=True, text=True, timeout=60)
    return json.loads(p.stdout)


def test_what_is_due_is_shown_and_removed_on_order(kept):
    d = kept("10y")
    s = d.subscribe()
    assert states(d) == ["due", "young", "young"] and seen(d)["policy"] == "10y"
    assert "nothing was removed" in log(d, "retention").stdout and names(d) == ["vitals-2015.db", "vitals-2016.db", "vitals-2017.db"]
    assert log(d, "retention", "--apply", "--operator", "emil").returncode == 2, "without a reason nothing is done"
    p = log(d, "retention", "--apply", "--operator", "emil", "--reason", "ten years are over")
    assert p.returncode == 0 and "vitals-2015.db: removed, and recorded: 2 sessions" in p.stdout, p.stderr + d.said()
    assert names(d) == ["vitals-2016.db", "vitals-2017.db"] and states(d) == ["removed", "young", "young"]
    told = s.wait("entry", entry="removal")
    assert (told["value"], told["operator"], told["note"], told["policy"], told["uid"], told["session"]) == (
        "vitals-2015.db", "emil", "ten years are over", "10y", os.getuid(), None)
    assert told["file"]["sessions"] == 2 and len(told["file"]["signature"]) == 128 and told["file"]["from"].startswith("2015-01-12")
    assert s.wait("seal"), "the head is published, so that others can tell when it was"
    verdict = verified(d)
    assert verdict["ok"] and any("removed by policy (10y)" in n["what"] for n in verdict["notes"]), verdict["findings"]
    p = log(d, "retention", "--apply", "--operator", "emil", "--reason", "again")
    assert p.returncode == 0 and "nothing is due" in p.stdout and len(s.bodies("entry", entry="removal")) == 1
    entries = json.loads(subprocess.run([VITALSCTL, "audit", "entries", "--log", d.log, "--json"], capture_output=True, text=True).stdout)
    assert [e["value"] for e in entries if e["entry"] == "retention-policy"] == ["10y"], "each start says what the policy is"


def test_holds_keep_and_who_may_do_what(kept):
    d = kept("6y")
    s = d.subscribe()
    assert states(d) == ["due", "due", "young"]
    session = json.loads(subprocess.run([VITALSCTL, "audit", "sessions", "--log", d.log, "--json"], capture_output=True, text=True).stdout)[0]
    assert log(d, "hold", "s-19990101-1", "--operator", "ada", "--reason", "x").returncode == 1, "a hold on nothing keeps nothing"
    for words, why in ((("hold", session["session"], "--operator", "nora", "--reason", "x"), "may not do this"),
                       (("retention", "--apply", "--operator", "ada", "--reason", "x"), "may not do this"),
                       (("hold", session["session"], "--operator", "ada"), "--reason"),
                       (("hold", "--operator", "ada", "--reason", "x"), "on what"),
                       (("release", "h-1-1", "--operator", "ada", "--reason", "x"), "no hold")):
        p = log(d, *words)
        assert p.returncode in (1, 2) and why in p.stderr, (words, p.stderr)
    assert len(s.bodies("entry", entry="refused")) == 2, "a refusal by role is part of the record"
    named = [VITALSCTL, "log", "hold", session["session"], "--operator", "ada", "--reason", "a letter", "--json", "--config", d.config]
    p = subprocess.run(named, capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, f"the configuration alone names log and socket: {p.stderr}"
    placed = json.loads(p.stdout)["hold"]
    by_patient = json.loads(log(d, "hold", "--patient", "P-009", "--operator", "paul", "--reason", "a study", "--json").stdout)["hold"]
    assert s.wait("entry", entry="legal-hold", value=placed)["of"] == {"session": session["session"]}
    assert states(d) == ["held", "due", "young"] and [h["hold"] for h in seen(d)["holds"]] == [placed, by_patient]
    p = log(d, "retention", "--apply", "--operator", "emil", "--reason", "six years are over")
    assert p.returncode == 0 and names(d) == ["vitals-2015.db", "vitals-2017.db"], p.stderr
    d.kill()
    d.start()
    p = log(d, "release", placed, "--operator", "emil", "--reason", "x")
    assert p.returncode == 1 and "may not" in p.stderr, "who removes does not also release"
    assert log(d, "release", placed, "--operator", "ada", "--reason", "it is settled").returncode == 0
    assert states(d) == ["due", "removed", "young"]
    third = log(d, "hold", "--from", "2015-01-01", "--to", "2015-12-31", "--operator", "ada", "--reason", "an audit", "--json")
    assert json.loads(third.stdout)["hold"] not in (placed, by_patient) and states(d)[0] == "held"
    assert verified(d)["ok"]


@pytest.fixture(scope="module")
def until_now(tmp_path_factory):
    """A session every three weeks since eleven years ago, up to now."""
    folder = tmp_path_factory.mktemp("until-now")
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=11 * 365.25)
    subprocess.run([DECADE, folder, "--years", "11", "--sessions", "190", "--seconds", "60", "--from", str(int(begin.timestamp() * 1000))],
                   check=True, timeout=60, capture_output=True)
    return folder, begin.year


def test_the_daemon_removes_by_itself_where_it_is_told_to(kept, until_now):
    folder, first = until_now
    d = kept("10y", start=False, years_of=folder, retention_apply="daily")
    assert f"vitals-{first}.db" in names(d)
    d.start()
    r, = wait_for(lambda: d.sql("select name, operator, reason, policy from removal"))
    assert r == {"name": f"vitals-{first}.db", "operator": "vitalsd", "reason": "retention_apply: daily", "policy": "10y"}
    assert wait_for(lambda: f"vitals-{first}.db" not in names(d)) and f"vitals-{first + 1}.db" in names(d)
    assert wait_for(lambda: verified(d)["ok"])


def test_a_clock_that_may_be_wrong_removes_nothing_by_itself(kept):
    """The clock of a machine with an empty battery can be years ahead at its start: everything would be old then.  The record shows
    nothing of these years, and that is left to a person to judge."""
    d = kept("6y", retention_apply="daily")
    assert wait_for(lambda: "the clock may be wrong" in d.said()), d.said()
    assert states(d) == ["due", "due", "young"] and names(d) == ["vitals-2015.db", "vitals-2016.db", "vitals-2017.db"]
    d.stop()
    d.start()  # what was written since then makes it no better
    assert wait_for(lambda: d.said().count("the clock may be wrong") == 2), d.said()
    p = log(d, "retention", "--apply", "--operator", "emil", "--reason", "the clock is right")
    assert p.returncode == 0 and names(d) == ["vitals-2017.db"], p.stderr


CHANGES = ["UPDATE reading SET v1 = 88 WHERE id = (SELECT max(id) - 9 FROM reading)",
           "DELETE FROM seal WHERE seal = (SELECT min(seal) FROM seal)"]


def change(file, script):
    file.chmod(0o640)
    drop = "SELECT 'DROP TRIGGER ' || name || ';' FROM sqlite_schema WHERE type = 'trigger'"
    triggers = subprocess.run(["sqlite3", file, drop], capture_output=True, text=True, check=True).stdout
    subprocess.run(["sqlite3", file, triggers + script], check=True)


def test_nothing_is_removed_that_was_tampered_with(kept):
    """A changed file is evidence: it stays, whoever orders what."""
    d = kept("6y", start=False)
    for name, script in zip(("vitals-2015.db", "vitals-2016.db"), CHANGES):
        change(d.folder / name, script)
    d.start()
    assert wait_for(lambda: (d.folder / "vitals-2017.db").exists())
    assert wait_for(lambda: states(d) == ["due", "due", "young"])
    p = log(d, "retention", "--apply", "--operator", "emil", "--reason", "six years are over")
    assert p.returncode == 1 and "2 of 2 files were not removed" in p.stderr and "not as it was sealed" in p.stderr, p.stderr
    assert names(d) == ["vitals-2015.db", "vitals-2016.db", "vitals-2017.db"]


def test_what_the_daemon_does_not_remove_by_itself_is_said(kept, until_now):
    folder, first = until_now
    d = kept("10y", start=False, years_of=folder, retention_apply="daily")
    change(d.folder / f"vitals-{first}.db", CHANGES[0])
    d.start()
    assert wait_for(lambda: f"vitals-{first}.db is kept: it is not as it was sealed" in d.said()), d.said()
    assert f"vitals-{first}.db" in names(d)


def test_a_patient_of_years_ago_is_known(kept):
    """Last weight and course come from all files of the record, not from the present one alone."""
    d = kept("10y")
    d.stop()
    d.start()
    assert d.sql("select count(*) as n from session") == [{"n": 0}], "nothing of it is in the present file"
    state = d.ctl_json("session", "start", "--chair", "chair-1", "--patient", "P-003", "--protocol", "P1", "--weight", "70",
                       "--operator", "paul")["session_state"]
    assert state["course"]["last_weight_kg"] == 72.5


def test_a_policy_that_changes_is_recorded(kept):
    d = kept("10y")
    s = d.subscribe()
    config = json.loads(d.config.read_text())
    config["log"].update(retention="2y", retention_shorter_because="site policy 12")
    d.config.write_text(json.dumps(config))
    d.process.send_signal(1)
    told = s.wait("entry", entry="retention-policy")
    assert (told["value"], told["note"]) == ("2y", "applied by hand; shorter because: site policy 12")
    assert wait_for(lambda: seen(d)["policy"] == "2y")
    assert states(d) == ["due", "due", "young"]
    config["log"] = {"path": config["log"]["path"]}
    d.config.write_text(json.dumps(config))
    d.process.send_signal(1)
    assert s.wait("entry", entry="retention-policy", value="keep") and wait_for(lambda: states(d) == ["young"] * 3)
    p = subprocess.run([VITALSCTL, "log", "retention", "--log", d.log, "--keep", "6y"], capture_output=True, text=True)
    assert p.returncode == 0 and p.stdout.count(" due ") == 2, "one may look with another policy"


@pytest.mark.parametrize("log_keys, words", [
    ({"retention": "5y"}, "6y at least"), ({"retention": "2000d"}, "6y at least"), ({"retention": "6 years"}, "must be keep"),
    ({"retention": "0y"}, "must be keep"), ({"retention": "7y", "retention_shorter_because": "x"}, "leave it out"),
    ({"retention_apply": "daily"}, "no `retention`"), ({"retention": "10y", "retention_apply": "always"}, "retention_apply")])
def test_a_policy_that_makes_no_sense_is_refused(kept, log_keys, words):
    d = kept("keep", start=False)
    config = json.loads(d.config.read_text())
    config["log"] = {"path": str(d.log), **log_keys}
    d.config.write_text(json.dumps(config, indent=1))
    p = subprocess.run([VITALSD, "--config", d.config, "--check"], capture_output=True, text=True)
    assert p.returncode == 78 and words in p.stderr, p.stderr
