"""Anybody's check of a log: what schema/README.md says under "Seals", with Python's own sqlite3 and hashlib and OpenSSL.

Shares nothing with the product, so that the two can tell on each other.  Also what a forger would have to do.
"""
import base64
import hashlib
import pathlib
import sqlite3
import subprocess
import tempfile

# "The columns are those of the table in their order", "by the number that the table's first column is".
PARTS = ("epoch", "epoch_end", "origin", "event", "session", "alarm", "shape", "shape_metric", "run", "gap", "finding", "link",
         "carried", "closed", "hold", "hold_end", "removal", "removal_end", "broken", "limit_text",
         "limit_set", "clock", "reading")


def columns_of(db, table):
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def rows_of(db, table, above, upto):
    """The rows as text, in order."""
    columns = columns_of(db, table)
    line = " || '|' || ".join(f"quote({c})" for c in columns)
    return [r[0].encode() + b"\n" for r in db.execute(
        f"SELECT {line} FROM {table} WHERE {columns[0]} > ? AND {columns[0]} <= ? ORDER BY {columns[0]}", (above, upto))]


def bounds(db):
    """Of every part in the order of the chain: (seal, part, above, last, rows, digest)."""
    before = {}
    found = []
    for part, last, seal, rows, digest in db.execute("SELECT part, last, seal, rows, digest FROM seal_part ORDER BY part, last"):
        group = (part, last // 8192 if part == "reading" else 0)
        above = before.get(group, last // 8192 * 8192 - 1 if part == "reading" else -2 ** 63)
        before[group] = last
        found.append((seal, part, above, last, rows, digest))
    return sorted(found, key=lambda p: (p[0], PARTS.index(p[1]) if p[1] in PARTS else 99, p[3])), before


def seal_hash(previous, seal, at_ms, rows, parts):
    text = f"{previous.hex()}|{seal}|{at_ms}|{rows}\n"
    text += "".join(f"{part}|{last}|{n}|{digest.hex()}\n" for _, part, _, last, n, digest in parts)
    return hashlib.sha256(text.encode()).digest()


def write_pem(path, kind, frame, key):
    """`frame`: what RFC 8410 puts before the 32 bytes of a key."""
    der = base64.b64encode(bytes.fromhex(frame) + key).decode()
    path.write_text(f"-----BEGIN {kind} KEY-----\n{der}\n-----END {kind} KEY-----\n")


def signed_by(key, signature, text):
    """With OpenSSL."""
    with tempfile.TemporaryDirectory() as t:
        folder = pathlib.Path(t)
        write_pem(folder / "key.pem", "PUBLIC", "302a300506032b6570032100", key)
        (folder / "text").write_bytes(text)
        (folder / "signature").write_bytes(signature)
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", folder / "key.pem", "-rawin", "-in",
                               folder / "text", "-sigfile", folder / "signature"], capture_output=True).returncode == 0


def sign(seed, text):
    """With OpenSSL."""
    with tempfile.TemporaryDirectory() as t:
        folder = pathlib.Path(t)
        write_pem(folder / "key.pem", "PRIVATE", "302e020100300506032b657004220420", seed)
        (folder / "text").write_bytes(text)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", folder / "key.pem", "-rawin", "-in", folder / "text"],
                              capture_output=True, check=True).stdout


def start_of(db):
    """(hash, number, rows) that the first seal follows: of a later file, what its last link says."""
    links = columns_of(db, "link")  # none in a log of the first version
    return links and db.execute("SELECT hash, seal, rows FROM link ORDER BY link DESC LIMIT 1").fetchone() or (bytes(32), 0, 0)


def tail_of(db, sealed):
    """(rows, exclusive or) of what no seal covers."""
    n, tail = 0, bytes(32)
    for part in PARTS:
        if not columns_of(db, part):
            continue  # a log of an earlier version
        number = columns_of(db, part)[0]
        low = [-2 ** 63] if part != "reading" else \
            [r[0] * 8192 - 1 for r in db.execute("SELECT DISTINCT id / 8192 FROM reading")]
        for above in low:
            group = (part, (above + 1) // 8192 if part == "reading" else 0)
            upto = above + 8192 if part == "reading" else 2 ** 63 - 1
            for row in rows_of(db, part, sealed.get(group, above), upto):
                leaf = hashlib.sha256(part.encode() + b"|" + row).digest()
                tail = bytes(a ^ b for a, b in zip(tail, leaf))
                n += 1
        assert number
    return n, tail


def check(file, signatures=True):
    """What is wrong: a list of words; empty: nothing."""
    db = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    db.text_factory = lambda b: b.decode(errors="surrogateescape")
    try:
        return check_open(db, signatures)
    finally:
        db.close()


def check_open(db, signatures):
    wrong = []
    parts, sealed = bounds(db)
    for seal, part, above, last, rows, digest in parts:
        if part not in PARTS:
            wrong.append(f"{part}: no such table")
            continue
        lines = rows_of(db, part, above, last)
        if len(lines) != rows or hashlib.sha256(b"".join(lines)).digest() != digest:
            wrong.append(f"{part} up to {last}, seal {seal}")
    keys = [r[0] for r in db.execute("SELECT DISTINCT public_key FROM epoch WHERE public_key IS NOT NULL")]
    previous, number, total = start_of(db)
    for seal, at_ms, rows, hash_, signature in db.execute("SELECT * FROM seal ORDER BY seal"):
        mine = [p for p in parts if p[0] == seal]
        total += sum(p[4] for p in mine)
        if seal != number + 1 or seal_hash(previous, seal, at_ms, rows, mine) != hash_ or rows != total:
            wrong.append(f"seal {seal}")
        if signature is not None and signatures and not any(signed_by(k, signature, hash_.hex().encode()) for k in keys):
            wrong.append(f"signature of seal {seal}")
        previous, number = hash_, seal
    if parts and parts[-1][0] > number:
        wrong.append("the last seals are missing")
    head = db.execute("SELECT seal, rows, tail FROM head").fetchall()
    if not head or head[0] != (number, *tail_of(db, sealed)):
        wrong.append("head: rows that are under no seal")
    return wrong


def forge(db):
    """Makes digests, hashes and head fit again to the rows as they are now: all that needs no key."""
    parts, sealed = bounds(db)
    fresh = []
    for seal, part, above, last, _, _ in parts:
        lines = rows_of(db, part, above, last)
        digest = hashlib.sha256(b"".join(lines)).digest()
        db.execute("UPDATE seal_part SET rows = ?, digest = ? WHERE part = ? AND last = ?", (len(lines), digest, part, last))
        fresh.append((seal, part, above, last, len(lines), digest))
    previous, _, total = start_of(db)
    for seal, at_ms in db.execute("SELECT seal, at_ms FROM seal ORDER BY seal").fetchall():
        mine = [p for p in fresh if p[0] == seal]
        total += sum(p[4] for p in mine)
        previous = seal_hash(previous, seal, at_ms, total, mine)
        db.execute("UPDATE seal SET rows = ?, hash = ? WHERE seal = ?", (total, previous, seal))
    last = db.execute("SELECT coalesce(max(seal), 0) FROM seal").fetchone()[0]
    db.execute("UPDATE head SET seal = ?, rows = ?, tail = ?", (last, *tail_of(db, sealed)))


def sign_anew(db, seed):
    """Signatures by the daemon's own key where there were some: what somebody needs who has it."""
    for seal, hash_ in db.execute("SELECT seal, hash FROM seal WHERE signature IS NOT NULL").fetchall():
        db.execute("UPDATE seal SET signature = ? WHERE seal = ?", (sign(seed, hash_.hex().encode()), seal))
