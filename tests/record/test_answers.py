"""What auditors ask: lists with filters, limits in force, sessions side by side.  One story, told by its events."""
import csv
import hashlib
import io
import json
import re
import subprocess

import pytest

from record import CTL, ROOT, add_event, ctl, sql, write

T0 = 1795300000000  # 2026-11-21T22:26:40Z
MINUTE = 60000


def alarm(number, rule, priority, change, value, limit, **more):
    return {"alarm": f"a-{number:06}", "rule": rule, "class": "physiological", "metric": "nibp_sys", "device": "bp",
            "priority": priority, "change": change, "state": "cleared" if change == "cleared" else "active", "signal": "on",
            "value": value, "limit": limit, "unit": "mm[Hg]", "direction": "high", "onset": "2026-11-21T22:00:00.000Z",
            "text": f"Systolic pressure {value}", **more}


STORY = [  # session, minute, message
    ("s-1", 0, {"phase": "screening", "patient": "P-1", "protocol": "P1", "operator": "anna", "weight_kg": 70}),
    ("s-1", 5, {"phase": "infusion", "patient": "P-1", "operator": "anna", "from": "baseline",
                "baseline": {"nibp_sys": 120, "nibp_dia": 76, "pr": 70, "spo2": 98}}),
    ("s-1", 10, alarm(901, "sbp-hi", "medium", "raised", 158, 156)),  # 130 % of 120
    ("s-1", 11, alarm(901, "sbp-hi", "medium", "acknowledged", 158, 156, by="ben")),
    ("s-1", 12, {"entry": "limit-change", "value": 162, "unit": "mm[Hg]", "note": "known hypertension", "operator": "carla",
                 "rule": "sbp-hi", "old": 156}),
    ("s-1", 13, alarm(901, "sbp-hi", "medium", "cleared", 150, 156)),
    ("s-1", 14, alarm(902, "sbp-hi", "medium", "raised", 163, 162)),
    ("s-1", 15, {"entry": "refused", "value": "limit", "unit": "", "note": "anna is nurse here and may not do this", "operator": "anna"}),
    ("s-1", 50, {"phase": "recovery", "patient": "P-1", "operator": "anna", "from": "infusion"}),
    ("s-1", 90, {"phase": "discharged", "patient": "P-1", "operator": "ben", "from": "recovery", "outcome": "completed"}),
    ("s-2", 3000, {"phase": "screening", "patient": "P-1", "protocol": "P2", "operator": "ben", "weight_kg": 71}),
    ("s-2", 3005, {"phase": "infusion", "patient": "P-1", "operator": "ben", "override": "pressure is usual for him", "second": "carla"}),
    ("s-2", 3010, alarm(903, "sbp-hi-crit", "high", "raised", 184, 180)),
    ("s-2", 3060, {"phase": "discharged", "patient": "P-1", "operator": "ben", "from": "infusion", "outcome": "aborted"}),
    ("s-3", 3100, {"phase": "screening", "patient": "P-2", "protocol": "P1", "operator": "anna"}),
    ("s-3", 3101, {"entry": "note", "value": None, "note": "calm", "operator": "anna"}),
]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    write(folder, "--readings", 3, "--chairs", 2)
    path = folder / "vitals.db"
    for session, minute, body in STORY:
        add_event(path, session, T0 + minute * MINUTE, body, chair="chair-2" if session == "s-3" else "chair-1")
    return path


def ask(log, *words):
    return json.loads(ctl("audit", *words, "--json", "--log", log))


LISTS = ["sessions", "alarms", "entries", "operators", "limits", "events"]
NAMES = {"sessions": "session", "alarms": "alarm", "entries": "entry", "operators": "operator"}
FIRST_DAY = ("--from", "2026-11-21", "--until", "2026-11-22 23:59:59")


