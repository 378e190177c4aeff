#!/usr/bin/env python3
"""Units of doses cannot be mixed: each of these statements must be refused by the compiler, and its sound twin accepted.

    test_dose_units.py SOURCE_DIR COMPILER...
"""
import subprocess
import sys

PROGRAM = """
#include "alarms/dose.h"
bool f(struct vs_preset *p, struct vs_kg kg, struct vs_minutes min);
bool f(struct vs_preset *p, struct vs_kg kg, struct vs_minutes min) {{ (void)kg; (void)min; {}; return p->disabled; }}
"""

# what is mixed, the statement that mixes it, the same thing done right
MIXES = [
    ("mg/kg/h into mg/h", "p->rate = p->step[0]", "p->rate = vs_rate_at_weight(p->step[0], kg)"),
    ("mg/h into mg/kg/h", "p->step[0] = p->cap_rate", "p->step[0] = vs_rate_per_kg(p->cap_rate, kg)"),
    ("mg into mg/kg", "p->dose_high = p->dose", "p->dose_high = vs_dose_per_kg(p->dose, kg)"),
    ("mg/kg/h compared with mg/h", "if (p->step[0] > p->rate) return true",
     "if (vs_rate_at_weight(p->step[0], kg).v > p->rate.v) return true"),
    ("mg/h and mg/kg/h added", "p->rate = p->rate + p->step[0]",
     "p->rate.v += vs_rate_at_weight(p->step[0], kg).v"),
    ("minutes for kilograms", "p->rate = vs_rate_at_weight(p->step[0], min)", "p->rate = vs_rate_at_weight(p->step[0], kg)"),
    ("kilograms for minutes", "p->step[0] = vs_rate_of_dose(p->dose_low, kg)",
     "p->step[0] = vs_rate_of_dose(p->dose_low, min)"),
    ("mL/h for mg/h", "p->rate = vs_pump_of_rate(p->rate, p->concentration)",
     "(void)vs_pump_of_rate(p->rate, p->concentration)"),
    ("a bare number for a rate", "p->rate = 52.5", "p->rate = (struct vs_mg_h){ 52.5 }"),
]


def compiles(command, source, statement):
    run = subprocess.run(command + ["-std=gnu11", "-I", source, "-fsyntax-only", "-x", "c", "-"],
                         input=PROGRAM.format(statement), text=True, capture_output=True, timeout=60)
    return run.returncode == 0, run.stderr


def main(source, command):
    bad = 0
    print(f"1..{len(MIXES)}")
    for number, (what, mixed, sound) in enumerate(MIXES, 1):
        accepted, _ = compiles(command, source, mixed)
        fine, words = compiles(command, source, sound)
        ok = fine and not accepted
        bad += not ok
        print(f"{'ok' if ok else 'not ok'} {number} - {what}")
        if accepted:
            print(f"# compiles, and must not: {mixed}")
        if not fine:
            print("# must compile: " + sound + "\n# " + words.replace("\n", "\n# "))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
