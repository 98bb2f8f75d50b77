"""The benchmark's arithmetic and its report, on results that are made up: nothing is measured here."""

import os
import subprocess
import sys
import tempfile
import unittest

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "bench"))

from hilum_bench import measure, network, plots, progress, report, targets, tools, workloads  # noqa: E402
from hilum_bench.figures import METRICS, Figures  # noqa: E402
from hilum_bench.routers import all_routers  # noqa: E402
from hilum_bench.spread import differences, ratios, rotated, spread  # noqa: E402


def figures_of(cpu_s, gb=2.0, seconds=1.0, instances=64, **more):
    """A sample of a row that measures rates."""
    return {"instances": instances, "bytes": gb * 1e9, "seconds": seconds, "instances_per_s": instances / seconds,
            "gb_per_s": gb / seconds, "cpu_s": cpu_s, "cpu_user_s": cpu_s / 4, "cpu_system_s": cpu_s * 3 / 4,
            "machine_s": cpu_s * 2, "resident_bytes": 16 << 20, **more}


def result_of(samples, errors=(), left_out=None, profile="full"):
    """`samples`: {(row, entry): [figures of round 1, 2, ...]}, all under cubic."""
    return {"profile": profile, "date": "2026-01-02 03:04:05", "commit": "0123456789ab", "rounds": 5, "seconds": 90,
            "machine": {"cpus": 2, "cpu": "Some CPU", "memory_gib": 8, "hypervisor": "kvm", "kernel": "6.18",
                        "system": "Debian", "default_congestion": "bbr"},
            "versions": {"hilum": "0.1.0", "haproxy": "2.6", "orthanc": None}, "congestions": ["cubic"],
            "left_out": left_out or {}, "errors": list(errors),
            "samples": [{"congestion": "cubic", "row": row, "entry": entry, "round": number, "figures": figures}
                        for (row, entry), rounds in samples.items() for number, figures in enumerate(rounds, 1)]}


