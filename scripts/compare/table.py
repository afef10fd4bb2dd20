# SPDX-License-Identifier: Apache-2.0
"""Puts what compare.py found into docs/peers.tsv and, a row a model type, into docs/models.md between its marks.

usage: table.py EXPORTER=TABLE...     (in the order of the columns)
"""

import collections
import csv
import pathlib
import sys

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
KEY = ("model_type", "architecture", "transformers_version", "feature")


def rows_of(path):
    with open(path, newline="") as file:
        return {tuple(row[column] for column in KEY): (row["result"], row["detail"])
                for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}


def cell(results):
    """What came of a type's recordings: "12" where all are right, "9 of 12, 2 wrong, 1 fails" otherwise."""
    if not results:
        return ""
    count = collections.Counter(results)
    total = len(results)
    if count["none"] == total:
        return "–"
    words = [str(total) if count["right"] == total else f"{count['right']} of {total}"]
    words += [f"**{count[kind]} {kind}**" if kind == "wrong" else f"{count[kind]} {kind}"
              for kind in ("wrong", "fails") if count[kind]]
    return ", ".join(words)


def main():
    exporters = dict(argument.split("=", 1) for argument in sys.argv[1:])
    tables = {name: rows_of(path) for name, path in exporters.items()}
    keys = sorted(set.union(*(set(table) for table in tables.values())))
    with open(DOCS / "peers.tsv", "w", newline="") as file:
        file.write("\t".join((*KEY, *(column for name in tables for column in (name, f"{name}_detail")))) + "\n")
        for key in keys:
            file.write("\t".join((*key, *(text for table in tables.values() for text in table.get(key, ("", ""))))) + "\n")

    by_type = collections.defaultdict(lambda: collections.defaultdict(list))
    for key in keys:
        for name, table in tables.items():
            if key in table:
                by_type[key[0]][name].append(table[key][0])
    lines = ["| model type | " + " | ".join(tables) + " |", "|---" * (len(tables) + 1) + "|"]
    lines += [f"| {kind} | " + " | ".join(cell(found[name]) for name in tables) + " |" for kind, found in sorted(by_type.items())]
    total = {name: collections.Counter(result for found in by_type.values() for result in found[name]) for name in tables}
    lines.append("| **all " + str(len(keys)) + "** | " + " | ".join(
        f"{count['right']} right, {count['wrong']} wrong, {count['fails']} fails, {count['none']} not offered"
        for count in total.values()) + " |")

    page = DOCS / "models.md"
    text = page.read_text()
    begin, end = "<!-- compared -->\n", "<!-- end of compared -->"
    start = text.index(begin) + len(begin)
    page.write_text(text[:start] + "\n" + "\n".join(lines) + "\n\n" + text[text.index(end):])


if __name__ == "__main__":
    main()
