"""Machines saved at a known point, built when first needed and kept by a hash.

A snapshot is a folder with disk.qcow2 (frozen; an overlay on its parent's disk) and state.zst
(memory and devices). Any number of VMs can start from one at the same time, in about a second.
Its hash covers its parent's, the function that builds it, and what that function puts in.
"""

import contextlib
import fcntl
import inspect
import os
import shutil
import threading
import time
import uuid

from . import image
from .common import LAB_DIR, LabError, Step, say
from .machine import DEVICES, Machine, despite_crashes, qemu_version

KEPT = 3
SAVE_ATTEMPTS = 10
_registry = {}
_failed = {}
_failed_lock = threading.Lock()


class Snapshot:
    """A name, what it starts from, and how to get there."""

    def __init__(self, name, parent, build, usually, inputs):
        self.name, self.parent, self.build = name, parent, build
        self.usually, self.inputs = usually, inputs

    def hash(self):
        import hashlib
        if self.parent:
            base = find(self.parent).hash()
        else:
            base = image.recipe_hash() + qemu_version() + ' '.join(DEVICES)
        text = '\0'.join([base, inspect.getsource(self.build), *self.inputs()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def folder(self):
        return LAB_DIR / 'snapshots' / f'{self.name}-{self.hash()}'


def snapshot(name, parent=None, usually=None, inputs=lambda: []):
    """Registers the decorated function(machine) as what turns the parent into this snapshot."""
    def register(build):
        _registry[name] = Snapshot(name, parent, build, usually, inputs)
        return build
    return register


def find(name):
    try:
        return _registry[name]
    except KeyError:
        raise LabError(f'no snapshot named {name}; there are: {", ".join(_registry)}') from None


def _identity(folder):
    """Which build of a folder this is: an overlay is worthless on another build of its parent."""
    return (folder / 'identity').read_text()


def _is_usable(folder, below):
    """Does the snapshot exist, on top of the parent (or image) that exists now?"""
    try:
        return (folder / 'below').read_text() == _identity(below)
    except OSError:
        return False


def _save(machine, state):
    """Saves a state that was seen to start again.

    QEMU's TCG writes the state of a vCPU that is inside a nested guest, and then refuses to read it
    ("vCPU set in guest-mode inconsistent", cpu_post_load() of target/i386/machine.c): a moment later
    it is outside.
    """
    for attempt in range(1, SAVE_ATTEMPTS + 1):
        machine.save(state)
        try:
            with Machine(f'{machine.name}-again', machine.disk) as again:
                again.start(state)
            return
        except LabError as error:
            if attempt == SAVE_ATTEMPTS:
                raise
            say(f'lab: the saved state does not start, so it is saved again: {error}')
        machine.qmp('cont')
        time.sleep(0.3)


def _build(wanted, folder, parent):
    machine = Machine(wanted.name, parent / ('disk.qcow2' if wanted.parent else 'base.qcow2'))
    with machine, Step(f'making the snapshot "{wanted.name}"', wanted.usually):
        machine.start(parent / 'state.zst' if wanted.parent else None)
        wanted.build(machine)
        _save(machine, machine.folder / 'state.zst')
        machine.stop()
        for name in ('agent.sock', 'qmp.sock'):
            (machine.folder / name).unlink(missing_ok=True)
        (machine.folder / 'below').write_text(_identity(parent))
        (machine.folder / 'identity').write_text(str(uuid.uuid4()))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(machine.folder, folder)


def _prune(name):
    """Forgets the snapshots of earlier builds of the product, but for the last few."""
    def last_used(path):
        return path.stat().st_mtime
    old = [p for p in (LAB_DIR / 'snapshots').glob(f'{name}-*')
           if p.name[len(name) + 1:].isalnum() and p.is_dir()]
    for path in sorted(old, key=last_used)[:-KEPT]:
        say(f'lab: removing the old snapshot {path.name}')
        shutil.rmtree(path, ignore_errors=True)


def ensure(name):
    """The folder of a snapshot, after building what is missing.

    A snapshot that could not be built is not tried again by the same process: every test that
    needs it fails with the same reason instead of with the same wait.
    """
    wanted = find(name)
    folder = wanted.folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    parent = ensure(wanted.parent) if wanted.parent else image.build()
    with open(folder.parent / f'.{folder.name}.lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _failed_lock:
            if folder in _failed:
                raise LabError(f'the snapshot "{name}" could not be made: {_failed[folder]}')
        if not _is_usable(folder, parent):
            try:
                despite_crashes(f'the snapshot "{name}"', lambda: _build(wanted, folder, parent))
            except Exception as error:
                with _failed_lock:
                    _failed[folder] = error
                raise
            _prune(name)
    os.utime(folder, (time.time(), time.time()))
    return folder


@contextlib.contextmanager
def machine_from(name, run_name=None):
    """A VM started from a snapshot, ended at the end of the with block."""
    folder = ensure(name)
    with Machine(run_name or name, folder / 'disk.qcow2') as machine:
        machine.start(folder / 'state.zst')
        yield machine


@snapshot('stock', usually='1.5 minutes')
def stock(machine):
    """Debian's ordinary kernel, booted by Debian's own GRUB menu."""
    machine.wait_settled()
    machine.run('update-grub', timeout=300, check=True)
    machine.reboot()
    machine.run('rm -rf /var/cache/apt/*.bin /tmp/* /run/lab-initramfs.*', check=True)
    # The irqbalance service rescans every 10 s; let it have placed the interrupts once.
    machine.run('sleep 12')


@snapshot('rt', parent='stock', usually='1.5 minutes')
def rt(machine):
    """The RT kernel installed from the package source inside and booted; nothing else changed."""
    machine.run('apt-get -qq update && apt-get -y -qq install linux-image-rt-amd64', timeout=600,
                check=True)
    machine.reboot()
    machine.run('sleep 12')
