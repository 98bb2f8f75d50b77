"""TLS on both sides of the gateway: what is offered, who is let in, bytes, peers from Debian, changed certificates."""

import functools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

import certificates
import dicom
from dicom import CT, EXPLICIT, make_instance
from harness import (QUICK, SAMPLES, SLOW, Case, Orthanc, declare, free_port, need, node, pairs_of, route, same_data, samples, storescp, tool,
                     wait_until)
from sender import Framing, Sender
from test_slow import TIMEOUTS, TOO_SLOW, SlowLine

# PS3.15 B.13, as far as OpenSSL 3.0 knows them: those that a server must support. B.12 names none; RFC 9325 recommends those without CCM.
SUITES_13 = {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256",
             "TLS_AES_128_CCM_8_SHA256"}
SUITES_12 = {"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-CCM", "ECDHE-ECDSA-AES256-CCM8",
             "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
             "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES128-CCM8"}
WITHOUT_CCM = {name for name in SUITES_13 | SUITES_12 if "CCM" not in name}
PROFILES = {"bcp195": WITHOUT_CCM, "bcp195-modified": SUITES_13 | SUITES_12}
GROUPS = {"X25519", "P-256", "P-384", "P-521"}
GROUP_NUMBERS = {29, 23, 24, 25}

# Numbers of suites (IANA) by OpenSSL's names, for what the gateway itself proposes.
NUMBERS = {0x1301: "TLS_AES_128_GCM_SHA256", 0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256",
           0x1304: "TLS_AES_128_CCM_SHA256", 0x1305: "TLS_AES_128_CCM_8_SHA256", 0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256",
           0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384", 0xC02F: "ECDHE-RSA-AES128-GCM-SHA256", 0xC030: "ECDHE-RSA-AES256-GCM-SHA384",
           0xCCA8: "ECDHE-RSA-CHACHA20-POLY1305", 0xCCA9: "ECDHE-ECDSA-CHACHA20-POLY1305", 0xC0AC: "ECDHE-ECDSA-AES128-CCM",
           0xC0AD: "ECDHE-ECDSA-AES256-CCM", 0xC0AE: "ECDHE-ECDSA-AES128-CCM8", 0xC0AF: "ECDHE-ECDSA-AES256-CCM8"}


CT_SMALL = os.path.join(SAMPLES, "CT_small.dcm")


def client_context(pki=None, certificate=None, **more):
    """What a sender of these tests trusts and shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations((pki or certificates.shared()).ca)
    if certificate:
        context.load_cert_chain(certificate.certificate, certificate.key)
    for name, value in more.items():
        setattr(context, name, value)
    return context


def server_context(certificate, ca=None):
    """What a sink of these tests shows; with `ca`, it wants a certificate of the gateway."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    if ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca)
    return context


def own(certificate, **more):
    """The key `tls` of a listener or node that shows this certificate."""
    return {"certificate": certificate.certificate, "key": certificate.key, **more}


@functools.lru_cache
def shared_server():
    return certificates.shared().server()


class TlsCase(Case):
    def setUp(self):
        self.pki, self.certificate = certificates.shared(), shared_server()

    def secured(self, *declarations, tls=None, **settings):
        """A gateway with one listener that speaks TLS."""
        return self.gateway(*declarations, listen=[{"tls": tls or own(self.certificate)}], **settings)

    def causes(self, gateway, event="association ended"):
        return [line.get("cause", "") for line in gateway.events(event)]


