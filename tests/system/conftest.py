import os
import pathlib
import shutil
import sqlite3
import tempfile

import pytest

from house import Daemon, derived_again

DIFF = bool(os.environ.get("VITALSD_DIFF"))  # every session of every log that a test makes is judged once more


def sessions_in(log):
    """How many; a log that a test spoiled has none, and one of tens of thousands of messages would take too long."""
    try:
        with sqlite3.connect(f"file:{log}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM session WHERE EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'keep_event_u')"
                              " AND (SELECT max(event) FROM event) < 5000").fetchone()[0]
    except sqlite3.Error:
        return 0


@pytest.fixture
def public():
    """A folder that other users can reach.  Below pytest's own they could not for long: each pytest that starts shuts it again."""
    folder = tempfile.mkdtemp(prefix="vitalsd-test-")
    os.chmod(folder, 0o755)
    yield pathlib.Path(folder)
    shutil.rmtree(folder)


@pytest.fixture
def daemon(tmp_path):
    """A maker of daemons that are stopped at the end of the test, with their subscribers."""
    made, heard = [], []

    def make(chairs, name="d", **more):
        d = Daemon(tmp_path / name, chairs, **more)
        made.append(d)
        plain = d.subscribe

        def subscribe(topic=""):
            heard.append(plain(topic))
            return heard[-1]
        d.subscribe = subscribe
        return d
    yield make
    for s in heard:
        s.stop()
    for d in made:
        if d.process and d.process.poll() is None:
            d.kill()
    for d in made if DIFF else []:
        if sessions_in(d.log):
            derived_again(d.log)
