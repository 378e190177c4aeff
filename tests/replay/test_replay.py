"""vitalsctl replay from outside: what it prints, how it refuses, that it is the same every time.

usage: test_replay.py VITALSCTL   (TAP on stdout)
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

VITALSCTL = sys.argv[1]
FOLDER = Path(tempfile.mkdtemp())


def run(text, *words):
    path = FOLDER / "in.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return subprocess.run([VITALSCTL, "replay", "--csv", str(path), *words], capture_output=True, text=True, timeout=60)


def events(text, *words, kind="alarm"):
    done = run(text, "--json", *words)
    assert done.returncode == 0, done.stderr
    return [e for e in map(json.loads, done.stdout.splitlines()) if kind in (None, e["kind"])]


def table(header, rows):
    return header + "\n" + "".join(",".join(str(c) for c in r) + "\n" for r in rows)


def said(found):
    return [(e["t_s"], e["rule"], e["change"], e["priority"]) for e in found]


def an_alarm_has_its_body():
    """Contract 3: every member, nothing that was not measured."""
    e = events(table("t_s,nibp_sys,nibp_dia,nibp_map", [(1500, 184, 85, 118)]), "--phase", "infusion")[0]
    wanted = {"t_s": 1500, "kind": "alarm", "alarm": "a-000001", "rule": "sbp-hi-crit", "class": "physiological",
              "metric": "nibp_sys", "device": "recording", "priority": "high", "change": "raised", "state": "active",
              "signal": "on", "value": 184, "limit": 180, "unit": "mm[Hg]", "direction": "high",
              "onset": "1970-01-01T00:25:00.000Z", "text": "*** Systolic pressure 184, limit 180"}
    assert wanted.items() <= e.items(), e
    assert e["pattern"]["pulses"] == 10 and e["pattern"]["colour"] == "red", e


def an_acknowledgement_names_its_person():
    """Contract: `by` where a person did it."""
    text = table("t_s,nibp_sys,nibp_dia,command", [(0, 184, 85, ""), (10, "", "", "ack")])
    e = events(text, "--phase", "infusion", "--operator", "anna")[-1]
    assert (e["change"], e["by"], e["signal"]) == ("acknowledged", "anna", "acknowledged"), e


def every_filled_cuff_cell_is_new():
    """Contract: also an equal one."""
    text = table("t_s,nibp_sys,nibp_dia", [(0, 170, 85), (60, 170, 85)])
    assert (60, "sbp-hi", "raised", "medium") in said(events(text, "--phase", "infusion", "--baseline", "nibp_sys=120"))


def a_gap_is_a_silent_device():
    """Contract: a missing second is silence, an empty cell is a row without the value."""
    rows = [(t, 70, "") for t in range(30)] + [(t, 70, "") for t in range(60, 70)]
    assert said(events(table("t_s,hr,command", rows))) == [
        (39, "device-offline", "raised", "low"), (49, "device-offline", "escalated", "medium"),
        (60, "device-offline", "cleared", "medium")]
    rows = [(t, 70 if t < 30 or t >= 60 else "", "") for t in range(70)]
    assert said(events(table("t_s,hr,command", rows))) == [
        (44, "hr-signal", "raised", "low"), (59, "hr-signal", "escalated", "medium"), (60, "hr-signal", "cleared", "medium")]


def time_may_be_fractional():
    """Contract: t_s may be fractional."""
    rows = [(t / 2, 130) for t in range(100)]
    assert said(events(table("t_s,hr", rows))) == [(16, "hr-hi", "raised", "medium")]


def gates_refuse_and_say_so():
    """Contract: with --gates a refusal is printed with its codes; without, phases happen as written."""
    text = table("t_s,hr,spo2,nibp_sys,nibp_dia,command", [(0, 70, 98, "", "", ""), (1, 70, 98, 165, 100, "phase infusion")])
    refused = events(text, "--phase", "baseline", "--gates", kind="refusal")
    assert refused and "G1" in refused[0]["codes"] and refused[0]["text"], refused
    assert [e["phase"] for e in events(text, "--phase", "baseline", kind="session")] == ["infusion"]


def a_sample_of_ten_seconds_ago_is_live():
    """Clinical B, G6: heart rate and saturation at most 10 s old, whether or not they still have a median."""
    def started(last, column):
        rows = [(t, 72 if t <= last or column != "hr" else "", 97 if t <= last or column != "spo2" else "",
                 *((120, 80, 93) if t in (10, 130) else ("", "", "")),
                 {1: "start --patient N-17 --protocol P1 --weight 70", 3: "entry moaas 5", 140: "phase infusion",
                  2: "entry check all no; entry pain 5; entry consent yes; phase baseline"}.get(t, "")) for t in range(141)]
        found = events(table("t_s,hr,spo2,nibp_sys,nibp_dia,nibp_map,command", rows), "--gates", kind=None)
        return [e.get("codes") or e["phase"] for e in found if e["kind"] in ("session", "refusal")][-1]
    assert [started(at, "hr") for at in (138, 137, 130, 129)] == ["infusion", "infusion", "infusion", ["G6"]]
    assert [started(at, "spo2") for at in (130, 129)] == ["infusion", ["G6"]]


def a_command_may_quote_its_words():
    """A reason of several words beside another option, a semicolon in a note; an apostrophe is no quote."""
    cell = '"entry note ""lies down; pale"" now; entry note don\'t; entry note \'as is\'; limit sbp-hi 160 \'of old\' hypertension"'
    found = [e["note"] or e["value"] for e in events(f"t_s,hr,command\n1,72,{cell}\n", kind="entry")]
    assert found == ["lies down; pale now", "don't", "as is", "of old hypertension"], found


def limits_of_the_clinic():
    """Contract 2: a set that extends the one that ships."""
    path = FOLDER / "own.yaml"
    path.write_text("sets:\n  - name: own\n    extends: ketamine-adult\n    rules:\n      - { id: hr-hi, enabled: false }\n"
                    "      - { id: hr-mine, metric: hr, when: above, limit: 110, priority: low, on_delay: 5s }\n")
    found = said(events(table("t_s,hr", [(t, 130) for t in range(40)]), "--limits", "own", "--limit-file", str(path)))
    assert found == [(7, "hr-mine", "raised", "low")], found


def the_same_every_time():
    """A replay is deterministic to the byte."""
    rows = [(t, 60 + t * 37 % 90, 98 - t % 17, 100 + t % 90 if t % 120 == 0 else "", "ack" if t % 300 == 0 else "")
            for t in range(1500)]
    text = table("t_s,hr,spo2,nibp_sys,command", rows)
    first, second = run(text, "--json", "--phase", "infusion"), run(text, "--json", "--phase", "infusion")
    assert first.returncode == 0 and first.stdout == second.stdout and first.stdout


def bad_files_are_refused_with_their_line():
    """FILE:LINE: what is wrong; exit 1."""
    for text, line, words in [
        ("", 1, "empty"), ("hr\n1\n", 1, "t_s"), ("t_s,heart\n", 1, "heart"), ("t_s,hr,hr\n", 1, "twice"),
        ("t_s,hr\n0,x\n", 2, "no number"), ("t_s,hr\n0,1\n1,1,1\n", 3, "cells"), ("t_s,hr\n5,70\n\n4,70\n", 4, "goes back"),
        ("t_s,hr\nnan,70\n", 2, "seconds"), ("t_s,hr\n1e99,70\n", 2, "seconds"), ('t_s,command\n0,"ack\n', 2, "quotation"),
        ("t_s,command\n0,dance\n", 2, "dance"), ("t_s,command\n0,limit hr-hi\n", 2, "limit RULE"),
        (b"t_s,hr\n0,\x00\n", 2, "zero byte"), ("t_s,command\n0,pause fast\n", 2, "pause"),
    ]:
        done = run(text)
        assert done.returncode == 1, (text, done)
        assert f"in.csv:{line}: " in done.stderr and words in done.stderr, (text, done.stderr)


def odd_files_are_read():
    """A byte order mark, CRLF, quotes, spaces, NaN for a missing value, short rows."""
    text = '\ufefft_s , hr,command\r\n0, 130 ,"ack; pause 10s"\r\n1,NaN\r\n2,\r\n"3",130,\r\n\r\n4\r\n'
    done = run(text)
    assert done.returncode == 0, done.stderr


def usage():
    """2 for wrong usage, 78 for wrong limit files, 1 for a file that is not there."""
    bad = FOLDER / "bad.yaml"
    bad.write_text("sets:\n  - name: own\n    rules:\n      - { id: x, metric: hr, when: sideways, limit: 1, priority: low }\n")
    for words, code in [(["--phase", "asleep"], 2), (["--baseline", "hr=red"], 2), (["--limits", "nobody"], 2),
                        (["--limit-file", str(bad)], 78), (["more"], 2), (["--help"], 0)]:
        assert run("t_s,hr\n0,70\n", *words).returncode == code, words
    for option, value, known in (("--phase", "asleep", "recovery"), ("--limits", "nobody", "ketamine-adult")):
        assert known in run("t_s,hr\n0,70\n", option, value).stderr, "what would be right is said"
    assert subprocess.run([VITALSCTL, "replay"], capture_output=True).returncode == 2
    assert subprocess.run([VITALSCTL, "replay", "--csv", str(FOLDER / "none")], capture_output=True).returncode == 1


TESTS = [an_alarm_has_its_body, an_acknowledgement_names_its_person, every_filled_cuff_cell_is_new, a_gap_is_a_silent_device,
         time_may_be_fractional, gates_refuse_and_say_so, a_sample_of_ten_seconds_ago_is_live,
         a_command_may_quote_its_words, limits_of_the_clinic, the_same_every_time,
         bad_files_are_refused_with_their_line, odd_files_are_read, usage]
print(f"1..{len(TESTS)}")
for i, test in enumerate(TESTS, 1):
    try:
        test()
        print(f"ok {i} - {test.__name__}")
    except Exception as e:  # a test that cannot run has failed, too
        print(f"not ok {i} - {test.__name__}\n# {type(e).__name__}: {str(e)[:600]}")
