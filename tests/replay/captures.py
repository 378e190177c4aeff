"""Recordings and what they say: FOLDER/captures/X.hex or X.txt, with X.expected beside it.

    captures.py VITALSCTL SOURCE [--write]

The name of the plugin is the first word of the .expected file's first line.
"""
import pathlib
import subprocess
import sys


def decode(vitalsctl, plugin, recording):
    more = ["--hex"] if recording.suffix == ".hex" else []
    done = subprocess.run([vitalsctl, "decode", "--plugin", plugin, "--json", *more, recording],
                          capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else done.stderr


def main(vitalsctl, source, write=False):
    bad, seen = 0, 0
    for expected in sorted(pathlib.Path(source, "plugins").glob("*/captures/*.expected")):
        recording = next(expected.with_suffix(s) for s in (".hex", ".txt") if expected.with_suffix(s).exists())
        plugin, _, said = expected.read_text().partition("\n")
        got = decode(vitalsctl, plugin, recording)
        if write:
            expected.write_text(f"{plugin}\n{got}")
        elif got != said or not got:
            bad += 1
            print(f"{recording}: not as in {expected.name}; got:\n{got}")
        seen += 1
    print(f"{seen} recordings, {bad} wrong")
    return 1 if bad or not seen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], "--write" in sys.argv))
