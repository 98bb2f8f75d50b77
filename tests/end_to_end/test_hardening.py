"""How the program is built, and what its process is confined to: by what the system says of both."""

import glob
import os
import platform
import re
import signal
import stat
import subprocess
import tempfile
import unittest

from dicom import make_instance
from harness import HILUM, SANITIZED, SLOW, Case, declare, files_under, folder, free_port, is_listening, lua, node, route, wait_until

ROOT = os.geteuid() == 0
NOBODY = "nobody"


def statuses(gateway):
    """/proc/PID/status of every thread, as dictionaries."""
    out = []
    for path in glob.glob(f"/proc/{gateway.process.pid}/task/*/status"):
        with open(path) as f:
            out.append(dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line))
    return out


@unittest.skipIf(SANITIZED, "a sanitizer's build has other flags")
class Program(unittest.TestCase):
    def readelf(self, *arguments):
        return subprocess.run(["readelf", "-W", *arguments, HILUM], capture_output=True, text=True, check=True,
                              env={**os.environ, "LC_ALL": "C"}).stdout

    def test_it_may_lie_anywhere_and_its_tables_are_read_only(self):
        self.assertRegex(self.readelf("-h"), r"Type:\s+DYN")
        self.assertIn("GNU_RELRO", self.readelf("-l"))
        dynamic = self.readelf("-d")
        self.assertIn("BIND_NOW", dynamic)
        self.assertRegex(dynamic, r"FLAGS_1.*\bPIE\b")
        self.assertNotIn("TEXTREL", dynamic)

    def test_no_memory_is_writable_and_executable(self):
        for line in self.readelf("-l").splitlines():
            if re.match(r"\s+(LOAD|GNU_STACK)\s", line):
                self.assertNotIn("RWE", line)
        self.assertIn("GNU_STACK", self.readelf("-l"))

    def test_the_stack_is_guarded_and_libc_checks_sizes(self):
        symbols = self.readelf("--dyn-syms")
        self.assertIn("__stack_chk_fail", symbols)
        self.assertRegex(symbols, r"__(snprintf|memcpy|vsnprintf)_chk")

    def test_jumps_can_be_tracked(self):
        """Every function begins with a landing pad. (The note that says so is lost where libc's own start has none, as in Debian 12.)"""
        pads = {"x86_64": b"\xf3\x0f\x1e\xfa", "aarch64": b"\x3f\x23\x03\xd5"}  # endbr64; paciasp
        if platform.machine() not in pads:
            self.skipTest(f"nothing is known of {platform.machine()}")
        with open(HILUM, "rb") as f:
            self.assertGreater(f.read().count(pads[platform.machine()]), 500)


