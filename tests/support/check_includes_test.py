#!/usr/bin/env python3
"""The include check must find what it is there to find."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True
import check_includes


class CheckIncludes(unittest.TestCase):
    def complaints(self, path, line):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            for file in ("core/id.hpp", "storage/bucket.hpp", "media/av.hpp",
                         "media/plan/plan.hpp", "actors/gateway.hpp", "actors/store.hpp"):
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).write_text("#pragma once\n")
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(line + "\n")
            return check_includes.check(root)

    def test_a_room_may_include_what_is_below_it(self):
        self.assertEqual(self.complaints("storage/a.cpp", '#include "core/id.hpp"'), [])
        self.assertEqual(self.complaints("media/a.cpp", '#include "media/plan/plan.hpp"'), [])
        self.assertEqual(self.complaints("api/a.cpp", '#include "actors/gateway.hpp"'), [])

    def test_a_room_may_not_include_what_is_above_it(self):
        found = self.complaints("core/a.cpp", '#include "storage/bucket.hpp"')
        self.assertEqual(found, ['core/a.cpp:1: core may not include "storage/bucket.hpp"'])

    def test_the_planner_may_not_include_the_rest_of_media(self):
        self.assertEqual(len(self.complaints("media/plan/a.cpp", '#include "media/av.hpp"')), 1)

    def test_the_api_sees_one_header_of_the_actors(self):
        self.assertEqual(len(self.complaints("api/a.cpp", '#include "actors/store.hpp"')), 1)

    def test_a_third_party_stays_in_its_room(self):
        self.assertEqual(len(self.complaints("api/a.cpp", "#include <rocksdb/db.h>")), 1)
        self.assertEqual(len(self.complaints("core/a.cpp", "#include <libavutil/log.h>")), 1)
        self.assertEqual(self.complaints("storage/rocks_a.cpp", "#include <rocksdb/db.h>"), [])

    def test_a_header_that_is_not_there_is_reported(self):
        self.assertEqual(len(self.complaints("core/a.cpp", '#include "id.hpp"')), 1)


if __name__ == "__main__":
    unittest.main()
