"""packaging/demo, as a newcomer types it: whatever time it is given, the pressure rises, an alarm comes and goes, and the
record of it verifies.  The programs of this build are shown; building them is what every test here does first."""
import os
import pathlib
import re
import subprocess

import pytest

DEMO = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "demo"


def demo(folder, *words):
    return subprocess.run([DEMO, *words], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
                          env={**os.environ, "TMPDIR": str(folder)})


def test_an_alarm_comes_and_goes_in_the_time_there_is_and_nothing_is_left_behind(tmp_path):
    for seconds in ("15", "45"):  # three times as long where somebody else has the machine
        p = demo(tmp_path, "--for", seconds)
        assert p.returncode == 0, p.stdout + p.stderr
        live, record = p.stdout.split("== live")[1].split("== the snapshot")
        missing = [what for what in (r"\*\*\* Systolic pressure \d+, limit 180 .* high  raised", r"phase recovery",
                                     r"\*\*\* Systolic pressure .* acknowledged .* by anna", r"\*\*\* Systolic pressure .* over .* high  cleared")
                   if not re.search(what, live)]
        if not missing:
            break
    assert not missing, f"{missing}\n{live}"
    assert re.search(r"a-0000\d\d .* high +sbp-hi-crit .* anna ", record)
    assert "nothing was changed, removed, added or reordered" in record
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--for"], ["--for", "soon"], ["--for", "0"], ["--loud"]])
def test_wrong_words_are_refused(words, tmp_path):
    p = demo(tmp_path, *words)
    assert (p.returncode, p.stdout) == (2, "") and "--for" in p.stderr
