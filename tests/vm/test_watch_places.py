"""Watching holds through what happens to file systems, and sees what the hardware does."""

import json

from labvm import kernel
from labvm.product_calls import verdicts
from labvm.runner import lab_test
from labvm.watching import (THROTTLING, alerts, describe, mark, published, still_right, wait_alert,
                            wait_for, wait_value)


def _told_and_mended(vm, t, command, what):
    since = mark(vm)
    vm.run(command, check=True)
    alert = wait_alert(vm, since, 'rt_throttling', 'drifted')
    t.check(alert, f'{what}: no alert; there were {describe(alerts(vm, since))}')
    t.note(f'{what}: {alert["MESSAGE"]}')
    t.equal(wait_value(vm, THROTTLING, '-1'), '-1', what)
    return alert


@lab_test('watching: it goes on after dropped caches, a remount, a bind mount and another procfs',
          'watched')
def places(vm, t):
    vm.out('echo 3 > /proc/sys/vm/drop_caches')
    _told_and_mended(vm, t, f"sh -c 'echo 950000 > {THROTTLING}; sleep 2'", 'after drop_caches')
    vm.out('mount -o remount,nosuid,nodev,noexec /proc')
    _told_and_mended(vm, t, f'dd of={THROTTLING} <<< 950000 2>/dev/null', 'after a remount')
    vm.out('mkdir -p /mnt/bound && mount --bind /proc/sys/kernel /mnt/bound')
    bound = _told_and_mended(vm, t, 'tee /mnt/bound/sched_rt_runtime_us <<< 950000 >/dev/null',
                             'through a bind mount')
    t.equal(bound.get('LATENCYD_PATH'), THROTTLING, 'the path as everybody knows it')
    vm.out('mkdir -p /mnt/proc && mount -t proc proc /mnt/proc; sleep 1')
    other = _told_and_mended(
        vm, t, "perl -e 'open(F, q(>), q(/mnt/proc/sys/kernel/sched_rt_runtime_us)); "
        "print F 950000; close F; sleep 2'", 'through another procfs')
    t.equal(other.get('LATENCYD_PATH'), THROTTLING, 'the path as everybody knows it')


@lab_test('watching: a write through the procfs of a container is found by the next pass, without a '
          'name', 'watched')
def container(vm, t):
    vm.out("sed -i 's/pass_interval: 30s/pass_interval: 5s/' /etc/latencyd/latencyd.yaml; "
           'systemctl reload latencyd')
    since = mark(vm)
    vm.out("unshare --pid --fork --mount-proc sh -c 'echo 950000 > "
           "/proc/sys/kernel/sched_rt_runtime_us'")
    alert = wait_alert(vm, since, 'rt_throttling', 'drifted', 30)
    t.check(alert, f'no alert; there were {describe(alerts(vm, since))}')
    t.note(alert['MESSAGE'])
    t.equal(wait_value(vm, THROTTLING, '-1'), '-1', 'mended')


@lab_test('watching: a CPU taken offline and brought back is seen, and everything is right after it',
          'watched')
def cpu(vm, t):
    since = mark(vm)
    vm.out('echo 0 > /sys/devices/system/cpu/cpu3/online')
    seen = wait_for(lambda: published(vm)['cpus']['online'], lambda online: online == '0-2')
    t.equal(seen, '0-2', 'CPUs online as the daemon published them')
    t.note(f'offline: {json.dumps(verdicts(vm))}')
    vm.out('echo 1 > /sys/devices/system/cpu/cpu3/online')
    verify = vm.run('latencyctl verify --wait 90', timeout=120)
    t.equal(verify.status, 0, f'verified again\n{verify}')
    t.note(f'alerts: {describe(alerts(vm, since))}')
    still_right(vm, t)


@lab_test('watching: a network card unbound and bound again has its interrupts placed again',
          'watched')
def network_card(vm, t):
    since = mark(vm)
    device = vm.out('basename $(readlink -f /sys/bus/virtio/drivers/virtio_net/virtio*)')
    vm.out(f'echo {device} > /sys/bus/virtio/drivers/virtio_net/unbind; sleep 1; '
           'echo 2-3 > /proc/irq/default_smp_affinity 2>/dev/null; '
           f'echo {device} > /sys/bus/virtio/drivers/virtio_net/bind')
    verify = vm.run('sleep 2; latencyctl verify --wait 90', timeout=130)
    t.equal(verify.status, 0, f'verified again\n{verify}')
    t.note(f'alerts: {describe(alerts(vm, since))}')
    placed = {n: effective for n, (name, _, effective) in kernel.interrupts(vm).items()
              if name.startswith(device)}
    t.check(placed, f'{device} has no interrupts')
    wrong = [n for n, cpus in placed.items() if kernel.cpus(cpus) - kernel.HOUSEKEEPING]
    t.equal(wrong, [], f'interrupts of {device} on isolated CPUs')
    still_right(vm, t)


@lab_test('watching: a module that is loaded asks for a look', 'watched')
def module(vm, t):
    metrics = '/var/lib/prometheus/node-exporter/latencyd.prom'  # written anew with each pass

    def written():
        return vm.out(f'stat -c %y {metrics}')

    vm.out("sed -i 's/pass_interval: 30s/pass_interval: 1h/' /etc/latencyd/latencyd.yaml; "
           'systemctl reload latencyd')
    for _ in range(12):  # what the machine does by itself asks for looks, too
        before = written()
        vm.run('sleep 10')
        if written() == before:
            break
    else:
        t.check(False, 'passes for two minutes, while nothing happens')
    vm.out('modprobe blowfish_generic')
    t.check(wait_for(written, lambda seen: seen != before) != before, 'no pass after it')
    t.equal(published(vm)['verdict'], 'verified', 'the verdict')
    still_right(vm, t)
