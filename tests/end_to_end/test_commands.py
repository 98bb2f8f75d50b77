"""The commands beside run: echo, send, check, --version, --help."""

import json
import os
import re
import subprocess

import pydicom

from dicom import make_instance
from harness import HILUM, ROOT, SAMPLES, Case, free_port, hilum, samples, storescp

VALID = """
node "a" { host = "127.0.0.1", port = 104, ae_title = "A" }
node "disk" { folder = "/tmp/x/{SOPInstanceUID}.dcm" }
"""

# Line 1 of each configuration is `listen "11112"`, lines 2 and 3 are the nodes of VALID, line 4 is this. Beside each stand
# words that the message must hold.
MISTAKES = [
    ('route "r" { to = { "nobody" } }', ["nobody"]),
    ('route "r" { to = { "a" }, colour = 1 }', ["colour"]),
    ('node "a" { host = "h", port = 1, ae_title = "X" }', ["a"]),
    ('route "r" { to = { "a" } } route "r" { to = { "a" } }', ["r"]),
    ('node "b" { host = "h", port = "many", ae_title = "X" }', ["port"]),
    ('node "b" { host = "h", port = 70000, ae_title = "X" }', ["port"]),
    ('node "b" { host = "h", port = 104, ae_title = "SEVENTEENLETTERS_" }', ["ae_title"]),
    ('node "b" { port = 104, ae_title = "X" }', ["host"]),
    ('node "b" { host = "127.0.0.1", port = 11112, ae_title = "X" }', ["listen"]),
    ('node "b" { folder = "/x/{PatientsID}/{SOPInstanceUID}" }', ["PatientsID", "PatientID"]),
    ('node "b" { folder = "/x/{SOPInstanceUID" }', ["{"]),
    ('route "r" { }', ["to"]),
    ('route "r" { to = { } }', ["to"]),
    ('route "r" { to = { "a" }, when = { Modalty = "CT" } }', ["Modalty", "Modality"]),
    ('route "r" { to = { "a" }, when = { caling = "CT" } }', ["caling"]),
    ('route "r" { to = { "a" }, when = { remote = "10.0.0.0/99" } }', ["remote"]),
    ('route "r" { to = { "a" }, when = "CT" }', ["when", "a table"]),
    ('route "r" { to = { "a" }, morph = { PatientID = "X" } }', ["morph", "function"]),
    ('route "r" { to = { "a" }, copy = { "b" } }', ["unknown node", "\"a\""]),
    ('route "r" { copy = { "a" }, when = { service = "echo" } }', ["copy", "echo", "to"]),
    ('route "r" { copy = { "a" }, on_study = function (study) end }', ["on_study", "hold = { quiet"]),
    ('gateway { spool = false } route "r" { copy = { "a" } }', ["copy", "spool = false"]),
    ('route "r" { to = { "a" }, transfer = "JPEG2000Lossless" }', ["transfer", "not available in this version"]),
    ('route "r" { to = { "a" }, on_failure = "retry" }', ["on_failure", "\"queue\" or \"fail\""]),
    ('route "r" { to = { "a" }, final = "yes" }', ["final"]),
    ('pool "p" { members = { "a", "disk" } }', ["\"p\"", "\"disk\" is a folder"]),
    ('pool "a" { members = { "a" } }', ["a node \"a\" on line 2 already"]),
    ('route "r" { to = { "disk" }, when = { service = "find" } }', ["\"disk\" is a folder", "\"find\""]),
    ('route "r" { to = { "a" }, when = { service = "fnid" } }', ["\"fnid\"", "\"find\""]),
    ('route "r" { to = { "a" }, when = { level = "study" } }', ["level", "\"store\""]),
    ('node "b" { host = "h", port = 1, ae_title = "X", tls = { certificate = "/x" } }', ["tls", "no key"]),
    ('listen { port = 2762, tls = {} }', ["tls", "a certificate"]),
    ('listen { port = 11113, allow = { "nonsense" } }', ["CIDR"]),
    ('gateway { max_pdu = "1 parsec" }', ["max_pdu"]),
    ('gateway { timeouts = { response = "soon" } }', ["response"]),
    ('gateway { timeouts = { respnse = "1s" } }', ["respnse"]),
    ('gateway { log = { level = "loud" } }', ["level"]),
    ('gateway { log = { uids = "md5" } }', ["uids", "hash"]),
    ('gateway { log = { uids = "hash", patient = true } }', ["uids", "patient"]),
    ('route "r" { to = { "a" }', ["'}'"]),
    ('io.open("/etc/passwd")', ["io"]),
    ('os.exit(0)', ["os"]),
    ('error("by hand")', ["by hand"]),
    ('while true do end', []),
    ('local t = {} while true do t[#t + 1] = ("x"):rep(1 << 20) .. #t end', []),
]