class Confined(Case):
    def confined(self, gateway):
        line, = gateway.events("confined")
        return line

    @unittest.skipIf(SANITIZED, "a sanitizer needs more")
    def test_every_thread_has_a_filter_and_gets_no_privileges(self):
        gateway, sink = self.simple()
        self.assert_stored(self.sender(gateway).store(make_instance()))
        threads = statuses(gateway)
        self.assertGreater(len(threads), 4)
        for thread in threads:
            self.assertEqual((thread["Seccomp"], thread["NoNewPrivs"]), ("2", "1"), thread["Name"])
        self.assertEqual(self.confined(gateway)["seccomp"], "enforce")

    def test_it_can_be_left_out(self):
        gateway, sink = self.simple(settings={"seccomp": False, "landlock": False})
        self.assertEqual({thread["Seccomp"] for thread in statuses(gateway)}, {"0"})
        self.assertEqual({thread["NoNewPrivs"] for thread in statuses(gateway)}, {"1"})
        line = self.confined(gateway)
        self.assertEqual((line["seccomp"], line["landlock"]), ("off", "none"))

    @unittest.skipIf(SANITIZED, "a sanitizer needs more")
    def test_a_filter_that_only_logs_refuses_nothing(self):
        gateway, sink = self.simple(settings={"seccomp": "log"})
        self.assertEqual({thread["Seccomp"] for thread in statuses(gateway)}, {"2"})
        self.assert_stored(self.sender(gateway).store(make_instance()))

    def test_a_reload_to_a_folder_out_of_reach_is_refused_and_the_old_one_stays(self):
        gateway = self.gateway(folder("disk", "$FOLDER/out/{SOPInstanceUID}.dcm"), route("all", to="disk"))
        if self.confined(gateway)["landlock"] == "none":
            self.skipTest("there is no Landlock")
        elsewhere = self.temporary_folder()
        gateway.write(folder("disk", elsewhere + "/{SOPInstanceUID}.dcm"), route("all", to="disk"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reload refused, the old configuration stays"), "it is refused")
        said, = [e for e in gateway.events() if "confinement does not allow" in e["event"]]
        self.assertEqual((said["node"], said["path"]), ("disk", elsewhere))
        one = make_instance()
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual([os.path.basename(path) for path in files_under(gateway.folder + "/out")], [one.uid + ".dcm"])
        gateway.write(folder("disk", "$FOLDER/out/new/{SOPInstanceUID}.dcm"), route("all", to="disk"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "what is below a folder that is allowed is taken")
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual(len(files_under(gateway.folder + "/out/new")), 1)

    def test_a_reload_to_a_certificate_out_of_reach_says_that_it_takes_a_restart(self):
        gateway, sink = self.simple()
        if self.confined(gateway)["landlock"] == "none":
            self.skipTest("there is no Landlock")
        elsewhere = self.temporary_folder() + "/server.pem"
        with open(elsewhere, "w") as f:
            f.write("it is not even looked at")
        gateway.listen.append(f"listen {lua({'port': free_port(), 'tls': {'certificate': elsewhere, 'key': elsewhere}})}")
        gateway.write(node("a", sink), route("all", to="a"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reload refused, the old configuration stays"), "it is refused")
        self.assertTrue(any("restart" in e.get("hint", "") for e in gateway.events("configuration problem")))
        self.assert_stored(self.sender(gateway).store(make_instance()))

    def test_modules_and_names_are_still_found_by_a_reload(self):
        gateway, sink = self.simple()
        with open(gateway.folder + "/mine.lua", "w") as f:
            f.write("return { title = 'SINK' }\n")
        with open(gateway.config, "a") as f:
            f.write('local m = require "mine"\nlocal d = require "deidentify"\n'
                    f'node "named" {{ host = "localhost", port = {sink.port}, ae_title = m.title }}\n'
                    'route "named" { to = "named", when = { calling = "NAMED" } }\n')
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "it is reloaded")
        self.assert_stored(self.sender(gateway, calling="NAMED").store(make_instance()))

    def test_nothing_that_it_writes_is_for_others_whatever_the_umask_is(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        sink = self.sink()
        gateway = self.gateway(folder("disk", "$FOLDER/out/{PatientID}/{SOPInstanceUID}.dcm"), node("a", sink),
                               route("all", to="disk", copy="a"))
        self.assert_stored(self.sender(gateway).store(make_instance()))
        wait_until(lambda: sink.uids, "the copy is delivered")
        self.assert_for_nobody_else(gateway)
        self.assertEqual(gateway.stop(), [])
        tables = [path for path in self.files(gateway) if "/index.db" in path]
        self.assertGreater(len(tables), 0)
        for path in tables:
            os.chmod(path, 0o666)  # as versions before left them
        gateway.start()
        self.assert_for_nobody_else(gateway)

    def assert_for_nobody_else(self, gateway):
        written = self.files(gateway)
        self.assertTrue(any("/out/" in path for path in written) and any(path.endswith("-shm") for path in written), written)
        for path in written:
            most = 0o640 if os.path.isfile(path) else 0o750
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & ~most, 0, path)
        self.assertEqual(stat.S_IMODE(os.stat(gateway.folder + "/spool/control").st_mode), 0o600)

    def files(self, gateway):
        """What the gateway has made, folders too."""
        return [os.path.join(at, name) for of in (gateway.folder + "/spool", gateway.folder + "/out")
                for at, folders, names in os.walk(of) for name in ["", *names]]

    def test_a_user_that_is_none_ends_the_start(self):
        for user in ("no-such-user", "nobody:no-such-group", "root"):
            with self.subTest(user), tempfile.TemporaryDirectory() as at:
                config = os.path.join(at, "a.lua")
                with open(config, "w") as f:
                    f.write(f'gateway {{ user = "{user}", spool = "{at}/spool" }}\nlisten "127.0.0.1:{free_port()}"\n')
                done = subprocess.run([HILUM, "run", config], capture_output=True, text=True, timeout=20 * SLOW)
                self.assertEqual(done.returncode, 1)
                self.assertIn("cannot be confined", done.stderr)
                self.assertFalse(os.path.exists(at + "/spool"), "nothing was begun")


def low_port():
    """A free port that only root may take; None where everybody may."""
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as f:
        first = int(f.read())
    for port in range(first - 1, first - 200, -1):
        if port > 0 and not is_listening(port):
            return port
    return None


@unittest.skipUnless(ROOT, "only root can become somebody else")
class User(Case):
    def start(self, *declarations, **settings):
        gateway = self.gateway(*declarations, user=NOBODY, **settings)
        return gateway

    def test_it_becomes_the_user_and_keeps_no_capability(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), node("away", free_port()), folder("disk", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                             route("all", to=["a", "disk"], copy="away"))
        self.assert_stored(self.sender(gateway).store(make_instance()))
        for thread in statuses(gateway):
            self.assertEqual(set(thread["Uid"].split()), {"65534"}, thread["Name"])
            self.assertEqual(set(thread["Gid"].split()), {"65534"}, thread["Name"])
            for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(thread[which], 16), 0, which)
        self.assertEqual({os.stat(path).st_uid for path in files_under(gateway.folder + "/out")}, {65534})
        self.assertEqual(gateway.events("confined")[0]["user"], NOBODY)

    def test_ports_of_root_are_opened_at_the_start_and_not_later(self):
        port, other, sink = low_port(), free_port(), self.sink()
        if not port:
            self.skipTest("everybody may take every port")
        declarations = node("a", sink), route("all", to="a")
        gateway = self.start(*declarations, listen=[f'listen "127.0.0.1:{port}"'], port=port)
        self.assert_stored(self.sender(gateway).store(make_instance()))
        gateway.listen = [f'listen "127.0.0.1:{port}"', f'listen "127.0.0.1:{other}"']
        gateway.write(*declarations)
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "others can be")
        self.assert_stored(self.sender(other).store(make_instance()))
        gateway.listen.append(f'listen "127.0.0.1:{port - 1}"')
        gateway.write(*declarations)
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reload refused, the old configuration stays"), "that one cannot")
        self.assertIn("restart", gateway.events("cannot listen")[0]["hint"])
        self.assert_stored(self.sender(gateway).store(make_instance()))

    def test_what_was_queued_is_delivered_after_a_restart(self):
        port = free_port()
        gateway = self.start(node("late", port), declare("route", "all", {"copy": "late"}), retry={"first": "50ms", "most": "100ms"})
        one = make_instance()
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual(gateway.stop(), [])
        sink = self.sink(port=port)
        gateway.start()
        wait_until(lambda: sink.uids == [one.uid], "it is delivered")


class ReadOnly(Case):
    """Without root, and where nothing but its own folder can be written."""

    SCRIPT = """set -e
mount --make-rprivate /
mount -t tmpfs none "$AT"
mkdir "$AT/site"
printf '%s' "$CONFIG" > "$AT/site/a.lua"
chmod -R a+rwX "$AT"
mount -o remount,bind,ro / 2>/dev/null || mount -o remount,ro,bind /
cd "$AT/site"
! touch /hilum-was-here 2>/dev/null
exec $AS "$HILUM" run a.lua
"""

    def test_it_runs_as_a_user_with_a_root_file_system_that_is_read_only(self):
        unshare = ["unshare", "--mount"] if ROOT else ["unshare", "--map-root-user", "--mount"]
        if subprocess.run([*unshare, "mount", "--make-rprivate", "/"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespace can be made")
        at, port, sink = self.temporary_folder(), free_port(), self.sink()
        config = "\n".join([f'gateway {lua({"log": {"format": "json", "level": "info"}})}', f'listen "127.0.0.1:{port}"',
                            node("a", sink), folder("disk", at + "/site/out/{SOPInstanceUID}.dcm"),
                            route("all", to=["a", "disk"], copy="a")])
        setpriv = f"setpriv --reuid {NOBODY} --regid nogroup --clear-groups" if ROOT else ""
        process = subprocess.Popen([*unshare, "sh", "-c", self.SCRIPT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True,
                                   env={**os.environ, "AT": at, "CONFIG": config, "AS": setpriv, "HILUM": HILUM})
        try:
            wait_until(lambda: process.poll() is not None or is_listening(port), "it listens")
            self.assertIsNone(process.poll(), process.poll() is None or process.stdout.read())
            self.assert_stored(self.sender(port).store(make_instance()))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(20 * SLOW), 0)
            said = process.stdout.read()
            self.assertNotIn('"level":"error"', said)
            self.assertNotIn("running as root", said) if ROOT else None
        finally:
            process.kill() if process.poll() is None else None
            process.wait()
            process.stdout.close()


if __name__ == "__main__":
    unittest.main()
