"""A meter before a server, in a process of its own: it passes bytes on, and tells how many went to the server and when."""

import multiprocessing
import os
import socket
import threading
import time

from kit import process

CHUNK = 1 << 18


def shut(*socks):
    for sock in socks:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def pump(source, sink, note):
    """Until one of them ends. What came is noted before it goes on."""
    try:
        while data := source.recv(CHUNK):
            note(len(data))
            sink.sendall(data)
    except OSError:
        pass
    shut(source, sink)


def serve(listener, path, count, last):
    process.die_with_parent()

    def up(size):
        with count.get_lock():
            count.value += size
            last.value = time.time()

    while True:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(path)
        except OSError:
            shut(client)
            client.close()
            continue
        threading.Thread(target=pump, args=(client, server, up), daemon=True).start()
        threading.Thread(target=pump, args=(server, client, lambda _size: None), daemon=True).start()


class Meter:
    """`with Meter(folder, server) as meter`: meter.bytes went to the server so far, the last of them at meter.last (unix time)."""

    def __init__(self, folder, server, name="meter"):
        self.path = os.path.join(folder, f"{name}.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(64)
        context = multiprocessing.get_context("fork")
        self._count, self._last = context.Value("Q", 0), context.Value("d", 0.0)
        self.process = context.Process(target=serve, args=(listener, server.path, self._count, self._last), daemon=True)
        self.process.start()
        listener.close()

    def url(self):
        return f"unix://{self.path}"

    @property
    def bytes(self):
        return self._count.value

    @property
    def last(self):
        with self._count.get_lock():
            return self._last.value

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.join()
