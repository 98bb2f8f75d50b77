"""What the system has too little of is said at the start, with numbers and what to change."""

import json
import os
import re
import subprocess
import unittest

import harness
from harness import SANITIZED, SLOW, Case, free_port


class Start(Case):
    def start(self, gateway, shell=""):
        """Runs until it ends, or stands; its lines of the log."""
        folder = self.temporary_folder()
        config = f"{folder}/hilum.lua"
        with open(config, "w") as f:
            f.write(f'gateway {{ spool = false, workers = 2, log = {{ format = "json" }}, {gateway} }}\n'
                    f'listen "127.0.0.1:{free_port()}"\nnode "a" {{ host = "127.0.0.1", ae_title = "A" }}\n'
                    'route "all" { to = "a" }\n')
        run = subprocess.Popen(["/bin/sh", "-c", f'{shell} exec "$0" run "$1"', harness.HILUM, config], text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder)
        lines = []
        for line in run.stdout:
            lines.append(json.loads(line) if line.startswith("{") else {"event": line})
            if lines[-1]["event"] == "ready":
                run.terminate()
        self.status = run.wait(20 * SLOW)
        run.stdout.close()
        return lines

    def line(self, lines, event):
        found = [line for line in lines if line["event"] == event]
        self.assertEqual(len(found), 1, lines)
        return found[0]

    def test_more_memory_than_there_is_is_no_start(self):
        said = self.line(self.start('memory = "100000GiB"'), "memory is more than there is")
        self.assertNotEqual(self.status, 0)
        self.assertEqual(said["memory"], 100000 << 30)
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.assertLessEqual(said["there_is"], there)
        self.assertIn('set memory = "', said["change"])

    def test_few_descriptors_are_a_warning_that_says_what_would_do(self):
        said = self.line(self.start("max_associations = 200", "ulimit -n 100;"), "few file descriptors for max_associations")
        self.assertEqual((self.status, said["level"], said["descriptors"]), (0, "warn", 100))
        self.assertEqual(said["change"], f"raise the limit (ulimit -n, LimitNOFILE) to {said['wanted']}, or set max_associations = 33")

    def test_what_it_says_would_do_does(self):
        for gateway, shell in (("max_associations = 33", "ulimit -n 100;"), ("max_associations = 200", "ulimit -n 433;")):
            lines = self.start(gateway, shell)
            self.assertEqual([line for line in lines if line["event"].startswith("few")], [])
            self.assertEqual(self.status, 0)

    def test_the_soft_limit_of_descriptors_is_raised(self):
        lines = self.start("max_associations = 200", "ulimit -S -n 100;")
        self.assertEqual([line for line in lines if line["event"].startswith("few")], [])

    def test_too_few_descriptors_are_told_before_anything_else_needs_one(self):
        for n in 4, 5, 6, 8, 12, 24, 34:
            with self.subTest(n):
                self.assert_refused(self.start("max_associations = 200", f"ulimit -n {n};"), "RLIMIT_NOFILE", n)

    @unittest.skipIf(SANITIZED, "a sanitizer maps more than there is")
    def test_too_little_address_space_is_told_by_name(self):
        for option, name, sizes in ("v", "RLIMIT_AS", (40, 58, 68, 80)), ("d", "RLIMIT_DATA", (20, 40, 60)):
            for mib in sizes:
                with self.subTest(f"{name} {mib}"):
                    self.assert_refused(self.start('memory = "64MiB"', f"ulimit -{option} {mib << 10};"), name, mib << 20)

    @unittest.skipIf(SANITIZED, "a sanitizer maps more than there is")
    def test_with_the_least_it_starts_and_says_that_it_is_little(self):
        for option, name in ("v", "RLIMIT_AS"), ("d", "RLIMIT_DATA"):
            least = self.assert_refused(self.start('memory = "64MiB"', f"ulimit -{option} 81920;" if option == "v" else "ulimit -d 61440;"), name)
            kib = (least >> 10) + 1024  # with what differs from start to start
            said = self.line(self.start('memory = "64MiB"', f"ulimit -{option} {kib};"), "a limit of the process is low")
            self.assertEqual((self.status, said["level"], said["limit"], said["is"]), (0, "warn", name, kib << 10))
            lines = self.start('memory = "64MiB"', f"ulimit -{option} {(said['wanted'] >> 10) + 1024};")
            self.assertEqual([line for line in lines if line["event"].startswith("a limit")], [])

    def test_a_stack_that_is_too_small_is_told_and_one_that_may_grow_grows(self):
        for kib in 128, 512, 1000:
            self.assert_refused(self.start("", f"ulimit -s {kib};"), "RLIMIT_STACK", kib << 10)
        for shell in "ulimit -S -s 128;", "ulimit -s 1024;", "ulimit -s unlimited;":
            lines = self.start("", shell)
            self.assertEqual((self.status, [line for line in lines if line["event"].startswith("a limit")]), (0, []))

    @unittest.skipIf(os.geteuid() != 0, "who else runs threads of this user is not known")
    def test_too_few_threads_are_told_by_name(self):
        self.assert_refused(self.start("", "chmod a+rx .; exec setpriv --reuid nobody --regid nogroup --clear-groups prlimit --nproc=3 "
                                       '"$0" run "$1";'), "RLIMIT_NPROC", 3)

    def test_a_limit_on_the_size_of_files_is_a_warning(self):
        said = self.line(self.start("", "ulimit -f 100;"), "a limit of the process is low")
        self.assertEqual((self.status, said["limit"]), (0, "RLIMIT_FSIZE"))

    def assert_refused(self, lines, name, limit=None):
        """What is told before the configuration is read is not in its format. The least that is needed."""
        self.assertEqual(self.status, 1, lines)
        told = [line for line in lines if "a limit of the process is too low to start" in line["event"]]
        self.assertEqual(len(told), 1, lines)
        said, = told
        if "level" not in said:
            said = dict(re.findall(r"(\w+)=(\w+)", said["event"]))
        self.assertEqual((said["level"], said["limit"]), ("error", name))
        if limit is not None:
            self.assertEqual(int(said["is"]), limit)
        return int(said["least"])
