"""core and plugins stay pure: their objects call nothing that allocates, waits, opens or asks for the time.

    pure.py NM LIBRARY...
"""
import subprocess
import sys

FORBIDDEN = {"malloc", "calloc", "realloc", "free", "strdup", "time", "gettimeofday", "clock_gettime", "open", "openat",
             "read", "write", "close", "fopen", "fclose", "printf", "fprintf", "puts", "poll", "select", "socket", "system",
             "getenv", "rand", "random", "sleep", "usleep", "nanosleep", "dlopen"}


def calls(nm, library):
    listed = subprocess.run([nm, "-u", library], capture_output=True, text=True, check=True).stdout
    return {line.split()[1].split("@")[0] for line in listed.splitlines() if line.startswith(" ")}


def main(nm, libraries):
    bad = 0
    for library in libraries:
        found = sorted(calls(nm, library) & FORBIDDEN)
        if found:
            bad += 1
            print(f"{library} calls {', '.join(found)}")
    return 1 if bad or not libraries else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
