"""TLS on the command line: hilum echo and send with --tls, towards sinks, DCMTK and openssl; what check says of keys and certificates."""

import json
import os
import socket
import threading

import certificates
from dicom import read_file
from harness import SAMPLES, Case, Peer, free_port, hilum, lua, need, node, route, storescp, wait_until
from test_tls import own, server_context

CT_SMALL = os.path.join(SAMPLES, "CT_small.dcm")
PASSWORD = "open sesame"


def s_server(certificate, *options):
    """openssl s_server: says little, and speaks TLS as it is told to; no DICOM behind it."""
    program = need("openssl")
    return Peer("s_server", lambda p: [program, "s_server", "-accept", str(p.port), "-cert", certificate.certificate, "-key",
                                       certificate.key, "-quiet", *options])


def says_once(case, said):
    """A listener that answers the first bytes of a connection by these, and hangs up. Returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        taken, _ = listener.accept()
        with taken:
            taken.recv(65536)
            taken.sendall(said)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    case.addCleanup(listener.close)
    return listener.getsockname()[1]


class Commands(Case):
    def setUp(self):
        self.pki = certificates.shared()

    def echo(self, peer, *options, host="127.0.0.1", **more):
        return hilum("echo", f"{host}:{peer.port}", "--tls", *options, **more)

    def refused(self, done, *words, status=1):
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertNotIn(PASSWORD, done.stdout + done.stderr)


class Echo(Commands):
    def test_a_node_that_we_trust_answers_and_its_certificate_is_told(self):
        sink = self.sink(tls=server_context(self.pki.server()))
        done = self.echo(sink, "--ca", self.pki.ca)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"answered in .*\n.*\nTLSv1.3, TLS_AES_256_GCM_SHA384, certificate CN=localhost\n")
        done = self.echo(sink, "--ca", self.pki.ca, "--json", "--profile", "bcp195-modified", host="localhost")
        result = json.loads(done.stdout)
        self.assertEqual((result["ok"], result["tls_version"], result["tls_suite"], result["tls_peer"]),
                         (True, "TLSv1.3", "TLS_AES_256_GCM_SHA384", "CN=localhost"))
        self.assertNotIn("tls_version", hilum("echo", f"127.0.0.1:{self.sink().port}", "--json").stdout)

    def test_who_cannot_be_trusted_is_named_with_the_reason(self):
        pki = certificates.Pki(self.temporary_folder())
        revoked = pki.server()
        pki.revoke(revoked)
        cases = [
            (pki.server(ends=-1), "certificate has expired"),
            (pki.server(starts=1), "certificate is not yet valid"),
            (pki.server("pacs.local"), "IP address mismatch"),
            (pki.server(purpose="clientAuth"), "unsuitable certificate purpose"),
            (self.pki.server(), "unable to get local issuer certificate"),
        ]
        for certificate, why in cases:
            with self.subTest(why):
                sink = self.sink(tls=server_context(certificate))
                done = self.echo(sink, "--ca", pki.ca)
                self.refused(done, f"127.0.0.1:{sink.port}: TLS: the peer's certificate is refused: {why}")
                self.assertEqual(sink.used(), [])

    def test_what_the_profiles_refuse(self):
        for certificate, why in ((self.pki.server(key="rsa:1024"), "key too"), (self.pki.server(digest="sha1"), "too weak")):
            with self.subTest(why):
                server = self.peer(s_server, certificate, "-cipher", "DEFAULT@SECLEVEL=0")
                self.refused(self.echo(server, "--ca", self.pki.ca), "TLS: ", why)
        old = self.peer(s_server, self.pki.server(), "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
        self.refused(self.echo(old, "--ca", self.pki.ca), "TLS: ", "version")
        weak = self.peer(s_server, self.pki.server(key="rsa"), "-tls1_2", "-cipher", "AES128-SHA256")
        self.refused(self.echo(weak, "--ca", self.pki.ca), "TLS: ", "handshake failure")

    def test_insecure_takes_any_certificate_and_says_so(self):
        sink = self.sink(tls=server_context(self.pki.server("pacs.local", ends=-1)))
        self.refused(self.echo(sink), "TLS: the peer's certificate is refused")
        done = self.echo(sink, "--insecure")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"--insecure: whoever answers is taken for 127.0.0.1:{sink.port}", done.stderr)

    def test_a_name_of_its_own(self):
        sink = self.sink(tls=server_context(self.pki.server("archive.local")))
        self.refused(self.echo(sink, "--ca", self.pki.ca, host="localhost"), "hostname mismatch")
        done = self.echo(sink, "--ca", self.pki.ca, "--name", "archive.local")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_node_that_wants_our_certificate_gets_it_by_a_key_with_a_password(self):
        sink = self.sink(tls=server_context(self.pki.server(), self.pki.ca))
        mine = self.pki.client("CN=tester", password=PASSWORD)
        ours = ["--ca", self.pki.ca, "--certificate", mine.certificate, "--key", mine.key]
        self.refused(self.echo(sink, "--ca", self.pki.ca), "TLS: the peer says: ", "certificate required")
        environment = {**os.environ, "HILUM_KEY_PASSWORD": PASSWORD}
        done = self.echo(sink, *ours, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.refused(self.echo(sink, *ours), mine.key, "is encrypted; set its password as HILUM_KEY_PASSWORD")
        environment["HILUM_KEY_PASSWORD"] = PASSWORD + "!"
        self.refused(self.echo(sink, *ours, env=environment), "it does not open")

    def test_a_certificate_that_is_for_servers_is_told_of(self):
        sink, mine = self.sink(tls=server_context(self.pki.server())), self.pki.client(purpose="serverAuth")
        done = self.echo(sink, "--ca", self.pki.ca, "--certificate", mine.certificate, "--key", mine.key)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"--certificate: {mine.certificate} is not for clients (its key usage lacks clientAuth)", done.stderr)

    def test_a_node_without_tls_and_one_that_says_nothing(self):
        plain = self.sink()
        done = self.echo(plain, "--ca", self.pki.ca, "--timeout", "2s")
        self.refused(done, f"127.0.0.1:{plain.port}: ")
        sink = self.sink(tls=server_context(self.pki.server()))
        self.assertEqual(hilum("echo", f"127.0.0.1:{sink.port}", "--timeout", "2s").returncode, 1)

    def test_without_tls_a_node_that_speaks_it_is_told(self):
        hangs_up = self.peer(s_server, self.pki.server())
        self.refused(hilum("echo", f"127.0.0.1:{hangs_up.port}"), "connection lost before an answer: the node may want TLS (--tls)")
        for version in (1, 3):
            port = says_once(self, bytes([0x15, 3, version, 0, 2, 2, 70]))
            self.refused(hilum("echo", f"127.0.0.1:{port}"), "the node answers by TLS: try --tls")

    def test_options_that_do_not_go_together_are_wrong_usage(self):
        mine = self.pki.client()
        cases = [
            (["--ca", self.pki.ca], "--ca: means nothing without --tls"),
            (["--certificate", mine.certificate, "--key", mine.key], "means nothing without --tls"),
            (["--name", "x"], "--name: means nothing without --tls"),
            (["--profile", "bcp195"], "--profile: means nothing without --tls"),
            (["--insecure"], "--insecure: means nothing without --tls"),
            (["--tls", "--profile", "tls1.0"], "--profile: the profiles are bcp195 and bcp195-modified"),
            (["--tls", "--certificate", mine.certificate], "--certificate: its --key is missing"),
            (["--tls", "--key", mine.key], "--key: its --certificate is missing"),
            (["--tls", "--insecure", "--ca", self.pki.ca], "--insecure: any certificate is taken"),
            (["--tls", "--ca"], "a value is missing"),
            (["--tls", "--name", ""], "--name: it must be a host name"),
            (["--tls", "--name", ".local"], "--name: it must be a host name"),
            (["--tls", "--name", "x" * 254], "--name: it must be a host name"),
        ]
        for command in ("echo", "send"):
            for options, words in cases:
                with self.subTest(command, options=options):
                    self.refused(hilum(command, f"127.0.0.1:{free_port()}", CT_SMALL, *options), words, status=2)

    def test_files_that_cannot_be_used_are_told_before_anybody_is_called(self):
        mine, other = self.pki.client(), self.pki.client()
        cases = [
            (["--ca", "/nowhere.pem"], "--ca: /nowhere.pem cannot be read: No such file or directory"),
            (["--ca", mine.key], f"--ca: {mine.key} holds no certificate in PEM"),
            (["--certificate", mine.certificate, "--key", other.key], f"--key: {other.key} is not the key of {mine.certificate}"),
            (["--certificate", mine.key, "--key", mine.key], f"--certificate: {mine.key} holds no certificate in PEM"),
        ]
        for options, words in cases:
            for command in (["echo", "127.0.0.1:1"], ["send", "127.0.0.1:1", CT_SMALL]):
                with self.subTest(command[0], options=options):
                    self.refused(hilum(*command, "--tls", *options), words)


class Send(Commands):
    def test_dcmtk_gets_every_byte(self):
        server, mine = self.pki.server(key="rsa"), self.pki.client("CN=tester")
        for profile in ("+py", "+px"):
            with self.subTest(profile):
                scp = self.peer(storescp, "+tls", server.key, server.certificate, "+cf", self.pki.ca, profile)
                ours = ["--tls", "--ca", self.pki.ca, "--certificate", mine.certificate, "--key", mine.key, "--called", "STORESCP"]
                echoed = hilum("echo", f"127.0.0.1:{scp.port}", *ours)
                self.assertEqual(echoed.returncode, 0, echoed.stderr)
                self.assertIn("certificate CN=localhost", echoed.stdout)
                done = hilum("send", f"127.0.0.1:{scp.port}", CT_SMALL, *ours)
                self.assertEqual(done.returncode, 0, done.stderr)
                got = wait_until(scp.instances, "it has arrived")
                self.assertEqual(got[0].data, read_file(CT_SMALL).data)

    def test_a_certificate_that_dcmtk_refuses_fails_every_file(self):
        server, stranger = self.pki.server(key="rsa"), certificates.Pki(self.temporary_folder()).client()
        scp = self.peer(storescp, "+tls", server.key, server.certificate, "+cf", self.pki.ca)
        done = hilum("send", f"127.0.0.1:{scp.port}", CT_SMALL, "--tls", "--ca", self.pki.ca, "--certificate",
                     stranger.certificate, "--key", stranger.key)
        self.refused(done, f"127.0.0.1:{scp.port}: TLS: ", "1 file not sent")
        self.assertEqual(scp.instances(), [])

    def test_a_gateway_of_ours(self):
        mine = self.pki.client("CN=ct1,O=Hospital")
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("all", "a"),
                               listen=[{"tls": own(self.pki.server(), ca=self.pki.ca)}])
        ours = ["--tls", "--ca", self.pki.ca, "--certificate", mine.certificate, "--key", mine.key]
        done = hilum("send", f"127.0.0.1:{gateway.port}", CT_SMALL, *ours)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(sink.messages), 1)
        self.assertEqual(gateway.events("secured")[-1]["peer"], "CN=ct1,O=Hospital")
        self.refused(hilum("send", f"127.0.0.1:{gateway.port}", CT_SMALL, *ours[:3]), "certificate required")


class Check(Commands):
    def check(self, tls, *options, environment=None):
        path = os.path.join(self.temporary_folder(), "c.lua")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'listen {{ address = "127.0.0.1", port = 2762,\n tls = {tls} }}\n'
                    'node "a" { host = "pacs.local", ae_title = "A" }\nroute "r" { to = "a" }\n')
        return hilum("check", path, *options, env={**os.environ, **(environment or {})})

    def test_errors_and_warnings_have_the_line_of_their_option(self):
        secret = self.pki.server(password=PASSWORD)
        cases = [
            (own(self.pki.server()), 0, ""),
            (own(self.pki.server(by=self.pki.intermediate), ca=self.pki.ca, crl=self.pki.crl), 0, ""),
            (own(self.pki.server(ends=-1)), 0, r"c.lua:2: warning: listen: tls.certificate: .* has expired on 20"),
            (own(self.pki.server(ends=7.5)), 0, r"c.lua:2: warning: listen: tls.certificate: .* expires on 20.*, in 7 days"),
            (own(self.pki.server(starts=1)), 0, r"c.lua:2: warning: listen: tls.certificate: .* is not valid before 20"),
            (own(self.pki.server(key="rsa:1024")), 1, r"c.lua:2: listen: tls.certificate: .* key too small"),
            (own(self.pki.server(digest="sha1")), 1, r"c.lua:2: listen: tls.certificate: .* md too weak"),
            (own(secret), 1, r"c.lua:2: listen: tls.key_password: .* is encrypted"),
            (own(secret, key_password=PASSWORD), 0, r"c.lua:2: warning: listen: tls.key_password is written"),
        ]
        for tls, status, words in cases:
            with self.subTest(words):
                done = self.check(lua(tls))
                self.assertEqual(done.returncode, status, done.stdout + done.stderr)
                self.assertRegex(done.stdout, words if words else r"^$")
                self.assertNotIn(PASSWORD, done.stdout + done.stderr)

    def test_a_password_comes_by_the_environment(self):
        secret = self.pki.server(password=PASSWORD)
        tls = lua(own(secret)).replace(" }", ', key_password = env "THE_PASSWORD" }')
        done = self.check(tls, environment={"THE_PASSWORD": PASSWORD})
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        done = self.check(tls, "--json", environment={"THE_PASSWORD": "open barley"})
        problems = json.loads(done.stdout)["problems"]
        self.assertEqual([p["severity"] for p in problems], ["error"])
        self.assertIn(f"tls.key_password: it does not open {secret.key}", problems[0]["text"])
        self.assertNotIn("barley", done.stdout + done.stderr)
