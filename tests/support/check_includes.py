#!/usr/bin/env python3
"""Checks that rooms include each other only in the direction docs/architecture.md
draws, and that each third party is included by its own room only.

usage: check_includes.py ROOT
"""
import re
import sys
from pathlib import Path

# place → what its files may include of ours. The longest matching place counts;
# an entry is a directory or one file. Every place may include itself.
MAY_INCLUDE = {
    "core": [],
    "storage": ["core"],
    "media/plan": ["core"],
    "media": ["core", "media/plan"],
    "cluster": ["core"],
    "notify": ["core"],
    "actors": ["core", "storage", "media/plan", "cluster", "notify"],
    "api": ["core", "storage", "media/plan", "actors/gateway.hpp", "actors/queue_service.hpp"],
    "tools": ["core", "storage", "media", "cluster", "notify", "actors", "api"],
    "tests": ["core", "storage", "media", "cluster", "notify", "actors", "api", "tools"],
}

# header pattern → the places that own the third party.
THIRD_PARTY = {
    r"rocksdb/": ["storage/rocks_"],
    r"lib(av\w+|sw\w+)/": ["media"],
    r"caf/": ["actors", "tools/framemilld", "tests/actors", "tests/support", "tests/system"],
    r"zmq": ["cluster"],
    r"msgpack": ["core/codec.cpp"],
    r"boost/": ["api"],
    r"curl/": ["notify", "tools/framemill/", "tests/api", "tests/system"],
    r"nats/": ["notify/nats_driver.cpp"],
    r"amqp": ["notify/amqp_driver.cpp"],
    r"CLI/": ["tools", "tests/tools"],
    r"toml\+\+/": ["tools/framemilld"],
    r"seccomp\.h": ["media", "actors", "tools/framemill-media"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def is_below(path, place):
    return path == place or path.startswith(place.rstrip("/") + "/")


def place_of(path):
    places = [p for p in MAY_INCLUDE if is_below(path, p)]
    return max(places, key=len) if places else None


def complaint(root, path, quote, header):
    """Says what is wrong with `path` including `header`; None when it may."""
    if quote == "<":
        for pattern, owners in THIRD_PARTY.items():
            if re.match(pattern, header) and not any(path.startswith(o) for o in owners):
                return f"<{header}> belongs to {', '.join(owners)}"
        return None
    if not (root / header).is_file():
        return f'"{header}" is not a file below the repository root'
    place = place_of(path)
    target = place_of(header)
    if target == place:
        return None
    if any(is_below(header, allowed) for allowed in MAY_INCLUDE[place]):
        return None
    return f'{place} may not include "{header}"'


def check(root):
    """All complaints, as `file:line: text`."""
    found = []
    for room in sorted({place.split("/")[0] for place in MAY_INCLUDE}):
        for file in sorted((root / room).rglob("*")):
            if file.suffix not in (".hpp", ".cpp") or "node_modules" in file.parts:
                continue
            path = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
                match = INCLUDE.match(line)
                text = match and complaint(root, path, *match.groups())
                if text:
                    found.append(f"{path}:{number}: {text}")
    return found


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    found = check(root)
    print("\n".join(found) or "every include goes the right way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
