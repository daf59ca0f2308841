#!/usr/bin/env python3
"""The Debian package: built of what is built, installed on a copy of this machine, run
there as its user, upgraded, and purged.

The copy is an overlay over this machine's root, in namespaces of its own: nothing here
is changed, and all of it goes with its last process.

usage: package_test.py BUILD-DIRECTORY
"""
import glob
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

BUILD = None

# The root of the copy; then the words of the test, under `set -e`.
COPY = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --rbind /dev "$1/root/dev"
mount -t proc proc "$1/root/proc"
mkdir -p "$1/root/package"
mount --bind "$2" "$1/root/package"
mount -t tmpfs none "$1/root/run"
mkdir "$1/root/old"
cd "$1/root"
pivot_root . old
umount -l /old
mount -t tmpfs -o mode=1777 none /tmp
exec sh -ec "$3"
"""


def run(*words, **more):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def on_a_copy(directory, package, script):
    return run("unshare", "--mount", "--pid", "--fork", "--propagation", "private", "sh", "-c",
               COPY, "copy", directory, os.path.dirname(package), textwrap.dedent(script))


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.place.cleanup)
        made = run("cpack", "-G", "DEB", "--config", f"{BUILD}/CPackConfig.cmake",
                   "-B", f"{cls.place.name}/package", cwd=BUILD)
        found = glob.glob(f"{cls.place.name}/package/framemill_*.deb")
        if made.returncode != 0 or len(found) != 1:
            raise AssertionError(made.stdout)
        cls.package = found[0]
        cls.copy = f"{cls.place.name}/copy"
        os.mkdir(cls.copy)
        cls.probe = on_a_copy(cls.copy, cls.package, "command -v dpkg bwrap ffmpeg setpriv")

    def on_a_copy(self, script):
        """What the script prints, which has to end well."""
        if self.probe.returncode != 0:
            self.skipTest("this machine cannot be copied: " + self.probe.stdout.strip())
        done = on_a_copy(self.copy, self.package, script)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_says_what_it_needs_and_what_is_the_operators(self):
        needs = run("dpkg-deb", "-f", self.package, "Depends").stdout
        for name in "adduser", "bubblewrap", "libavcodec59", "librocksdb7.8", "libzmq5":
            self.assertIn(name, needs)
        self.assertIn("/etc/framemill/node.toml",
                      run("dpkg-deb", "-I", self.package, "conffiles").stdout)

    def test_installs_a_user_a_unit_a_configuration_and_a_data_directory(self):
        said = self.on_a_copy("""
            dpkg -i /package/*.deb >/dev/null
            id -un framemill
            stat -c '%U:%G %a %n' /var/lib/framemill /etc/framemill/node.toml /usr/bin/framemilld
            test -x /usr/bin/framemill-media
            if command -v systemd-analyze >/dev/null; then
              systemd-analyze verify /lib/systemd/system/framemilld.service
            fi
            framemill --version
            test -s /usr/share/bash-completion/completions/framemill
        """)
        self.assertIn("framemill:framemill 750 /var/lib/framemill", said)
        self.assertIn("root:framemill 640 /etc/framemill/node.toml", said)
        self.assertIn("root:root 755 /usr/bin/framemilld", said)

    def test_runs_a_workflow_as_its_user_and_stops_in_good_order(self):
        said = self.on_a_copy("""
            dpkg -i /package/*.deb >/dev/null
            ip link set lo up 2>/dev/null || true
            user='setpriv --reuid=framemill --regid=framemill --init-groups'
            $user framemilld --config /etc/framemill/node.toml --api-listen 127.0.0.1:0 2>/tmp/log &
            node=$!
            trap 'cat /tmp/log' EXIT
            for i in $(seq 200); do grep -q 'framemilld: ready' /tmp/log && break; sleep 0.1; done
            call() { $user framemill --data-dir /var/lib/framemill "$@"; }
            call workflow create --name w --bucket media --dir /in/ --output-dir /out/ \\
              --transcode 100010
            call workflow enable "$(call workflow list --name w --quiet)"
            media=/var/lib/framemill/buckets/media
            ffmpeg -loglevel error -f lavfi -i testsrc2=size=320x180:rate=25:duration=2 /tmp/clip.mp4
            $user mkdir -p $media/in
            $user cp /tmp/clip.mp4 $media/in/
            call run watch media:in/clip.mp4
            ls $media/out
            kill -TERM $node
            wait $node
            echo "ended well"
        """)
        self.assertIn("clip_transcode_100010.mp4", said)
        self.assertIn("ended well", said)

    def test_an_upgrade_keeps_what_the_operator_wrote_and_a_purge_keeps_the_data(self):
        said = self.on_a_copy("""
            dpkg -i /package/*.deb >/dev/null
            echo 'slots = 3' >>/etc/framemill/node.toml
            touch /var/lib/framemill/mine
            dpkg -i --force-confold /package/*.deb >/dev/null
            tail -1 /etc/framemill/node.toml
            stat -c '%U:%G %a %n' /etc/framemill/node.toml
            dpkg --purge framemill
            test ! -e /etc/framemill/node.toml
            test ! -e /usr/bin/framemilld
            ls /var/lib/framemill
        """)
        self.assertIn("slots = 3", said)
        self.assertIn("root:framemill 640 /etc/framemill/node.toml", said)
        self.assertIn("the data in /var/lib/framemill is kept", said)
        self.assertTrue(said.rstrip().endswith("mine"), said)


if __name__ == "__main__":
    BUILD = os.path.abspath(sys.argv.pop())
    unittest.main(verbosity=2)
