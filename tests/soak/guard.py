"""Who is let in, and by which files: the gateway's certificate and key, whom it trusts, what is revoked; and its callers.

The gateway reads copies of what the PKI makes, in a folder of their own. They are replaced as an operator does it (renew), and spoiled as a disk that is
full or a careless hand does it (spoil): then the old ones stay in force until the next reload that succeeds.
"""

import os
import shutil

from certificates import Pki, read, write
from harness import Lua, declare

USER, PASSCODE, OTHER_PASSCODE = "ada", "soak-passcode-1", "soak-passcode-2"
RATE = 3  # instances a second: less than the lanes of its sender would send
IDENTITY = """function (user, assoc)
  return user ~= nil and user.type == 2 and user.passcode == PASSCODES[user.name]
end"""


def callers():
    """They come before whatever else a configuration says of callers."""
    def one(title, **keys):
        return declare("caller", title.lower(), {"calling": title, **keys})
    return [f"local PASSCODES = {{ {USER} = '{PASSCODE}' }}",
            one("CERTIFIED", peer="CN=certified,*"),
            one("IDENTIFIED", identity=Lua(IDENTITY)),
            one("RATED", rate={"instances": RATE, "bytes": "1MiB"})]


def spoil_key(paths):
    """Of another certificate."""
    shutil.copy(paths.strange_key, paths.key)
    return paths.key


def spoil_certificate(paths):
    """Half of it is written."""
    return cut(paths.certificate)


def spoil_ca(paths):
    write(paths.ca, "no certificate\n" * 100)
    return paths.ca


def spoil_list(paths):
    return cut(paths.crl)


def empty_list(paths):
    return write(paths.crl, "")


SPOILS = (spoil_key, spoil_certificate, spoil_ca, spoil_list, empty_list)


def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)
    return path


class Guard:
    def __init__(self, folder, dice):
        self.pki, self.dice, self.renewals, self.spoiled = Pki(os.path.join(folder, "pki")), dice, 0, 0
        other = Pki(os.path.join(folder, "other-pki"), "CN=Other Root")
        self.servers = [self.pki.server(), self.pki.server()]
        self.peer = self.pki.server()  # of the node "t"
        self.good = self.pki.client("CN=certified,O=Soak")
        self.strange_key = self.peer.key
        self.refused = os.path.join(folder, "refused")  # those that must not be let in: NAME-NUMBER.pem, certificate and key
        self.certificate, self.key, self.ca, self.crl = (os.path.join(folder, "gateway-" + name)
                                                         for name in ("certificate.pem", "key.pem", "ca.pem", "crl.pem"))
        os.mkdir(self.refused)
        for name, one in (("expired", self.pki.client("CN=certified,O=Soak", ends=-1)),
                          ("foreign", other.client("CN=certified,O=Soak")),
                          ("stolen", self.pki.client("CN=somebody,O=Soak")), ("revoked", self.revoked())):
            self.show(name, one)
        self.install()

    def keys(self):
        """Of the listener."""
        return {"certificate": self.certificate, "key": self.key, "ca": self.ca, "crl": self.crl, "client": "require"}

    def revoked(self):
        one = self.pki.client("CN=certified,O=Soak")
        self.pki.revoke(one)
        return one

    def show(self, name, certificate):
        """From now on it must be refused."""
        path = os.path.join(self.refused, f"{name}-{self.renewals}.pem")
        write(path + ".new", read(certificate.certificate) + read(certificate.key))
        os.rename(path + ".new", path)

    def install(self):
        """Everything as it should be."""
        server = self.servers[self.renewals % 2]
        for source, target in ((server.certificate, self.certificate), (server.key, self.key), (self.pki.ca, self.ca), (self.pki.crl, self.crl)):
            shutil.copy(source, target)

    def renew(self):
        """Another certificate and key, and a list with one more on it. Returns what has to be called when they are in force."""
        self.renewals += 1
        one = self.revoked()
        self.install()
        return lambda: self.show("revoked", one)

    def spoil(self):
        """One of the files. Returns its path, which a refused reload has to name."""
        self.spoiled += 1
        return self.dice.choice(SPOILS)(self)
