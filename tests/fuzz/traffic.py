"""What DCMTK's tools say to each other, byte for byte, for seeds; and the golden bytes of tests/wire."""

import contextlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pydicom
import pydicom.data

WIRE = Path(__file__).parent.parent / "wire"
SECONDS = 20


def golden_commands():
    """Command sets of golden_commands.c."""
    text = (WIRE / "golden_commands.c").read_text()
    for body in re.findall(r"static const char \w+\[\] =\n(.*?);", text, re.S):
        lines = (re.sub(r"/\*.*?\*/", "", line) for line in body.splitlines())
        parts = re.findall(r'"((?:[^"\\]|\\.)*)"', "\n".join(lines))
        yield b"".join(part.encode().decode("unicode_escape").encode("latin-1") for part in parts)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def carry(source, target, kept):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            kept.extend(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class Recorder:
    """Between a client and the server at `port`: what each said on every connection, in `talks` as [client, server]."""

    def __init__(self, port):
        self.port, self.talks, self.threads = port, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
                said = [bytearray(), bytearray()]
                self.talks.append(said)
                for ends in ((client, server, said[0]), (server, client, said[1])):
                    self.threads.append(threading.Thread(target=carry, args=ends, daemon=True))
                    self.threads[-1].start()

    def close(self):
        self.listener.close()
        for thread in self.threads:
            thread.join(SECONDS)


def wait_for(port):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def dcmtk_talks():
    """[(client's bytes, server's bytes)] of C-ECHO, C-STORE and C-FIND between DCMTK's tools; none where they are not installed."""
    if not all(shutil.which(tool) for tool in ("storescp", "storescu", "echoscu", "findscu")):
        return []
    port = free_port()
    files = [pydicom.data.get_testdata_file(name) for name in ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm")]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(["storescp", "-od", folder, "--accept-all", str(port)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            wait_for(port)
            recorder = Recorder(port)
            to = ["127.0.0.1", str(recorder.listener.getsockname()[1])]
            for command in (["echoscu", *to], ["storescu", "+C", *to, *(f for f in files if f)], ["storescu", "-xs", *to, files[0]],
                            ["findscu", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", *to]):
                subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False)
            recorder.close()
        finally:
            server.terminate()
            server.wait()
    return [(bytes(a), bytes(b)) for a, b in recorder.talks if a]


def pdus(talk):
    """Its PDUs, header and all."""
    at = 0
    while at + 6 <= len(talk):
        end = at + 6 + struct.unpack(">I", talk[at + 2:at + 6])[0]
        yield talk[at:end]
        at = end


def pdvs(talk):
    """(context id, control, payload) of each."""
    for pdu in pdus(talk):
        at = 6
        while pdu[0] == 4 and at + 6 <= len(pdu):
            length = struct.unpack(">I", pdu[at:at + 4])[0]
            yield pdu[at + 4], pdu[at + 5], pdu[at + 6:at + 4 + length]
            at += 4 + length
