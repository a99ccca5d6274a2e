"""A peer that is not ours, in Python's standard library alone: answers each frame with its payload in capitals.

Usage: echo_peer.py (ascii | bcd | uint) (whole | bytes | reversed)

Prints the port it listens on. `bytes` sends every byte on its own; `reversed` waits for four frames and answers the
last first, each with its first four bytes, the sequence number, as they came. Ends when its standard input does.
"""
import os
import socket
import struct
import sys
import threading

HEADERS = {
    "ascii": (4, lambda n: b"%04d" % n, lambda h: int(h.decode("ascii"))),
    "bcd": (2, lambda n: bytes.fromhex("%04d" % n), lambda h: int(h.hex())),
    "uint": (4, lambda n: struct.pack(">I", n), lambda h: struct.unpack(">I", h)[0]),
}


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def serve(connection, header, manner):
    size, pack, unpack = HEADERS[header]
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    kept = []
    try:
        while True:
            payload = read_exactly(connection, unpack(read_exactly(connection, size)))
            answer = payload.upper() if manner != "reversed" else payload[:4] + payload[4:].upper()
            kept.append(pack(len(answer)) + answer)
            if manner == "reversed" and len(kept) < 4:
                continue
            for frame in reversed(kept):
                if manner == "bytes":
                    for i in range(len(frame)):
                        connection.sendall(frame[i : i + 1])
                else:
                    connection.sendall(frame)
            kept = []
    except (EOFError, ConnectionError):
        pass
    finally:
        connection.close()


def main():
    header, manner = sys.argv[1:3]
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, header, manner), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
