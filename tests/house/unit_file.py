#!/usr/bin/env python3
"""systemd accepts the unit as it ships; only the program stands elsewhere while it is not installed."""
import pathlib
import subprocess
import sys
import tempfile

source, program = pathlib.Path(sys.argv[1]), sys.argv[2]
text = source.read_text()
assert "ExecStart=/usr/bin/vitalsd " in text
with tempfile.TemporaryDirectory() as folder:
    unit = pathlib.Path(folder) / source.name
    unit.write_text(text.replace("/usr/bin/vitalsd", program))
    p = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    said = "\n".join(x for x in p.stderr.splitlines() if source.name in x)
    print(said or "accepted")
    # The verifier must be able to refuse: a wrong key is told.
    unit.write_text(text.replace("/usr/bin/vitalsd", program).replace("Restart=always", "Restart=perhaps"))
    refused = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert "perhaps" in refused.stderr, refused.stderr
sys.exit(1 if said or p.returncode else 0)
