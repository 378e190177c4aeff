#!/usr/bin/env python3
"""Every device folder has what a user and the next developer need: a README that names manual, firmware, cable, what it was
tried on and what never was; vectors with their reason and source; recordings with what they say beside them; facts
named in the source; its rows in docs/devices.md."""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ("Facts from", "Firmware", "Cable", "Tried on|What was tried", "Never tried")
RECORDINGS = {".hex", ".txt"}
VECTORS_MIN = 3


def rows():
    text = (ROOT / "plugins" / "meson.build").read_text()
    for name, home in re.findall(r"^  \['([a-z0-9-]+)'(?:, '([a-z0-9-]+)')?\],", text, re.M):
        yield name, ROOT / "plugins" / (home or name)


def of_readme(folder):
    text = (folder / "README.md").read_text() if (folder / "README.md").exists() else ""
    for word in README:
        if not re.search(rf"\*\*({word})\*\*|## ({word})", text):
            yield f"{folder.name}/README.md does not say: {word}"


def of_row(name, folder, table):
    if f"`{name}`" not in (folder / "README.md").read_text().split("\n")[0]:
        yield f"{folder.name}/README.md: its title does not name {name}"
    if f"| `{name}` |" not in table:
        yield f"docs/devices.md has no row for {name}"
    path = folder / "captures" / f"{name}.json"
    if not path.exists():
        yield f"{path.relative_to(ROOT)} is missing"
        return
    vectors = json.loads(path.read_text())
    if sum("expect" in v and "direction" not in v for v in vectors) < VECTORS_MIN:
        yield f"{path.relative_to(ROOT)} holds fewer than {VECTORS_MIN} received vectors"
    for v in vectors:
        if not (v.get("name") and v.get("why") and v.get("source")):
            yield f"{path.relative_to(ROOT)}: {v.get('name')} says no reason or no source"
    if not any(v.get("expect") == [] or any(e["value"] is None for e in v.get("expect", [])) for v in vectors):
        yield f"{path.relative_to(ROOT)}: nothing in it is refused or missing"


def of_folder(folder):
    for path in sorted((folder / "captures").iterdir()):
        if path.suffix in RECORDINGS and not path.with_suffix(".expected").exists():
            yield f"{path.relative_to(ROOT)}: what it says is not beside it"
    source = folder / f"{folder.name}.c"
    if not re.search(r"Facts:|Facts come|Facts from", source.read_text().split("#include")[0]):
        yield f"{source.relative_to(ROOT)}: the comment at its top does not name where the facts are from"


def main():
    table = (ROOT / "docs" / "devices.md").read_text()
    findings, names = [], []
    for name, folder in rows():
        names.append(name)
        findings += of_row(name, folder, table)
    for folder in sorted({f for _, f in rows()} | {ROOT / "plugins" / "modbus"}):
        findings += of_readme(folder)
        findings += of_folder(folder) if folder.name != "modbus" else []
    assert len(names) > 20
    print("\n".join(findings) or f"{len(names)} plugins: nothing to say")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
