"""A clock for the programs under test: as fast as they can work, held and set by the test (tests/tools/warp.c)."""
import mmap
import os
import struct
import time

from house import BUILD

LIBRARY = BUILD / "tests" / "tools" / "libwarp.so"
HOLD, WALL_STEP, TICK, SPEED, BOOT, WALL, NOW = 0, 8, 16, 24, 32, 40, 48
SIZE = 65536
NS = 1_000_000_000
OUT_OF_SIGHT = 10**6  # boot time in seconds: any that is far from the wall's


class Clock:
    """Stands still until told to run.  Times are seconds since the beginning; `wall` is the Unix time of that moment."""

    def __init__(self, path, wall=1_790_000_000, speed=2000, tick=0.25):
        self.path = str(path)
        with open(self.path, "wb") as f:
            f.write(bytes(SIZE))
        self.file = open(self.path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), SIZE)
        self.beginning = wall
        self._put("q", TICK, round(tick * NS))
        self._put("d", SPEED, speed)
        self._put("q", BOOT, OUT_OF_SIGHT * NS)
        self._put("q", WALL, wall * NS)

    def _put(self, form, at, value):
        struct.pack_into(form, self.memory, at, value)

    def env(self, **more):
        return {"LD_PRELOAD": str(LIBRARY), "WARP": self.path, **more}

    def now(self):
        return struct.unpack_from("q", self.memory, NOW)[0] / NS

    def run_until(self, t, patience=900):
        """Lets time pass; returns when the moment has come and everybody stands still there."""
        self._put("q", HOLD, round(t * NS))
        end = time.monotonic() + patience
        while self.now() < t - 1e-6:
            if time.monotonic() > end:
                raise AssertionError(f"the clock did not get from {self.now()} to {t} within {patience} s")
            time.sleep(0.001)

    def run(self, seconds, patience=900):
        self.run_until(self.now() + seconds, patience)

    def run_free(self):
        """Time passes until the test ends."""
        self._put("q", HOLD, 2**62)

    def step_wall(self, seconds):
        """As if somebody had set the clock on the wall: forwards, or backwards (negative)."""
        self._put("q", WALL_STEP, struct.unpack_from("q", self.memory, WALL_STEP)[0] + round(seconds * NS))

    def wall(self):
        return self.beginning + self.now() + struct.unpack_from("q", self.memory, WALL_STEP)[0] / NS

    def environ(self, **more):
        return {**os.environ, **self.env(**more)}
