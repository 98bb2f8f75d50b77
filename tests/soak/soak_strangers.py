#!/usr/bin/python3
"""Who does not belong, or does not behave, as a process of its own: soak_strangers.py PORT TLS_PORT FOLDER SEED LANES PAUSE

Scanners, garbage, half handshakes, lying lengths, crowds, slow writers, aborts and releases in the middle. FOLDER/strangers gets "did WHAT" a line;
FOLDER/sender-STRANGER the instances that they send, as soak_sender.py writes them.
"""

import os
import socket
import ssl
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "crash"), os.path.join(os.path.dirname(HERE), "end_to_end")]

import dicom  # noqa: E402
import soak_sender  # noqa: E402
from lanes import open_record, run_lanes, stopping  # noqa: E402
from sender import Sender  # noqa: E402
from soak_sender import PAIRS  # noqa: E402

CROWD = 100


class Lane(soak_sender.Lane):
    def __init__(self, arguments, number, record, events):
        super().__init__([arguments[0], "STRANGER", None, arguments[3], arguments[4], arguments[5]], number, record)
        self.tls_port, self.events = int(arguments[1]), events

    def run(self):
        kinds = (self.scan, self.http, self.garbage, self.lying_length, self.silence, self.half_request, self.strange_request,
                 self.half_tls, self.garbage_in_tls, self.tls_on_plain, self.plain_on_tls, self.crowd, self.slow_request,
                 self.slow_instance, self.half_instance, self.early_release, self.unknown_context, self.no_readers)
        while not stopping.is_set():
            stopping.wait(self.random.expovariate(1 / self.pause))
            kind = self.random.choice(kinds)
            try:
                kind()
            except (dicom.Ended, OSError):
                pass  # whichever way the gateway rid itself of us
            except AssertionError as wrong:
                self.write("!", str(wrong).replace("\n", " "))
            os.write(self.events, f"did {kind.__name__}\n".encode())

    def connect(self, port=None):
        return socket.create_connection(("127.0.0.1", port or self.port), 20)

    def await_end(self, connection):
        """The gateway's: within its time-outs."""
        with connection:
            while connection.recv(4096):
                pass

    def say(self, raw, port=None):
        connection = self.connect(port)
        connection.sendall(raw)
        if self.random.random() < 0.5:
            self.await_end(connection)
        connection.close()

    # ---- before an association

    def scan(self):
        for port in (self.port, self.tls_port):
            self.connect(port).close()

    def http(self):
        self.say(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")

    def garbage(self):
        self.say(self.random.randbytes(self.random.choice((1, 5, 6, 74, 500, 70000))))

    def lying_length(self):
        self.say(struct.pack(">BBI", self.random.choice((1, 2, 4, 7)), 0, self.random.choice((0xFFFFFFFF, 0x7FFFFFFF, 1 << 24, 0))) + bytes(80))

    def silence(self):
        self.await_end(self.connect(self.random.choice((self.port, self.tls_port))))

    def request(self):
        return dicom.Associate(calling="STRANGER", contexts=[dicom.Proposed(1, *PAIRS[0])]).encode()

    def half_request(self):
        raw = self.request()
        self.say(raw[:self.random.randrange(1, len(raw))])

    def strange_request(self):
        """Some of its bytes are others."""
        raw = bytearray(self.request())
        for _ in range(self.random.choice((1, 3, 20))):
            raw[self.random.randrange(6, len(raw))] = self.random.randrange(256)
        self.say(bytes(raw))

    def slow_request(self):
        with self.connect() as connection:
            for byte in self.request():
                connection.sendall(bytes([byte]))
                if stopping.wait(0.05):
                    break

    def crowd(self):
        """More than the gateway lets in where its limits are low."""
        crowd = []
        for _ in range(CROWD):
            one = self.connect()
            one.sendall(self.request())
            crowd.append(one)
        stopping.wait(self.random.random())
        for one in crowd:
            if self.random.random() < 0.2:
                dicom.Wire(one, 1).reset()
            one.close()

    # ---- TLS

    def hello(self):
        """The first flight of a handshake."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()

    def half_tls(self):
        raw = self.hello()
        self.say(raw[:self.random.choice((3, 5, 50, len(raw)))], self.tls_port)

    def garbage_in_tls(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(self.connect(self.tls_port)) as connection:
            connection.sendall(self.random.randbytes(200))
            if self.random.random() < 0.5:
                connection.recv(1)

    def tls_on_plain(self):
        self.say(self.hello())

    def plain_on_tls(self):
        self.say(self.request(), self.tls_port)

    # ---- with an association

    def begun(self, is_whole):
        """An association in the middle of an instance; (sender, context, rest). It is written down as given up unless it shall be whole."""
        sender = Sender(self.port, PAIRS, seconds=20, calling="STRANGER")
        one, plain, morphed = self.instance()
        self.write("?", one.uid, plain, morphed)
        if not is_whole:
            self.write("x", one.uid)
        context = sender.begin(one)
        at = self.random.randrange(len(one.data) // 2)
        sender.data(context, one.data[:at])
        return sender, context, one.data[at:]

    def slow_instance(self):
        sender, context, rest = self.begun(False)
        for _ in range(self.random.choice((5, 40))):
            sender.data(context, rest[:2])
            if stopping.wait(0.2):
                break
        getattr(sender, self.random.choice(("abort", "close", "reset")))()

    def half_instance(self):
        """Nothing more comes: the gateway gives it up after `progress`."""
        sender, _, _ = self.begun(False)
        if self.random.random() < 0.5:
            sender.end(20)
        getattr(sender, self.random.choice(("abort", "close", "reset")))()

    def early_release(self):
        """Asked for while the answer is outstanding."""
        sender, context, rest = self.begun(True)
        sender.data(context, rest, last=True)
        sender.wire.send(dicom.pdu(dicom.RELEASE_RQ, bytes(4)))
        limit = time.monotonic() + 20
        while sender.wire.pdu()[0] == dicom.P_DATA and time.monotonic() < limit:
            pass
        sender.close()

    def unknown_context(self):
        sender = Sender(self.port, PAIRS, seconds=20, calling="STRANGER")
        sender.wire.send(dicom.p_data(dicom.pdv(self.random.choice((0, 2, 99, 255)), 3, self.random.randbytes(30))))
        self.await_end(sender.wire.socket)

    def no_readers(self):
        """C-ECHOs without end, whose answers nobody takes."""
        sender = Sender(self.port, [(dicom.VERIFICATION, [dicom.IMPLICIT])], seconds=5, calling="STRANGER")
        fields = {0x0002: dicom.VERIFICATION, 0x0100: dicom.C_ECHO_RQ, 0x0110: 7, 0x0800: dicom.NO_DATA_SET}
        echoes = b"".join(sender.pdus(1, fields)) * 100
        for _ in range(50):
            sender.wire.send(echoes)
            if stopping.is_set():
                break
        sender.reset()


def main():
    arguments = sys.argv[1:]
    record = open_record(os.path.join(arguments[2], "sender-STRANGER"))
    events = open_record(os.path.join(arguments[2], "strangers"))
    run_lanes([Lane(arguments, number, record, events) for number in range(int(arguments[4]))])


if __name__ == "__main__":
    main()