class Offers(TlsCase):
    """What a listener takes, asked one by one; and what a node is proposed, read from the first bytes."""

    def s_client(self, gateway, *arguments):
        done = subprocess.run([need("openssl"), "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-CAfile", self.pki.ca,
                               *arguments], input="", capture_output=True, text=True, timeout=20 * SLOW)
        return done.stdout + done.stderr

    def taken(self, gateway, *arguments):
        """(version, suite) of the handshake; None: refused."""
        said = self.s_client(gateway, *arguments)
        found = re.search(r"New, (\S+), Cipher is (\S+)", said)
        return (found[1], found[2]) if found and found[2] != "(NONE)" else None

    def known(self, *which):
        said = subprocess.run([need("openssl"), "ciphers", "-s", *which, "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True,
                              text=True, check=True).stdout
        return said.strip().split(":")

    def check_profile(self, name):
        """Of one listener, which has a key for those that want ECDSA and one for those that want RSA."""
        pairs = [self.pki.server(key=key) for key in ("ec", "rsa")]
        tls = {"certificate": [one.certificate for one in pairs], "key": [one.key for one in pairs], "profile": name}
        gateway = self.secured(route("none", "none"), node("none", 1), tls=tls)
        asked = [("-tls1_2", "-cipher", suite, suite + ":@SECLEVEL=0") for suite in self.known("-tls1_2")]
        asked += [("-tls1_3", "-ciphersuites", suite, suite) for suite in sorted(SUITES_13)]
        taken = {suite for version, option, suite, value in asked if self.taken(gateway, version, option, value)}
        lines = [f"{name}: {len(asked)} suites asked for, {len(taken)} taken", *sorted(taken)]
        print("\n" + "\n  ".join(lines), file=sys.stderr, flush=True)
        self.assertEqual(taken, PROFILES[name])

    def test_bcp195_takes_its_suites_and_no_other(self):
        self.check_profile("bcp195")

    def test_bcp195_modified_takes_its_suites_and_no_other(self):
        self.check_profile("bcp195-modified")

    def test_versions_and_groups(self):
        rsa = self.pki.server(key="rsa")  # has no curve of its own that a client must have
        gateway = self.secured(route("none", "none"), node("none", 1), tls=own(rsa))
        versions = {v for v in ("tls1", "tls1_1", "tls1_2", "tls1_3")
                    if self.taken(gateway, f"-{v}", "-cipher", "ALL:@SECLEVEL=0")}
        self.assertEqual(versions, {"tls1_2", "tls1_3"})
        self.assertEqual(self.taken(gateway), ("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
        for version in ("-tls1_2", "-tls1_3"):
            groups = {g for g in ("X25519", "X448", "P-224", "P-256", "P-384", "P-521", "brainpoolP256r1", "ffdhe2048", "ffdhe3072")
                      if self.taken(gateway, version, "-groups", g)}
            self.assertEqual(groups, GROUPS, version)

    def test_signatures_by_sha1_renegotiation_and_compression_are_refused(self):
        gateway = self.secured(route("none", "none"), node("none", 1))
        for signatures in ("RSA+SHA1", "ECDSA+SHA1", "RSA+SHA224"):
            self.assertIsNone(self.taken(gateway, "-tls1_2", "-sigalgs", signatures, "-cipher", "ALL:@SECLEVEL=0"), signatures)
        said = self.s_client(gateway, "-tls1_2", "-comp")
        self.assertIn("Compression: NONE", said)
        started = subprocess.Popen([need("openssl"), "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-tls1_2", "-legacy_renegotiation"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = started.communicate("R\n", timeout=20 * SLOW)[0]
        self.assertIn("RENEGOTIATING", said)
        self.assertIn("no renegotiation", said)

    def hello_of(self, **tls):
        """The gateway's ClientHello to a node: (suites, versions, groups, name)."""
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        gateway = self.gateway(node("a", port, tls={"ca": self.pki.ca, **tls}), route("all", "a"), timeouts={"association": "2s"})
        threading.Thread(target=lambda: tool("storescu", "127.0.0.1", gateway.port, CT_SMALL, check=False), daemon=True).start()
        listener.settimeout(10 * SLOW)
        connection, _ = listener.accept()
        connection.settimeout(10 * SLOW)
        head = connection.recv(5, socket.MSG_WAITALL)
        body = connection.recv(struct.unpack(">H", head[3:])[0], socket.MSG_WAITALL)
        connection.close()
        listener.close()
        return parse_hello(body)

    def test_nodes_are_proposed_what_the_profile_says(self):
        for name, suites in PROFILES.items():
            with self.subTest(name):
                numbers, versions, groups, server_name = self.hello_of(profile=name, name="pacs.local")
                self.assertEqual({NUMBERS.get(n, hex(n)) for n in numbers if n != 0xFF}, suites)  # 0xFF: no renegotiation
                self.assertEqual(versions, {0x0303, 0x0304})
                self.assertEqual(groups, GROUP_NUMBERS)
                self.assertEqual(server_name, b"pacs.local")

    def test_an_address_is_no_server_name(self):
        self.assertIsNone(self.hello_of()[3])


def parse_hello(body):
    """A ClientHello (RFC 8446 4.1.2): suites, versions, groups, server name."""
    at = 4 + 2 + 32
    at += 1 + body[at]
    length = struct.unpack_from(">H", body, at)[0]
    suites = struct.unpack_from(f">{length // 2}H", body, at + 2)
    at += 2 + length
    at += 1 + body[at]
    end = at + 2 + struct.unpack_from(">H", body, at)[0]
    at += 2
    versions, groups, name = {0x0303}, set(), None
    while at < end:
        kind, length = struct.unpack_from(">HH", body, at)
        data = body[at + 4:at + 4 + length]
        if kind == 43:
            versions = set(struct.unpack(f">{data[0] // 2}H", data[1:]))
        elif kind == 10:
            groups = set(struct.unpack(f">{(length - 2) // 2}H", data[2:]))
        elif kind == 0:
            name = data[5:]
        at += 4 + length
    return suites, versions, groups, name


class Refusals(TlsCase):
    """Each with its own reason, in the log and to the peer."""

    def closed_listener(self, **more):
        sink = self.sink()
        gateway = self.secured(node("a", sink), route("all", "a"),
                               tls=own(self.certificate, ca=self.pki.ca, client="require", **more))
        return gateway, sink

    def refused(self, gateway, context, cause):
        """A caller with this context is not let in; the log says why."""
        before = len(gateway.events("association ended"))
        with self.assertRaises((ssl.SSLError, OSError, dicom.Ended)):
            Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, tls=context)
        wait_until(lambda: len(gateway.events("association ended")) > before, "it is logged")
        self.assertIn(cause, self.causes(gateway)[-1])

    def test_callers(self):
        pki, other = self.pki, certificates.Pki(self.temporary_folder())
        gateway, sink = self.closed_listener()
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, tls=client_context(pki, pki.client("CN=ct1"))) as sender:
            self.assert_stored(sender.store(make_instance()))
        cases = [
            (None, "peer did not return a certificate"),
            (pki.client("CN=old", ends=-1), "certificate has expired"),
            (pki.client("CN=early", starts=1), "certificate is not yet valid"),
            (other.client("CN=ct1"), "unable to get local issuer certificate"),
            (pki.client("CN=server", purpose="serverAuth"), "unsuitable certificate purpose"),
        ]
        for certificate, cause in cases:
            with self.subTest(cause):
                self.refused(gateway, client_context(pki, certificate), "refused: " + cause if certificate else cause)
                told = gateway.events("association ended")[-1]
                self.assertEqual(told.get("peer"), certificate and certificate.subject)
                self.assertEqual(told.get("serial"), certificate and certificate.serial())
        weak = client_context(pki)
        weak.set_ciphers("ALL:@SECLEVEL=0")
        for certificate, cause in ((pki.client("CN=weak", key="rsa:1024"), "EE certificate key too weak"),
                                   (pki.client("CN=sha1", digest="sha1"), "CA signature digest algorithm too weak")):
            with self.subTest(cause):
                weak.load_cert_chain(certificate.certificate, certificate.key)
                self.refused(gateway, weak, cause)
        self.assert_serves(gateway, sink)

    def assert_serves(self, gateway, sink):
        one = make_instance(5000)
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW,
                    tls=client_context(self.pki, self.pki.client("CN=ct1"))) as sender:
            self.assert_stored(sender.store(one))
        self.assertEqual(sink.messages[-1].data, one.data)

    def test_a_revoked_caller(self):
        pki = certificates.Pki(self.temporary_folder())
        good, bad = pki.client("CN=good"), pki.client("CN=bad")
        pki.revoke(bad)
        sink = self.sink()
        certificate = pki.server()
        gateway = self.secured(node("a", sink), route("all", "a"), tls=own(certificate, ca=pki.ca, crl=pki.crl, client="require"))
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, tls=client_context(pki, good)) as sender:
            self.assert_stored(sender.store(make_instance()))
        self.refused(gateway, client_context(pki, bad), "refused: certificate revoked")

    def test_a_certificate_that_is_only_requested(self):
        sink = self.sink()
        gateway = self.secured(node("a", sink), route("all", "a"), tls=own(self.certificate, ca=self.pki.ca, client="request"))
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, tls=client_context(self.pki)) as sender:
            self.assert_stored(sender.store(make_instance()))
        self.refused(gateway, client_context(self.pki, self.pki.client("CN=old", ends=-1)), "certificate has expired")

    def test_what_is_no_tls(self):
        gateway, sink = self.closed_listener()
        for said, cause in ((b"GET / HTTP/1.0\r\n\r\n", "what came is no TLS, but HTTP"),
                            (dicom.Associate(contexts=[dicom.Proposed(1, CT, [EXPLICIT])]).encode(), "what came is no TLS")):
            with socket.create_connection(("127.0.0.1", gateway.port), 10 * SLOW) as s:
                before = len(gateway.events("association ended"))
                s.sendall(said)
                while s.recv(100):
                    pass
                wait_until(lambda: len(gateway.events("association ended")) > before, "it is logged")
                self.assertIn(cause, self.causes(gateway)[-1])
        self.assert_serves(gateway, sink)

    def node_refused(self, cause, sink, **tls):
        gateway = self.gateway(node("a", sink, tls={"ca": self.pki.ca, **tls}), route("all", "a"), timeouts={"association": "1s"})
        sender = self.sender(gateway)
        answer = sender.store(make_instance())
        self.assertEqual(answer.status & 0xFF00, 0xA700, str(answer))
        wait_until(lambda: any(cause in c for c in self.causes(gateway, "association to node ended")), cause)
        self.assertIn("TLS", answer.comment)
        return gateway

    def test_nodes(self):
        pki, other = self.pki, certificates.Pki(self.temporary_folder())
        cases = [
            ("refused: IP address mismatch", pki.server("archive.local")),
            ("refused: certificate has expired", pki.server(ends=-1)),
            ("refused: unable to get local issuer certificate", other.server()),
            ("refused: unsuitable certificate purpose", pki.server(purpose="clientAuth")),
        ]
        for cause, certificate in cases:
            with self.subTest(cause):
                sink = self.sink(tls=server_context(certificate))
                self.node_refused(cause, sink)
                self.assertEqual(sink.messages, [])

    def test_a_node_that_names_another_host(self):
        sink = self.sink(tls=server_context(self.pki.server("archive.local")))
        for name in ("archive.local", False):
            gateway = self.gateway(node("a", sink, tls={"ca": self.pki.ca, "name": name}), route("all", "a"))
            self.assert_stored(self.sender(gateway).store(make_instance()))

    def test_a_revoked_node(self):
        pki = certificates.Pki(self.temporary_folder())
        certificate = pki.server()
        pki.revoke(certificate)
        self.node_refused("refused: certificate revoked", self.sink(tls=server_context(certificate)), ca=pki.ca, crl=pki.crl)

    def test_a_node_that_wants_our_certificate(self):
        pki = self.pki
        sink = self.sink(tls=server_context(self.certificate, pki.ca))
        gateway = self.gateway(node("a", sink, tls=own(pki.client("CN=hilum"), ca=pki.ca)), route("all", "a"))
        self.assert_stored(self.sender(gateway).store(make_instance()))
        self.node_refused("the peer says", sink)
        old = pki.client("CN=hilum", ends=-1)
        self.node_refused("the peer says", sink, **own(old))

    def test_a_node_without_tls(self):
        self.node_refused("TLS: no answer to the handshake", Deaf(self))