@pytest.mark.parametrize("what, filters, found", [
    ("sessions", (), ["s-1", "s-2", "s-3"]),
    ("sessions", FIRST_DAY, ["s-1"]),
    ("sessions", ("--from", "2026-11-23"), ["s-2", "s-3"]),
    ("sessions", ("--since", "2026-11-23"), ["s-2", "s-3"]),  # as it was first called
    ("sessions", ("--chair", "chair-2"), ["s-3"]),
    ("sessions", ("--patient", "P-1"), ["s-1", "s-2"]),
    ("sessions", ("--protocol", "P1"), ["s-1", "s-3"]),
    ("sessions", ("--operator", "carla"), ["s-1"]),     # she opened none, but did something in one
    ("sessions", ("--rule", "sbp-hi-crit"), ["s-2"]),
    ("alarms", (), ["a-000901", "a-000902", "a-000903"]),
    ("alarms", FIRST_DAY, ["a-000901", "a-000902"]),
    ("alarms", ("--chair", "chair-2"), []),
    ("alarms", ("--patient", "P-1", "--rule", "sbp-hi-crit"), ["a-000903"]),
    ("alarms", ("--operator", "ben"), ["a-000901"]),
    ("alarms", ("--protocol", "P2"), ["a-000903"]),
    ("alarms", ("--rule", "spo2-lo"), []),              # ships, never alarmed
    ("entries", (), ["limit-change", "refused", "note"]),
    ("entries", ("--operator", "anna"), ["refused", "note"]),
    ("entries", ("--rule", "sbp-hi"), ["limit-change"]),
    ("entries", ("--patient", "P-2"), ["note"]),
    ("entries", FIRST_DAY, ["limit-change", "refused"]),
    ("operators", (), ["anna", "ben", "carla"]),
    ("operators", ("--rule", "sbp-hi"), ["ben", "carla"]),
    ("operators", ("--chair", "chair-2"), ["anna"]),
    ("operators", ("--from", "2026-11-23"), ["anna", "ben"]),
    ("operators", ("--session", "s-3"), ["anna"]),
])
def test_filters(log, what, filters, found):
    assert [row[NAMES[what]] for row in ask(log, what, *filters)] == found


@pytest.mark.parametrize("what", LISTS)
def test_every_list_takes_every_filter_and_every_form(log, what):
    filters = ("--from", "2026-11-21", "--until", "2026-11-22", "--chair", "chair-1", "--patient", "P-1", "--operator", "carla",
               "--rule", "sbp-hi", "--session", "s-1", "--protocol", "P1")
    rows = ask(log, what, *filters)
    assert isinstance(rows, list)
    table = list(csv.DictReader(io.StringIO(ctl("audit", what, *filters, "--csv", "--log", log))))
    assert len(table) == len(rows)
    assert ctl("audit", what, *filters, "--log", log)
    assert ask(log, what, "--patient", "nobody") == []


@pytest.mark.parametrize("what", LISTS + ["compare"])
@pytest.mark.parametrize("filters, status, words", [
    (("--from", "2026-11-22", "--until", "2026-11-21"), 2, "--from is later than --until"),
    (("--from", "soon"), 2, "'soon' is no time"),
    (("--from", "2026-13-40"), 2, "is no time"),
    (("--from",), 2, "--from wants a value"),
    (("--colour", "red"), 2, "there is no option --colour"),
    (("--json", "--csv", "--patient", "P-1"), 2, "not both"),
    (("--chair", "chair-9"), 1, "no chair 'chair-9' in this log; known: chair-1, chair-2"),
    (("--rule", "sbp-high"), 1, "sbp-hi-crit"),
    (("--session", "s-9"), 1, "audit sessions"),
    (("--protocol", "P99"), 1, "known: P1, P2"),
], ids=lambda x: " ".join(x) if isinstance(x, tuple) else None)
def test_filters_that_make_no_sense_are_said(log, what, filters, status, words):
    out = ctl("audit", what, *filters, "--log", log, status=status)
    assert words in out


@pytest.mark.parametrize("option, name", [("--operator", "mallory"), ("--patient", "P-77")])
def test_a_name_nobody_heard_of_finds_nothing_and_is_noted(log, option, name):
    """Both are answers: he did nothing here; or his name was typed wrong."""
    r = subprocess.run([CTL, "audit", "alarms", option, name, "--log", log], capture_output=True, text=True)
    assert r.returncode == 0 and r.stdout == "No alarm was found.\n"
    assert f"the log knows no {option[2:]} '{name}'" in r.stderr


def test_who_did_how_much(log):
    people = {p["operator"]: p for p in ask(log, "operators")}
    assert {k: people["ben"][k] for k in ("sessions", "phases", "entries", "alarms", "overrides", "limit_changes", "refused")} == {
        "sessions": 2, "phases": 4, "entries": 0, "alarms": 1, "overrides": 1, "limit_changes": 0, "refused": 0}
    assert people["carla"]["limit_changes"] == 1 and people["anna"]["refused"] == 1
    assert people["anna"]["first_at"] == "2026-11-21T22:26:40.000Z" < people["anna"]["last_at"]


def test_limits_in_force(log):
    rows = ask(log, "limits", "--session", "s-1", "--rule", "sbp-hi")
    assert [(r["source"], r["old"], r["value"], r["operator"]) for r in rows] == [
        ("set", None, 165, None),        # no baseline yet: at_most decides
        ("baseline", 165, 156, None),    # 130 % of 120
        ("operator", 156, 162, "carla")]
    assert rows[1]["reason"] == "baseline 120" and rows[2]["reason"] == "known hypertension"
    assert [r["from_ms"] for r in rows] == [T0, T0 + 5 * MINUTE, T0 + 12 * MINUTE]
    everything = ask(log, "limits")
    assert {r["source"] for r in everything} == {"configuration", "baseline", "operator"}
    assert not any(r["session"] == "s-2" for r in everything), "its baseline was never frozen, nobody changed a limit"
    assert [r["rule"] for r in ask(log, "limits", "--operator", "carla")] == ["sbp-hi"]
    assert ask(log, "limits", "--until", "2026-11-20") == []


