"""plugins/README.md, word for word: its commands are run outside the tree, and print what it shows."""
import os
import re
import shutil
import subprocess
import tty

import pytest

from house import BUILD, ROOT, VITALSCTL, wait_for

TUTORIAL = (ROOT / "plugins" / "README.md").read_text().split("## What every decoder")[0]
STEPS = re.findall(r"```(sh|text)\n(.*?)```", TUTORIAL, re.S)

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("pkg-config") or not shutil.which("make"),
                                reason="needs root (the directory of plugins is root's), pkg-config and make")


@pytest.fixture
def environment(tmp_path):
    """As after an installation: the pkg-config file found, vitalsctl on the path, sudo without a question."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "vitalsctl").symlink_to(VITALSCTL)
    (tools / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tools / "sudo").chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    plugin_dir = BUILD / "plugin-dir"
    shutil.rmtree(plugin_dir, ignore_errors=True)
    yield home, dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}", PKG_CONFIG_PATH=str(BUILD / "meson-uninstalled"),
                     VITALSD_PLUGIN_DIR=str(plugin_dir))
    shutil.rmtree(plugin_dir, ignore_errors=True)


def run(command, home, env):
    return subprocess.run(["sh", "-ec", command], cwd=home, env=env, capture_output=True, text=True, timeout=120)


def test_the_tutorial_works_to_the_letter(environment):
    home, env = environment
    where, shown = "", 0
    output = ""
    for kind, text in STEPS:
        if kind == "text":
            assert output == text, "the tutorial shows another output"
            shown += 1
            continue
        done = run(where + text, home, env)
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        output = done.stdout
        where += "".join(line + "\n" for line in text.splitlines() if line.startswith("cd "))
    assert shown == 2


def build(home, env):
    run('cp -r "$(pkg-config --variable=skeletondir vitalsd-plugin)" acme-ox1 && cd acme-ox1 && make install', home, env)
    return BUILD / "plugin-dir" / "acme-ox1.so"


def test_a_file_that_others_can_write_is_refused(environment):
    home, env = environment
    build(home, env).chmod(0o666)
    done = run("vitalsctl decode --plugin acme-ox1 acme-ox1/sample.txt", home, env)
    assert done.returncode == 1 and "writable by root alone" in done.stderr


def test_another_abi_is_refused(environment):
    home, env = environment
    build(home, env)
    run("sed -i 's/= VS_PLUGIN_ABI,/= VS_PLUGIN_ABI + 1,/' acme-ox1/acme-ox1.c && cd acme-ox1 && make -B install", home, env)
    done = run("vitalsctl decode --plugin acme-ox1 acme-ox1/sample.txt", home, env)
    assert done.returncode == 1 and "build it again" in done.stderr


def test_the_file_must_be_called_like_the_plugin(environment):
    home, env = environment
    so = build(home, env)
    so.rename(so.with_name("other.so"))
    done = run("vitalsctl decode --plugin other acme-ox1/sample.txt", home, env)
    assert done.returncode == 1 and "another one than the file's" in done.stderr


def test_the_list_and_the_configuration_know_it(environment):
    home, env = environment
    build(home, env)
    assert '"name":"acme-ox1"' in run("vitalsctl plugins --json", home, env).stdout
    # A file that is no plugin is named, and the others are still listed.
    (BUILD / "plugin-dir" / "broken.so").write_text("no shared object")
    done = run("vitalsctl plugins", home, env)
    assert "acme-ox1" in done.stdout and "nonin-df2" in done.stdout and "broken" in done.stderr


def test_the_daemon_runs_it(environment, monkeypatch, daemon):
    home, env = environment
    build(home, env)
    monkeypatch.setenv("VITALSD_PLUGIN_DIR", env["VITALSD_PLUGIN_DIR"])
    master, slave = os.openpty()
    tty.setraw(slave)
    d = daemon([{"id": "chair-1", "limits": "ketamine-adult", "devices": [
        {"id": "oximeter", "plugin": "acme-ox1", "serial": {"path": os.ttyname(slave)}}]}])
    d.start()
    try:
        events = d.subscribe("vitals/chair-1")
        sample = (home / "acme-ox1" / "sample.txt").read_bytes()

        def says_it():
            os.write(master, sample)
            return [b for b in events.bodies("vitals") if b["values"] == {"spo2": 97, "pr": 72}]
        assert wait_for(says_it, step=0.3)
    finally:
        os.close(slave)
        os.close(master)
