"""A disk whose power fails: the trace of tests/tools/faulty_disk.c, and every set of files that could be left of it.

What a flush (fsync, fdatasync) covered is there.  Of what was written since the last flush of its file each 512-byte sector may be
there or not, in any order; the ring, written through memory and never flushed, may have any page as it was at any time.
Names (created, renamed, given anew, removed) are there once their folder was flushed; of those since, so many of the first as you like.
"""
import collections
import random
import struct

HEAD = struct.Struct("=4sIqqq")
SECTOR = 512

Call = collections.namedtuple("Call", "what path to wall_ms offset data")


def read_trace(file):
    calls, at, bytes_ = [], 0, file.read_bytes()
    while at < len(bytes_):
        what, path_len, wall_ns, offset, length = HEAD.unpack_from(bytes_, at)
        at += HEAD.size
        path, _, to = bytes_[at:at + path_len].decode().partition("\0")
        at += path_len
        calls.append(Call(what[:1].decode(), path, to, wall_ns / 1e6, offset, bytes_[at:at + length]))
        at += length
    return calls


class File:
    def __init__(self):
        self.durable = bytearray()
        self.pending = []  # (offset, data), or (new length, None)

    def flush(self):
        for write in self.pending:
            apply(self.durable, *write)
        self.pending = []

    def left(self, dice, share):
        content = bytearray(self.durable)
        for offset, data in self.pending:
            if data is None:
                if dice.random() < share:
                    apply(content, offset, None)
            elif dice.random() < 0.25:  # torn
                for at in range(0, len(data), SECTOR):
                    if dice.random() < share:
                        apply(content, offset + at, data[at:at + SECTOR])
            elif dice.random() < share:
                apply(content, offset, data)
        return content


def apply(content, offset, data):
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    if len(content) < offset + len(data):
        content.extend(bytes(offset + len(data) - len(content)))
    content[offset:offset + len(data)] = data


class Disk:
    """Fed call by call; left() is what a power cut now could leave."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.names, self.durable_names, self.pending_names = {}, {}, []
        self.acknowledged = 0  # the last line of `acks`

    def feed(self, call):
        file = self.names.get(call.path)
        if call.what == "C":
            self.change(("C", call.path, File()))
        elif call.what == "N":
            self.change(("N", call.path, call.to))
        elif call.what == "L":
            self.change(("L", call.path, call.to))
        elif call.what == "U":
            self.change(("U", call.path, None))
        elif call.what == "S" and call.path == self.folder:
            for change in self.pending_names:
                self.carry_out(self.durable_names, change)
            self.pending_names = []
        elif call.what == "S" and file:
            file.flush()
        elif call.what in "WR" and file:
            file.pending.append((call.offset, call.data))
            if call.path.endswith("/acks"):
                self.acknowledged = int(call.data)
        elif call.what == "T" and file:
            file.pending.append((call.offset, None))

    def change(self, change):
        self.carry_out(self.names, change)
        self.pending_names.append(change)

    @staticmethod
    def carry_out(names, change):
        what, path, more = change
        if what == "C":
            names[path] = more
        elif what == "U":
            names.pop(path, None)
        elif what == "L" and path in names:
            names[more] = names[path]
        elif path in names:
            names[more] = names.pop(path)

    def left(self, seed, share):
        """{name: content}.  share: how likely a sector or name is there that no flush covers: 0 none, 1 all."""
        dice = random.Random(seed)
        names = dict(self.durable_names)
        for change in self.pending_names:
            if dice.random() >= share:
                break
            self.carry_out(names, change)
        return {path.rsplit("/", 1)[1]: file.left(dice, share) for path, file in sorted(names.items())}
