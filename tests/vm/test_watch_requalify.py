"""Verified, but not the machine that was verified before: that is said, and the generation counts."""

import json
import time

from labvm.grubcfg import entries as boot_entries
from labvm.product_calls import expect_exit, status
from labvm.runner import lab_test
from labvm.watching import DOCUMENT, entries, mark

REQUALIFY = 'c0eb1519b7ce409cb40469c956617f94'
ONLINE = '/sys/devices/system/cpu/cpu{}/online'
# What holds under either kernel.
ANY_KERNEL = """version: 1
host:
  cpus: {isolated: 2-3}
  rt_throttling: off
  timer_migration: off
reboot: {policy: when-asked}
"""


def _requalified(vm, since, timeout=20):
    """The entries that say so; waits for the first."""
    deadline = time.monotonic() + timeout
    while True:
        found = [e for e in entries(vm, since) if e.get('MESSAGE_ID') == REQUALIFY]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _generation(vm, t):
    code, report = status(vm)
    t.equal((code, report['verdict']), (0, 'verified'), 'status')
    return report['generation']


def _one(t, found, before, after):
    t.equal(len(found), 1, f'entries after {after}')
    t.check(found[0]['LATENCYD_WAS'].endswith(before) and found[0]['LATENCYD_NOW'].endswith(after),
            f'it does not tell {before} and {after}: {found[0]["MESSAGE"]}')
    t.equal(found[0]['PRIORITY'], '4', 'its priority')


@lab_test('watching: a machine verified with other CPUs than before has to qualify again', 'watched',
          timeout=400)
def cpus(vm, t):
    generation = _generation(vm, t)
    for online, before, after in (('0', 'cpus=0-3', 'cpus=0-2'), ('1', 'cpus=0-2', 'cpus=0-3')):
        since = mark(vm)
        vm.out(f'echo {online} > {ONLINE.format(3)}')
        _one(t, _requalified(vm, since), before, after)
        now = _generation(vm, t)
        t.check(now > generation, f'the generation is {now} after {generation}')
        generation = now
    since = mark(vm)
    vm.out('systemctl restart latencyd')
    expect_exit(t, vm.run('latencyctl verify --wait 60', timeout=90), 0)
    t.equal(_requalified(vm, since, 5), [], 'entries for the same CPUs')


@lab_test('watching: a machine that drifts as it loses a CPU qualifies again with its repair',
          'watched')
def cpu_with_drift(vm, t):
    generation, since = _generation(vm, t), mark(vm)
    vm.out(f'echo 0 > {ONLINE.format(1)}')
    expect_exit(t, vm.run('latencyctl verify --wait 60', timeout=90), 0)
    now = _generation(vm, t)
    _one(t, _requalified(vm, since, 2), 'cpus=0-3', 'cpus=0,2-3')
    t.check(now > generation, f'the generation is {now} after {generation}')


@lab_test('watching: a machine verified under another kernel than before has to qualify again',
          'rt-installed', timeout=600)
def other_kernel(vm, t):
    vm.put(ANY_KERNEL, DOCUMENT)
    vm.out('systemctl restart latencyd; latencyctl apply', timeout=200)
    expect_exit(t, vm.run('latencyctl verify --wait 60', timeout=90), 0)
    rt = vm.out('uname -r')
    time.sleep(2)  # what was verified is on disk after a second
    other = next(e for e in boot_entries(vm.read('/boot/grub/grub.cfg'))
                 if rt not in e.kernel and 'recovery' not in e.path)
    vm.out(f"grub-reboot '{other.path}'")
    vm.reboot()
    kernel = vm.out('uname -r')
    t.check(kernel != rt, f'{rt} was booted again')
    expect_exit(t, vm.run('latencyctl verify --wait 100', timeout=130), 0)
    vm.run('sleep 5')  # the boot is settled by then
    found = [json.loads(line) for line in
             vm.out(f'journalctl -q -b -o json MESSAGE_ID={REQUALIFY}').splitlines()]
    t.equal(len(found), 1, 'entries after the boot')
    t.check(f'kernel={rt} ' in found[0]['LATENCYD_WAS'] and
            f'kernel={kernel} ' in found[0]['LATENCYD_NOW'], found[0]['MESSAGE'])
    t.note(found[0]['MESSAGE'])
    _generation(vm, t)
