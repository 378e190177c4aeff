#!/usr/bin/env python3
"""The whole daemon on many Modbus TCP monitors of four values at 1 Hz, beside a bare epoll client on the same monitors.

    tests/bench/daemon_monitors.py [--build DIR] [--chairs 250] [--devices 4] [--seconds 10] [--rounds 5]
                                   [--dead 100 --how hole|mute|net] [--collectd] [--breakdown]

Everything is on: limits of ketamine-adult, custody, SQLite, the publisher with one subscriber (nanocat) of all topics.  In turns:
the daemon is started anew, has some seconds to find its rhythm and is measured; then the bare client on the same monitors.

  CPU        of all threads of all processes of the daemon, from schedstat, for each poll that the monitors saw
  memory     RSS: of the processes added up, which counts what they share (programs, libraries, the custody ring) more than
             once.  PSS: shared pages divided among those that share them, so that nothing is counted twice
  lateness   seen by the monitors: how far a request lies behind the grid of its connection, which is where the earliest
             request of this connection in the measurement lay; and less the time in which the whole machine stood still
             (stillness.h; without the right to real-time priority nothing is taken off)
  --dead     so many of the monitors are black-holed.  hole: a listener whose backlog is full, the kernel drops the SYN.  mute:
             accepts and never says a word.  net: addresses behind an interface that leads nowhere (needs root: a network
             namespace of its own is made).  The rounds alternate: all alive, some dead
  --collectd the same monitors by collectd's modbus plugin in place of the bare client (its values are written nowhere)
"""
import argparse
import os
import pathlib
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOSTS_PER_NET = 250


def host(i):
    """As in modbus_poll.c."""
    return f"127.1.{i // HOSTS_PER_NET}.{1 + i % HOSTS_PER_NET}"


