"""Logs that are none, and places that take no export: clear words, exit statuses as promised, nothing half done left behind."""
import json
import shutil
import signal
import sqlite3
import subprocess

import html5lib
import pytest

from record import CTL, add_event, ctl, sql, write

COMMANDS = [
    "audit sessions", "audit show {s}", "audit alarms --json", "audit entries --csv", "audit operators", "audit limits", "audit events",
    "audit compare {s} {s}", "audit export {s} --format json", "audit export {s} --format csv", "audit export {s} --format fhir",
    "audit export {s} --format hl7", "audit verify", "session report {s}", "session course P-7", "replay --session {s}", "burden",
    "log key", "log info", "log check", "log backup --out {out}",
]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    published = write(folder, "--readings", 920, "--step-ms", 1000)
    ctl("log", "backup", "--out", folder / "copy.db", "--log", folder / "vitals.db")  # one file, which takes none beside it
    return folder / "copy.db", next(m["session"] for m in published if m["session"])


def missing(good, bad):
    pass


def folder(good, bad):
    bad.mkdir()


def empty(good, bad):
    bad.write_bytes(b"")


def text(good, bad):
    bad.write_text("2026-11-21 22:21 systolic 184\n" * 100)


def beginning_cut_off(good, bad):
    bad.write_bytes(good.read_bytes()[4096:])


