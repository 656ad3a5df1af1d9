"""The lab itself, where its word depends on it."""

import os
import signal

from labvm.common import LabError
from labvm.runner import lab_test

_crashed = []


@lab_test('a test whose QEMU crashes is begun again', 'stock')
def qemu_crashes(vm, t):
    if not _crashed:
        _crashed.append(vm.process.pid)
        os.kill(vm.process.pid, signal.SIGSEGV)
    vm.run('true', check=True)
    t.check(vm.process.pid not in _crashed, 'the VM whose QEMU crashed still answers')


@lab_test('a VM whose QEMU ended is an error of the lab, and let go of', 'stock')
def qemu_ended(vm, t):
    vm.process.kill()
    vm.process.wait()
    try:
        vm.qmp('query-status')
        t.check(False, 'QMP answers though QEMU has ended')
    except LabError as error:
        t.note(str(error))
    vm.stop()
