"""An SP that speaks CMPP 3.0, in Python's standard library alone: it shares no code with the sample.

Usage: cmpp_sp.py PORT SOURCE_ADDR SECRET ACCESS_NUMBER (honest | bytes | stranger)

`honest` logs in, checks the ISMG's authenticator, submits sixteen messages at once, answers what is delivered, asks for
a sign of life, and says goodbye. `bytes` does so one byte at a time. `stranger` submits without having logged in.
Prints one line of JSON with what it saw.
"""
import hashlib
import json
import socket
import struct
import sys
import time

CONNECT, TERMINATE, SUBMIT, DELIVER, ACTIVE_TEST = 1, 2, 4, 5, 8
RESP = 0x80000000
MESSAGES = 16


class Sp:
    def __init__(self, port, manner):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.manner = manner
        self.sequence = 1000

    def send(self, command, body=b"", sequence=None):
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        frame = struct.pack(">III", 12 + len(body), command, sequence) + body
        if self.manner == "bytes":
            for i in range(len(frame)):
                self.socket.sendall(frame[i : i + 1])
        else:
            self.socket.sendall(frame)
        return sequence

    def read(self, size):
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def receive(self):
        """The next message; questions for a sign of life are answered on the way."""
        while True:
            length, command, sequence = struct.unpack(">III", self.read(12))
            body = self.read(length - 12)
            if command != ACTIVE_TEST:
                return command, sequence, body
            self.send(ACTIVE_TEST | RESP, b"\0", sequence)


def submit_body(source_addr, access_number, terminal, text):
    content = text.encode("utf-16-be")
    head = struct.pack(
        ">QBBBB10sB32sBBBB6s2s6s17s17s21sB",
        0, 1, 1, 1, 0, b"PYTHON", 0, b"", 0, 0, 0, 8,
        source_addr, b"01", b"", b"", b"", access_number, 1,
    )
    return head + struct.pack(">32sBB", terminal, 0, len(content)) + content + bytes(20)


def log_in(sp, source_addr, secret):
    timestamp = time.strftime("%m%d%H%M%S")
    source = hashlib.md5(source_addr + bytes(9) + secret + timestamp.encode()).digest()
    sequence = sp.send(CONNECT, struct.pack(">6s16sBI", source_addr, source, 0x30, int(timestamp)))
    command, answered, body = sp.receive()
    assert (command, answered) == (CONNECT | RESP, sequence), "no answer to CMPP_CONNECT"
    status, authenticator, _ = struct.unpack(">I16sB", body)
    expected = hashlib.md5(struct.pack(">I", status) + source + secret).digest()
    return status, authenticator == expected


def work(sp, source_addr, access_number):
    bodies = [submit_body(source_addr, access_number, b"138%08d" % (i + 1), "你好 %d" % i) for i in range(MESSAGES)]
    wanted = {sp.send(SUBMIT, body) for body in bodies}
    results, msg_ids, reports = [], set(), {}
    while len(reports) < MESSAGES:
        command, sequence, body = sp.receive()
        if command == SUBMIT | RESP:
            wanted.remove(sequence)
            msg_id, result = struct.unpack(">QI", body)
            msg_ids.add(msg_id)
            results.append(result)
        elif command == DELIVER:
            head = struct.unpack(">Q21s10sBBB32sBBB", body[:77])
            delivered, registered, length = head[0], head[8], head[9]
            content = body[77 : 77 + length]
            assert registered == 1 and length == 71 and len(body) == 77 + 71 + 20, "no status report"
            msg_id, stat, _, _, terminal, _ = struct.unpack(">Q7s10s10s32sI", content)
            reports[terminal.rstrip(b"\0").decode()] = (msg_id, stat.decode())
            sp.send(DELIVER | RESP, struct.pack(">QI", delivered, 0), sequence)
        else:
            raise AssertionError("unexpected %x" % command)
    assert not wanted, "a CMPP_SUBMIT was not answered"
    return {
        "results": sorted(set(results)),
        "reported": len({msg_id for msg_id, _ in reports.values()} & msg_ids),
        "stats": sorted({stat for _, stat in reports.values()}),
    }


def ask(sp, command):
    sequence = sp.send(command)
    answer, answered, body = sp.receive()
    return answer == command | RESP and answered == sequence and body == (b"\0" if command == ACTIVE_TEST else b"")


def is_closed(sp):
    try:
        sp.read(1)
    except (EOFError, ConnectionError):
        return True
    return False


def main():
    port, source_addr, secret, access_number, manner = sys.argv[1:6]
    source_addr, access_number = source_addr.encode(), access_number.encode()
    sp = Sp(int(port), manner)
    if manner == "stranger":
        sp.send(SUBMIT, submit_body(source_addr, access_number, b"13800000001", "hello"))
        command, _, body = sp.receive()
        seen = {"command": command, "result": struct.unpack(">QI", body)[1], "closed": is_closed(sp)}
    else:
        status, is_mutual = log_in(sp, source_addr, secret.encode())
        seen = {"status": status}
        if status == 0:
            seen.update({"mutual": is_mutual, **work(sp, source_addr, access_number)})
            seen.update({"alive": ask(sp, ACTIVE_TEST), "goodbye": ask(sp, TERMINATE)})
        else:
            seen["closed"] = is_closed(sp)
    print(json.dumps(seen))


main()
