#!/usr/bin/env python3
"""Makes messages with other implementations of LZ4 and protobuf, asks those implementations what they
make of each, and writes both to burst/testdata/judged.jsonl.gz.

Needs python3-lz4, python3-protobuf, protobuf-compiler, liblz4-java and a JDK (Debian), and the npm packages
lz4js and protobufjs: `npm install --prefix DIR lz4js protobufjs`, then `NODE_PATH=DIR/node_modules ./make.py`.
Run it at the top of the repository with Debian's Python. The output is the same each time.
"""
import base64, ctypes, gzip, io, json, os, random, struct, subprocess, sys, tempfile

import lz4.block, lz4.frame

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
JAR = os.environ.get("LZ4_JAVA", "/usr/share/java/lz4-java.jar")
tmp = tempfile.mkdtemp()
subprocess.run(["protoc", "-I", TOP, "--python_out", tmp, "burst/pb/stream.proto", "burst/pb/data.proto"], check=True)
sys.path.insert(0, tmp)
from burst.pb import stream_pb2  # noqa: E402

liblz4 = ctypes.CDLL("liblz4.so.1")
rnd = random.Random(22)


def varint(v, size=0):
    out = b""
    while v >= 0x80 or size > len(out) + 1:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def ln(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def burst(parts=6, samples=20):
    b = stream_pb2.StreamDataBurst()
    b.data.add().session_json = '{"identity":"s-%d","state":"open"}' % parts
    for i in range(parts):
        t = b.data.add().timestamped_data
        t.channel_id, t.start_timestamp, t.timestamp_deltas_scale = i, 1_700_000_000_000_000_000 + i, 1000
        t.timestamp_deltas.extend(range(samples))
        t.buffer = struct.pack("<%df" % samples, *(i + k / 8 for k in range(samples)))
        p = b.data.add().periodic_data
        p.channel_id, p.interval, p.samples, p.buffer = 99, 1000, samples, bytes(rnd.randrange(4) for _ in range(samples))
    e = b.data.add().event
    e.app_name, e.status_text = "app", "box two, pit in now"
    return b.SerializeToString()


def sized(raw, block):
    return struct.pack("<I", len(raw)) + block


def wrap(raw, block):
    return struct.pack("<II", len(raw), len(block)) + block


def pickle(raw, block):
    return b"\xc0" + struct.pack("<I", len(raw) - len(block)) + block


def plain(raw, block):
    return block


FORMS = {"size-prefixed-block": sized, "wrap": wrap, "pickle": pickle, "block": plain}


def length(n):
    out = b""
    while n >= 255:
        out, n = out + b"\xff", n - 255
    return out + bytes([n])


def ending(match, literals):
    """A burst and a block of it whose last match has a length and so many literals behind it."""
    text = b"box two, pit in now; " + b"box " * 200
    raw = ln(1, ln(7, b"\x08\x05" + ln(4, text)))
    end = len(raw) - literals
    start = end - match
    offset = start - raw.rindex(raw[start:end], 0, end - 1)
    block = b"\xff" + length(60 - 15) + raw[:60] + b"\x04\x00" + length(300 - 19)
    block += bytes([0xF0 | min(match - 4, 15)]) + length(start - 360 - 15) + raw[360:start] + struct.pack("<H", offset)
    block += (length(match - 19) if match >= 19 else b"") + bytes([min(literals, 15) << 4])
    block += (length(literals - 15) if literals >= 15 else b"") + raw[end:]
    return raw, block


def lz4js_block(raw):
    return ask_node({"compress": base64.b64encode(raw).decode()})


def ask_node(question):
    p = subprocess.run(["node", os.path.join(HERE, "ask.js"), TOP], input=json.dumps(question), capture_output=True, text=True, check=True)
    return json.loads(p.stdout)


def cases():
    raw = burst()
    block = lz4.block.compress(raw, store_size=False)
    js = base64.b64decode(lz4js_block(raw)["block"])
    for maker, b in (("liblz4", block), ("liblz4-hc", lz4.block.compress(raw, mode="high_compression", store_size=False)), ("lz4js", js)):
        for enc, form in FORMS.items():
            yield "%s of %s" % (enc, maker), enc, form(raw, b)
    for n in range(40):  # lengths at which lz4js ends blocks in its own ways
        small = burst(1 + n % 3, 1 + n)
        yield "lz4js %d" % n, "size-prefixed-block", sized(small, base64.b64decode(lz4js_block(small)["block"]))
        yield "liblz4 %d" % n, "size-prefixed-block", sized(small, lz4.block.compress(small, store_size=False))
    for match in (4, 5, 6, 7, 8, 18, 19, 20, 273, 274, 280):
        for literals in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 20):
            r, b = ending(match, literals)
            for enc in ("size-prefixed-block", "wrap", "pickle", "block"):
                yield "%s, a match of %d before %d literals" % (enc, match, literals), enc, FORMS[enc](r, b)
    for n in range(60):
        bad = bytearray(block)
        bad[rnd.randrange(len(bad))] ^= 1 << rnd.randrange(8)
        yield "a flipped bit %d" % n, "size-prefixed-block", sized(raw, bytes(bad))
        yield "cut off %d" % n, "size-prefixed-block", sized(raw, block[: rnd.randrange(1, len(block))])
    tr = b"\x1a\x12\x09" + bytes(8) + b"\x11" + bytes(8)
    proto = {}
    for n in range(1, 11):
        proto["a tag in %d bytes" % n] = varint(0x0A, n) + varint(len(tr)) + tr
        proto["a length in %d bytes" % n] = b"\x0a" + varint(len(tr), n) + tr
        proto["an unknown tag in %d bytes" % n] = ln(1, tr + varint(0x48, n) + b"\x01")
        proto["a number in %d bytes" % n] = ln(1, ln(4, b"\x18" + varint(5, n) + ln(4, b"\x00\x05") + ln(5, b"ab")))
    for n in (1, 97, 98, 99, 100, 101, 102, 200):
        groups = b"\x4b" * n + b"\x4c" * n
        proto["%d groups in the burst" % n] = ln(1, tr) + groups
        proto["%d groups in a StreamData" % n] = ln(1, tr + groups)
        proto["%d groups in a member" % n] = ln(1, ln(3, tr[2:] + groups))
    proto["a text that is not UTF-8"] = ln(1, ln(7, ln(2, b"a\xff")))
    proto["a group that does not end"] = ln(1, tr + b"\x4b")
    proto["wire type 7"] = ln(1, tr) + b"\x7f\x00"
    proto["field number 0"] = ln(1, tr) + b"\x02\x00"
    for n in range(60):
        bad = bytearray(burst(2, 4))
        bad[rnd.randrange(len(bad))] = rnd.randrange(256)
        proto["a changed byte %d" % n] = bytes(bad)
    for name, r in proto.items():
        yield name, "pickle", b"\x00" + r
    frame = lz4.frame.compress(raw)
    for name, data in {
        "a frame": frame, "a frame with block checksums": lz4.frame.compress(raw, block_checksum=True, content_checksum=True),
        "a frame cut off": frame[: len(frame) // 2], "a frame with a byte behind it": frame + b"\0", "two frames": frame * 2,
    }.items():
        yield name, "frame", data


def unpack(enc, data):
    """(uncompressed length, block) of an encoding that has lengths, (None, block) of one that has none."""
    if enc == "size-prefixed-block":
        return struct.unpack("<I", data[:4])[0], data[4:]
    if enc == "wrap":
        return struct.unpack("<I", data[:4])[0], data[8:]
    if enc == "pickle" and data[0]:
        return struct.unpack("<I", data[1:5])[0] + len(data) - 5, data[5:]
    return None, data


def ask_liblz4(enc, data):
    if enc == "frame":
        try:
            out, n, eof = lz4.frame.decompress(data, return_bytes_read=True) + (True,)
            return out if n == len(data) else None
        except RuntimeError:
            return None
    size, block = unpack(enc, data)
    room = 1 << 16 if size is None else size
    dst = ctypes.create_string_buffer(room + 1)
    n = liblz4.LZ4_decompress_safe(block, dst, len(block), room)
    return dst.raw[:n] if n >= 0 and (size is None or n == size) else None


def ask_protobuf(raws):
    verdicts = {}
    for impl in ("cpp", "python"):
        code = ("import sys,json,base64;sys.path.insert(0,%r);from burst.pb import stream_pb2 as s\n"
                "def ok(b):\n try: s.StreamDataBurst.FromString(base64.b64decode(b)); return True\n except Exception: return False\n"
                "print(json.dumps([ok(b) for b in json.load(sys.stdin)]))") % tmp
        env = dict(os.environ, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=impl)
        p = subprocess.run([sys.executable, "-c", code], input=json.dumps(raws), capture_output=True, text=True, check=True, env=env)
        verdicts["protobuf-" + impl] = json.loads(p.stdout)
    return verdicts


def main():
    lines, blocks = [], []
    for name, enc, data in cases():
        out = data[1:] if enc == "pickle" and data[0] == 0 else ask_liblz4(enc, data)
        judges = {}
        if not (enc == "pickle" and data[0] == 0):
            judges["liblz4"] = out is not None
        lines.append({"name": name, "encoding": enc, "judges": judges, "data": base64.b64encode(data).decode(), "raw": out})
        if "liblz4" in judges and enc != "frame":
            size, block = unpack(enc, data)
            blocks.append((len(lines) - 1, size or 0, block))
    asked = [{"size": size, "block": base64.b64encode(b).decode()} for _, size, b in blocks]
    java = subprocess.run(["java", "-cp", JAR, os.path.join(HERE, "Ask.java")], capture_output=True, text=True, check=True,
                          input="".join("%d %s\n" % (q["size"], q["block"]) for q in asked)).stdout.split("\n")
    javascript = ask_node({"blocks": asked})["blocks"]
    for (i, _, _), j, node in zip(blocks, java, javascript):
        lines[i]["judges"].update({"lz4-java-" + k: v == "1" for k, v in zip(("native", "safe"), j.split())})
        lines[i]["judges"]["lz4js"] = node
    raws = [(i, base64.b64encode(l["raw"]).decode()) for i, l in enumerate(lines) if l["raw"] is not None]
    verdicts = ask_protobuf([r for _, r in raws])
    verdicts["protobufjs"] = ask_node({"bursts": [r for _, r in raws]})["bursts"]
    for judge, all_ in verdicts.items():
        for (i, _), ok in zip(raws, all_):
            lines[i]["judges"][judge] = ok
    out = io.StringIO()
    for l in lines:
        del l["raw"]
        out.write(json.dumps(l) + "\n")
    with open(os.path.join(TOP, "burst/testdata/judged.jsonl.gz"), "wb") as f:
        with gzip.GzipFile(fileobj=f, mode="wb", mtime=0, filename="") as z:
            z.write(out.getvalue().encode())
    print(len(lines), "messages")


main()