class Deaf:
    """Takes connections and says nothing."""

    def __init__(self, case):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        case.addCleanup(self.listener.close)


class Bytes(TlsCase):
    def test_every_sample_arrives_byte_for_byte(self):
        sink = self.sink(tls=server_context(self.certificate), max_length=0)
        gateway = self.secured(node("a", sink, tls={"ca": self.pki.ca}), route("all", "a"))
        everything = [one for one in samples() if one.sop_class != "1.2.840.10008.1.3.10"]  # a DICOMDIR is no instance
        sender = self.sender(gateway, pairs_of(everything), tls=client_context())
        for one in everything:
            self.assert_stored(sender.store(one))
            self.assertTrue(same_data(one.data, sink.messages[-1].data), one.uid)
        self.assertEqual(len(sink.messages), len(everything))

    def through(self, size, inbound, outbound, framing=None, count=3):
        sink = self.sink(tls=server_context(self.certificate) if outbound else None, max_length=131072)
        keys = {"tls": {"ca": self.pki.ca}} if outbound else {}
        declarations = (node("a", sink, **keys), route("all", "a"))
        gateway = self.secured(*declarations) if inbound else self.gateway(*declarations)
        sender = self.sender(gateway, tls=client_context() if inbound else None)
        for _ in range(count):
            one = make_instance(size)
            self.assert_stored(sender.store(one, framing))
            self.assertEqual(sink.messages[-1].data, one.data)

    def test_sizes_and_sides(self):
        for size in (300, 16_000, 70_000, 3_000_000):
            for inbound, outbound in ((True, False), (False, True), (True, True)):
                with self.subTest(size=size, inbound=inbound, outbound=outbound):
                    self.through(size, inbound, outbound)

    def test_framings(self):
        for framing in (Framing(pdu=200), Framing(mixed=True), Framing(data=100, empty_last=True), Framing(command=7), Framing(segment=999)):
            with self.subTest(framing):
                self.through(40_000, True, True, framing)

    def test_a_fan_out_to_tls_and_plain_nodes(self):
        sinks = [self.sink(tls=server_context(self.certificate)), self.sink(), self.sink(tls=server_context(self.certificate))]
        nodes = [node(f"n{i}", sink, **({"tls": {"ca": self.pki.ca}} if sink.tls else {})) for i, sink in enumerate(sinks)]
        gateway = self.secured(*nodes, route("all", ["n0", "n1", "n2"]))
        sender = self.sender(gateway, tls=client_context())
        one = make_instance(2_000_000)
        self.assert_stored(sender.store(one))
        self.assertEqual([sink.messages[-1].data == one.data for sink in sinks], [True] * 3)

    def test_the_queue_delivers_by_tls(self):
        port = free_port()
        gateway = self.secured(node("a", port, tls={"ca": self.pki.ca}, retry={"first": "100ms", "most": "200ms"}),
                               route("all", "a", on_failure="queue"))
        one = make_instance(500_000)
        self.assert_stored(self.sender(gateway, tls=client_context()).store(one))
        sink = self.sink(tls=server_context(self.certificate), port=port)
        wait_until(lambda: sink.messages, "it is delivered", 20)
        self.assertEqual(sink.messages[0].data, one.data)

    def test_many_senders_in_a_little_memory(self):
        """Ciphertext and plain bytes together need no more of the pool than plain ones."""
        sink = self.sink(tls=server_context(self.certificate), keep=False)
        gateway = self.secured(node("a", sink, tls={"ca": self.pki.ca}), route("all", "a"), memory="8MiB", workers=1)
        failed = []

        def send():
            try:
                with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=60 * SLOW, tls=client_context()) as sender:
                    for _ in range(3):
                        self.assert_stored(sender.store(make_instance(3_000_000)))
            except Exception as e:  # told below
                failed.append(repr(e))
        threads = [threading.Thread(target=send) for _ in range(10)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failed, [])
        self.assertEqual(len(sink.messages), 30)

    def test_a_changed_byte_ends_the_association(self):
        sink = self.sink()
        gateway = self.secured(node("a", sink), route("all", "a"))
        between = socket.create_server(("127.0.0.1", 0))
        spoil = threading.Event()

        def relay():
            here, _ = between.accept()
            there = socket.create_connection(("127.0.0.1", gateway.port))

            def pump(a, b, spoils):
                while True:
                    try:
                        piece = bytearray(a.recv(65536))
                        if spoils and spoil.is_set() and len(piece) > 100:
                            piece[len(piece) // 2] ^= 1
                        b.sendall(piece)
                    except OSError:
                        return
                    if not piece:
                        b.close()
                        return
            threading.Thread(target=pump, args=(there, here, False), daemon=True).start()
            pump(here, there, True)
        threading.Thread(target=relay, daemon=True).start()
        sender = self.sender(between.getsockname()[1], tls=client_context())
        self.assert_stored(sender.store(make_instance()))
        spoil.set()
        with self.assertRaises((dicom.Ended, OSError)):
            sender.store(make_instance(100_000))
        wait_until(lambda: any("bad record mac" in c for c in self.causes(gateway)), "the log says why")
        self.assertEqual(len(sink.messages), 1)
        between.close()


class Peers(TlsCase):
    """DCMTK and Orthanc, both ways, with certificates on both sides."""

    def test_dcmtk_sends_and_receives(self):
        pki, client = self.pki, self.pki.client("CN=hilum", purpose="clientAuth, serverAuth", key="rsa")
        server = pki.server(key="rsa")
        for profile in ("+py", "+px"):
            with self.subTest(profile):
                scp = self.peer(storescp, "+tls", server.key, server.certificate, "+cf", pki.ca, profile)
                gateway = self.secured(node("a", scp, ae_title="STORESCP", tls=own(client, ca=pki.ca)), route("all", "a"),
                                       tls=own(server, ca=pki.ca, client="require"))
                tool("storescu", "+tls", client.key, client.certificate, "+cf", pki.ca, profile, "127.0.0.1", gateway.port,
                     CT_SMALL, environment=QUICK)
                wait_until(scp.instances, "it has arrived")
                self.assertIn(scp.instances()[0].data, dicom.read_file(CT_SMALL).data)  # storescu drops the padding at its end
                secured = gateway.events("secured")[-1]
                self.assertEqual(secured["peer"], "CN=hilum")
                self.assertIn(secured["version"], ("TLSv1.2", "TLSv1.3"))

    def test_orthanc_sends_and_receives(self):
        pki = self.pki
        certificate = pki.server(purpose="serverAuth, clientAuth", key="rsa")
        settings = {"DicomTlsEnabled": True, "DicomTlsCertificate": certificate.certificate, "DicomTlsPrivateKey": certificate.key,
                    "DicomTlsTrustedCertificates": pki.ca, "DicomTlsRemoteCertificateRequired": True}
        orthanc = self.peer(Orthanc, **settings)
        port = free_port()
        gateway = self.secured(node("a", orthanc, ae_title="ORTHANC", tls=own(pki.client("CN=hilum", key="rsa"), ca=pki.ca)),
                               route("all", "a"), tls=own(certificate, ca=pki.ca, client="require"), port=port)
        tool("storescu", "+tls", certificate.key, certificate.certificate, "+cf", pki.ca, "127.0.0.1", gateway.port, CT_SMALL,
             environment=QUICK)
        wait_until(lambda: orthanc.files(), "Orthanc has it")
        sink = self.sink()
        back = self.secured(node("b", sink), route("all", "b"), tls=own(certificate, ca=pki.ca, client="require"))
        orthanc.get("/modalities/peer", b'{"AET":"PEER","Host":"127.0.0.1","Port":%d,"UseDicomTls":true}' % back.port, "PUT")
        orthanc.get("/modalities/peer/store", json.dumps(json.loads(orthanc.get("/instances"))).encode())
        self.assertEqual(len(sink.messages), 1)


class Operation(TlsCase):
    def test_what_comes_with_the_certificate_of_a_node_does_not_go_back_to_it(self):
        """Behind address translation the address says nothing."""
        pki = self.pki
        archive = pki.server("archive.local", purpose="serverAuth, clientAuth")
        first, second = self.sink(tls=server_context(archive)), self.sink()
        gateway = self.secured(node("a", first, host="localhost", ae_title="ARCHIVE", tls={"ca": pki.ca, "name": "archive.local"}),
                               node("b", second), route("all", ["a", "b"]),
                               tls=own(self.certificate, ca=pki.ca, client="request"))
        for certificate, goes_back in ((archive, False), (None, True)):
            before = len(first.messages)
            with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, tls=client_context(pki, certificate),
                        source="127.0.0.7", calling="ARCHIVE") as sender:
                self.assert_stored(sender.store(make_instance()))
            self.assertEqual(len(first.messages) > before, goes_back, str(certificate))
        self.assertEqual(len(second.messages), 2)

    def test_changed_certificates_are_read_by_a_reload_and_associations_go_on(self):
        folder = self.temporary_folder()
        pki = certificates.Pki(os.path.join(folder, "pki"))
        first, second = pki.server(subject="CN=first"), pki.server(subject="CN=second")
        here = certificates.Certificate("CN=first", os.path.join(folder, "own.pem"), os.path.join(folder, "own.key"))

        def install(which):
            shutil.copy(which.certificate, here.certificate)
            shutil.copy(which.key, here.key)
        install(first)
        sink = self.sink()
        gateway = self.secured(node("a", sink), route("all", "a"), tls=own(here))

        def shown(sender):
            return dict(item[0] for item in sender.wire.socket.getpeercert()["subject"])["commonName"]
        before = self.sender(gateway, tls=client_context(pki))
        self.assertEqual(shown(before), "first")
        install(second)
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.log().count('"event":"configuration reloaded"') or gateway.events("reloaded"), "it is reloaded")
        after = self.sender(gateway, tls=client_context(pki))
        self.assertEqual(shown(after), "second")
        for sender in (before, after):
            self.assert_stored(sender.store(make_instance()))

    def test_a_key_that_is_not_the_certificates_leaves_the_old_ones_in_force(self):
        folder = self.temporary_folder()
        first, rsa = self.pki.server(subject="CN=first"), self.pki.server(key="rsa")
        here = certificates.Certificate("CN=first", os.path.join(folder, "own.pem"), os.path.join(folder, "own.key"))
        shutil.copy(first.certificate, here.certificate)
        shutil.copy(first.key, here.key)
        gateway = self.secured(node("a", self.sink()), route("all", "a"), tls=own(here))
        shutil.copy(rsa.key, here.key)
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: f"{here.key} is not the key of {here.certificate}" in gateway.log(), "it is refused")
        self.assert_stored(self.sender(gateway, tls=client_context()).store(make_instance()))

    def secured_session(self, gateway, context, session=None, source="127.0.0.1"):
        """An association and its end: (was the session resumed, the one to begin with next)."""
        plain = socket.create_connection(("127.0.0.1", gateway.port), 20 * SLOW, source_address=(source, 0))
        wrapped = context.wrap_socket(plain, server_hostname="localhost", session=session)
        wire = dicom.Wire(wrapped, 20 * SLOW)
        wire.send(dicom.Associate(contexts=[dicom.Proposed(1, CT, [EXPLICIT])]).encode())
        wire.expect(dicom.ASSOCIATE_AC)
        result = wrapped.session_reused, wrapped.session
        wire.close()
        return result

    def test_sessions_are_resumed(self):
        sink = self.sink(tls=server_context(self.certificate))
        gateway = self.secured(node("a", sink, tls={"ca": self.pki.ca}), route("all", "a"), workers=2)
        context = client_context()
        session = None
        for _ in range(6):
            _, session = self.secured_session(gateway, context, session)
        wait_until(lambda: len(gateway.events("secured")) == 6, "six have come")
        self.assertEqual([e["resumed"] for e in gateway.events("secured")], ["no"] + ["yes"] * 5)

    def test_one_session_serves_many_at_once_until_a_reload(self):
        sink = self.sink(tls=server_context(self.certificate))
        gateway = self.secured(node("a", sink, tls={"ca": self.pki.ca}), route("all", "a"), workers=2)
        reloads = 0
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            context = client_context(maximum_version=version)
            resumed, session = self.secured_session(gateway, context)
            self.assertFalse(resumed)
            results = []
            threads = [threading.Thread(target=lambda: results.append(self.secured_session(gateway, context, session)[0]))
                       for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30 * SLOW)
            self.assertEqual(results, [True] * 20, version)
            gateway.signal(signal.SIGHUP)
            reloads += 1
            wait_until(lambda: len(gateway.events("reloaded")) == reloads, "it is reloaded")
            resumed, session = self.secured_session(gateway, context, session)
            self.assertFalse(resumed)
            self.assertTrue(self.secured_session(gateway, context, session)[0])

    def test_who_is_denied_by_address_gets_no_handshake(self):
        sink = self.sink(tls=server_context(self.certificate))
        gateway = self.gateway(node("a", sink, tls={"ca": self.pki.ca}), route("all", "a"), log_format="json",
                               listen=[{"name": "secure", "address": "127.0.0.1", "allow": "127.0.0.0/29", "deny": "127.0.0.2",
                                        "tls": own(self.certificate)}])
        self.assertFalse(self.secured_session(gateway, client_context())[0])
        for source in ["127.0.0.2"] * 30 + ["127.0.0.9"] * 3:
            with socket.create_connection(("127.0.0.1", gateway.port), 20 * SLOW, source_address=(source, 0)) as s:
                self.assertEqual(s.recv(100), b"")  # not a byte was said, and none is awaited
        with self.assertRaises((ssl.SSLError, ConnectionError, BrokenPipeError)):
            self.secured_session(gateway, client_context(), source="127.0.0.2")
        self.assertFalse(self.secured_session(gateway, client_context(), source="127.0.0.3")[0])
        told = [(e["remote"], e["listener"], e["cause"]) for e in gateway.events("connection refused")]
        self.assertEqual(told, [("127.0.0.2", "secure", "address denied"), ("127.0.0.9", "secure", "address not allowed")])
        gateway.stop()
        counts = {e["remote"]: (e["count"], e["cause"]) for e in gateway.events("more associations rejected")}
        self.assertEqual(counts, {"127.0.0.2": (30, "address denied"), "127.0.0.9": (2, "address not allowed")})
        self.assertEqual([e for e in gateway.events("association ended") if e["remote"].startswith("127.0.0.2:")], [])

    def test_stalled_handshakes_cost_nothing_and_end(self):
        sink = self.sink()
        gateway = self.secured(node("a", sink), route("all", "a"), timeouts={"association": "3s"})
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)  # the rest never comes
        before = gateway.memory("VmRSS")
        stalled = []
        for i in range(1500):
            s = socket.create_connection(("127.0.0.1", gateway.port), 10 * SLOW)
            if i % 3:
                s.sendall(hello[:1 + i % len(hello)])
            stalled.append(s)
            if i % 300 == 299:
                with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, tls=client_context()) as sender:
                    self.assert_stored(sender.store(make_instance()))
        if not os.environ.get("HILUM_SANITIZE"):
            self.assertLess(gateway.memory("VmRSS") - before, 100 << 20)
        for s in stalled:
            s.settimeout(10 * SLOW)
            try:
                while s.recv(100):
                    pass
            except ConnectionResetError:
                pass
            s.close()
        with Sender(gateway.port, [(CT, [EXPLICIT])], seconds=20 * SLOW, tls=client_context()) as sender:
            self.assert_stored(sender.store(make_instance()))

    def test_who_hangs_up_while_it_is_slowed_keeps_no_place(self):
        gateway = self.secured(declare("caller", "ct", {"calling": "CT", "rate": {"bytes": "2KiB"}}), node("a", self.sink()),
                               route("all", to="a"))
        sender = self.sender(gateway, calling="CT", tls=client_context())
        sender.data(sender.begin(make_instance()), bytes(60_000))
        sender.close()
        wait_until(lambda: gateway.events("association ended"), "it ends", 5)

    def test_a_node_that_stalls_its_handshake_is_given_up(self):
        listener = socket.create_server(("127.0.0.1", 0))
        gateway = self.gateway(node("a", listener.getsockname()[1], tls={"ca": self.pki.ca}), route("all", "a"),
                               timeouts={"association": "500ms", "response": "5s"})
        began = time.monotonic()
        answer = self.sender(gateway).store(make_instance())
        self.assertEqual(answer.status & 0xFF00, 0xA700, str(answer))
        self.assertLess(time.monotonic() - began, 5 * SLOW)
        listener.close()

    def test_a_sender_is_slowed_by_a_slow_node_and_nothing_is_lost(self):
        sink = self.sink(tls=server_context(self.certificate), keep=False)
        gateway = self.secured(node("a", sink, tls={"ca": self.pki.ca}), route("all", "a"), window="1MiB")
        sender = self.sender(gateway, tls=client_context())
        sink.pause()
        done = threading.Event()

        def send():
            self.assert_stored(sender.store(make_instance(30_000_000)))
            done.set()
        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(0.5)
        self.assertFalse(done.is_set())
        sink.resume()
        thread.join(30 * SLOW)
        self.assertTrue(done.is_set())


