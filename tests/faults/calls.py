"""Results of the system that are others than they are (seam.py), one call of a script after the other."""

import memory
from scripts import TIMEOUTS
from seam import Seam

# Nothing waits for a time-out: what fails is noticed, and told, when it fails. (A script fails that has no answer in scripts.LIMIT seconds.)
PATIENT = {**TIMEOUTS, **dict.fromkeys(("connect", "association", "progress", "response", "lag"), "60s")}

# What each call may be told, for a run over everything.
WHATS = {
    "accept": ("EMFILE", "ENFILE", "ECONNABORTED", "ENOBUFS"),
    "connect": ("EADDRNOTAVAIL", "ETIMEDOUT", "ENETUNREACH", "ECONNREFUSED"),
    "receive": ("ECONNRESET", "ENOBUFS", "ENOMEM", "end", "short=1"),
    "send": ("EPIPE", "ENOMEM", "ECONNRESET", "short=1"),
    "splice-in": ("EAGAIN", "EPIPE", "EINVAL", "ECONNRESET", "end", "short=1"),
    "splice-out": ("EAGAIN", "EPIPE", "EINVAL", "short=1"),
    "tee": ("EAGAIN", "EINVAL", "ENOMEM", "short=1", "short"),
    "send-now": ("EAGAIN", "EPIPE", "short=1"),
    "receive-now": ("EAGAIN", "ECONNRESET", "end", "short=1"),
    "ring-open": ("ENOSPC", "EDQUOT", "EROFS", "EMFILE", "ENFILE", "EACCES"),
    "ring-write": ("ENOSPC", "EIO", "EDQUOT", "short=1", "short"),
    "ring-fdatasync": ("EIO", "ENOSPC", "EDQUOT"),
    "ring-fsync": ("EIO", "EROFS"),
    "ring-rename": ("EIO", "ENOSPC", "EROFS", "EINVAL", "EDQUOT"),
    "ring-close": ("EIO", "ENOSPC", "EDQUOT"),
    "write": ("ENOSPC", "EIO", "EDQUOT", "short=1", "torn"),
    "fdatasync": ("EIO", "ENOSPC"),
    "open": ("EMFILE", "EROFS"),
    "read": ("EIO", "short=1"),
    "enter": ("EINTR", "EAGAIN", "EBUSY"),
    "mailbox": ("EIO", "EINTR", "EAGAIN"),
}


class Calls(memory.Sweep):
    """One gateway over all of it. Unless it lingers, a script opens its own associations to nodes."""

    def __init__(self, report, lingers=False, **settings):
        self.lingers = lingers
        super().__init__(report, Seam(), timeouts=PATIENT if lingers else {**PATIENT, "linger": "0s"}, **settings)

    def fault(self, script, faults):
        """One run. Returns how many calls were told so."""
        if not self.lingers:
            self.world.rest()
        return self.one(script, faults, lambda: self.shim.arm(faults))[1]

    def each(self, script, call, what, most):
        """At every call of the script, of the first ten, then with growing steps up to `most`. Returns at how many."""
        number, count = 1, 0
        while number <= most and self.fault(script, f"{call}:{number}:{what}"):
            count += 1
            number += 1 + number // 10
        return count
