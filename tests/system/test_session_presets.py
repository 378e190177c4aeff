"""A complete session of each preset, from screening to the door, through the gates and faster than real time."""
import json
import subprocess

import pytest

from house import VITALSCTL

# preset, minutes of infusion, minutes of recovery, mg that run in at 70 kg (clinical table C), needs a word
PRESETS = [
    ("P1", 40, 30, 35, False), ("P2", 60, 30, 70, False), ("P3", 55, 30, 70, True), ("P4", 240, 60, 98, False),
    ("P5", 120, 60, 80, False), ("P6", 50 / 56 * 60, 60, 50, False), ("P7", 240 / 105 * 60, 60, 240, True),
    ("P10", 60, 60, 0, False), ("P11", 30, 60, 21, False), ("P11a", 10, 60, 21, True), ("P11b", 30, 60, 35, False),
    ("P11c", 7, 60, 7, False), ("P12", 240, 60, 56, False), ("P13", 60, 120, 0, False),
]
LEAVING = "entry moaas 5;entry aldrete 10;entry nausea none;entry dissociation gone;entry gait steady;entry pain 2;" \
          "entry escort her brother;entry advice given"
SCREENED = "entry check all no;entry pain 6;entry consent yes;phase baseline"
START = 301


def recording(path, commands, seconds, cuff_every=120):
    with open(path, "w", encoding="ascii") as f:
        f.write("t_s,spo2,pr,nibp_sys,nibp_dia,nibp_map,command\n")
        for t in range(seconds + 1):
            cuff = "122,78,93" if t % cuff_every == 0 else ",,"
            f.write(f"{t},97,72,{cuff},{commands.get(t, '')}\n")


def replay(path, *more):
    p = subprocess.run([VITALSCTL, "replay", "--csv", path, "--gates", "--json", "--operator", "anna", *more],
                       capture_output=True, text=True, timeout=200)
    assert p.returncode == 0, p.stderr
    return [json.loads(line) for line in p.stdout.splitlines()]


def session(folder, preset, minutes, recovery, word, titration=None):
    end = START + round(minutes * 60)
    door = end + recovery * 60
    commands = {0: f"start --patient N-1 --protocol {preset} --weight 70", 1: SCREENED, START - 1: "entry moaas 5",
                START: "phase infusion" + (" --confirm" if word else "")}
    commands.update({t: "entry moaas 5" for t in range(START + 900, end, 900)})
    commands.update({START + t: c for t, c in (titration or {}).items()})
    commands.update({end: "phase recovery", door: LEAVING, door + 1: "phase discharged"})
    recording(folder / "session.csv", commands, door + 2)
    return replay(folder / "session.csv")


@pytest.mark.parametrize("preset,minutes,recovery,mg,word", PRESETS, ids=[p[0] for p in PRESETS])
def test_from_screening_to_the_door(tmp_path, preset, minutes, recovery, mg, word):
    events = session(tmp_path, preset, minutes, recovery, word)
    assert not [e for e in events if e["kind"] == "refusal"], events
    assert not [e for e in events if e["kind"] == "alarm"]
    phases = [e for e in events if e["kind"] == "session"]
    assert [e["phase"] for e in phases] == ["screening", "baseline", "infusion", "recovery", "discharged"]
    assert phases[-1]["outcome"] == "completed"
    assert phases[-1].get("given_mg", 0) == pytest.approx(mg, rel=0.01)
    assert phases[2]["baseline"] == {"nibp_sys": 122, "nibp_dia": 78, "nibp_map": 93, "hr": 72, "spo2": 97}
    asked = [e["request"] for e in events if e["kind"] == "request" and e["request"].endswith("-due")]
    assert set(asked) <= {"entry-due", "stop-due"} and asked.count("entry-due") == 1  # symptoms, once, at the stop
    if preset == "P13":
        assert [e["t_s"] for e in events if e.get("request") == "nibp-now"] == [START + 2400]


def test_five_days_with_titration(tmp_path):
    """P9: 20 mg/h, a step of 5 mg/h a day, to 40: 3600 mg in 120 hours, and still no clock that tires."""
    day = 86400
    steps = {d * day: f"entry rate {20 + 5 * d} mg/h" for d in range(1, 5)}
    events = session(tmp_path, "P9", 120 * 60, 120, False, steps)
    assert not [e for e in events if e["kind"] == "refusal"]
    last = [e for e in events if e["kind"] == "session"][-1]
    assert last["phase"] == "discharged" and last["outcome"] == "completed"
    assert last["given_mg"] == pytest.approx(24 * (20 + 25 + 30 + 35 + 40), rel=1e-6)
    assert last["infused_s"] == 5 * day


def test_p8_is_refused_with_its_arithmetic(tmp_path):
    recording(tmp_path / "p8.csv", {0: "start --patient N-1 --protocol P8 --weight 70"}, 5)
    refusals = [e for e in replay(tmp_path / "p8.csv") if e["kind"] == "refusal"]
    assert len(refusals) == 1 and "G7" in refusals[0]["codes"]
    assert "4.8 mg/kg/h x 70 kg = 336 mg/h; over 2 h = 672 mg = 9.6 mg/kg" in refusals[0]["text"]


def test_nobody_looked_and_nobody_stopped(tmp_path):
    """Reminders: a score is due after 20 minutes, the end after 40, and again when it has passed by five."""
    commands = {0: "start --patient N-1 --protocol P1 --weight 70", 1: SCREENED, 300: "entry moaas 5", START: "phase infusion"}
    recording(tmp_path / "r.csv", commands, START + 3000)
    due = [(e["t_s"] - START, e["request"]) for e in replay(tmp_path / "r.csv") if str(e.get("request", "")).endswith("-due")]
    assert due[0] == (1200, "entry-due")
    assert [t for t, r in due if r == "stop-due"] == [2400, 2700, 3000]
