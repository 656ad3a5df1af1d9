"""The host's end of the command channel: see guest/agent.c for the frames.

One QEMU socket serves one client at a time, and a reboot of the guest does not close it. So the
connection is kept over reboots, and `sync` finds the beginning of a frame again by looking for
the answer to a ping with a number nobody else has used.
"""

import errno
import os
import select
import socket
import struct
import time

from .common import LabError

HEADER = struct.Struct('<cII')


class ChannelClosed(LabError):
    """QEMU closed the socket: the VM is gone."""


class ChannelTimeout(LabError):
    """The guest did not answer in time."""


def connect_in(folder, name, timeout):
    """Connects to a unix socket in a folder whose path may be longer than a socket's may be."""
    deadline = time.monotonic() + timeout
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(f'/proc/self/fd/{directory}/{name}')
                return connection
            except OSError as error:
                connection.close()
                if time.monotonic() > deadline:
                    raise ChannelTimeout(f'no {name} after {timeout} s: {error}') from error
                time.sleep(0.02)
    finally:
        os.close(directory)


class Channel:
    """Commands and files over one connected socket. Used by one thread at a time."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.setblocking(False)
        self.buffer = b''
        self.last_id = int.from_bytes(os.urandom(3), 'little') << 7

    def close(self):
        self.socket.close()

    def _new_id(self):
        self.last_id = (self.last_id + 1) & 0xffffffff
        return self.last_id

    def _send(self, kind, ident, data=b'', deadline=None):
        deadline = deadline or time.monotonic() + 60
        frame = memoryview(HEADER.pack(kind, ident, len(data)) + data)
        while frame:
            try:
                frame = frame[self.socket.send(frame):]
            except BlockingIOError:
                if not select.select([], [self.socket], [], max(0, deadline - time.monotonic()))[1]:
                    raise ChannelTimeout('the guest takes no more input') from None
            except OSError as error:
                raise ChannelClosed(f'the VM is gone: {error.strerror}') from error

    def _receive(self, deadline):
        """More bytes into the buffer."""
        if not select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
            raise ChannelTimeout('no answer from the guest in time')
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            raise ChannelClosed(f'the VM is gone: {error.strerror}') from error
        if not data:
            raise ChannelClosed('the VM is gone')
        self.buffer += data

    def _frame(self, deadline):
        while True:
            if len(self.buffer) >= HEADER.size:
                kind, ident, size = HEADER.unpack_from(self.buffer)
                end = HEADER.size + size
                if len(self.buffer) >= end:
                    data, self.buffer = self.buffer[HEADER.size:end], self.buffer[end:]
                    return kind, ident, data
            self._receive(deadline)

    def sync(self, timeout):
        """Returns when the agent answers, at a frame boundary."""
        end = time.monotonic() + timeout
        while True:
            ident = self._new_id()
            wanted = HEADER.pack(b'R', ident, 4) + b'\0\0\0\0'
            self._send(b'N', ident)
            deadline = min(time.monotonic() + 2, end)
            try:
                while wanted not in self.buffer:
                    self._receive(deadline)
                self.buffer = self.buffer.split(wanted, 1)[1]
                return
            except ChannelTimeout:
                if time.monotonic() >= end:
                    raise ChannelTimeout(f'the agent did not answer within {timeout} s') from None

    def run(self, command, timeout, on_output=None):
        """Runs a shell command. Returns (status, stdout, stderr), the latter as bytes."""
        ident, output = self._new_id(), {b'O': [], b'E': []}
        deadline = time.monotonic() + timeout
        self._send(b'X', ident, command.encode())
        while True:
            try:
                kind, frame_id, data = self._frame(deadline)
            except ChannelTimeout:
                self._send(b'K', ident)
                so_far = b''.join(output[b'O'] + output[b'E']).decode('utf-8', 'replace')
                raise ChannelTimeout(f'no end of {command!r} within {timeout} s; its output so '
                                     f'far:\n{so_far[-2000:]}') from None
            if frame_id != ident:
                continue
            if kind == b'R':
                status = struct.unpack('<i', data)[0]
                return status, b''.join(output[b'O']), b''.join(output[b'E'])
            output[kind].append(data)
            if on_output:
                on_output(data)

    def _result(self, ident, deadline):
        chunks = []
        while True:
            kind, frame_id, data = self._frame(deadline)
            if frame_id != ident:
                continue
            if kind == b'R':
                return struct.unpack('<i', data)[0], b''.join(chunks)
            chunks.append(data)

    def put(self, data, path, mode, timeout):
        ident, deadline = self._new_id(), time.monotonic() + timeout
        self._send(b'P', ident, path.encode() + b'\0' + struct.pack('<I', mode), deadline)
        for offset in range(0, len(data), 65536):
            self._send(b'p', ident, data[offset:offset + 65536], deadline)
        self._send(b'C', ident, b'', deadline)
        status, _ = self._result(ident, deadline)
        if status:
            raise OSError(status, os.strerror(status), path)

    def get(self, path, timeout):
        ident = self._new_id()
        self._send(b'G', ident, path.encode())
        status, data = self._result(ident, time.monotonic() + timeout)
        if status == errno.ENOENT:
            raise FileNotFoundError(status, os.strerror(status), path)
        if status:
            raise OSError(status, os.strerror(status), path)
        return data

    def talk(self, command, answers, timeout):
        """Runs a command on a terminal in the guest and types an answer to each prompt.

        answers: [(prompt, what is typed)], in their order. Returns (status, what was shown).
        """
        ident, shown, unanswered, left = self._new_id(), b'', b'', list(answers)
        deadline = time.monotonic() + timeout
        self._send(b'T', ident, command.encode())
        while True:
            try:
                kind, frame_id, data = self._frame(deadline)
            except ChannelTimeout:
                self._send(b'K', ident)
                raise ChannelTimeout(f'no end of {command!r} within {timeout} s; it showed:\n'
                                     f'{shown.decode("utf-8", "replace")[-2000:]}') from None
            if frame_id != ident:
                continue
            if kind == b'R':
                return struct.unpack('<i', data)[0], shown
            shown, unanswered = shown + data, unanswered + data
            if left and left[0][0].encode() in unanswered:
                self._send(b'I', ident, left.pop(0)[1].encode())
                unanswered = b''

    def terminal(self, command, keyboard, screen, size):
        """Connects two file descriptors to a command on a terminal in the guest, till it ends."""
        ident = self._new_id()
        self._send(b'T', ident, command.encode())
        self._send(b'S', ident, struct.pack('<HH', *size))
        sources = [self.socket, keyboard]
        while True:
            ready = select.select(sources, [], [])[0]
            if keyboard in ready:
                typed = os.read(keyboard, 4096)
                if typed:
                    self._send(b'I', ident, typed)
                else:
                    sources.remove(keyboard)
                    self._send(b'I', ident, b'\x04')
            if self.socket in ready:
                self._receive(time.monotonic() + 1)
            while len(self.buffer) >= HEADER.size:
                if len(self.buffer) < HEADER.size + HEADER.unpack_from(self.buffer)[2]:
                    break
                kind, frame_id, data = self._frame(time.monotonic() + 1)
                if frame_id == ident and kind == b'R':
                    return struct.unpack('<i', data)[0]
                if frame_id == ident:
                    os.write(screen, data)
