#!/usr/bin/env python3
"""Checks that code quoted whole in a document is the file it is quoted from: a
`path` alone on a line, then a block of code.

usage: check_quotes.py ROOT DOCUMENT…
"""
import re
import sys
from pathlib import Path

QUOTE = re.compile(r"^`([\w./-]+)`\n\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main():
    root, documents = Path(sys.argv[1]), sys.argv[2:]
    stale = []
    for document in documents:
        for path, code in QUOTE.findall((root / document).read_text("utf-8")):
            file = root / path
            if not file.is_file() or file.read_text("utf-8") != code:
                stale.append(f"{document}: the quoted {path} is not what the tree holds")
    print("\n".join(stale) or "every quotation is true")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