def cut_in_half(good, bad):
    data = good.read_bytes()
    bad.write_bytes(data[:len(data) // 2])


def cut_to_a_few_bytes(good, bad):
    bad.write_bytes(good.read_bytes()[:60])


def newer(good, bad):
    shutil.copy(good, bad)
    db = sqlite3.connect(bad)
    db.execute("PRAGMA user_version = 99")
    db.close()


def foreign(good, bad):
    db = sqlite3.connect(bad)
    db.execute("CREATE TABLE event(event INTEGER PRIMARY KEY, body TEXT)")
    db.commit()
    db.close()


def claims_to_be_ours(good, bad):
    foreign(good, bad)
    db = sqlite3.connect(bad)
    db.executescript("PRAGMA application_id = 1987341427; PRAGMA user_version = 1;")
    db.close()


def all_pages_zero(good, bad):
    data = good.read_bytes()
    bad.write_bytes(data[:100] + bytes(len(data) - 100))


BAD = {  # what is wrong: one of these words says so
    missing: ["No such file"],
    folder: ["folder"],
    empty: ["there is nothing in this file"],
    text: ["not a log of vitalsd"],
    beginning_cut_off: ["not a log of vitalsd"],
    cut_in_half: ["damaged or cut short"],
    cut_to_a_few_bytes: ["not a log of vitalsd", "damaged or cut short"],
    newer: ["newer vitalsd wrote this log"],
    foreign: ["not a log of vitalsd"],
    claims_to_be_ours: ["no such table", "no such column", "not a log of vitalsd", "damaged", "missing"],
    all_pages_zero: ["damaged"],
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(w for w in c.split() if "{" not in w))
def test_what_is_no_log_is_said(log, tmp_path, command):
    good, session = log
    for make, words in BAD.items():
        bad, out = tmp_path / f"{make.__name__}.db", tmp_path / "out.db"
        make(good, bad)
        before = bad.read_bytes() if bad.is_file() else None
        r = subprocess.run([CTL, *command.format(s=session, out=out).split(), "--log", bad], capture_output=True, text=True, timeout=60)
        said = r.stdout + r.stderr  # the findings of a verify are what it was asked for
        if make is claims_to_be_ours and command == "log check":
            continue  # it asks only whether the pages are whole, and they are
        assert r.returncode == 1, (make.__name__, r.returncode, said)
        assert any(w in said for w in words), (make.__name__, said)
        assert bad.name in said or "verify" in command or out.name in said, (make.__name__, said)
        if "verify" not in command and "check" not in command:
            assert not r.stdout.strip("[]\n ") or "--csv" in command, (make.__name__, r.stdout[:200])
        assert not list(tmp_path.glob("out.db*"))
        assert before is None or bad.read_bytes() == before, "reading changes nothing"


def test_a_good_log_answers_each_of_them(log, tmp_path):
    """Else the table above would prove nothing."""
    good, session = log
    for command in COMMANDS:
        if command != "log key":  # the writer of this log has none
            assert ctl(*command.format(s=session, out=tmp_path / "out.db").split(), "--log", good), command


@pytest.mark.parametrize("key, status, words", [
    ("0" * 64, 1, "key"), ("nonsense", 1, "key"), ("/nonexistent", 1, "key"), ("", 1, "key"),
])
def test_a_wrong_key_is_said(log, key, status, words):
    r = subprocess.run([CTL, "audit", "verify", "--key", key, "--log", log[0]], capture_output=True, text=True, timeout=60)
    assert r.returncode == status and words in (r.stdout + r.stderr), r.stdout + r.stderr


# ---- Exports that do not get through ----

OUTPUTS = {
    "json": ("audit", "export", "{s}", "--format", "json", "--out"), "csv": ("audit", "export", "{s}", "--format", "csv", "--out"),
    "fhir": ("audit", "export", "{s}", "--format", "fhir", "--out"), "hl7": ("audit", "export", "{s}", "--format", "hl7", "--out"),
    "page": ("audit", "show", "{s}", "--html"), "report": ("session", "report", "{s}", "--format", "html", "--out"),
}


def run(words, log, out, prefix=()):
    good, session = log
    return subprocess.run([*prefix, CTL, *(w.format(s=session) for w in words), out, "--log", good], capture_output=True, text=True,
                          timeout=60)


@pytest.mark.parametrize("what", OUTPUTS)
def test_a_disk_that_is_full_leaves_nothing(log, tmp_path, what):
    """Writing beyond 4 KiB fails, as it does on a full disk."""
    out = tmp_path / "out"
    r = run(OUTPUTS[what], log, out, ("env", "--ignore-signal=XFSZ", "prlimit", "--fsize=4096"))
    assert r.returncode == 1 and "could not be written" in r.stderr, r.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", OUTPUTS)
def test_an_export_killed_in_the_middle_never_has_its_name(log, tmp_path, what):
    out = tmp_path / "out"
    r = run(OUTPUTS[what], log, out, ("prlimit", "--fsize=4096"))
    assert r.returncode == -signal.SIGXFSZ and not out.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out.part"]
    r = run(OUTPUTS[what], log, out)
    assert r.returncode == 0, r.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["out"], "what the killed one left is gone"


@pytest.mark.parametrize("what", OUTPUTS)
def test_nothing_is_replaced_and_no_folder_made_up(log, tmp_path, what):
    out = tmp_path / "out"
    if what != "report":  # a report may be printed anew
        out.write_text("mine")
        r = run(OUTPUTS[what], log, out)
        assert r.returncode == 1 and "exists already" in r.stderr and out.read_text() == "mine"
    r = run(OUTPUTS[what], log, tmp_path / "no/such/folder")
    assert r.returncode == 1 and "No such file" in r.stderr


@pytest.mark.parametrize("words", [("audit", "sessions"), ("audit", "show", "{s}"), ("audit", "limits"), ("audit", "compare", "{s}", "{s}"),
                                   ("audit", "export", "{s}", "--format", "hl7"), ("audit", "export", "{s}", "--format", "fhir")],
                         ids=" ".join)
def test_standard_output_that_takes_nothing_is_no_success(log, words):
    good, session = log
    with open("/dev/full", "w") as full:
        r = subprocess.run([CTL, *(w.format(s=session) for w in words), "--log", good], stdout=full, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 1 and "written" in r.stderr, r.stderr


# ---- The page ----

def test_a_session_as_a_page(tmp_path):
    write(tmp_path, "--readings", 1500, "--step-ms", 1000)
    good, session, page = tmp_path / "vitals.db", "s-page", tmp_path / "session.html"
    first, last = map(int, sql(good, "SELECT min(observed_ms), max(observed_ms) FROM audit_observation").split("|"))
    for at, body in ((first, {"phase": "screening", "patient": "P <7> & co", "protocol": "P1", "operator": "anna"}),
                     (first + 300000, {"phase": "infusion", "patient": "P <7> & co", "protocol": "P1", "operator": "anna"}),
                     (first + 400000, {"entry": "note", "number": 1, "value": None, "note": "</td><script>alert(1)</script>", "operator": "ben"}),
                     (last, {"phase": "discharged", "patient": "P <7> & co", "protocol": "P1", "operator": "anna"})):
        add_event(good, session, at, body)
    ctl("audit", "show", session, "--html", page, "--log", good)
    text = page.read_text()
    # strict: any mistake is an exception
    tree = html5lib.HTMLParser(strict=True, tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False).parse(text)
    assert tree.get("lang") == "en" and tree.find("head/title").text == "Session s-page"
    svg = next(e for e in tree.iter() if str(e.tag).endswith("svg"))
    drawn = {str(e.tag).split("}")[-1] for e in svg.iter()}
    assert {"title", "desc", "rect", "polyline", "path", "text"} <= drawn, "the course is drawn, and told in words"
    assert all(th.get("scope") for th in tree.iter("th")), "tables read well aloud"
    ledger = json.loads(ctl("audit", "show", session, "--json", "--log", good))["ledger"]
    rows = {tr.find("th").text for tr in tree.iter("tr") if tr.find("th") is not None and tr.find("td") is not None}
    assert {"spo2", "pr"} <= set(ledger) <= rows, "where the seconds went"
    for word in ("<script", "src=", "href=", "url(", "@import", "http://", "https://"):
        assert word not in text, "one file, nothing is loaded, nothing runs"
    assert "P &lt;7&gt; &amp; co" in text and "&lt;script&gt;" in text
    report = ctl("session", "report", session, "--log", good)
    assert "WHERE THE SECONDS WENT" in report and all(metric in report for metric in ledger)
