#!/usr/bin/env python3
"""Changes one comparison, sign or number of the alarm engine at a time and sees whether the tests notice.

Every mutant is one step: `<` becomes `<=`, `==` becomes `!=`, `&&` becomes `||`, `+` becomes `-`, a whole number grows by
one, another one by a tenth (in the limit set that ships: by a hundredth; a duration by one of its unit).  They are made of
the engine's sources, of the constants in its headers and of the limit set.

Almost all of them are compiled once, each behind a switch that a number in the environment throws (VITALS_MUTANT=N), so
that trying one costs a run of the tests and no compiler.  What cannot stand behind a switch (array sizes, static tables,
`#define`) is compiled one by one; the limit set is patched when the program starts.  The tests run in the order given
below and stop at the first that fails.  What no plain run notices is tried once more with the address and undefined
behaviour sanitizers, which is how the suite runs.

Mutants that cannot change what the engine does stand in mutants_equivalent.txt, each with its reason; they are not counted,
and an entry there that fits no mutant is an error.

    meson setup build-plain --buildtype=release && ninja -C build-plain
    tests/tools/mutate_engine.py build-plain

The tree is not touched.
"""
import argparse
import concurrent.futures
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ["signal", "cuff", "trend", "technical", "standing", "rules", "lifecycle", "engine", "effect", "save", "phase"]
HEADERS = ["engine.h", "engine_state.h", "inside.h", "rules.h", "lifecycle.h", "trend.h"]
SESSION = ["session", "session_body", "session_time", "session_words", "gates", "gates_discharge", "dose", "entry", "watch"]
SET = "sets/ketamine-adult.yaml"
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.txt")
# Cheap and telling ones first.
TESTS = ["set_adult", "lifecycle", "engine_texts", "engine_due", "engine_edges", "engine_words", "engine_ends", "engine_slow",
         "engine_saved", "engine_nights", "engine", "engine_tables"]
# What is most likely to notice a change there comes first.
FIRST = {"save.c": ["engine_saved"], "trend.c": ["engine_tables"]}
# Long, and about these files alone.
ONLY = {"engine_tables": ["signal.c", "cuff.c", "trend.c", "engine.c"]}
SWAPS = {"<=": "<", ">=": ">", "<": "<=", ">": ">=", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "+": "-", "-": "+"}
RANK = {"*": 10, "/": 10, "%": 10, "+": 9, "-": 9, "<<": 8, ">>": 8, "<": 7, "<=": 7, ">": 7, ">=": 7, "==": 6, "!=": 6,
        "&": 5, "^": 4, "|": 3, "&&": 2, "||": 1}