class Statistics(unittest.TestCase):
    def test_a_spread_is_median_least_and_greatest(self):
        self.assertEqual(vars(spread([3.0, 1.0, 2.0])), {"median": 2.0, "low": 1.0, "high": 3.0, "count": 3})
        self.assertEqual(spread([4.0, None, 2.0]).median, 3.0)
        self.assertIsNone(spread([None]))

    def test_ratios_are_of_the_same_round_and_skip_what_is_missing(self):
        # A machine that becomes half as fast in round 2 changes both; the ratio stays.
        self.assertEqual(ratios({1: 2.0, 2: 4.0, 3: 1.0}, {1: 1.0, 2: 2.0, 4: 9.0}), {1: 2.0, 2: 2.0})
        self.assertEqual(ratios({1: 2.0}, {1: 0.0}), {})
        self.assertEqual(differences({1: 5.0, 2: None}, {1: 3.0, 2: 1.0}), {1: 2.0})

    def test_the_median_of_ratios_is_not_the_ratio_of_medians(self):
        ours, theirs = {1: 1.0, 2: 10.0, 3: 3.0}, {1: 2.0, 2: 10.0, 3: 30.0}
        self.assertEqual(spread(ratios(ours, theirs).values()).median, 0.5)
        self.assertEqual(spread(ours.values()).median / spread(theirs.values()).median, 0.3)

    def test_each_round_begins_with_another(self):
        self.assertEqual([rotated("abc", by)[0] for by in range(4)], ["a", "b", "c", "a"])
        self.assertEqual(rotated([], 3), [])

    def test_processor_time_is_divided_as_the_ticks_say(self):
        used = measure.Usage(10.3, 4.0, 6.0).since(measure.Usage(10.0, 3.9, 5.8))
        self.assertAlmostEqual(used.total, 0.3)
        self.assertAlmostEqual(used.user, 0.1)
        self.assertAlmostEqual(used.system, 0.2)
        self.assertEqual(measure.Usage(1, 1, 1).since(measure.Usage(1, 1, 1)), measure.Usage(0.0, 0.0, 0.0))

    def test_the_processor_time_of_a_process_is_seen(self):
        before = measure.process_seconds(os.getpid())
        while measure.process_seconds(os.getpid()) - before < 0.002:
            pass
        self.assertIn(os.getpid(), measure.family(os.getpid()))
        self.assertGreater(measure.usage([os.getpid()]).total, 0.002)
        self.assertGreater(measure.resident_bytes([os.getpid()]), 1 << 20)

    def test_what_perf_counted_is_read(self):
        self.assertEqual(measure.counted("# started\n\n127412,,raw_syscalls:sys_enter,9,100.00,,\n"), 127412)
        self.assertIsNone(measure.counted("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"))

    def test_one_run_at_a_time(self):
        # Held by a real run, it refuses as well.
        try:
            lock = network.only_run()
        except network.Unusable:
            return
        with lock, self.assertRaises(network.Unusable):
            network.only_run()
        network.only_run().close()

    def test_a_row_that_there_is_not_is_an_error_and_writes_nothing(self):
        bench = os.path.join(harness.ROOT, "bench")
        results = os.path.join(bench, "results")
        before = set(os.listdir(results)) if os.path.isdir(results) else set()
        done = subprocess.run([os.path.join(bench, "run"), "--only", "nosuch"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no row of this run is called nosuch", done.stderr)
        self.assertEqual(set(os.listdir(results)) if os.path.isdir(results) else set(), before)

    def test_options_of_the_tools(self):
        self.assertEqual(tools.options(per_association=1, nagle=True, seconds=None, idle=False),
                         ["--per-association", "1", "--nagle"])


class Rows(unittest.TestCase):
    def test_every_row_names_what_there_is(self):
        names = {router.name for router in all_routers()}
        for profile in ("short", "full"):
            for row in workloads.rows(profile):
                with self.subTest(profile, row=row.key):
                    self.assertLessEqual(set(row.routers), names)
                    self.assertIn(row.destination("hilum"), workloads.DESTINATIONS)
                    for _, router, copies in row.entries(names):
                        self.assertIn(row.destination(router, copies), workloads.DESTINATIONS)
                        self.assertGreater(row.instances(router), 0 if row.kind != "stalled" else -1)
                        self.assertGreater(row.expected_seconds(router, 1, copies), 0)
        self.assertEqual(len({row.key for row in workloads.FULL}), len(workloads.FULL))
        for sinks in workloads.DESTINATIONS.values():
            self.assertLessEqual(set(sinks), set(workloads.SINKS))

    def test_both_runs_measure_every_target(self):
        """The short run has no time for the series."""
        for profile in ("short", "full"):
            rows = {row.key: row for row in workloads.rows(profile)}
            for target in [t for t in targets.TARGETS if profile == "full" or not t.row.startswith("series")]:
                with self.subTest(profile, target=target.what):
                    row = rows[target.row]
                    entries = [name for name, _, _ in row.entries(row.routers)]
                    self.assertTrue(set(target.ours) & set(entries))
                    if target.base:
                        self.assertIn(target.base, entries)
                    if target.copies:
                        self.assertTrue({f"{ours} x{target.copies}" for ours in target.ours} & set(entries))
                    self.assertIn(target.metric, METRICS)

    def test_sizes_are_said_in_units(self):
        self.assertEqual([workloads.in_units(size) for size in (8192, 32 << 20, 1 << 30, 1000)],
                         ["8 KiB", "32 MiB", "1 GiB", "1000 bytes"])

    def test_the_time_left_shrinks_to_nothing(self):
        row = workloads.Row("a", "", "", routers=("hilum", "orthanc"), cost=1, slow_cost=3)
        shown = progress.Progress({"cubic": [row]}, ["hilum", "orthanc"], 1)
        shown.say = lambda text: None
        self.assertEqual(shown.total, 1 + 1 + 3)  # round 0 and 1 of one, round 1 of the other
        for entry in ("hilum", "orthanc"):
            for number in (0, 1):
                shown.saw({"event": "sample", "congestion": "cubic", "row": "a", "entry": entry, "round": number})
        self.assertEqual(shown.left(), 0)


class Report(unittest.TestCase):
    def base(self, hilum=(0.2, 0.4, 0.3), haproxy=(1.0, 1.0, 1.0)):
        return {("pdu-128k", "haproxy"): [figures_of(cpu) for cpu in haproxy],
                ("pdu-128k", "hilum-splice"): [figures_of(cpu) for cpu in hilum]}

    def target(self, **about):
        return next(t for t in targets.TARGETS if all(getattr(t, key) == value for key, value in about.items()))

    def test_a_target_is_met_at_its_limit_and_missed_above_it(self):
        target = self.target(row="pdu-128k", ours=targets.SPLICE)
        for cpu, met in ((0.3, True), (0.31, False)):
            figures = Figures(result_of(self.base(hilum=[cpu] * 3)))
            value, ours = target.measure(figures, "cubic")
            self.assertEqual((ours, round(value.median, 9), target.met(value, "cubic")), ("hilum-splice", cpu, met))

    def test_a_target_that_was_not_measured_has_no_figure(self):
        figures = Figures(result_of({("pdu-128k", "haproxy"): [figures_of(1.0)]}))
        self.assertIsNone(self.target(row="pdu-128k", ours=targets.SPLICE).measure(figures, "cubic"))

    def test_fan_out_is_by_the_delivered_gb(self):
        figures = Figures(result_of({("copies", "hilum-copy"): [figures_of(0.4)],
                                     ("copies", "hilum-copy x4"): [figures_of(0.8)]}))
        value, _ = self.target(row="copies", ours=targets.COPY).measure(figures, "cubic")
        self.assertAlmostEqual(value.median, 0.5)

    def test_added_latency_is_what_lies_above_direct(self):
        p50 = {"direct": (8.0, 10.0), "haproxy": (18.0, 30.0), "hilum": (20.0, 30.0)}
        figures = Figures(result_of({("latency", entry): [figures_of(0.1, latency_p50_us=one) for one in rounds]
                                     for entry, rounds in p50.items()}))
        value, _ = self.target(row="latency").measure(figures, "cubic")
        self.assertEqual((value.low, value.high), (1.0, 1.2))

    def test_a_copy_is_held_against_the_writer_of_its_own_round(self):
        def queued(of_writer, **more):
            return figures_of(0.1, gb=0.3, instances=600, of_writer=of_writer, writer_s=of_writer, groups=1200, syncs=600,
                              log_bytes=600 << 19, **more)
        samples = {("enqueue-512k", "hilum-enqueue"): [queued(0.9), queued(0.7), queued(0.79)]}
        target = self.target(row="enqueue-512k")
        value, _ = target.measure(Figures(result_of(samples)), "cubic")
        self.assertEqual((value.median, target.met(value, "cubic")), (0.79, False))
        text = report.page(result_of(samples))
        self.assertIn("the writer's/s", text)
        self.assertIn("| 0.790 [0.700-0.900] | 1.00 [1.00-1.00] | 256 [256-256] |", text)

    def test_a_full_queue_is_held_against_an_empty_one(self):
        def depth(rate, **more):
            return figures_of(0.1, seconds=64 / rate, **more)
        full = [depth(80, starting_s=1.9, listing_s=0.2), depth(90, starting_s=2.1, listing_s=0.05)]
        figures = Figures(result_of({("depth", "hilum-enqueue"): [depth(100), depth(100)],
                                     ("depth", "hilum-enqueue-million"): full}))
        for metric, median, met in (("instances_per_s", 0.85, True), ("starting_ms", 2000, True),
                                    ("listing_ms", 125, False)):
            target = self.target(row="depth", metric=metric)
            value, _ = target.measure(figures, "cubic")
            self.assertEqual((round(value.median, 9), target.met(value, "cubic")), (median, met))

    def test_the_page_says_what_was_measured_and_what_was_not(self):
        error = {"congestion": "cubic", "row": "latency", "entry": "nginx", "round": 2, "why": "load: 3 instances of 4"}
        text = report.page(result_of(self.base(), [error], {"nginx": "nginx is not installed"}))
        self.assertIn("| hilum-splice | 2.00 [2.00-2.00] | 0.150 [0.100-0.200] | 0.0375 + 0.112 |", text)
        self.assertIn("0.300 [0.200-0.400]", text)  # pair by pair, against HAProxy
        self.assertIn("Left out: nginx (nginx is not installed).", text)
        self.assertIn("cubic latency nginx 2: load: 3 instances of 4", text)
        self.assertIn("Some CPU", text)
        self.assertNotIn("## latency", text)
        self.assertRegex(text, r"Not measured in this run: .*resident bytes of an idle association")

    def test_numbers_have_three_digits(self):
        self.assertEqual([report.number(value) for value in (0, 0.00123, 0.1234, 1.234, 12.34, 123.4, 123456)],
                         ["0", "0.00123", "0.123", "1.23", "12.3", "123", "123,456"])
        self.assertEqual(report.cell(None), "-")

    def test_a_plot_has_a_bar_for_each_entry(self):
        labels, values = plots.clusters(plots.PLOTS[0], Figures(result_of(self.base())), "cubic")
        self.assertEqual(labels, ["128 KiB"])
        script = plots.script(plots.PLOTS[0], "cubic", labels, values, "/tmp/x.svg")
        self.assertIn('"128 KiB" 0.15 0.1 0.2', script)
        self.assertLess(script.index('title "haproxy"'), script.index('title "hilum-splice"'))
        self.assertEqual(set(plots.COLOURS), {router.name for router in all_routers()})

    def test_the_report_is_written_with_its_plots(self):
        with tempfile.TemporaryDirectory(prefix="hilum-report-") as folder:
            report.write(result_of(self.base()), folder)
            made = os.listdir(folder)
        self.assertIn("report.md", made)
        if harness.shutil.which("gnuplot"):
            self.assertIn("cpu-cubic.svg", made)


if __name__ == "__main__":
    unittest.main()
