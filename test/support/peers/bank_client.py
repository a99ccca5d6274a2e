"""A station of the bank of sample/04-bank-gateway that is not ours, in Python's standard library alone.

Usage: bank_client.py (ascii | bcd) PORT

Prints a JSON object: what it did, and the payload of each answer as text, or null where the host closed the connection.
"""
import json
import socket
import sys

HEADERS = {
    "ascii": (4, lambda n: b"%04d" % n, lambda h: int(h.decode("ascii")), b"12X4"),
    "bcd": (2, lambda n: bytes.fromhex("%04d" % n), lambda h: int(h.hex()), b"\x1f\xa4"),
}


class Station:
    def __init__(self, header, port):
        self.size, self.pack, self.unpack, self.malformed = HEADERS[header]
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def frame(self, payload):
        return self.pack(len(payload)) + payload.encode("ascii")

    def read(self, size):
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                return None
            data += chunk
        return data

    def receive(self):
        header = self.read(self.size)
        return None if header is None else self.read(self.unpack(header)).decode("ascii")

    def ask(self, payload):
        self.socket.sendall(self.frame(payload))
        return self.receive()

    def sign_on(self):
        return self.ask("0800" + "BRANCH07" + "20261122")


def transfer(reference, amount):
    return "0200" + reference.ljust(20) + "0000000001" + "0000000002" + "EUR" + amount + "for the cake".ljust(35)


def main():
    header, port = sys.argv[1], int(sys.argv[2])
    station = Station(header, port)
    said = {}
    said["balance before sign-on"] = station.ask("0100" + "0000000001")
    said["sign-on"] = station.sign_on()
    said["echo"] = station.ask("0840")
    for byte in station.frame("0100" + "0000000001"):
        station.socket.sendall(bytes([byte]))
    said["balance in single bytes"] = station.receive()
    station.socket.sendall(station.frame("0100" + "0000000002") + station.frame("0100" + "0000000003"))
    said["two balances in one write"] = [station.receive(), station.receive()]
    said["unknown account"] = station.ask("0100" + "0000000404")
    said["letter in the amount"] = station.ask(transfer("P-1", "0000000012,5"))
    said["short transfer"] = station.ask(transfer("P-1", "000000001250")[:-1])
    said["transfer"] = station.ask(transfer("P-1", "000000001250"))
    other = Station(header, port)
    other.sign_on()
    said["the same on another connection"] = other.ask(transfer("P-1", "000000001250"))
    said["another amount"] = other.ask(transfer("P-1", "000000009900"))
    said["message of no type"] = other.ask("9998")
    said["sign-off"] = station.ask("0820")
    said["balance after sign-off"] = station.ask("0100" + "0000000001")
    station.socket.sendall(station.malformed)
    said["malformed length"] = station.receive()
    print(json.dumps(said))


main()