class Monitors:
    def __init__(self, build):
        self.process = subprocess.Popen([build / "tests" / "bench" / "modbus-poll", "server", "0"], stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        self.port, self.hole, self.mute = (int(words[i]) for i in (1, 3, 5))

    def lateness(self):
        """Since the last time: requests; median, p99 and worst as they were; p99 and worst less stillness; stillness, ms."""
        self.process.send_signal(signal.SIGUSR1)
        line = self.process.stdout.readline()
        values = [float(x) for x in re.findall(r"([\d.]+) ms", line)]
        return {"requests": int(re.match(r"requests: (\d+)", line)[1]), "median": values[0], "p99": values[1], "worst": values[2],
                "less p99": values[4], "less worst": values[5], "still": values[6]}

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def children(pid):
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += children(int(child))
    return found


def cpu_by_thread(pids):
    """Seconds on a processor, by process and name of the thread."""
    spent = {}
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            key = f"{pid} {(task / 'comm').read_text().strip()}"
            spent[key] = spent.get(key, 0) + int((task / "schedstat").read_text().split()[0]) / 1e9
    return spent


def memory(pids):
    """RSS and PSS in MB (1e6 bytes), summed."""
    total = {"Rss": 0, "Pss": 0}
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            m = re.match(r"(Rss|Pss): +(\d+) kB", line)
            if m:
                total[m[1]] += int(m[2]) * 1024 / 1e6
    return total["Rss"], total["Pss"]


def chairs(o, monitors, dead):
    """A tenth (or so) of the monitors, evenly spread, are dead."""
    def device(i, name):
        is_dead = dead and i % (o.chairs * o.devices // dead) == 0
        address, port = host(i), monitors.port
        if is_dead and o.how == "net":
            address = f"198.18.{i // HOSTS_PER_NET}.{1 + i % HOSTS_PER_NET}"
        elif is_dead:
            port = getattr(monitors, o.how)
        return {"id": name, "plugin": "modbus", "tcp": {"host": address, "port": port}, "unit": 1, "poll": "1s",
                "timeout": "500ms", "registers": [
                    {"metric": metric, "table": "input", "address": k, "type": "u16", "scale": 0.1 if metric == "temp" else 1}
                    for k, metric in enumerate(("spo2", "pr", "rr", "temp"))]}
    return [{"id": f"chair-{c}", "limits": "ketamine-adult",
             "devices": [device(c * o.devices + d, f"monitor-{d}") for d in range(o.devices)]} for c in range(o.chairs)]


def measure_daemon(o, monitors, dead, folder):
    daemon = house.Daemon(folder, chairs(o, monitors, dead)).start(seconds=60)
    with open(os.devnull, "w") as nothing:
        hearer = subprocess.Popen(["nanocat", "--sub", "--connect", daemon.events, "--ascii"], stdout=nothing)
    time.sleep(o.settle)
    pids = children(daemon.process.pid)
    monitors.lateness()
    before, begin = cpu_by_thread(pids), time.monotonic()
    time.sleep(o.seconds)
    seen = monitors.lateness()
    requests = seen["requests"]
    after, span = cpu_by_thread(pids), time.monotonic() - begin
    rss, pss = memory(pids)
    expected = (o.chairs * o.devices - dead) * span
    parts = {k: (after[k] - before.get(k, 0)) * 1e6 / requests for k in after}
    hearer.terminate()
    hearer.wait(5)
    status = daemon.stop(seconds=30)
    if status != 0:
        sys.exit(f"the daemon ended with {status}: {daemon.said()[-2000:]}")
    return {"cpu": sum(parts.values()), "parts": parts, "rss": rss, "pss": pss, "share": requests / expected, **seen}


def measure_bare(o, monitors):
    p = subprocess.run([o.build / "tests" / "bench" / "modbus-poll", "bare", str(monitors.port), str(o.chairs * o.devices),
                        str(o.seconds)], capture_output=True, text=True, check=True)
    monitors.lateness()
    return float(re.search(r"([\d.]+) us CPU", p.stdout)[1])


COLLECTD = """Interval 1
BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
TypesDB "/usr/share/collectd/types.db"
ReadThreads {threads}
PostCacheChain "nowhere"
<Chain "nowhere">
  Target "stop"
</Chain>
LoadPlugin modbus
<Plugin modbus>
{data}{hosts}</Plugin>
"""


def collectd_configuration(o, monitors, dead, folder):
    names = ("spo2", "pr", "rr", "temp")
    data = "".join(f'  <Data "{n}">\n    RegisterBase {k}\n    RegisterType Uint16\n    RegisterCmd ReadInput\n    Type gauge\n'
                   f'    Instance "{n}"\n  </Data>\n' for k, n in enumerate(names))
    hosts = ""
    for i in range(o.chairs * o.devices):
        is_dead = dead and i % (o.chairs * o.devices // dead) == 0
        port = getattr(monitors, o.how) if is_dead else monitors.port
        collect = "".join(f'      Collect "{n}"\n' for n in names)
        hosts += (f'  <Host "m{i}">\n    Address "{host(i)}"\n    Port "{port}"\n    Interval 1\n    <Slave 1>\n'
                  f'      Instance "s"\n{collect}    </Slave>\n  </Host>\n')
    f = folder / "collectd.conf"
    f.write_text(COLLECTD.format(folder=folder, threads=o.threads, data=data, hosts=hosts))
    return f


def measure_collectd(o, monitors, dead, folder):
    folder.mkdir()
    p = subprocess.Popen(["collectd", "-f", "-C", collectd_configuration(o, monitors, dead, folder)], stdout=subprocess.DEVNULL,
                         stderr=open(folder / "stderr.txt", "w"))
    time.sleep(o.settle)
    monitors.lateness()
    before, begin = sum(cpu_by_thread([p.pid]).values()), time.monotonic()
    time.sleep(o.seconds)
    requests = monitors.lateness()["requests"]
    spent, span = sum(cpu_by_thread([p.pid]).values()) - before, time.monotonic() - begin
    rss, pss = memory([p.pid])
    p.terminate()
    try:
        p.wait(20)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
    alive = o.chairs * o.devices - dead
    return {"cpu": spent * 1e6 / requests if requests else float("nan"), "every": alive * 4 * span / requests if requests else 0,
            "rss": rss, "pss": pss}


def spread(values, form="{:.2f}"):
    return f"{form.format(statistics.median(values))} ({form.format(min(values))} to {form.format(max(values))})"


def compare(o, monitors, folder):
    daemon, bare = [], []
    for n in range(o.rounds):
        daemon.append(measure_daemon(o, monitors, 0, folder / f"d{n}"))
        bare.append(measure_bare(o, monitors))
        d = daemon[-1]
        print(f"round {n + 1}: daemon {d['cpu']:.1f} us a poll ({100 * d['share']:.1f} % of the polls due), bare {bare[-1]:.1f} us, "
              f"ratio {d['cpu'] / bare[-1]:.2f}; RSS {d['rss']:.1f} MB, PSS {d['pss']:.1f} MB; p99 {d['p99']:.2f} ms behind", flush=True)
        if o.breakdown:
            print("   " + ", ".join(f"{k.split(' ', 1)[1]} {v:.2f}" for k, v in sorted(d["parts"].items(), key=lambda x: -x[1]) if v > 0.02))
    print(f"daemon: {spread([d['cpu'] for d in daemon])} us CPU a poll; bare: {spread(bare)} us")
    print(f"daemon / bare: {spread([d['cpu'] / b for d, b in zip(daemon, bare)])}")
    print(f"memory of all processes: RSS {spread([d['rss'] for d in daemon], '{:.1f}')} MB, PSS {spread([d['pss'] for d in daemon], '{:.1f}')} MB")


def with_dead(o, monitors, folder):
    found = {0: [], o.dead: []}
    for n in range(o.rounds):
        for dead in found:
            d = measure_daemon(o, monitors, dead, folder / f"d{n}-{dead}")
            found[dead].append(d)
            print(f"round {n + 1}: {dead} dead ({o.how}): the others' polls {100 * d['share']:.1f} % of those due; behind the grid: "
                  f"median {d['median']:.2f}, p99 {d['p99']:.2f}, worst {d['worst']:.2f} ms; less {d['still']:.0f} ms in which the machine "
                  f"stood still: p99 {d['less p99']:.2f}, worst {d['less worst']:.2f} ms; {d['cpu']:.1f} us CPU a poll", flush=True)
    for dead, runs in found.items():
        for less, what in (("", "behind the grid"), ("less ", "behind the grid, less stillness")):
            print(f"{dead} dead: p99 {spread([d[less + 'p99'] for d in runs])} ms {what}, worst {spread([d[less + 'worst'] for d in runs])} ms")


def beside_collectd(o, monitors, folder):
    ours, theirs = [], []
    for n in range(o.rounds):
        ours.append(measure_daemon(o, monitors, o.dead, folder / f"d{n}"))
        theirs.append(measure_collectd(o, monitors, o.dead, folder / f"c{n}"))
        print(f"round {n + 1}, {o.dead} dead: daemon {ours[-1]['cpu'] / 4:.2f} us CPU a value, each alive monitor every "
              f"{1 / ours[-1]['share']:.2f} s, RSS {ours[-1]['rss']:.1f} MB; collectd {theirs[-1]['cpu']:.2f} us a value, every "
              f"{theirs[-1]['every']:.2f} s, RSS {theirs[-1]['rss']:.1f} MB", flush=True)
    print(f"CPU a value: daemon {spread([d['cpu'] / 4 for d in ours])} us, collectd {spread([c['cpu'] for c in theirs])} us; "
          f"daemon / collectd {spread([d['cpu'] / 4 / c['cpu'] for d, c in zip(ours, theirs)])}")
    print(f"an alive monitor is read every: daemon {spread([1 / d['share'] for d in ours])} s, collectd "
          f"{spread([c['every'] for c in theirs])} s")


def into_namespace():
    """Starts this again where 198.18.0.0/15 leads nowhere: what is sent there is dropped without a word."""
    script = ("ip link set lo up && ip link add nowhere type veth peer name void && ip link set nowhere up && ip link set void up"
              " && ip addr add 198.19.0.1/30 dev nowhere && ip neigh add 198.19.0.2 lladdr 02:00:00:00:00:01 dev nowhere"
              " && ip route add 198.18.0.0/16 via 198.19.0.2 && exec \"$@\"")
    os.execvp("unshare", ["unshare", "-n", "sh", "-c", script, "sh", sys.executable, *sys.argv, "--inside"])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    p.add_argument("--chairs", type=int, default=250)
    p.add_argument("--devices", type=int, default=4, help="of each chair")
    p.add_argument("--seconds", type=int, default=10)
    p.add_argument("--settle", type=float, default=4)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--dead", type=int, default=0)
    p.add_argument("--how", choices=("hole", "mute", "net"), default="hole")
    p.add_argument("--collectd", action="store_true")
    p.add_argument("--threads", type=int, default=5, help="collectd's ReadThreads")
    p.add_argument("--breakdown", action="store_true", help="by thread")
    p.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    o = p.parse_args()
    o.build = o.build.resolve()
    if o.how == "net" and not o.inside:
        into_namespace()
    os.environ["VITALSD_BUILD"] = str(o.build)
    sys.path.insert(0, str(ROOT / "tests" / "system"))
    global house
    import house
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{o.chairs} chairs with {o.devices} monitors each of 4 values at 1 Hz, {o.seconds} s a measurement")
    monitors = Monitors(o.build)
    try:
        with tempfile.TemporaryDirectory() as folder:
            (beside_collectd if o.collectd else with_dead if o.dead else compare)(o, monitors, pathlib.Path(folder))
    finally:
        monitors.stop()


if __name__ == "__main__":
    main()
