"""What the exports are measured against: programs and definitions that nobody here wrote, from npm, in the build folder.

The versions and their checksums stand in standards/package-lock.json; where to get them is npm's configuration.
"""
import fcntl
import functools
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

from record import BUILD

HERE = pathlib.Path(__file__).parent / "standards"
FOLDER = BUILD / "tests/record/standards"


@functools.cache
def folder():
    """Where the packages are; installs them once for a build folder.  Fails with words where that cannot be done."""
    assert shutil.which("node") and shutil.which("npm"), (
        "the exports cannot be checked against the standards: node and npm are needed (apt-get install nodejs npm)")
    want = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = FOLDER / "installed"
        if not stamp.exists() or stamp.read_text() != want:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, FOLDER)
            r = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=FOLDER, capture_output=True,
                               text=True, timeout=240)
            assert r.returncode == 0, (
                "the exports cannot be checked against the standards: npm could not install the packages of "
                f"tests/record/standards/package.json (npm ci in {FOLDER}):\n{r.stdout}{r.stderr}")
            stamp.write_text(want)
    return FOLDER


def tell(*args):
    r = subprocess.run(["node", HERE / "tell.js", *map(str, args)], capture_output=True, text=True, timeout=120,
                       env={**os.environ, "VITALSD_STANDARDS": str(folder())})
    assert r.returncode == 0, r.stderr
    return r.stdout


def fhir_findings(files):
    """By name of the file."""
    return {pathlib.Path(name).name: found for name, found in json.loads(tell("fhir", *files)).items()}


@functools.cache
def hl7_definitions():
    return json.loads(tell("hl7"))
