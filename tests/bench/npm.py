"""Peers from the npm registry, each in a folder of its own that goes with the run."""
import os
import shutil
import subprocess
import sys
import tempfile

from place import HERE

# The newest when this was measured. BullMQ leaves the driver to its user: ioredis is its default,
# and was as fast as any.
PACKAGES = {
    "bullmq": ["bullmq@6.7.0", "ioredis@5.11.1"],
    "bee-queue": ["bee-queue@2.0.0"],
    "@google/genai": ["@google/genai@3.1.0"],
}
TIMEOUT = 180  # seconds for one


class Peers:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="gfpeers")
        self.folders = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)

    @staticmethod
    def versions():
        return {p.rsplit("@", 1)[0]: p.rsplit("@", 1)[1]
                for all_of in PACKAGES.values() for p in all_of}

    def script(self, name, source):
        """The path of `source` beside the installed package; None if it cannot be had."""
        if name not in self.folders:
            self.folders[name] = self.install(name)
        if not self.folders[name]:
            return None
        return shutil.copy(os.path.join(HERE, source), self.folders[name])

    def install(self, name):
        folder = os.path.join(self.dir, str(len(self.folders)))
        os.mkdir(folder)
        with open(os.path.join(folder, "package.json"), "w", encoding="ascii") as f:
            f.write('{"private": true, "type": "module"}')
        try:
            done = subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
                 "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=30000",
                 *PACKAGES[name]],
                cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
            why = done.stderr.strip().split("\n")[0] if done.returncode else None
        except OSError:
            why = "there is no npm"
        except subprocess.TimeoutExpired:
            why = "npm did not end within %d s" % TIMEOUT
        if why is not None:
            print("%s cannot be had (%s): measured without it" % (name, why), file=sys.stderr)
            return None
        return folder