ENDS = {",", ";", "?", ":", "=", "+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "%=", "^=", "return", "case", "else", "do"}
TOKEN = re.compile(r"""(?P<skip>\s+|/\*.*?\*/|//[^\n]*)|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
                   r"""|(?P<number>\.?\d(?:[eE][+-]|[\w.])*)|(?P<word>[A-Za-z_]\w*)"""
                   r"""|(?P<op><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""", re.S)
PLAIN_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\d+|\d*\.\d+")
COMMON = """extern int vs_mutant;
#define VS_M_NUM(id, a, b) (vs_mutant == (id) ? (b) : (a))
#define VS_M_OP(id, op, other, l, r) ({ __auto_type l_ = (l); __auto_type r_ = (r); vs_mutant == (id) ? l_ other r_ : l_ op r_; })
#define VS_M_AND(id, l, r) ({ _Bool l_ = (l); l_ != (vs_mutant == (id)) ? (_Bool)(r) : l_; })
#define VS_M_OR(id, l, r) ({ _Bool l_ = (l); l_ == (vs_mutant == (id)) ? (_Bool)(r) : l_; })
"""


class Mutant:
    def __init__(self, file, text, start, end, new, left=None, right=None):
        self.file, self.start, self.end, self.new = file, start, end, new
        self.old, self.left, self.right = text[start:end], left, right
        self.line = text.count("\n", 0, start) + 1
        head = text.rfind("\n", 0, start) + 1
        tail = text.find("\n", start)
        self.source = text[head:tail if tail >= 0 else len(text)].strip()
        self.nth, self.id, self.mode = 1, 0, "switch"

    @property
    def what(self):
        return f"{self.old} -> {self.new}"

    @property
    def key(self):
        return f"{self.file} | {self.source} | {self.what}" + (f" #{self.nth}" if self.nth > 1 else "")

    def __str__(self):
        return f"{self.file}:{self.line}: {self.what}" + (f" #{self.nth}" if self.nth > 1 else "") + f": {self.source}"


# ---- making mutants --------------------------------------------------------------------------------------------------

def tokens_of(text):
    """(kind, start, end, text) without spaces, comments and preprocessor lines; the latter come back apart."""
    found, directives, at = [], [], 0
    while at < len(text):
        if text[at] == "#" and not text[text.rfind("\n", 0, at) + 1:at].strip():
            end = at
            while True:
                end = text.find("\n", end)
                end = len(text) if end < 0 else end
                if text[end - 1] != "\\" or end == len(text):
                    break
                end += 1
            directives.append((at, end))
            at = end
            continue
        m = TOKEN.match(text, at)
        if m.lastgroup != "skip":
            found.append((m.lastgroup, m.start(), m.end(), m.group()))
        at = m.end()
    return found, directives


def is_binary(tokens, k):
    """House style: a binary operator stands between spaces."""
    word = tokens[k][3]
    if word not in RANK or k == 0 or k + 1 >= len(tokens):
        return False
    return tokens[k - 1][2] < tokens[k][1] and tokens[k][2] < tokens[k + 1][1]


def reach(tokens, k, step):
    """Index of the last token of the operand of tokens[k] on that side."""
    opening, closing = ("([{", ")]}") if step > 0 else (")]}", "([{")
    rank, depth, i = RANK[tokens[k][3]], 0, k + step
    while 0 <= i < len(tokens):
        word = tokens[i][3]
        if word in opening:
            depth += 1
        elif word in closing:
            if depth == 0:
                break
            depth -= 1
        elif depth == 0 and (word in ENDS or (is_binary(tokens, i) and (RANK[word] <= rank if step > 0 else RANK[word] < rank))):
            break
        i += step
    return i - step


def next_number(text, share):
    if PLAIN_NUMBER.fullmatch(text) is None:
        return None
    if text[:2].lower() == "0x":
        return hex(int(text, 16) + 1)
    return str(int(text) + 1) if text.isdigit() else f"{float(text) + share:.9g}"


def mutants_of_code(file, text):
    tokens, directives = tokens_of(text)
    found = []
    for k, (kind, start, end, word) in enumerate(tokens):
        if kind == "number" and next_number(word, 0.1):
            found.append(Mutant(file, text, start, end, next_number(word, 0.1)))
        elif word in SWAPS and is_binary(tokens, k):
            left, right = tokens[reach(tokens, k, -1)][1], tokens[reach(tokens, k, 1)][2]
            found.append(Mutant(file, text, start, end, SWAPS[word], left, right))
    for start, end in directives:
        if not text.startswith("#define", start):
            continue
        for kind, a, b, word in tokens_of(" " + text[start + 1:end])[0][2:]:
            if kind == "number" and next_number(word, 0.1):
                found.append(Mutant(file, text, start + a, start + b, next_number(word, 0.1)))
                found[-1].mode = "compile"
    return found


def mutants_of_header(file, text):
    """Of a header only constants: what stands behind `#define` and in inline functions."""
    return [m for m in mutants_of_code(file, text) if m.mode == "compile" or "_Static_assert" not in m.source]


def mutants_of_set(text):
    at = text.index("\nouter_bounds") + 1
    found = []
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        body = text[at:end].split("#")[0]
        if not re.search(r"\b(text|advice|version|summary|name|id)\b: *\S+.*$", body) or "{ to:" in body:
            for m in re.finditer(r"(?<![\w.])\d+(?:\.\d+)?", body):
                found.append(Mutant(SET, text, at + m.start(), at + m.end(), next_number(m.group(), 0.01)))
        at = end + 1
    return found


def number_them(mutants):
    seen = Counter()
    for i, m in enumerate(mutants):
        m.id = i + 1
        base = (m.file, m.source, m.what)
        seen[base] += 1
        m.nth = seen[base]
    return mutants


def collect(files):
    mutants = []
    for name in files:
        mutants += mutants_of_code(name + ".c", (ROOT / "alarms" / (name + ".c")).read_text())
    for name in HEADERS:
        mutants += mutants_of_header(name, (ROOT / "alarms" / name).read_text())
    for m in mutants:
        if m.file.endswith(".h"):
            m.mode = "compile"
    mutants += mutants_of_set((ROOT / "alarms" / SET).read_text())
    return number_them(mutants)


def equivalents(mutants):
    """Keys that stand in the list; reasons are for people.  An entry that fits nothing is an error."""
    known = {m.key for m in mutants}
    listed, strange = set(), []
    for line in EQUIVALENT.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("\t"):
            continue  # the reason of the entries above
        listed.add(line.strip())
        if line.strip() not in known:
            strange.append(line.strip())
    if strange:
        sys.exit("mutants_equivalent.txt names mutants that do not exist:\n" + "\n".join(strange))
    return listed


# ---- compiling them --------------------------------------------------------------------------------------------------

def switched(text, mutants):
    """The source with each of these mutants behind its switch."""
    inserts = []
    for m in mutants:
        if m.left is None:
            inserts.append((m.start, 2, 0, m.end, f"VS_M_NUM({m.id}, {m.old}, {m.new})"))
            continue
        name = {"&&": f"VS_M_AND({m.id}, (", "||": f"VS_M_OR({m.id}, ("}.get(m.old, f"VS_M_OP({m.id}, {m.old}, {m.new}, (")
        inserts.append((m.left, 1, -m.right, m.left, name))
        inserts.append((m.start, 2, 0, m.end, "), ("))
        inserts.append((m.right, 0, -m.left, m.right, "))"))
    parts, at = [], 0
    for start, _, _, end, word in sorted(inserts):
        parts += [text[at:start], word]
        at = max(at, end)
    return COMMON + "#line 1\n" + "".join(parts) + text[at:]


class Workshop:
    def __init__(self, build, keep_flags):
        self.work = Path(tempfile.mkdtemp(prefix="mutants-"))
        self.src = self.work / "src"
        shutil.copytree(ROOT, self.src, ignore=shutil.ignore_patterns("build*", "plain*", "release*", ".git"))
        self.libs = [str(build / p) for p in ("config/libconfig.a", "plugins/libplugins.a", "core/libcore.a")]
        self.flags = ["-O1", "-w", "-std=gnu11", "-D_GNU_SOURCE", "-ffp-contract=off", "-fno-strict-aliasing",
                      "-I" + str(self.src), '-DVS_VERSION="0"', *keep_flags]
        self.tests = [t for t in TESTS if (self.src / "tests/unit" / f"test_{t}.c").exists()]
        self.kills = Counter()

    def cc(self, source, out, *flags):
        return subprocess.run(["cc", *self.flags, *flags, "-c", str(source), "-o", str(out)], capture_output=True, text=True,
                              check=False)

    def link(self, objects, test_object, exe, *flags):
        r = subprocess.run(["cc", *flags, "-o", str(exe), str(test_object), *map(str, objects), *self.libs, "-Wl,-z,muldefs",
                            "-lcmocka", "-lcyaml", "-lyaml", "-lsodium", "-ljansson", "-lm"], capture_output=True, text=True, check=False)
        if r.returncode:
            sys.exit("cannot link: " + r.stderr[-2000:])

    def compile_switched(self, name, mutants, out, *flags):
        """Compiles with all switches that compile; the others are marked for a compiler run of their own."""
        original = (self.src / "alarms" / name).read_text()
        path = out.with_suffix(".switched.c")
        while True:
            left = [m for m in mutants if m.mode == "switch"]
            path.write_text(switched(original, left))
            r = self.cc(path, out, "-ftrack-macro-expansion=0", *flags)
            if r.returncode == 0:
                return
            lines = {int(n) for n in re.findall(r":(\d+):\d+: (?:fatal )?error:", r.stderr)}
            bad = [m for m in left if m.line in lines]
            bad = bad or [m for m in left if m.left is not None and
                          any(original.count("\n", 0, m.left) < n <= original.count("\n", 0, m.right) + 1 for n in lines)]
            if not bad:
                sys.exit(f"{name} does not compile with its switches:\n" + r.stderr[:2000])
            for m in bad:
                m.mode = "compile"

    def set_object(self, mutants, out, *flags):
        """The limit set, patched when the program starts."""
        text = (self.src / "alarms" / SET).read_bytes()
        path = self.work / "limit_sets.c"
        rows = "".join(f'\t{{ {m.id}, {m.start}, {m.end - m.start}, "{m.new}" }},\n' for m in mutants if m.file == SET)
        path.write_text(f"""#include <stdlib.h>
#include <string.h>
#include "config/embed.h"
int vs_mutant;
static const char original[] = {{ {", ".join(str(b) for b in text)}, 0 }};
static char patched[sizeof original + 16];
struct vs_embedded vs_limit_set_files[] = {{ {{ "ketamine-adult", "ketamine-adult.yaml", original, sizeof original - 1 }}, {{ 0 }} }};
static const struct {{ int id, at, len; const char *now; }} patches[] = {{
{rows}\t{{ 0 }},
}};
__attribute__((constructor)) static void choose(void)
{{
	const char *text = getenv("VITALS_MUTANT");
	vs_mutant = text ? atoi(text) : 0;
	for (unsigned i = 0; patches[i].id; i++) {{
		if (patches[i].id != vs_mutant)
			continue;
		memcpy(patched, original, patches[i].at);
		strcpy(patched + patches[i].at, patches[i].now);
		strcat(patched, original + patches[i].at + patches[i].len);
		vs_limit_set_files[0].bytes = patched;
		vs_limit_set_files[0].len = strlen(patched);
	}}
}}
""")
        r = self.cc(path, out, *flags)
        if r.returncode:
            sys.exit(r.stderr)

    def build(self, kind, mutants, jobs, *flags):
        """All programs of one kind (plain, sanitized)."""
        folder = self.work / kind
        folder.mkdir()
        by_file = {}
        for m in mutants:
            by_file.setdefault(m.file, []).append(m)

        def part(source):
            self.compile_switched(source.name, by_file.get(source.name, []), folder / (source.stem + ".o"), *flags)

        def test(t):
            r = self.cc(self.src / "tests/unit" / f"test_{t}.c", folder / f"test_{t}.to", *flags)
            return r.stderr[:2000] if r.returncode else ""

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(part, sorted((self.src / "alarms").glob("*.c"))))
            wrong = "".join(pool.map(test, self.tests))
            if wrong:
                sys.exit(wrong)
            self.set_object(mutants, folder / "limit_sets.o", *flags)
            objects = sorted(folder.glob("*.o"))
            list(pool.map(lambda t: self.link(objects, folder / f"test_{t}.to", folder / t, *flags), self.tests))

    def programs(self, kind):
        return lambda t: self.work / kind / t

    def build_one(self, m, folder, kind, *flags):
        """What one mutant compiled in changes; a function that links a test's program.  None: it does not compile."""
        original = (self.src / "alarms" / m.file).read_text()
        changed = original[:m.start] + m.new + original[m.end:]
        folder.mkdir()
        base = self.work / kind
        tree, sources = self.src, [folder / m.file]
        if m.file.endswith(".h"):
            tree = folder / "src"
            for part in ("alarms", "core", "config", "tests/unit", "plugins"):
                shutil.copytree(self.src / part, tree / part)
            (tree / "alarms" / m.file).write_text(changed)
            sources = sorted((tree / "alarms").glob("*.c"))
            flags = [*flags, "-O0"]
        else:
            (folder / m.file).write_text(changed)
        first = [f if f != "-I" + str(self.src) else "-I" + str(tree) for f in self.flags]

        def compile_it(source, out):
            command = ["cc", *first, *flags, "-I" + str(self.src), "-c", str(source), "-o", str(out)]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

        for s in sources:
            if not compile_it(s, folder / (s.stem + ".o")):
                return None
        names = [p.name for p in sorted(base.glob("*.o"))]
        objects = [folder / n if (folder / n).exists() else base / n for n in names]

        def program(t):
            own = folder / f"test_{t}.to"
            if tree != self.src and not compile_it(tree / "tests/unit" / f"test_{t}.c", own):
                return None
            self.link(objects, own if own.exists() else base / f"test_{t}.to", folder / t, *flags)
            return folder / t

        return program


# ---- trying them -----------------------------------------------------------------------------------------------------

CPU_SECONDS = {"plain": 3, "sanitized": 12}  # a program takes a fifth of it; what loops for ever is noticed


def run(exe, number):
    seconds = CPU_SECONDS["sanitized" if "sanitized" in str(exe) else "plain"]

    def limits():
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    env = {"VITALS_MUTANT": str(number), "VITALS_NIGHTS": "12", "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
           "UBSAN_OPTIONS": "halt_on_error=1", "PATH": os.environ["PATH"]}
    try:
        return subprocess.run([str(exe)], env=env, capture_output=True, timeout=300, preexec_fn=limits, check=False).returncode
    except subprocess.TimeoutExpired:
        return -1


def noticed_by(program, tests, number):
    """The first test that fails, or that the compiler refuses."""
    for t in tests:
        exe = program(t)
        if exe is None or run(exe, number):
            return t
    return None


def order_for(shop, m):
    """What noticed most of this file's mutants so far comes first."""
    tests = [t for t in shop.tests if m.mode == "compile" or m.file in ONLY.get(t, [m.file])]
    return sorted(tests, key=lambda t: (-shop.kills[m.file, t], t not in FIRST.get(m.file, [])))


def try_one(shop, m, sanitizers):
    """The test that noticed it; "" where none did; None: it does not compile."""
    tests = order_for(shop, m)
    for kind, flags in (("plain", []), ("sanitized", sanitizers)):
        if kind == "sanitized" and not sanitizers:
            continue
        if m.mode == "compile":
            folder = shop.work / f"one-{kind}-{m.id}"
            program = shop.build_one(m, folder, kind, *flags)
            found = noticed_by(program, tests, 0) if program else None
            shutil.rmtree(folder)
            if not program:
                return None
        else:
            found = noticed_by(shop.programs(kind), tests, m.id)
        if found:
            shop.kills[m.file, found] += 1
            return found + (" (sanitized)" if kind == "sanitized" else "")
    return ""


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", type=Path, help="a meson build folder without sanitizers, built")
    p.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th mutant")
    p.add_argument("--start", type=int, default=0, metavar="K", help="... from the K-th on")
    p.add_argument("--only", metavar="WORDS", help="only mutants whose description has these words")
    p.add_argument("--session", action="store_true", help="the files of session, gates and doses, too")
    p.add_argument("--jobs", type=int, default=1, metavar="N", help="tries at a time")
    p.add_argument("--results", type=Path, metavar="FILE", help="write what became of each (JSON)")
    p.add_argument("--go-on", action="store_true", help="what stands in the results already is not tried again")
    p.add_argument("--again", type=Path, metavar="FILE", help="only those that survived in such results")
    p.add_argument("--quick", action="store_true", help="without the second try under sanitizers")
    p.add_argument("--count", action="store_true", help="say how many there are, and stop")
    p.add_argument("--show", action="store_true", help="say of each what noticed it")
    return p.parse_args()


def chosen_of(o, everything):
    listed = equivalents(everything)
    chosen = [m for m in everything if m.key not in listed][o.start::o.every]
    if o.only:
        chosen = [m for m in chosen if o.only in str(m)]
    if o.again:
        survived = {k for k, v in json.loads(o.again.read_text()).items() if v == ""}
        chosen = [m for m in chosen if m.key in survived]
    return chosen, len(listed)


def keep(o, fate):
    if o.results:
        o.results.write_text(json.dumps(fate, indent=0))


def say(o, everything, chosen, fate, listed, seconds):
    tried = [m for m in chosen if fate.get(m.key) is not None]
    alive = [m for m in tried if fate[m.key] == ""]
    for m in chosen if o.show else []:
        print(f"{fate[m.key]!r:28} {m}")
    print("\n".join(map(str, alive)))
    print()
    for file, n in sorted(Counter(m.file for m in tried).items()):
        dead = n - sum(m.file == file for m in alive)
        print(f"{file:24} {dead:5} of {n:5}  {100 * dead / n:5.1f} %")
    share = 100 * (len(tried) - len(alive)) / max(len(tried), 1)
    print(f"{len(everything)} mutants, {listed} listed as equivalent, {len(chosen) - len(tried)} do not compile; "
          f"{len(tried)} tried, {len(tried) - len(alive)} noticed ({share:.1f} %), {len(alive)} survived; {seconds:.0f} s")


def main():
    o = options()
    everything = collect(ENGINE + (SESSION if o.session else []))
    if o.count:
        print(len(everything))
        return
    chosen, listed = chosen_of(o, everything)
    begun = time.monotonic()
    shop = Workshop(o.build.resolve(), [])
    sanitizers = [] if o.quick else ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    kinds = ["plain"] if o.quick else ["plain", "sanitized"]
    for kind in kinds:
        shop.build(kind, everything, o.jobs, *(sanitizers if kind == "sanitized" else []))
        wrong = noticed_by(shop.programs(kind), shop.tests, 0)
        if wrong:
            sys.exit(f"{wrong} fails before anything is changed ({kind}); see {shop.work}")
    fate = json.loads(o.results.read_text()) if o.results and o.results.exists() and o.go_on else {}
    chosen_now = [m for m in chosen if m.key not in fate]
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for m, found in zip(chosen_now, pool.map(lambda m: try_one(shop, m, sanitizers), chosen_now)):
            fate[m.key] = found
            if found == "" and o.results:
                print(m, file=sys.stderr, flush=True)
            if len(fate) % 50 == 0:
                print(f"{len(fate)} of {len(chosen)}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
                keep(o, fate)
    shutil.rmtree(shop.work)
    keep(o, fate)
    say(o, everything, chosen, fate, listed, time.monotonic() - begun)


if __name__ == "__main__":
    main()
