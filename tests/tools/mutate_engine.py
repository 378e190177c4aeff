"""Changes one comparison, sign or number of the alarm engine at a time and sees whether the tests notice.

usage: mutate_engine.py BUILD [--every N] [--from K] [--seconds S]

BUILD is a meson build folder of its own (best without sanitizers).  Prints the survivors and the share that was noticed.
The sources are copied, changed in the copy and compiled against the folder's test programs; the tree is not touched.
"""
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ["signal.c", "cuff.c", "trend.c", "technical.c", "standing.c", "rules.c", "lifecycle.c", "engine.c"]
SWAPS = [(" <= ", " < "), (" >= ", " > "), (" < ", " <= "), (" > ", " >= "), (" == ", " != "), (" != ", " == "),
         (" && ", " || "), (" || ", " && "), (" + ", " - "), (" - ", " + ")]
SET = "sets/ketamine-adult.yaml"
TESTS = ["test_engine", "test_set_adult", "test_lifecycle", "test_engine_nights"]


def code_only(line):
    return not line.lstrip().startswith(("/*", "*", "#", "//")) and "static const char" not in line


def mutants_of_code(name, text):
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if not code_only(line):
            continue
        body = line.split("/*")[0]
        for old, new in SWAPS:
            for m in re.finditer(re.escape(old), body):
                yield name, i, line[:m.start()] + new + line[m.end():], f"{old.strip()} -> {new.strip()}"
        for m in re.finditer(r"(?<![\w.\"%])\d+(?:\.\d+)?(?![\w.\"])", body):
            value = m.group()
            new = str(int(value) + 1) if value.isdigit() else str(float(value) + 0.1)
            yield name, i, line[:m.start()] + new + line[m.end():], f"{value} -> {new}"


def mutants_of_set(text):
    lines = text.split("\n")
    begin = next(i for i, l in enumerate(lines) if l.startswith("outer_bounds"))
    for i in range(begin, len(lines)):
        body = lines[i].split("#")[0]
        if re.search(r"\b(text|advice|version|summary)\b", body):
            continue
        for m in re.finditer(r"(?<![\w.])\d+(?:\.\d+)?", body):
            value = m.group()
            if lines[i][:m.start()].rstrip().endswith("id:"):
                continue
            new = str(int(value) + 1) if value.isdigit() else f"{float(value) + 0.01:.2f}"
            yield SET, i, lines[i][:m.start()] + new + lines[i][m.end():], f"{value} -> {new}"


def sh(args, seconds, **more):
    try:
        return subprocess.run(args, capture_output=True, timeout=seconds, **more).returncode
    except subprocess.TimeoutExpired:
        return -1


def main():
    build = Path(sys.argv[1]).resolve()
    option = {sys.argv[i]: int(sys.argv[i + 1]) for i in range(2, len(sys.argv) - 1, 2)}
    work = Path(tempfile.mkdtemp())
    shutil.copytree(ROOT, work / "src", ignore=shutil.ignore_patterns("build*", ".git"))
    base = work / "src" / "alarms"
    everything = list(mutants_of_set((base / SET).read_text()))
    for name in FILES:
        everything += mutants_of_code(name, (base / name).read_text())
    chosen = everything[option.get("--from", 0)::option.get("--every", 1)]
    libs = [str(build / p) for p in ("config/libconfig.a", "plugins/libplugins.a", "core/libcore.a")]
    flags = ["-O1", "-D_GNU_SOURCE", "-ffp-contract=off", "-fno-strict-aliasing", "-I" + str(work / "src"), '-DVS_VERSION="0"']
    # objects of everything that is not changed, and the tests
    objects = {}
    for c in sorted(base.glob("*.c")):
        objects[c.name] = work / (c.stem + ".o")
        subprocess.run(["cc", *flags, "-c", str(c), "-o", str(objects[c.name])], check=True)
    tests = {}
    for t in TESTS:
        tests[t] = work / (t + ".o")
        subprocess.run(["cc", *flags, "-c", str(work / "src/tests/unit" / (t + ".c")), "-o", str(tests[t])], check=True)
    embed = work / "limit_sets.o"

    def embed_set():
        c = work / "limit_sets.c"
        subprocess.run([sys.executable, str(work / "src/config/embed.py"), "vs_limit_set_files", str(c), str(base / SET)],
                       check=True)
        subprocess.run(["cc", *flags, "-c", str(c), "-o", str(embed)], check=True)

    def noticed():
        for t in TESTS:
            exe = work / t
            link = ["cc", "-o", str(exe), str(tests[t]), str(embed), *map(str, objects.values()), *libs, "-Wl,-z,muldefs",
                    "-lcmocka", "-lcyaml", "-lyaml", "-lsodium", "-lm"]
            if sh(link, 60):
                raise SystemExit("cannot link: " + " ".join(link))
            if sh([str(exe)], 20, env={"VITALS_NIGHTS": "12"}):
                return True
        return False

    embed_set()
    if noticed():
        raise SystemExit("the tests fail before anything is changed")
    survivors, seen, useless, end = [], 0, 0, time.monotonic() + option.get("--seconds", 36000)
    for name, i, line, what in chosen:
        if time.monotonic() > end:
            break
        path = base / name
        old = path.read_text()
        lines = old.split("\n")
        lines[i] = line
        path.write_text("\n".join(lines))
        try:
            if name == SET:
                embed_set()
            elif sh(["cc", *flags, "-c", str(path), "-o", str(objects[name])], 60):
                useless += 1
                continue
            seen += 1
            if not noticed():
                survivors.append(f"{name}:{i + 1}: {what}: {line.strip()}")
        finally:
            path.write_text(old)
            if name == SET:
                embed_set()
            else:
                subprocess.run(["cc", *flags, "-c", str(path), "-o", str(objects[name])], check=True)
    shutil.rmtree(work)
    print("\n".join(survivors))
    print(f"{seen} of {len(everything)} mutants tried, {seen - len(survivors)} noticed "
          f"({100 * (seen - len(survivors)) / max(seen, 1):.0f} %), {useless} did not compile")


if __name__ == "__main__":
    main()
