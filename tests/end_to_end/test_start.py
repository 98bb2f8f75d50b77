"""What the system has too little of is said at the start, with numbers and what to change."""

import json
import os
import subprocess

import harness
from harness import SLOW, Case, free_port


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

    def test_so_few_descriptors_that_nothing_would_work_are_no_start(self):
        said = self.line(self.start("max_associations = 200", "ulimit -n 30;"), "few file descriptors for max_associations")
        self.assertNotEqual(self.status, 0)
        self.assertEqual(said["level"], "error")
