"""A small PKI, made by the openssl command while a test runs: nothing secret is ever committed.

    pki = certificates.Pki(folder)                      # its own root; Pki(other_folder) is one that nobody trusts
    server = pki.server("localhost", "127.0.0.1")       # names that it may be called by; without any: these and ::1
    client = pki.client("CN=ct1,O=Hospital")            # as RFC 4514 writes it
    server.certificate, server.key, pki.ca, pki.crl     # paths of PEM files

`shared()` is one for all tests of a process, for those that only read it. What can be asked of a certificate, by name:

    key="rsa"            "ec" (P-256, the default: quick), "rsa" (2048), or what openssl's -newkey takes: "rsa:1024"
    starts=-30, ends=60  days from now; ends=-1 has expired, starts=1 is not valid yet
    by=pki.intermediate  signed by a CA below the root; the certificate's file holds that CA's, too
    digest="sha1"        signed by that
    password="secret"    its key is encrypted
    purpose="clientAuth" extendedKeyUsage, where it shall be a wrong one; None: none

`pki.revoke(certificate)` writes pki.crl anew, which is there from the start: of the root and of the intermediate CA.
"""

import atexit
import datetime
import ipaddress
import os
import re
import shutil
import subprocess
import tempfile

KEYS = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}

CONFIGURATION = """
[req]
distinguished_name = nothing
string_mask = utf8only
[nothing]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[ca]
default_ca = here
[here]
database = {folder}/index.txt
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
crlnumber = {folder}/crlnumber
rand_serial = yes
unique_subject = no
default_md = sha256
default_crl_days = 30
policy = anything
[anything]
commonName = optional
"""


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(arguments)}:\n{done.stderr}")
    return done.stdout


def slashed(subject):
    """"CN=ct1,O=Hospital" as -subj wants it: /O=Hospital/CN=ct1."""
    names = re.findall(r"(?:\\.|[^,\\])+", subject)
    return "".join("/" + re.sub(r"\\(.)", r"\1", name).replace("/", r"\/") for name in reversed(names))


def day(days):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return when.strftime("%Y%m%d%H%M%SZ")


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Certificate:
    """Paths of PEM files; `subject` as it was asked for."""

    def __init__(self, subject, certificate, key):
        self.subject = subject
        self.certificate = certificate
        self.key = key

    def __str__(self):
        return self.subject

    def serial(self):
        """Hexadecimal."""
        return openssl("x509", "-in", self.certificate, "-noout", "-serial").strip().partition("=")[2]


class Authority:
    """A CA, in a folder of its own."""

    def __init__(self, folder, subject, parent=None):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.subject = subject
        self.parent = parent
        self.configuration = write(os.path.join(folder, "openssl.cnf"), CONFIGURATION.format(folder=folder))
        self.certificate = os.path.join(folder, "ca.pem")
        self.key = os.path.join(folder, "ca.key")
        self.crl = os.path.join(folder, "crl.pem")
        self.count = 0
        write(os.path.join(folder, "index.txt"), "")
        write(os.path.join(folder, "crlnumber"), "01\n")
        request = self.request(self.key, slashed(subject))
        if parent:
            parent.sign(request, self.certificate, "[extensions]\nbasicConstraints = critical, CA:true, pathlen:0\n"
                        "keyUsage = critical, keyCertSign, cRLSign\n", starts=-60, ends=3650)
        else:
            openssl("req", "-x509", "-config", self.configuration, "-in", request, "-key", self.key, "-days", "3650",
                    "-extensions", "authority", "-out", self.certificate)
        self.list_revoked()

    def request(self, key_file, subject, key="ec", password=None):
        request = key_file + ".csr"
        secret = ["-passout", "pass:" + password] if password else ["-nodes"]
        openssl("req", "-new", "-utf8", "-config", self.configuration, *KEYS.get(key, ["-newkey", key]), *secret,
                "-keyout", key_file, "-subj", subject, "-out", request)
        return request

    def sign(self, request, path, extensions, starts, ends, digest="sha256"):
        chosen = write(path + ".extensions", extensions)
        openssl("ca", "-batch", "-preserveDN", "-notext", "-utf8", "-config", self.configuration, "-in", request, "-md", digest,
                "-startdate", day(min(starts, ends - 1)), "-enddate", day(ends), "-extfile", chosen,
                "-extensions", "extensions", "-out", path)

    def issue(self, subject, purpose, names=(), key="ec", starts=-30, ends=60, digest="sha256", password=None):
        self.count += 1
        path = os.path.join(self.folder, str(self.count))
        request = self.request(path + ".key", slashed(subject), key, password)
        extensions = "[extensions]\nbasicConstraints = CA:false\n"
        if purpose:
            extensions += f"extendedKeyUsage = {purpose}\n"
        if names:
            extensions += "subjectAltName = " + ", ".join(map(alternative, names)) + "\n"
        self.sign(request, path + ".pem", extensions, starts, ends, digest)
        if self.parent:
            write(path + ".pem", read(path + ".pem") + read(self.certificate))
        return Certificate(subject, path + ".pem", path + ".key")

    def list_revoked(self):
        openssl("ca", "-gencrl", "-config", self.configuration, "-out", self.crl)

    def revoke(self, certificate):
        openssl("ca", "-revoke", certificate.certificate, "-config", self.configuration)
        self.list_revoked()


def alternative(name):
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


class Pki:
    def __init__(self, folder, subject="CN=Test Root"):
        self.folder = os.path.abspath(folder)
        self.root = Authority(os.path.join(self.folder, "root"), subject)
        self.ca = self.root.certificate
        self.crl = os.path.join(self.folder, "crl.pem")
        self._intermediate = None
        self._issuers = {}
        self._write_crl()

    @property
    def intermediate(self):
        if not self._intermediate:
            self._intermediate = Authority(os.path.join(self.folder, "intermediate"), "CN=Test Intermediate", self.root)
            self._write_crl()
        return self._intermediate

    def server(self, *names, subject=None, purpose="serverAuth", by=None, **more):
        names = names or ("localhost", "127.0.0.1", "::1")
        return self._issue(subject or f"CN={names[0]}", purpose, by, names=names, **more)

    def client(self, subject="CN=client", purpose="clientAuth", by=None, **more):
        return self._issue(subject, purpose, by, **more)

    def revoke(self, certificate):
        self._issuers[certificate.certificate].revoke(certificate)
        self._write_crl()

    def _issue(self, subject, purpose, by, **more):
        issuer = by or self.root
        certificate = issuer.issue(subject, purpose, **more)
        self._issuers[certificate.certificate] = issuer
        return certificate

    def _write_crl(self):
        authorities = [self.root] + ([self._intermediate] if self._intermediate else [])
        write(self.crl + ".new", "".join(read(a.crl) for a in authorities))
        os.rename(self.crl + ".new", self.crl)


_shared = []


def shared():
    """The Pki of this process, removed at its end. Its certificates are not to be revoked: another test may have them."""
    if not _shared:
        folder = tempfile.mkdtemp(prefix="hilum-pki-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _shared.append(Pki(folder))
    return _shared[0]
