"""Nothing stays behind, however a run ends: processes, mounts and folders.

A run has a folder of its own for all that is temporary, and is the parent of whatever loses its parent below it. So what is left can be named without
a list of what was started, which a signal might find half written: the children of this process, and the mounts below that folder.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Leftovers:
    """Use as a context, around all of a run. `outside`: for files that shall outlive it."""

    def __enter__(self):
        self.outside = tempfile.gettempdir()
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="hilum-crash-"))
        tempfile.tempdir = self.folder
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number in SIGNALS:  # also where a shell has them ignored, as of what runs in the background
            signal.signal(number, self.interrupted)
        return self

    def __exit__(self, *_):
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self.remove()

    def interrupted(self, number, _):
        """Whatever was under way is not gone on with, nor unwound: it may stand anywhere."""
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        print(f"{signal.Signals(number).name}: ends what was started", flush=True)
        try:
            self.remove()
        finally:
            os._exit(128 + number)

    def remove(self):
        end_children()
        limit = time.monotonic() + 20
        while (left := mounts_below(self.folder)) and time.monotonic() < limit:
            for path in left:  # in a session of its own: a terminal's next interrupt is not for it
                subprocess.run(("umount", path), stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True)
            time.sleep(0.05)  # what a killed process had open through io_uring is let go a moment after its end
        assert not left, f"still mounted: {', '.join(left)}"  # and its files are left alone
        shutil.rmtree(self.folder, ignore_errors=True)


def children():
    out = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as f:
            if int(f.read().rsplit(")", 1)[1].split()[1]) == os.getpid():
                out.append(int(pid))
    return out


def end_children():
    """And theirs, which become ours when those end."""
    while found := children():
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in found:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def mounts_below(folder):
    """The innermost first."""
    with open("/proc/self/mounts") as f:
        paths = [line.split()[1] for line in f]
    return sorted((path for path in paths if path.startswith(folder + "/")), reverse=True)