def test_limits_of_another_set_are_told_apart_from_what_was_alarmed(log, tmp_path):
    """The numbers in the alarms are the proof: a set that does not fit them is said to."""
    own = tmp_path / "own.yaml"
    own.write_text("sets:\n  - name: own\n    extends: ketamine-adult\n    rules:\n      - { id: sbp-hi, limit: 150 }\n")
    args = [CTL, "audit", "limits", "--session", "s-1", "--limits", "own", "--limit-file", own, "--log", log]
    r = subprocess.run(args, capture_output=True, text=True)
    assert r.returncode == 0 and "a-000901 (sbp-hi) was judged by 156; the set own makes it 150" in r.stderr
    r = subprocess.run([CTL, "audit", "limits", "--session", "s-1", "--log", log], capture_output=True, text=True)
    assert r.returncode == 0 and r.stderr == ""
    ctl("audit", "limits", "--limits", "nonsense", "--log", log, status=2)
    own.write_text("sets:\n  - name: own\n    rules:\n      - { id: x, metric: nonsense }\n")
    ctl("audit", "limits", "--limit-file", own, "--log", log, status=78)


def test_sessions_side_by_side(log):
    one, two = ask(log, "compare", "s-1", "s-2")
    assert (one["session"], one["minutes"], one["infusion_minutes"], one["alarms_medium"], one["alarms_high"]) == ("s-1", 90, 45, 2, 0)
    assert (two["protocol"], two["outcome"], two["overrides"], two["alarms_high"]) == ("P2", "aborted", 1, 1)
    assert (one["baseline_nibp_sys"], two["baseline_nibp_sys"]) == (120, None)
    assert (one["slowest_acknowledgement_s"], one["alarms_not_acknowledged"], one["refused"], one["limit_changes"]) == (60, 1, 1, 1)
    assert one["operators"].split(",") == ["anna", "ben", "carla"]
    assert [s["session"] for s in ask(log, "compare", "--patient", "P-1")] == ["s-1", "s-2"]
    assert [s["session"] for s in ask(log, "compare", "--rule", "sbp-hi-crit")] == ["s-2"]
    table = ctl("audit", "compare", "s-1", "s-2", "--log", log)
    marks = {line[2:28].strip(): line[0] for line in table.splitlines() if line[:2] in ("* ", "  ") and len(line) > 30}
    assert marks["protocol"] == "*" and marks["patient"] == " "
    rows = list(csv.DictReader(io.StringIO(ctl("audit", "compare", "--patient", "P-1", "--csv", "--log", log))))
    assert [r["outcome"] for r in rows] == ["completed", "aborted"]


def test_sessions_of_two_logs_side_by_side(log, tmp_path):
    """Another machine's log: a session of each; one that both have; whatever the filters find in either."""
    write(tmp_path / "b", "--readings", 3)
    other = tmp_path / "b/vitals.db"
    for session, minute, body in STORY[:4]:
        add_event(other, session, T0 + minute * MINUTE, {**body, "operator": "zoe"} if "phase" in body else body)
    add_event(other, "s-7", T0 + 7000 * MINUTE, {"phase": "screening", "patient": "P-9", "protocol": "P3", "operator": "zoe"})
    two = ask(log, "compare", "s-2", "s-7", "--with", other)
    assert [(s["session"], s["log"]) for s in two] == [("s-2", str(log)), ("s-7", str(other))]
    same = ask(log, "compare", "s-1", "--with", other)
    assert [s["log"] for s in same] == [str(log), str(other)] and [s["operator"] for s in same] == ["anna", "zoe"]
    assert [s["session"] for s in ask(log, "compare", "--patient", "P-1", "--with", other)] == ["s-1", "s-2", "s-1"]
    assert [s["session"] for s in ask(log, "compare", "--protocol", "P3", "--with", other)] == ["s-7"], "known to one of them"
    table = ctl("audit", "compare", "s-1", "--log", log, "--with", other)
    assert re.search(r"^\* log +\S+vitals.db +\S+vitals.db *$", table, re.M) and re.search(r"^  patient +P-1 +P-1 *$", table, re.M), table
    rows = list(csv.DictReader(io.StringIO(ctl("audit", "compare", "s-1", "--csv", "--log", log, "--with", other))))
    assert [r["log"] for r in rows] == [str(log), str(other)]
    for words, said in ((["s-9"], "either log"), (["s-2"], "only one of the logs"), (["s-2", "s-7", "--with", tmp_path / "none"], "none"),
                        (["--chair", "chair-9"], "known: chair-1, chair-2, chair-1")):
        words = words if "--with" in words else [*words, "--with", other]
        assert said in ctl("audit", "compare", *words, "--log", log, status=1)


