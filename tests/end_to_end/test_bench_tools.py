"""The load generator and the sink of bench/: what they send, what they count, and that they notice what is wrong."""

import json
import os
import signal
import subprocess
import tempfile
import unittest

import dicom
import certificates
import harness
import peer_data
from dicom import C_FIND_RQ, CT, EXPLICIT, IMPLICIT, make_instance
from harness import HILUM, QUICK, SLOW, Case, files_under, free_port, node, route, samples, storescp, tool, wait_until
from peer_client import Client
from peer_service import Service, found

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.3"
KIB, MIB = 1 << 10, 1 << 20


def program(name):
    path = os.path.join(os.path.dirname(HILUM), "bench", name)
    if not os.path.exists(path):
        raise unittest.SkipTest(f"{path} is missing: make bench-programs")
    return path


class Running:
    """A program of bench/ that runs until it is told to end. What it says goes by lines of JSON."""

    def __init__(self, name, *arguments):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([program(name), *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def line(self):
        text = self.process.stdout.readline()
        assert text, f"it says nothing more:\n{self.said()}"
        return json.loads(text)

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def snapshot(self):
        self.process.send_signal(signal.SIGUSR1)
        return self.line()

    def end(self, by_signal=True):
        """Its last line; it has ended with 0."""
        if by_signal:
            self.process.send_signal(signal.SIGTERM)
        else:
            self.process.stdin.close()
        last = self.line()
        assert self.process.wait(20 * SLOW) == 0, self.said()
        return last

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()


class BenchCase(Case):
    def running(self, name, *arguments):
        it = Running(name, *arguments)
        self.addCleanup(it.close)
        return it

    def bench_sink(self, *options):
        sink = self.running("sink", "--port", 0, *options)
        sink.port = sink.line()["port"]
        return sink

    def load(self, peer, *arguments, status=0, says=""):
        """Runs a load to its end; its JSON. It exits with the status, and says so on stderr."""
        done = subprocess.run([program("load"), f"127.0.0.1:{getattr(peer, 'port', peer)}", *map(str, arguments)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50 * SLOW)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn(says, done.stderr)
        if not says:
            self.assertEqual(done.stderr, "")
        return json.loads(done.stdout)

    def find(self, peer, *arguments, status=0, says=""):
        """Likewise, of queries."""
        done = self.run_program("find", f"127.0.0.1:{peer.port}", *arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn(says, done.stderr)
        if not says:
            self.assertEqual(done.stderr, "")
        return json.loads(done.stdout)

    def run_program(self, name, *arguments):
        return subprocess.run([program(name), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=20 * SLOW)

    def assert_clean(self, sink, **expected):
        """The sink saw this and nothing wrong. Ends it."""
        total = sink.end()
        self.assertEqual(total["faults"], 0, sink.said())
        self.assertEqual({key: total[key] for key in expected}, expected)


ASKED = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "AccessionNumber": ""}


class Queries(BenchCase):
    def test_a_query_finds_as_many_as_the_sink_was_told_to_have(self):
        sink = self.bench_sink("--answers", 3000)
        result = self.find(sink, "--answers", 3000, "--queries", 4, "--warmup", 2)
        self.assertEqual((result["queries"], result["answers"], result["faults"], result["failures"]), (4, 12000, 0, 0))
        self.assertAlmostEqual(result["answers_per_s"] * result["seconds"], 12000, delta=1)
        self.assertLess(result["first_us"]["p50"], result["query_us"]["p50"])
        self.assert_clean(sink, queries=6, answers=18000, cancels=0, associations=1, aborts=0)

    def test_answers_are_data_sets_that_dcmtk_and_the_scripted_client_read(self):
        sink = self.bench_sink("--answers", 25)
        said = tool("findscu", "-S", "-xi", *(w for key in ASKED for w in ("-k", f"{key}={ASKED[key]}")), "127.0.0.1",
                    sink.port).stdout
        self.assertEqual(said.count("(0020,000d) UI [1.2.826.0.1.3680043.10.1234.9000000000000.1000000"), 25, said)
        client = Client(sink.port, [(peer_data.STUDY_ROOT_FIND, [IMPLICIT])])
        outcome = client.find(peer_data.STUDY_ROOT_FIND, **ASKED)
        self.assertEqual([a["AccessionNumber"] for a in outcome.answers], [f"AC{n:08}" for n in range(25)])
        client.release()
        self.assert_clean(sink, queries=2, answers=50)

    def test_a_query_that_is_cancelled_ends(self):
        sink = self.bench_sink("--answers", 1000000)
        client = Client(sink.port, [(peer_data.STUDY_ROOT_FIND, [IMPLICIT])])
        outcome = client.find(peer_data.STUDY_ROOT_FIND, cancel_after=10, **ASKED)
        self.assertEqual(outcome.status, 0xFE00)
        client.release()
        total = sink.end()
        self.assertEqual((total["cancels"], total["faults"]), (1, 0), sink.said())
        self.assertEqual(total["answers"], len(outcome.pending))

    def test_find_notices_what_is_missing_doubled_or_strange(self):
        def answer(number):
            uid = f"1.2.826.0.1.3680043.10.1234.9000000000000.1{number:08}"
            return peer_data.data_of(IMPLICIT, AccessionNumber=f"AC{number:08}", StudyInstanceUID=uid, StudyID="more")
        cases = (([0, 1], {}, "not as many answers"), ([0, 1, 1], {}, "that has come before"), ([0, 1, 2], {"status": 0xA700}, "not success"),
                 ([0, 1, 7], {}, "not one of the sink's"), ([2, 0, 1], {}, ""))
        for numbers, settings, says in cases:
            with self.subTest(numbers=numbers, says=says):
                service = Service({C_FIND_RQ: found(*map(answer, numbers), **settings)})
                self.addCleanup(service.stop)
                self.find(service, "--answers", 3, "--queries", 1, "--warmup", 0, status=1 if says else 0, says=says)


class Sending(BenchCase):
    def test_what_is_sent_is_what_arrives_and_what_is_counted(self):
        cases = [  # arguments, instances, size, associations
            (("--size", "8KiB", "--count", 50), 50, 8 * KIB, 1),
            (("--size", "2KiB", "--count", 7, "--transfer", "implicit"), 7, 2 * KIB, 1),
            (("--size", "512KiB", "--count", 10, "--associations", 4), 10, 512 * KIB, 4),
            (("--size", "512KiB", "--count", 3, "--associations", 8), 3, 512 * KIB, 3),
            (("--size", "32MiB", "--count", 2), 2, 32 * MIB, 1),
            (("--size", "80MiB", "--count", 1, "--pdu", "1MiB"), 1, 80 * MIB, 1),
            (("--size", "1000002", "--count", 4, "--pdu", 131), 4, 1000002, 1),
            (("--size", "300KiB", "--count", 9, "--window", 4), 9, 300 * KIB, 1),
            (("--size", "8KiB", "--count", 20, "--per-association", 1, "--associations", 3), 20, 8 * KIB, 20),
            (("--size", "8KiB", "--count", 20, "--per-association", 6, "--think", 1), 20, 8 * KIB, 4),
            (("--size", "8KiB", "--count", 3, "--nagle"), 3, 8 * KIB, 1),
        ]
        for arguments, instances, size, associations in cases:
            with self.subTest(arguments=arguments):
                sink = self.bench_sink()
                result = self.load(sink, *arguments)
                self.assertEqual(result["instances"], instances)
                self.assertEqual(result["bytes"], instances * size)
                self.assertEqual(result["associations"], associations)
                self.assertEqual(result["statuses"], {"0000": instances})
                self.assertEqual((result["failures"], result["faults"]), (0, 0))
                self.assert_clean(sink, instances=instances, bytes=instances * size, associations=associations, aborts=0)

    def test_figures_agree_with_each_other(self):
        sink = self.bench_sink()
        result = self.load(sink, "--size", "64KiB", "--count", 200, "--associations", 2, "--cpu",
                           min(os.sched_getaffinity(0)))
        self.assertAlmostEqual(result["instances_per_s"] * result["seconds"], 200, delta=1)
        self.assertAlmostEqual(result["gb_per_s"] * result["seconds"] * 1e9 / result["bytes"], 1, delta=0.01)
        for times in (result["latency_us"], result["associate_us"]):
            self.assertTrue(0 < times["min"] <= times["p50"] <= times["p90"] <= times["p99"] <= times["max"], times)
            self.assertTrue(times["min"] <= times["mean"] <= times["max"], times)
        self.assertLessEqual(result["latency_us"]["max"], result["seconds"] * 1e6 + 1)
        self.assertGreaterEqual(result["cpu"]["user"] + result["cpu"]["system"], 0)

    def test_instances_before_the_counting_are_sent_and_not_counted(self):
        sink = self.bench_sink()
        result = self.load(sink, "--size", "8KiB", "--count", 10, "--warmup", 4, "--associations", 3)
        self.assertEqual((result["instances"], result["statuses"]), (10, {"0000": 10}))
        self.assert_clean(sink, instances=22)

    def test_time_or_number_ends_it_whichever_is_first(self):
        sink = self.bench_sink()
        self.assertEqual(self.load(sink, "--size", "8KiB", "--count", 5, "--seconds", 60)["instances"], 5)
        result = self.load(sink, "--size", "8KiB", "--count", 4_000_000_000, "--seconds", 0.3)
        self.assertGreater(result["instances"], 5)
        self.assertLess(result["seconds"], 0.3 + 0.5 * SLOW)
        self.assert_clean(sink, aborts=0)

    def test_PDUs_are_no_longer_than_asked_for_and_taken(self):
        for announced, asked, used in ((16384, "128KiB", 16384), (16384, "4KiB", 4096), (0, "1MiB", MIB), (513, 2001, 512)):
            sink = self.sink(max_length=announced)
            result = self.load(sink, "--size", "70000", "--count", 2, "--pdu", asked)
            self.assertEqual(result["pdu"], used)
            for message in sink.messages:
                self.assertEqual((message.length, max(message.frames)), (70000, min(used - 6, 70000)))

    def test_data_sets_do_not_depend_on_framing_and_differ_in_their_UIDs_alone(self):
        seen = []
        for pdu, transfer in ((1000, EXPLICIT), ("128KiB", EXPLICIT), (16384, IMPLICIT)):
            sink = self.sink(max_length=0)
            self.load(sink, "--size", "300000", "--count", 2, "--pdu", pdu, "--seed", "same", "--transfer",
                      "implicit" if transfer == IMPLICIT else "explicit")
            self.assertEqual([(m.abstract, m.transfer, m.length) for m in sink.messages], [(CAPTURE, transfer, 300000)] * 2)
            first, second = sink.messages
            self.assertNotEqual(first.uid, second.uid)
            self.assertEqual(first.data.replace(first.uid.encode(), b""), second.data.replace(second.uid.encode(), b""))
            for message in sink.messages:
                self.assertEqual(message.data.count(message.uid.encode()), 1)
            seen.append([m.data for m in sink.messages])
        self.assertEqual(seen[0], seen[1])
        other = self.sink(max_length=0)
        self.load(other, "--size", "300000", "--count", 1, "--seed", "other")
        self.assertNotEqual(other.uids[0], dicom.text(seen[0][0][100:]), "a seed must tell")
        self.assertNotIn(other.messages[0].data, seen[0])

    def test_no_two_instances_share_a_UID(self):
        sink = self.sink()
        self.load(sink, "--size", "2KiB", "--count", 60, "--associations", 3, "--per-association", 4)
        self.load(sink, "--size", "2KiB", "--count", 60, "--associations", 3)
        self.assertEqual(len(set(sink.uids)), 120)

    def test_titles_go_round(self):
        sink = self.sink()
        result = self.load(sink, "--size", "2KiB", "--count", 10, "--associations", 5, "--called", "A,B", "--calling", "ME",
                           "--result-by-title")
        self.assertEqual(sorted(a.request.called.decode().strip() for a in sink.associations), ["A", "A", "A", "B", "B"])
        self.assertEqual({a.request.calling.decode().strip() for a in sink.associations}, {"ME"})
        self.assertEqual({t: r["instances"] for t, r in result["titles"].items()}, {"A": 6, "B": 4})

    def test_a_window_is_asked_for_and_filled(self):
        sink = self.sink(window=(4, 1), batch=4, answer_order=lambda held: held[::-1])
        result = self.load(sink, "--size", "8KiB", "--count", 12, "--window", 9)
        self.assertEqual(sink.associations[0].request.window, (9, 1))
        self.assertEqual(result["statuses"], {"0000": 12})  # the sink answers once four are outstanding

    def test_the_congestion_control_is_read_back(self):
        with open("/proc/sys/net/ipv4/tcp_allowed_congestion_control") as f:
            for name in f.read().split():
                sink = self.bench_sink("--congestion", name)
                self.assertEqual(self.load(sink, "--size", "8KiB", "--count", 1, "--congestion", name)["congestion"], name)


class Secured(BenchCase):
    """TLS, of one certificate or of two."""

    SUITE = {"version": "TLSv1.3", "suite": "TLS_AES_256_GCM_SHA384", "group": "X25519"}

    def secured_sink(self, *options, key="ec"):
        mine = certificates.shared().server(key=key)
        return self.bench_sink("--tls-certificate", mine.certificate, "--tls-key", mine.key, *options)

    def secured_load(self, peer, *arguments, **expected):
        pki = certificates.shared()
        return self.load(peer, "--tls-ca", pki.ca, "--tls-name", "localhost", *arguments, **expected)

    def test_what_is_sent_is_what_arrives(self):
        cases = [  # arguments, instances, size, handshakes
            (("--size", "8KiB", "--count", 50), 50, 8 * KIB, 1),
            (("--size", "512KiB", "--count", 10, "--associations", 4), 10, 512 * KIB, 4),
            (("--size", "32MiB", "--count", 2), 2, 32 * MIB, 1),
            (("--size", "1000002", "--count", 4, "--pdu", 131), 4, 1000002, 1),
            (("--size", "300KiB", "--count", 9, "--window", 4), 9, 300 * KIB, 1),
            (("--size", "8KiB", "--count", 20, "--per-association", 1, "--associations", 3), 20, 8 * KIB, 20),
        ]
        for key in ("ec", "rsa"):
            for arguments, instances, size, handshakes in cases:
                with self.subTest(key=key, arguments=arguments):
                    sink = self.secured_sink(key=key)
                    result = self.secured_load(sink, *arguments)
                    self.assertEqual((result["instances"], result["bytes"]), (instances, instances * size))
                    seen = {**self.SUITE, "handshakes": handshakes, "resumed": 0}
                    self.assertEqual(result["tls"], seen)
                    self.assertEqual(sink.snapshot()["tls"], seen)
                    self.assert_clean(sink, instances=instances, bytes=instances * size, aborts=0)

    def test_a_session_is_resumed_where_that_was_asked_for(self):
        sink = self.secured_sink()
        result = self.secured_load(sink, "--size", "8KiB", "--count", 12, "--per-association", 1, "--tls-resume")
        self.assertEqual(result["tls"], {**self.SUITE, "handshakes": 12, "resumed": 11})
        self.assert_clean(sink, instances=12)

    def test_load_speaks_to_hilum_and_hilum_to_the_sink(self):
        pki, sink = certificates.shared(), self.secured_sink("--max-pdu", "16KiB")
        mine = pki.server()
        gateway = self.gateway(node("a", sink, tls={"ca": pki.ca, "name": "localhost"}), route("all", to="a"),
                               listen=[{"tls": {"certificate": mine.certificate, "key": mine.key}}])
        self.assertEqual(self.secured_load(gateway, "--size", "8KiB", "--count", 300, "--associations", 8)["statuses"], {"0000": 300})
        result = self.secured_load(gateway, "--size", "3MiB", "--count", 5, "--associations", 2, "--pdu", "1MiB")
        self.assertEqual(result["tls"], {**self.SUITE, "handshakes": 2, "resumed": 0})
        self.assert_clean(sink, instances=305)

    def test_who_is_not_trusted_or_speaks_no_TLS_is_told(self):
        stranger = certificates.Pki(self.temporary_folder())
        sink = self.secured_sink()
        few = ("--size", "8KiB", "--count", 2)
        self.load(sink, *few, "--tls-ca", stranger.ca, status=1, says="the peer's certificate is refused")
        self.secured_load(sink, *few, "--tls-name", "elsewhere", status=1, says="hostname mismatch")
        self.load(sink, *few, status=1, says="load: association 0")
        self.secured_load(self.bench_sink(), *few, status=1, says="load: association 0")
        self.assertEqual(sink.end()["instances"], 0)
        self.assertIn("what came is no TLS", sink.said())


class Peers(BenchCase):
    def test_load_through_hilum_into_the_sink(self):
        sink = self.bench_sink("--max-pdu", "16KiB")
        gateway = self.gateway(node("a", sink), route("all", to="a"))
        result = self.load(gateway, "--size", "8KiB", "--count", 300, "--associations", 8, "--window", 4)
        self.assertEqual(result["statuses"], {"0000": 300})
        self.load(gateway, "--size", "3MiB", "--count", 5, "--associations", 2, "--pdu", "1MiB")
        self.load(gateway, "--size", "8KiB", "--count", 10, "--per-association", 1)
        self.assert_clean(sink, instances=315)

    def test_storescp_files_what_load_sends_and_storescu_sends_it_to_the_sink(self):
        server = self.peer(storescp, environment=QUICK)
        sizes = {"8KiB": (CAPTURE, EXPLICIT), "512KiB": (CAPTURE, IMPLICIT), "70MiB": (MULTI_FRAME, EXPLICIT)}
        for size, (_, transfer) in sizes.items():
            self.load(server, "--size", size, "--count", 2, "--transfer", "implicit" if transfer == IMPLICIT else "explicit")
        wait_until(lambda: len(server.instances()) == 6, "all files")
        got = sorted((i.sop_class, i.transfer, len(i.data)) for i in server.instances())
        self.assertEqual(got, sorted([(CAPTURE, EXPLICIT, 8 * KIB), (CAPTURE, IMPLICIT, 512 * KIB),
                                      (MULTI_FRAME, EXPLICIT, 70 * MIB)] * 2))
        files = files_under(server.received)
        for file in files:
            output = tool("dcmdump", "+P", "7fe0,0010", "+P", "0028,0010", "+P", "0008,0018", file).stdout
            self.assertNotRegex(output, "(?m)^[EW]:")
            self.assertIn("PixelData", output)
        sink = self.bench_sink()
        tool("storescu", "-R", "127.0.0.1", sink.port, *files)
        self.assert_clean(sink, instances=6, bytes=2 * (8 * KIB + 512 * KIB + 70 * MIB), associations=1)

    def test_echoscu_is_answered(self):
        sink = self.bench_sink()
        tool("echoscu", "--repeat", 3, "127.0.0.1", sink.port)
        self.assert_clean(sink, instances=0, associations=1)

    def test_the_sink_takes_what_others_made(self):
        sink = self.bench_sink("--no-read-check")
        instances = [i for i in samples() if len(i.data) % 2 == 0]
        for one in instances:
            with self.sender(sink, [(one.sop_class, [one.transfer])]) as sender:
                self.assert_stored(sender.store(one))
        self.assert_clean(sink, instances=len(instances), bytes=sum(len(i.data) for i in instances))


class Misbehaviour(BenchCase):
    def test_refused(self):
        sink = self.bench_sink("--refuse", "a700")
        result = self.load(sink, "--size", "8KiB", "--count", 4, status=1)
        self.assertEqual((result["instances"], result["bytes"], result["statuses"]), (0, 0, {"A700": 4}))
        self.assertEqual(result["failures"], 0)

    def test_a_warning_is_as_good_as_success(self):
        result = self.load(self.bench_sink("--refuse", "B000"), "--size", "8KiB", "--count", 4)
        self.assertEqual((result["instances"], result["statuses"]), (4, {"B000": 4}))

    def test_rejected(self):
        sink = self.bench_sink("--reject")
        result = self.load(sink, "--size", "8KiB", "--count", 4, "--associations", 2, status=1, says="result 2, source 3")
        self.assertEqual((result["failures"], result["associations"], result["instances"]), (2, 0, 0))

    def test_late(self):
        sink = self.bench_sink("--answer-after", 50)
        one = self.load(sink, "--size", "8KiB", "--count", 3)
        self.assertGreaterEqual(one["latency_us"]["min"], 50000)
        self.load(sink, "--size", "8KiB", "--count", 8, "--window", 8)
        self.assert_clean(sink, instances=11)

    def test_slow(self):
        sink = self.bench_sink("--bytes-per-second", "4MiB")
        result = self.load(sink, "--size", "1MiB", "--count", 2, "--associations", 2)
        self.assertGreater(result["seconds"], 0.2)
        self.assert_clean(sink, instances=2)

    def test_stalled_with_an_end_by_time(self):
        sink = self.bench_sink("--stall-after", "100KiB")
        result = self.load(sink, "--size", "64KiB", "--seconds", 0.3)
        self.assertEqual((result["instances"], result["failures"]), (1, 0))
        self.assertEqual(self.load(self.bench_sink("--stall-after", 0), "--size", "64KiB", "--seconds", 0.3)["instances"], 0)

    def test_with_Nagle_on_both_sides_each_half_waits_for_an_acknowledgement(self):
        sink = self.bench_sink("--nagle")
        result = self.load(sink, "--size", "8KiB", "--count", 3, "--nagle")
        self.assertGreater(result["latency_us"]["min"], 30000)

    def test_with_Nagle_on_one_side_the_other_acknowledges_at_once(self):
        cases = ((self.bench_sink(), ("--nagle",)), (self.sink(nagle=True), ()), (self.bench_sink("--nagle"), ()))
        for peer, options in cases:
            result = self.load(peer, "--size", "8KiB", "--count", 20, *options)
            self.assertLess(result["latency_us"]["p50"], 30000)

    def test_one_stalled_destination_does_not_keep_the_load_from_ending(self):
        good, bad = self.bench_sink(), self.bench_sink("--stall-after", "1MiB")
        gateway = self.gateway(node("good", good), node("bad", bad), route("g", to="good", when={"called": "GOOD"}),
                               route("b", to="bad", when={"called": "BAD"}))
        result = self.load(gateway, "--size", "512KiB", "--seconds", 1, "--associations", 4, "--called",
                           "GOOD,GOOD,GOOD,BAD", "--result-by-title")
        bad.close()  # or the gateway would wait for it when it ends
        self.assertGreater(result["titles"]["GOOD"]["instances"], result["titles"]["BAD"]["instances"])
        self.assertLessEqual(result["titles"]["BAD"]["instances"], 2)


class Idle(BenchCase):
    def test_a_thousand_associations_at_rest(self):
        sink = self.bench_sink()
        for by_signal in (True, False):
            load = self.running("load", f"127.0.0.1:{sink.port}", "--idle", 1000)
            self.assertEqual(load.line(), {"event": "idle", "open": 1000, "failures": 0, "faults": 0})
            self.assertEqual(load.end(by_signal), {"event": "end", "open": 1000, "failures": 0, "faults": 0})
        self.assertEqual(sink.snapshot()["event"], "snapshot")
        self.assert_clean(sink, associations=2000, aborts=0, instances=0)

    def test_one_that_is_lost_is_told(self):
        peer = self.sink()
        load = self.running("load", f"127.0.0.1:{peer.port}", "--idle", 3)
        self.assertEqual(load.line()["open"], 3)
        peer.associations[1].reset()
        wait_until(lambda: "association" in load.said(), "it is told")
        load.process.send_signal(signal.SIGTERM)
        self.assertEqual(load.line(), {"event": "end", "open": 2, "failures": 1, "faults": 0})
        self.assertEqual(load.process.wait(20 * SLOW), 1)

    def test_the_end_of_its_input_ends_the_sink(self):
        sink = self.bench_sink()
        self.load(sink, "--size", "8KiB", "--count", 2)
        self.assertEqual(sink.snapshot()["instances"], 2)
        self.assertEqual(sink.end(by_signal=False)["instances"], 2)


class Faults(BenchCase):
    """What breaks the protocol is told and counted by whoever sees it."""

    def test_load_notices_answers_that_are_wrong(self):
        cases = [
            ({"override": {0x0120: 77}}, "not outstanding"),
            ({"override": {0x1000: dicom.new_uid()}}, "another instance"),
            ({"override": {0x0100: 0x8030}}, "something else"),
            ({"no_data_set": 0x0001}, "something else"),
            ({"omit": (0x0900,)}, ""),
            ({"at_bytes": (1000, "early"), "early_status": 0}, "before all of it was sent"),
        ]
        for script, says in cases:
            with self.subTest(script=script):
                result = self.load(self.sink(**script), "--size", "8MiB", "--count", 2, status=1, says=says or "association 0")
                self.assertEqual((result["faults"], result["instances"]), (1, 0))

    def test_load_counts_what_is_lost(self):
        for how, says in (("abort", "A-ABORT"), ("close", "load: association 0"), ("reset", "load: association 0")):
            with self.subTest(how=how):
                result = self.load(self.sink(at_answer=how), "--size", "8KiB", "--count", 3, status=1, says=says)
                self.assertEqual((result["failures"], result["faults"], result["instances"]), (1, 0, 0))
        result = self.load(free_port(), "--size", "8KiB", "--count", 3, status=1, says="refused")
        self.assertEqual(result["failures"], 1)
        result = self.load(self.sink(classes=[CT]), "--size", "8KiB", "--count", 3, status=1, says="not accepted")
        self.assertEqual(result["faults"], 1)

    def test_the_sink_notices_messages_that_are_wrong(self):
        one, other = make_instance(3000), make_instance(3000)
        behind = one.data + dicom.element(0xFFFC, 0xFFFC, b"\0" * 8, b"OB")

        def breaks(sender, context):
            sender.send(context, sender.store_command(other), one.data)
            yield "another SOP Instance UID"
            sender.send(context, sender.store_command(one), one.data[:-100])
            yield "in the middle of an element"
            sender.send(context, sender.store_command(one), behind)
            yield "behind its pixels"
            sender.send(context, sender.store_command(one), make_odd(one))
            yield "odd length"
            sender.wire.send(dicom.p_data(*dicom.fragments(context, dicom.COMMAND, dicom.command(sender.store_command(one)),
                                                           1 << 20)))
            sender.wire.send(dicom.p_data(dicom.pdv(context, dicom.LAST, one.data)))
            yield "longer than the maximum"
        sink = self.bench_sink("--max-pdu", 2048)
        sender = self.sender(sink)
        context = sender.context_for(one)
        for count, says in enumerate(breaks(sender, context), 1):
            sender.response()
            self.assertIn(says, sink.said())
        self.assertEqual(sink.snapshot()["instances"], count)
        self.assertGreaterEqual(sink.end()["faults"], count)

    def test_the_sink_aborts_what_cannot_go_on(self):
        one = make_instance(3000)
        cases = [
            (lambda s, c: s.wire.send(dicom.p_data(dicom.pdv(c, 0, one.data))), "no command announced"),
            (lambda s, c: s.send(99, s.store_command(one), one.data), "not accepted"),
            (lambda s, c: s.send(c, s.store_command(one, f0800=0x0101)), "without a data set"),
            (lambda s, c: s.send(c, s.store_command(one, f1000=None), one.data), "Instance UID"),
            (lambda s, c: s.send(c, {0x0100: 0x8001, 0x0120: 1, 0x0800: 0x0101, 0x0900: 0}), "a response"),
            (lambda s, c: (s.begin(one), s.begin(one)), "a command where a data set"),
            (lambda s, c: s.wire.send(dicom.pdu(9)), "unrecognised"),
        ]
        for act, says in cases:
            with self.subTest(says=says):
                sink = self.bench_sink()
                sender = self.sender(sink)
                act(sender, sender.context_for(one))
                wait_until(lambda: says in sink.said(), says)
                with self.assertRaises(dicom.Aborted):
                    sender.response()
                self.assertEqual(sink.end()["faults"], 1)


class Spools(BenchCase):
    """What the queue is measured with."""

    def tell(self, name, *arguments):
        done = subprocess.run([program(name), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=50 * SLOW)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_the_writer_writes_what_it_was_told_and_leaves_nothing(self):
        folder = self.temporary_folder()
        for bytes_, groups, syncs, synced in ((1000003, 7, 3, 3), (1 << 20, 4, 0, 0), (5, 5, 9, 5), (300000, 40, 40, 40)):
            with self.subTest(groups=groups, syncs=syncs):
                report = self.tell("writer", folder, "--bytes", bytes_, "--groups", groups, "--syncs", syncs,
                                   "--segment", "64KiB")
                self.assertEqual([report[key] for key in ("bytes", "groups", "syncs")], [bytes_, groups, synced])
                self.assertGreater(report["seconds"], 0)
                self.assertEqual(os.listdir(folder), [])

    def test_the_writer_calls_the_disk_as_often_as_it_says(self):
        if harness.shutil.which("strace") is None:
            self.skipTest("strace is missing")
        if harness.SANITIZED:
            return  # LeakSanitizer does not run under ptrace
        folder, trace = self.temporary_folder(), os.path.join(self.temporary_folder(), "trace")
        subprocess.run(["strace", "-o", trace, "-e", "trace=pwrite64,fdatasync", program("writer"), folder, "--bytes",
                        "1000003", "--groups", "7", "--syncs", "3"], check=True, stdout=subprocess.DEVNULL)
        with open(trace, encoding="utf-8") as f:
            lines = f.read().splitlines()
        written = [int(line.rpartition(" = ")[2]) for line in lines if line.startswith("pwrite64")]
        self.assertEqual((len(written), sum(written)), (7, 1000003))
        self.assertLessEqual(max(written) - min(written), 1)
        calls = [line[0] for line in lines if line.startswith(("pwrite64", "fdatasync"))]
        self.assertEqual("".join(calls), "pppfppfppf")

    def test_what_is_filled_in_is_queued(self):
        spool = os.path.join(self.temporary_folder(), "spool")
        report = self.tell("fill", spool, "--entries", 1100, "--study", 100, "--size", 3000)
        self.assertEqual(report["entries"], 1100)
        config = os.path.join(self.temporary_folder(), "hilum.lua")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f'gateway {{ spool = "{spool}" }}\nlisten "1"\n'
                    'node "away" { host = "127.0.0.1", port = 9, ae_title = "A" }\nroute "all" { copy = "away" }\n')
        done = subprocess.run([HILUM, "queue", config, "list", "--json", "--limit", "2000"], capture_output=True,
                              text=True, check=True, timeout=50 * SLOW)
        entries = json.loads(done.stdout)["entries"]
        self.assertEqual(len(entries), 1100)
        self.assertEqual({e["node"] for e in entries}, {"away"})
        self.assertEqual(len({e["study"] for e in entries}), 11)

    def test_a_gateway_says_at_its_end_what_its_log_has_written(self):
        gateway = self.gateway(node("away", free_port()), 'route "all" { copy = { "away" } }')
        self.load(gateway, "--size", "100KiB", "--count", 20)
        spool = os.path.join(gateway.folder, "spool")
        gateway.stop()
        said = gateway.events("the spool's log is closed")[0]
        size = sum(os.path.getsize(path) for path in files_under(spool) if path.endswith(".log"))
        self.assertGreater(said["bytes"], 20 * 100 * KIB)
        self.assertLess(0, size - said["bytes"])  # the first record
        self.assertLess(size - said["bytes"], 4096)
        self.assertGreaterEqual(said["syncs"], 20)
        self.assertGreaterEqual(said["groups"], said["syncs"])


class Usage(BenchCase):
    def test_wrong_usage_is_told_and_ends_with_2(self):
        sized = ("127.0.0.1:9", "--size", "8KiB")
        cases = [
            ("load", (), "HOST:PORT"),
            ("load", ("127.0.0.1:9",), "--size"),
            ("load", sized, "--count"),
            ("load", (*sized, "--count", 0), "--count"),
            ("load", (*sized, "--count", "many"), "--count"),
            ("load", (*sized, "--seconds", "-1"), "--seconds"),
            ("load", ("127.0.0.1:9", "--size", "8193", "--count", 1), "even"),
            ("load", ("127.0.0.1:9", "--size", "100", "--count", 1), "--size"),
            ("load", ("127.0.0.1:9", "--size", "eight", "--count", 1), "--size"),
            ("load", (*sized, "--count", 1, "--pdu", 64), "--pdu"),
            ("load", (*sized, "--count", 1, "--transfer", "jpeg"), "--transfer"),
            ("load", (*sized, "--count", 1, "--called", "A,,B"), "--called"),
            ("load", (*sized, "--count", 1, "--calling", "A" * 17), "--calling"),
            ("load", (*sized, "--count", 1, "--congestion", "none"), "--congestion"),
            ("load", (*sized, "--count", 1, "--idle", 5), "--idle"),
            ("load", (*sized, "--count", 1, "again"), "again"),
            ("load", (*sized, "--frobnicate"), "frobnicate"),
            ("load", ("nowhere", "--size", "8KiB", "--count", 1), "HOST:PORT"),
            ("sink", (), "--port"),
            ("sink", ("--port", 70000), "--port"),
            ("sink", ("--port", 0, "--refuse", "12"), "--refuse"),
            ("sink", ("--port", 0, "--max-pdu", 5), "--max-pdu"),
            ("sink", ("--port", 0, "--window"), "window"),
            ("sink", ("--port", 0, "again"), "again"),
            ("load", (*sized, "--count", 1, "--tls-name", "a"), "--tls-ca"),
            ("load", (*sized, "--count", 1, "--tls-ca", "/nowhere"), "/nowhere"),
            ("load", (*sized, "--count", 1, "--tls-ca", "/nowhere", "--tls-key", "/nowhere"), "--tls-certificate"),
            ("load", (*sized, "--count", 1, "--tls-ca", "/nowhere", "--nagle"), "--nagle"),
            ("sink", ("--port", 0, "--tls-certificate", "/nowhere"), "--tls-key"),
            ("sink", ("--port", 0, "--tls-certificate", "/nowhere", "--tls-key", "/nowhere"), "/nowhere"),
            ("sink", ("--port", 0, "--tls-certificate", "/nowhere", "--tls-key", "/nowhere", "--stall-after", 1), "--stall-after"),
            ("writer", ("--bytes", 1, "--groups", 1), "FOLDER"),
            ("writer", ("/nowhere", "--bytes", 5), "--groups"),
            ("writer", ("/nowhere", "--bytes", 5, "--groups", 6), "--groups"),
            ("find", ("127.0.0.1:1",), "--answers"),
            ("find", ("--answers", 1), "HOST:PORT"),
            ("sink", ("--port", 0, "--answers", "many"), "--answers"),
            ("fill", ("--entries", 1), "FOLDER"),
            ("fill", ("/nowhere",), "--entries"),
            ("fill", ("/nowhere", "--entries", 1, "--size", "2MiB"), "--size"),
        ]
        for name, arguments, says in cases:
            with self.subTest(name=name, arguments=arguments):
                done = self.run_program(name, *arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertIn(says, done.stderr)

    def test_help_fits_a_screen(self):
        for name in ("load", "sink", "writer", "fill", "find"):
            done = self.run_program(name, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertLessEqual(len(done.stdout.splitlines()), 40)


def make_odd(instance):
    """The data set with one byte more, in its pixels."""
    pixels = instance.data[instance.data.rindex(b"OW\0\0") + 8:]
    head = instance.data[:-len(pixels) - 4]
    return head + (len(pixels) + 1).to_bytes(4, "little") + pixels + b"\0"


if __name__ == "__main__":
    unittest.main()
