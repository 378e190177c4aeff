import pytest

from house import Daemon, wait_for


@pytest.fixture
def daemon(tmp_path):
    """A maker of daemons that are stopped at the end of the test, with their subscribers."""
    made, heard = [], []

    def make(chairs, name="d", **more):
        d = Daemon(tmp_path / name, chairs, **more)
        made.append(d)
        plain = d.subscribe

        def subscribe(topic=""):
            s = plain(topic)
            heard.append(s)
            if not topic and d.process and d.process.poll() is None:
                wait_for(s.messages, 2)  # `alive` comes every second: from here on it misses nothing
            return s
        d.subscribe = subscribe
        return d
    yield make
    for s in heard:
        s.stop()
    for d in made:
        if d.process and d.process.poll() is None:
            d.kill()