def test_the_course_of_a_session_as_csv(log):
    rows = list(csv.DictReader(io.StringIO(ctl("audit", "show", "s-1", "--csv", "--log", log))))
    assert [r["kind"] for r in rows] == ["alarm" if "change" in b else "entry" if "entry" in b else "session" for s, _, b in STORY if s == "s-1"]
    assert rows[1]["recorded_at"] == "2026-11-21T22:31:40.000Z" and rows[1]["detail"] == "infusion" and rows[1]["operator"] == "anna"
    assert rows[3]["detail"].startswith("a-000901 acknowledged") and rows[3]["operator"] == "ben"
    for form in ("--html x --csv", "--html x --json", "--json --csv"):
        assert "not both" in ctl("audit", "show", "s-1", *form.split(), "--log", log, status=2)
    assert "no session 's-9'" in ctl("audit", "show", "s-9", "--csv", "--log", log, status=1)


@pytest.mark.parametrize("words, status", [((), 2), (("s-1",), 2), (("s-1", "s-2", "--patient", "P-1"), 2), (("s-1", "s-9"), 1),
                                           (("--patient", "P-77"), 1)])
def test_what_cannot_be_compared(log, words, status):
    ctl("audit", "compare", *words, "--log", log, status=status)


def test_what_is_stale_says_the_limit_set(tmp_path):
    """The thresholds of the ledger are the clinic's, not the program's."""
    write(tmp_path, "--readings", 600, "--step-ms", 1000, "--cuff", "--quiet")
    log, own = tmp_path / "vitals.db", tmp_path / "own.yaml"
    first, last = map(int, sql(log, "SELECT min(observed_ms), max(observed_ms) FROM audit_observation").split("|"))
    for at, body in ((last - 20000, {"phase": "screening", "patient": "P-1", "protocol": "P1", "operator": "anna"}),
                     (last + 3600000, {"phase": "discharged", "patient": "P-1", "protocol": "P1", "operator": "anna"})):
        add_event(log, "s-1", at, body)

    def ledger(*more):
        return json.loads(ctl("audit", "show", "s-1", "--json", "--log", log, *more))["ledger"]["nibp_sys"]
    # The last cuff value stands until it is old: 10 min; lost: after twice that.
    assert ledger() == {"valid": 620, "stale": 600, "lost": 2400, "suspect": 0, "paused": 0, "restarting": 0}
    own.write_text("sets:\n  - name: own\n    extends: ketamine-adult\n    cadence: { nibp: { recovery: 4min, infusion: 3min } }\n")
    with_own = ledger("--limits", "own", "--limit-file", own)
    assert with_own == {"valid": 20 + 240, "stale": 240, "lost": 3600 - 480, "suspect": 0, "paused": 0, "restarting": 0}
    assert first < last
    ctl("audit", "show", "s-1", "--limits", "none-such", "--log", log, status=1)


def test_a_session_names_the_set_that_judged_it(log, tmp_path):
    """By name and by the hash of its text: another text under the same name is said to be another."""
    folder = tmp_path / "named"
    write(folder, "--readings", 3)
    path = folder / "vitals.db"
    own = tmp_path / "own.yaml"
    own.write_text("sets:\n  - name: own\n    extends: ketamine-adult\n    rules:\n      - { id: sbp-hi, limit: 150 }\n")
    base = (ROOT / "alarms/sets/ketamine-adult.yaml").read_bytes()
    digest = hashlib.sha256(base + own.read_bytes()).hexdigest()
    for name, session, hash_ in (("own", "s-1", digest), ("own", "s-2", "0" * 64), ("gone", "s-3", "1" * 64)):
        add_event(path, session, T0, {"phase": "screening", "patient": "P-1", "protocol": "P1", "operator": "anna", "limits": name,
                                      "limits_hash": hash_})

    def limits(session, *more):
        r = subprocess.run([CTL, "audit", "limits", "--session", session, "--rule", "sbp-hi", "--json", "--log", path, *more],
                           capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        return [row["value"] for row in json.loads(r.stdout)], r.stderr
    assert limits("s-1", "--limit-file", own) == ([150], "")
    values, said = limits("s-1")
    assert values == [165] and f"judged by the limit set own (text {digest[:12]})" in said and "--limit-file" in said
    values, said = limits("s-2", "--limit-file", own)
    assert values == [150] and "text 000000000000" in said
    values, said = limits("s-3", "--limit-file", own)
    assert values == [165] and "limit set gone" in said
