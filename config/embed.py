#!/usr/bin/env python3
"""Turns data files into a C table, so that the programs run uninstalled with what ships.

    embed.py SYMBOL OUTPUT.c FILE...

writes `const struct vs_embedded SYMBOL[]` (config/embed.h), one entry a file in the order given, then an empty one.
The bytes stand there as numbers: any content, any length, no quoting to get wrong.
"""
import os
import sys


def entry(path, index):
    with open(path, "rb") as f:
        data = f.read()
    rows = [", ".join(str(b) for b in data[i:i + 24]) for i in range(0, len(data), 24)]
    body = ",\n\t".join(rows + ["0"])
    return f"static const unsigned char bytes{index}[] = {{\n\t{body}\n}};\n", len(data)


def main(symbol, output, files):
    arrays, table = [], []
    for i, path in enumerate(files):
        array, size = entry(path, i)
        name, stem = os.path.basename(path), os.path.splitext(os.path.basename(path))[0]
        arrays.append(array)
        table.append(f'\t{{ "{stem}", "{name}", (const char *)bytes{i}, {size} }},\n')
    with open(output, "w", encoding="utf-8") as f:
        f.write('#include "config/embed.h"\n')
        f.write(f"extern const struct vs_embedded {symbol}[];\n")
        f.writelines(arrays)
        f.write(f"const struct vs_embedded {symbol}[] = {{\n{''.join(table)}\t{{ 0 }},\n}};\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
