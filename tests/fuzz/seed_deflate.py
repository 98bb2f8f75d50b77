#!/usr/bin/python3
"""Deflate streams, as seeds of fuzz_deflate: of each type of block, padded, cut, followed by something, and bombs.

    tests/fuzz/seed_deflate.py FOLDER
"""
import sys
import zlib
from pathlib import Path


def deflated(data, level=9, strategy=zlib.Z_DEFAULT_STRATEGY):
    squeezer = zlib.compressobj(level, wbits=-15, strategy=strategy)
    return squeezer.compress(data) + squeezer.flush()


def main():
    folder = Path(sys.argv[1])
    text = bytes(range(256)) * 4 + b"abcd" * 100
    streams = {"stored": deflated(text, 0), "fixed": deflated(text, 9, zlib.Z_FIXED), "dynamic": deflated(text),
               "huffman": deflated(text, 9, zlib.Z_HUFFMAN_ONLY), "empty": deflated(b""), "bomb": deflated(bytes(2 << 20)),
               "bombs": deflated(bytes(1 << 20)) * 2, "zlib": zlib.compress(text)}
    for name, stream in streams.items():
        for sizes in (b"\0\0", b"\xff\xff", b"\7\2"):
            (folder / f"{name}-{sizes.hex()}").write_bytes(sizes + stream)
            (folder / f"{name}-{sizes.hex()}-padded").write_bytes(sizes + stream + bytes(9))
            (folder / f"{name}-{sizes.hex()}-cut").write_bytes(sizes + stream[:len(stream) // 2])


main()
