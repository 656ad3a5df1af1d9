"""Runs named tests in VMs and reports them as TAP.

A test is a function(vm, t) with the decorator `lab_test`: its name is what it shows, `start` the
snapshot its VM continues from. With the start HERE it gets this machine instead (labvm/here.py). Several run at a time, each in its own QEMU. Snapshots that are
missing are made first, and a test waits only for its own.
"""

import fnmatch
import importlib
import re
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field

from . import snapshots
from .here import Here
from .common import LAB_DIR, LabError, VM_DIR, say, tail
from .machine import Machine, despite_crashes

HERE = 'this machine'
_tests = []


class Failure(Exception):
    """A claim that does not hold."""


class Failed(Exception):
    """A test that failed: the reason to report, and its notes."""


class Skip(Exception):
    """This test cannot be run here; the text says why."""


@dataclass
class Case:
    """One named test."""
    name: str
    function: object
    start: str
    timeout: int
    state: str = 'waiting'


@dataclass
class Report:
    """What a test says: claims, and figures worth reading when it passes too."""
    notes: list = field(default_factory=list)

    def note(self, text):
        self.notes.append(str(text))

    def check(self, condition, text):
        if not condition:
            raise Failure(str(text))

    def equal(self, found, wanted, what):
        if found != wanted:
            raise Failure(f'{what}: found {found!r}, wanted {wanted!r}')

    def empty(self, complaints, what):
        if complaints:
            raise Failure(f'{what}:\n' + '\n'.join(map(str, complaints)))

    def same(self, found, wanted, what):
        """Two dictionaries; a failure names only what differs."""
        different = [f'{key}: found {found.get(key)!r}, wanted {wanted.get(key)!r}'
                     for key in sorted({*found, *wanted}, key=str)
                     if found.get(key) != wanted.get(key)]
        self.empty(different, what)


def lab_test(name, start, timeout=300):
    """Registers a test; the timeout is what one VM may take for it, in seconds."""
    def register(function):
        _tests.append(Case(name, function, start, timeout))
        return function
    return register


def collect(patterns):
    """The tests whose name contains, or matches as a glob, one of the patterns; all without."""
    for path in sorted(VM_DIR.glob('test_*.py')):
        importlib.import_module(path.stem)
    names = [case.name for case in _tests]
    for name in names:
        if names.count(name) > 1:
            raise LabError(f'two tests are named "{name}"')
    chosen = [case for case in _tests if not patterns or
              any(p in case.name or fnmatch.fnmatch(case.name, p) for p in patterns)]
    if not chosen:
        raise LabError(f'no test matches {" ".join(patterns)}; `lab list` lists them')
    return chosen


class Run:
    """The tests still to do and the snapshots still to make, shared by the worker threads."""

    def __init__(self, cases):
        self.cases = cases
        self.lock = threading.Condition()
        self.needed = self._needed()
        self.counts = {'passed': 0, 'failed': 0, 'skipped': 0}
        self.number = 0

    def _needed(self):
        """{snapshot: state} of all that the tests start from, parents before children."""
        needed = {}

        def add(name):
            parent = snapshots.find(name).parent
            if parent:
                add(parent)
            needed.setdefault(name, 'waiting')
        for case in self.cases:
            if case.start != HERE:
                add(case.start)
        return needed

    def take(self):
        """The next thing to do: a snapshot's name, a test, or None at the end."""
        with self.lock:
            while True:
                work, waiting = self._choose()
                if work:
                    return work
                if not waiting:
                    return None
                self.lock.wait()

    def _choose(self):
        for name, state in self.needed.items():
            parent = snapshots.find(name).parent
            if state == 'waiting' and (not parent or self.needed[parent] == 'done'):
                self.needed[name] = 'busy'
                return name, True
        ready = [case for case in self.cases
                 if case.state == 'waiting' and self.needed.get(case.start, 'done') == 'done']
        if ready:
            # The long ones first, so that none is left over at the end with one VM running.
            case = max(ready, key=lambda case: case.timeout)
            case.state = 'busy'
            return case, True
        return None, any(case.state == 'waiting' for case in self.cases)

    def make(self, name):
        """Makes a snapshot; when that fails, the tests below it fail when they ask for it."""
        try:
            snapshots.ensure(name)
        except Exception as error:
            say(f'lab: the snapshot "{name}" could not be made; its tests fail with the reason\n'
                f'{error}')
        with self.lock:
            self.needed[name] = 'done'
            self.lock.notify_all()

    def report(self, case, outcome, reason, notes, seconds):
        with self.lock:
            self.number += 1
            self.counts[outcome] += 1
            lines = [f'{"not ok" if outcome == "failed" else "ok"} {self.number} - {case.name}'
                     f'{" # SKIP " + reason if outcome == "skipped" else ""}']
            details = list(notes) + ([reason] if outcome == 'failed' else [])
            lines += ['# ' + line for text in details for line in text.splitlines()]
            lines.append(f'# {seconds:.1f} s')
            print('\n'.join(lines), flush=True)


