"""What a spool stands on: file systems that fill up, or can be had as a power cut would leave them.

    Tmpfs, Loop   mount something, so they need root
    Trace         a gateway's calls, by strace: from them follows what a power cut must leave by POSIX, and nothing beyond that
"""

import os
import re
import shutil
import subprocess
import tempfile
import time


class Unable(Exception):
    """This machine, or this user, cannot do it; the words say what is missing."""


def called(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Unable(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


def program(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise Unable(f"{name} is missing")
    return path


class Mounted:
    def __init__(self):
        if os.geteuid() != 0:
            raise Unable("mounting needs root")
        self.folder = tempfile.mkdtemp(prefix="hilum-mount-")
        self.path = os.path.join(self.folder, "mounted")
        os.mkdir(self.path)
        self.is_mounted = False

    def __enter__(self):
        try:
            self.mount()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)

    def mounts(self, *arguments):
        called(program("mount"), *arguments, self.path)
        self.is_mounted = True

    def unmount(self):
        """What a killed process had open through io_uring is let go a moment after its end."""
        limit = time.monotonic() + 20
        while self.is_mounted:
            try:
                called(program("umount"), self.path)
                self.is_mounted = False
            except Unable as why:
                assert time.monotonic() < limit, str(why)
                time.sleep(0.05)


class Tmpfs(Mounted):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def mount(self):
        self.mounts("-t", "tmpfs", "-o", f"size={self.size}", "none")


class Loop(Mounted):
    """ext4 in a file. Its own timers are kept off (commit): what nobody synced shall not be there by chance."""

    def __init__(self, size, image=None):
        super().__init__()
        self.image, self.is_new = os.path.join(self.folder, "image"), image is None
        if image:
            called("cp", "--sparse=always", image, self.image)
        else:
            with open(self.image, "wb") as f:
                f.truncate(size)

    def mount(self):
        if self.is_new:
            called(program("mkfs.ext4"), "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", self.image)
        self.mounts("-o", "loop,commit=300,noatime", self.image)

    def copy(self):
        """As the medium is now: without what is only in memory."""
        return Loop(0, self.image)


# ---- by strace

CALL = re.compile(r"^(\d+)\s+(?:<\.\.\. )?(\w+)")
AT = re.compile(r"^\w+\((?:\d+|AT_FDCWD)<(.*?)>")
NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')
TRACED = "openat,mkdir,unlink,rmdir,rename,pwritev,pwrite64,ftruncate,fdatasync,fsync"


class Trace:
    """Of one run of a gateway; `path` is its spool. What is there already counts as durable."""

    def __init__(self, path):
        self.path = path
        self.output = tempfile.NamedTemporaryFile(prefix="hilum-trace-", suffix=".txt")
        # -D: the gateway is the process that is started, and strace somebody else's.
        self.command = (program("strace"), "-D", "-f", "-y", "-qq", "-s0", "--seccomp-bpf", "-e", f"trace={TRACED}", "-e",
                        "signal=none", "-o", self.output.name)
        self.is_new = not os.path.exists(path)
        self.base = {name: os.path.getsize(name) for name in self._there() if os.path.isfile(name)}
        self.folders = {name for name in self._there() if os.path.isdir(name)} | (set() if self.is_new else {path})

    def _there(self):
        return [os.path.join(at, name) for at, folders, names in os.walk(self.path) for name in folders + names]

    def calls(self):
        """(call, its line) in the order in which they returned, of those that succeeded."""
        begun = {}
        with open(self.output.name, errors="replace") as f:
            for line in f:
                match = CALL.match(line)
                if not match:
                    continue
                thread, call = match[1], match[2]
                line = line[match.start(2):].rstrip()
                if line.endswith("<unfinished ...>"):
                    begun[thread] = line.removesuffix("<unfinished ...>")
                    continue
                if "resumed>" in line:
                    line = begun.pop(thread, "") + line.split("resumed>", 1)[1]
                result = re.search(r"\)\s+= (-?\d+)[^=]*$", line)
                if result and int(result[1]) >= 0:
                    yield call, line, int(result[1])

    def syncs(self):
        """[("fdatasync" or "fsync", path below the spool)] of those that HILUM_IO_FAULTS counts: SQLite has its own (and fdatasync for folders)."""
        out = []
        for call, line, _ in self.calls():
            if call in ("fdatasync", "fsync"):
                name = AT.match(line)[1]
                if "index.db" not in name and (call == "fsync" or not os.path.isdir(name)):
                    out.append((call, os.path.relpath(name, self.path)))
        return out

    def durable(self):
        """({file: bytes}, {folder}) that a power cut leaves, of those that are below the spool."""
        size, synced = dict(self.base), dict(self.base)
        named, waiting = set(self.base) | self.folders, {}
        folders = set(self.folders)
        for call, line, result in self.calls():
            at, name = AT.match(line), NAME.search(line)
            if call == "openat" and "O_CREAT" in line and name[1].startswith(self.path + "/"):
                if name[1] not in size:
                    size[name[1]] = synced[name[1]] = 0
                    waiting[name[1]] = True
            elif call == "mkdir" and name[1].startswith(self.path):
                if name[1] not in folders:
                    folders.add(name[1])
                    waiting[name[1]] = True
            elif call in ("unlink", "rmdir"):
                for known in (size, synced, waiting):
                    known.pop(name[1], None)
                folders.discard(name[1])
                named.discard(name[1])
            elif call in ("pwritev", "pwrite64") and at and at[1] in size:
                offset = int(re.search(r", (\d+)\s*\)\s+= \d+$", line)[1])
                size[at[1]] = max(size[at[1]], offset + result)
            elif call == "ftruncate" and at and at[1] in size:
                size[at[1]] = int(re.search(r", (\d+)\s*\)\s+= 0$", line)[1])
                synced[at[1]] = min(synced[at[1]], size[at[1]])
            elif call in ("fdatasync", "fsync") and at:
                if at[1] in size:
                    synced[at[1]] = size[at[1]]
                for child in [one for one in waiting if os.path.dirname(one) == at[1]]:
                    del waiting[child]
                    named.add(child)

        def stays(one):
            return one in named and (one == self.path or stays(os.path.dirname(one)))
        return {name: synced[name] for name in size if stays(name)}, {name for name in folders if stays(name)}

    def lay_out(self, to, with_index):
        """What a power cut leaves, as a spool in the folder `to`, which is not there if its name was lost. with_index: SQLite's files as they are, or none of them."""
        files, folders = self.durable()
        for folder in sorted(folders):
            os.makedirs(to + folder.removeprefix(self.path), exist_ok=True)
        for name, length in files.items():
            if "index.db" in name or not os.path.exists(name):
                continue
            with open(name, "rb") as source, open(to + name.removeprefix(self.path), "wb") as target:
                left = length
                while left > 0 and (piece := source.read(min(left, 1 << 20))):
                    target.write(piece)
                    left -= len(piece)
        for name in os.listdir(self.path) if with_index and os.path.isdir(to) else ():
            if name.startswith("index.db"):
                shutil.copy(os.path.join(self.path, name), to)

    def close(self):
        self.output.close()