class Check(Case):
    def config(self, text):
        path = os.path.join(self.temporary_folder(), "c.lua")
        with open(path, "w") as f:
            f.write(text)
        return path

    def test_a_valid_configuration_is_success_without_a_warning(self):
        path = self.config('listen "127.0.0.1:11112"' + VALID +
                           'route "r" { to = { "a", "disk" }, when = { calling = "CT*" } }\n')
        done = hilum("check", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotRegex(done.stdout + done.stderr, "error|warning")

    def test_a_listener_that_anybody_may_use_is_warned_of(self):
        for listen in ('listen "11112"', 'listen { port = 11112, deny = "10.0.0.0/8" }'):
            path = self.config(listen + VALID + 'route "r" { to = "a" }\n')
            done = hilum("check", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"{path}:1: warning: listen: anybody who reaches port 11112 may send", done.stdout)

    def test_the_summary_tells_what_is_queued(self):
        path = self.config('listen "11112"' + VALID + 'route "1" { to = "a" } route "2" { copy = "a" }\n'
                           'route "3" { to = "a", copy = "disk", on_failure = "fail" }\n'
                           'route "4" { to = "a", when = { service = "echo" } }\n')
        done = hilum("check", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(" 2 nodes, 4 routes (2 with copy; on_failure: 1 queue, 1 fail): fine\n", done.stderr)
        path = self.config('listen "11112"' + VALID + 'pool "p" { members = "a" } pool "q" { members = "a" }\n'
                           'route "1" { to = "p", when = { service = "find" } }\n'
                           'route "2" { to = "a", copy = "q", when = { service = "mpps" } }\n')
        done = hilum("check", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(" 2 nodes, 2 pools, 2 routes (1 with copy; on_failure: 1 queue, 0 fail): fine\n", done.stderr)

    def test_the_configurations_that_ship_are_valid(self):
        for name in ("default.lua", "example.lua"):
            done = hilum("check", os.path.join(ROOT, "rules", name), cwd=ROOT)
            self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
            self.assertNotIn("warning", done.stdout + done.stderr)

    def test_each_mistake_is_told_with_its_file_and_line(self):
        for mistake, words in MISTAKES:
            with self.subTest(mistake):
                path = self.config('listen "11112"' + VALID + mistake + "\n")
                done = hilum("check", path)
                said = done.stdout + done.stderr
                self.assertEqual(done.returncode, 1, said)
                self.assertRegex(said, re.escape(path) + r":[45]: \S")  # what is cut short is missed at the end
                for word in words:
                    self.assertIn(word, said)

    def test_several_mistakes_are_told_at_once(self):
        path = self.config('listen "11112"' + VALID + 'route "r" { to = { "x" } }\nroute "s" { to = { "y" }, z = 1 }\n')
        done = hilum("check", path)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{path}:4:", said)
        self.assertIn(f"{path}:5:", said)

    def test_run_refuses_what_check_refuses(self):
        path = self.config('listen "11112"' + VALID + 'route "r" { to = { "nobody" } }\n')
        done = hilum("run", path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"{path}:4:", done.stderr)

    def test_a_file_that_is_not_there_is_told(self):
        done = hilum("check", "/nonexistent/x.lua")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/nonexistent/x.lua", done.stderr + done.stdout)

    def test_env_and_require_work_and_a_missing_module_is_told(self):
        path = self.config('listen "11112"\nlocal n = require "names"\nnode "a" { host = n.host, port = 104, '
                           'ae_title = env "TITLE" }\nroute "r" { to = { "a" } }\n')
        with open(os.path.join(os.path.dirname(path), "names.lua"), "w") as f:
            f.write('return { host = "example.org" }\n')
        done = hilum("check", path, env={**os.environ, "TITLE": "FROM_ENV"})
        self.assertEqual(done.returncode, 0, done.stderr)
        os.unlink(os.path.join(os.path.dirname(path), "names.lua"))
        self.assertEqual(hilum("check", path, env={**os.environ, "TITLE": "X"}).returncode, 1)


class Echo(Case):
    def test_a_peer_that_answers_is_success(self):
        sink = self.sink()
        done = hilum("echo", f"127.0.0.1:{sink.port}", "--called", "THERE", "--calling", "HERE")
        self.assertEqual(done.returncode, 0, done.stderr)
        request = sink.associations[0].request
        self.assertEqual((request.called.strip(), request.calling.strip()), (b"THERE", b"HERE"))
        self.assertEqual(len(sink.echoes), 1)
        peer = self.peer(storescp)
        self.assertEqual(hilum("echo", f"127.0.0.1:{peer.port}").returncode, 0)

    def test_a_peer_that_is_away_or_refuses_is_failure_and_told(self):
        sink = self.sink(reject=(1, 1, 7))
        for port in (free_port(), sink.port):
            done = hilum("echo", f"127.0.0.1:{port}")
            self.assertEqual(done.returncode, 1)
            self.assertTrue(done.stderr.strip())

    def test_the_gateway_answers_its_own_echo(self):
        gateway, _ = self.simple()
        self.assertEqual(hilum("echo", f"127.0.0.1:{gateway.port}").returncode, 0)


class Send(Case):
    def folder_of(self, *instances):
        """Part 10 files of these instances, written by pydicom's rules, in two levels of folders."""
        top = self.temporary_folder()
        for i, one in enumerate(instances):
            path = os.path.join(top, f"d{i % 3}", "deep")
            os.makedirs(path, exist_ok=True)
            meta = pydicom.dataset.FileMetaDataset()
            meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = one.sop_class, one.uid
            meta.TransferSyntaxUID, meta.ImplementationClassUID = one.transfer, "1.2.3"
            with open(os.path.join(path, f"{i}.dcm"), "wb") as f:
                f.write(bytes(128) + b"DICM")
                pydicom.filewriter.write_file_meta_info(f, meta)
                f.write(one.data)
        return top

    def test_files_and_folders_arrive_byte_for_byte(self):
        sink = self.sink()
        instances = [make_instance(1000 * i + 2) for i in range(20)]
        folder = self.folder_of(*instances[1:])
        single = self.folder_of(instances[0]) + "/d0/deep/0.dcm"
        done = hilum("send", f"127.0.0.1:{sink.port}", folder, single, "--calling", "ME", "--called", "YOU")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({m.uid: m.data for m in sink.messages}, {i.uid: i.data for i in instances})
        self.assertEqual(sink.used()[0].request.calling.strip(), b"ME")

    def test_every_sample_file_is_sent_in_its_own_transfer_syntax(self):
        sink = self.sink()
        done = hilum("send", f"127.0.0.1:{sink.port}", SAMPLES)
        complete = [i for i in samples() if all(i.meta.get(e) for e in (0x0002, 0x0003, 0x0010))]
        got = {(m.uid, m.transfer, m.data) for m in sink.messages}
        for one in complete:
            if one.sop_class != "1.2.840.10008.1.3.10":
                self.assertTrue({(one.uid, one.transfer, one.data), (one.uid, one.transfer, one.data + b"\0")} & got,
                                one.path + "\n" + done.stderr)

    def test_the_summary_counts_by_status_and_a_failure_is_exit_1(self):
        bad = make_instance(uid="1.2.3.666")
        sink = self.sink(answer=lambda m: (0xA900, "no") if m.uid == bad.uid else 0)
        folder = self.folder_of(bad, make_instance(), make_instance())
        done = hilum("send", f"127.0.0.1:{sink.port}", folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("A900", (done.stdout + done.stderr).upper())
        self.assertEqual(len(sink.messages), 3)

    def test_json_is_a_summary_that_a_program_reads(self):
        sink = self.sink(answer=lambda m: 0xB000)
        done = hilum("send", f"127.0.0.1:{sink.port}", self.folder_of(make_instance(), make_instance()), "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual((result["files"], result["sent"], result["failed"]), (2, 2, 0))
        self.assertEqual(result["statuses"], {"B000": 2})

    def test_without_a_terminal_there_is_no_progress_bar_and_no_colour(self):
        sink = self.sink()
        done = hilum("send", f"127.0.0.1:{sink.port}", self.folder_of(make_instance()))
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        self.assertNotIn("\r", done.stdout + done.stderr)

    def test_on_a_terminal_there_is_a_progress_bar(self):
        sink = self.sink(delay=0.02)
        folder = self.folder_of(*[make_instance(50_000) for _ in range(20)])
        command = f"{HILUM} send 127.0.0.1:{sink.port} {folder}"
        done = subprocess.run(["script", "-qec", command, "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=60, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"})
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertTrue(b"\r" in done.stdout and b"20" in done.stdout, done.stdout)

    def test_what_is_no_dicom_file_is_told_and_the_rest_is_sent(self):
        sink = self.sink()
        folder = self.folder_of(make_instance())
        with open(folder + "/notes.txt", "w") as f:
            f.write("not DICOM")
        done = hilum("send", f"127.0.0.1:{sink.port}", folder)
        self.assertIn("notes.txt", done.stderr + done.stdout)
        self.assertEqual(len(sink.messages), 1)

    def test_a_peer_that_is_away_or_takes_nothing_is_exit_1(self):
        folder = self.folder_of(make_instance())
        self.assertEqual(hilum("send", f"127.0.0.1:{free_port()}", folder).returncode, 1)
        sink = self.sink(classes=[])
        self.assertEqual(hilum("send", f"127.0.0.1:{sink.port}", folder).returncode, 1)

    def test_a_connection_that_breaks_in_the_middle_is_exit_1(self):
        sink = self.sink(at_bytes=(20_000, "reset"))
        done = hilum("send", f"127.0.0.1:{sink.port}", self.folder_of(make_instance(1000), make_instance(100_000)))
        self.assertEqual(done.returncode, 1)


class Usage(Case):
    def test_version_and_help_are_success_on_stdout(self):
        self.assertRegex(hilum("--version").stdout, r"\d+\.\d+")
        text = hilum("--help").stdout
        for command in ("run", "check", "echo", "send"):
            self.assertIn(command, text)
            help_text = hilum(command, "--help")
            self.assertEqual(help_text.returncode, 0)
            self.assertIn(command, help_text.stdout)
            self.assertLessEqual(len(help_text.stdout.splitlines()), 40)
        self.assertLessEqual(len(text.splitlines()), 40)

    def test_wrong_usage_is_exit_2_and_told_on_stderr(self):
        for arguments in ([], ["nonsense"], ["run"], ["check"], ["echo"], ["send"], ["echo", "no-port"],
                          ["echo", "127.0.0.1:99999"], ["send", "127.0.0.1:104"], ["run", "a", "b"], ["echo", "h:1", "--x"],
                          ["echo", "h:1", "--called"], ["--nonsense"]):
            with self.subTest(arguments):
                done = hilum(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertTrue(done.stderr.strip())
                self.assertEqual(done.stdout, "")
