"""Where things lie, and how the lab talks to the person running it."""

import hashlib
import os
import pathlib
import sys
import threading
import time

VM_DIR = pathlib.Path(__file__).resolve().parent.parent
TOP_DIR = VM_DIR.parent.parent
LAB_DIR = pathlib.Path(os.environ.get('LATENCYD_LAB_DIR') or TOP_DIR / 'build' / 'lab').resolve()

_say_lock = threading.Lock()


class LabError(Exception):
    """Something the lab itself could not do; the text says what and what to look at."""


def say(text):
    """One line of progress, on standard error: standard output carries TAP."""
    with _say_lock:
        print(text, file=sys.stderr, flush=True)


class Step:
    """Announces a piece of work and its usual duration, then says how long it took."""

    def __init__(self, what, usually=None):
        self.what, self.usually = what, usually

    def __enter__(self):
        usual = f' (usually {self.usually})' if self.usually else ''
        say(f'lab: {self.what}{usual} ...')
        self.start = time.monotonic()
        return self

    def __exit__(self, kind, value, trace):
        seconds = time.monotonic() - self.start
        say(f'lab: {self.what}: {"failed after" if kind else "done in"} {seconds:.1f} s')


def hash_files(paths, *extra):
    """A short hash of names (below VM_DIR), modes and contents of files, and of more strings."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        data = path.read_bytes()
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f'{path.relative_to(VM_DIR)}\0{executable}\0{len(data)}\0'.encode())
        digest.update(data)
    for text in extra:
        digest.update(f'{text}\0'.encode())
    return digest.hexdigest()[:16]


def tail(path, lines=20):
    """The last lines of a log file, for an error message."""
    try:
        data = pathlib.Path(path).read_bytes()[-16384:]
    except OSError as error:
        return f'({path}: {error.strerror})'
    text = data.decode('utf-8', 'replace').replace('\r', '')
    return '\n'.join(text.splitlines()[-lines:])