def _diagnose(vm):
    """What a person would look at first in a VM whose test failed."""
    try:
        return str(vm.run('latencyctl status --quiet; latencyctl status; journalctl -b --no-pager '
                          '-o short-monotonic -u latencyd | tail -n 40', timeout=60))
    except Exception as error:
        return f'(the VM does not answer any more: {error})'


def _keep_failure(case, reason, vm):
    """Writes everything known about a failure to a file; returns the line that says where."""
    path = LAB_DIR / 'failures' / (re.sub(r'[^a-z0-9]+', '-', case.name.lower())[:80] + '.txt')
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [case.name, reason]
    if vm:
        parts += [_diagnose(vm), f'the console:\n{tail(vm.console, 60)}']
    path.write_text('\n\n'.join(parts) + '\n')
    return f'more in {path}'


def _shorten(text, lines=40):
    kept = text.splitlines()
    if len(kept) > lines:
        kept = kept[:lines] + [f'... {len(kept) - lines} more lines']
    return '\n'.join(kept)


def _attempt(case):
    """Runs a test in a VM of its own; returns its notes, or raises Skip, or what went wrong."""
    report, timed_out = Report(), threading.Event()
    folder = None if case.start == HERE else snapshots.ensure(case.start)
    with Machine('test', folder / 'disk.qcow2') if folder else Here() as vm:
        def give_up():
            timed_out.set()
            vm.kill()
        timer = threading.Timer(case.timeout, give_up)
        timer.daemon = True
        timer.start()
        try:
            vm.start(*([folder / 'state.zst'] if folder else []))
            case.function(vm, report)
        except Skip:
            raise
        except Exception as error:
            timer.cancel()
            reason = str(error) if isinstance(error, (Failure, LabError)) else \
                traceback.format_exc()
            if timed_out.is_set():
                reason = f'no end within {case.timeout} s\n{reason}'
            raise Failed(f'{_shorten(reason)}\n{_keep_failure(case, reason, vm)}',
                         report.notes) from error
        finally:
            timer.cancel()
    return report.notes


def run_case(run, case):
    """Runs one test and reports it."""
    start, outcome, reason, notes = time.monotonic(), 'passed', '', []
    try:
        notes = despite_crashes(case.name, lambda: _attempt(case))
    except Skip as skip:
        outcome, reason = 'skipped', str(skip)
    except Failed as failed:
        outcome, (reason, notes) = 'failed', failed.args
    except Exception as error:
        outcome, reason = 'failed', _shorten(str(error) or repr(error))
    run.report(case, outcome, reason, notes, time.monotonic() - start)


def _work(run):
    while (work := run.take()) is not None:
        if isinstance(work, str):
            run.make(work)
            continue
        run_case(run, work)
        with run.lock:
            work.state = 'done'
            run.lock.notify_all()


def run_tests(patterns, jobs):
    """Runs the tests that match; returns the exit status."""
    cases = collect(patterns)
    run = Run(cases)
    print(f'1..{len(cases)}', flush=True)
    workers = [threading.Thread(target=_work, args=(run,), daemon=True) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            worker.join(0.5)
    counts = run.counts
    missing = len(cases) - sum(counts.values())
    if missing:
        print(f'# {missing} tests did not report: the lab broke down')
        counts['failed'] += missing
    print(f'{counts["passed"]} passed, {counts["failed"]} failed, {counts["skipped"]} skipped')
    sys.stdout.flush()
    return 0 if counts['failed'] == 0 else 1
