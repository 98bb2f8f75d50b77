"""Certificates for TLS, made for one run: a CA with an RSA key, and of each kind of key one that is signed by it."""

import os

from . import machine
from .network import Unusable, run

NAME = "localhost"  # that all are called by
KEYS = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}
CA = ["-addext", "keyUsage=critical,keyCertSign"]
LEAF = ["-addext", "basicConstraints=critical,CA:false", "-addext", f"subjectAltName=DNS:{NAME}"]


class Pki:
    """ca; certificate[kind], key[kind], and both in one file: chain[kind]. Paths of PEM files."""

    def __init__(self, folder):
        if machine.find("openssl") is None:
            raise Unusable("openssl is needed: make bench-deps")
        os.makedirs(folder)
        self.ca = os.path.join(folder, "ca.pem")
        ca_key = os.path.join(folder, "ca.key")
        make("Benchmark CA", "rsa", self.ca, ca_key, CA)
        self.certificate, self.key, self.chain = ({kind: os.path.join(folder, f"{kind}.{what}") for kind in KEYS}
                                                  for what in ("pem", "key", "both"))
        for kind in KEYS:
            make(NAME, kind, self.certificate[kind], self.key[kind], [*LEAF, "-CA", self.ca, "-CAkey", ca_key])
            with open(self.chain[kind], "w", encoding="ascii") as f:
                f.write(machine.text_of(self.certificate[kind]) + machine.text_of(self.key[kind]))


def make(name, kind, certificate, key, more):
    run("openssl", "req", "-x509", "-nodes", "-sha256", "-days", "365", "-newkey", *KEYS[kind], "-subj", f"/CN={name}", "-out", certificate,
        "-keyout", key, *more)