class SlowRecords(TlsCase):
    """A record that comes byte by byte is nothing that came, and no work."""

    RECORD = "a record of TLS did not become whole"

    def line(self, peer):
        line = SlowLine(peer)
        self.addCleanup(line.stop)
        return line

    def behind(self, **timeouts):
        """A gateway with TLS, a line to it, and a sender that is associated over that."""
        gateway = self.secured(node("a", self.sink()), route("all", "a"), timeouts={**TIMEOUTS, **timeouts})
        line = self.line(gateway)
        sender = self.sender(line, tls=client_context())
        self.assert_stored(sender.store(make_instance()))
        line.up = 10
        return gateway, sender

    def assert_ended(self, gateway, cause):
        wait_until(lambda: gateway.events("association ended"), "it is ended", 5)
        self.assertEqual(self.causes(gateway), [cause])

    def test_a_record_byte_by_byte_is_ended_after_progress(self):
        gateway, sender = self.behind()
        one = make_instance()
        sender.wire.send(dicom.p_data(dicom.pdv(sender.context_for(one), dicom.COMMAND | dicom.LAST,
                                                dicom.command(sender.store_command(one)))))
        self.assert_ended(gateway, self.RECORD)

    def test_a_record_byte_by_byte_is_no_work(self):
        gateway, sender = self.behind(progress="30s", idle="2s")
        sender.wire.send(bytes([dicom.P_DATA, 0, 0, 0, 0x40, 0]) + bytes(10_000))
        self.assert_ended(gateway, "idle")

    def test_a_node_whose_record_comes_byte_by_byte_has_failed(self):
        line = self.line(self.sink(tls=server_context(self.certificate)))
        gateway = self.gateway(node("a", line, tls={"ca": self.pki.ca}), route("all", "a"), timeouts=TIMEOUTS)
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance()))
        line.down = 10
        began = time.monotonic()
        self.assert_stored(sender.store(make_instance()), 0xA700)
        self.assertLess(time.monotonic() - began, 10 * SLOW)
        [again] = gateway.events("sent again on a fresh association")
        self.assertIn(again["cause"], (self.RECORD, *TOO_SLOW))

    def test_a_slow_line_of_whole_records_is_served(self):
        gateway = self.secured(node("a", self.sink()), route("all", "a"), timeouts=TIMEOUTS)
        line = self.line(gateway)
        line.up = 40_000
        slow, one = self.sender(line, tls=client_context()), make_instance(100_000)
        self.assert_stored(slow.store(one))
