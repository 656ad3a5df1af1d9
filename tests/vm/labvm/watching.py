"""What the tests of watching share: a machine that repairs itself, and its journal."""

import json
import time

from . import kernel, product
from .common import LabError
from .snapshots import snapshot

DOCUMENT = '/etc/latencyd/latencyd.yaml'
TARGET = 'latency-verified.target'
THROTTLING = '/proc/sys/kernel/sched_rt_runtime_us'
DRIFT = '\ndrift: {repair: runtime, alert: [journal, dbus, metrics], pass_interval: 30s}\n'


@snapshot('watched', parent='verified', usually='30 s', inputs=product.inputs)
def watched(machine):
    """The verified machine, told to mend what drifts."""
    machine.put(machine.read(DOCUMENT) + DRIFT, DOCUMENT)
    machine.out('mkdir -p /var/lib/prometheus/node-exporter; systemctl restart latencyd')
    verify = machine.run('latencyctl verify --wait 120', timeout=150)
    if verify.status != 0:
        raise LabError(f'not verified with drift repair.\n{verify}')
    machine.run('sleep 35')  # the boot has been settled by then
    machine.wait_settled()


def mark(vm):
    """A place in the journal: what comes after it is new."""
    out = vm.out('journalctl --sync; journalctl -q -n 1 --show-cursor')
    return out.split('-- cursor: ')[-1].strip()


def entries(vm, since):
    """What latencyd put into the journal after `since`, as dictionaries.

    journalctl with a match skips the first entry that matches after a cursor; so none is given.
    """
    out = vm.out(f"journalctl -q -o json --after-cursor='{since}'", timeout=60)
    found = [json.loads(line) for line in out.splitlines() if line.startswith('{')]
    return [e for e in found if e.get('_COMM') == 'latencyd']


def alerts(vm, since, setting=None):
    """Those of them that are alerts, of one setting or of all."""
    return [e for e in entries(vm, since) if 'LATENCYD_ALERT' in e
            and (setting is None or e.get('LATENCYD_SETTING') == setting)]


def wait_alert(vm, since, setting, now, timeout=20):
    """The first alert that says that `setting` is now so, or None."""
    found = wait_for(lambda: [a for a in alerts(vm, since, setting) if a.get('LATENCYD_NOW') == now],
                     bool, timeout)
    return found[0] if found else None


def describe(found):
    """Alerts as a person compares them."""
    return [(a.get('LATENCYD_SETTING'), a.get('LATENCYD_WAS'), a.get('LATENCYD_NOW'),
             a.get('LATENCYD_FOUND'), a.get('LATENCYD_WRITER_COMM')) for a in found]


def target_entered(vm):
    """When the target was last entered, microseconds of the machine's clock; 0: it is not active."""
    active = vm.run(f'systemctl is-active {TARGET}').out.strip() == 'active'
    shown = vm.out(f'systemctl show -P ActiveEnterTimestampMonotonic {TARGET}')
    return int(shown) if active else 0


def wait_for(look, right, timeout=20):
    """Until what look() gives is right(); the last thing that it gave."""
    deadline = time.monotonic() + timeout
    while True:
        seen = look()
        if right(seen) or time.monotonic() >= deadline:
            return seen
        time.sleep(0.3)


def wait_value(vm, path, value, timeout=20):
    """Until the kernel's file says so. The last thing it said."""
    return wait_for(lambda: vm.read(path), lambda seen: seen == value, timeout)


def published(vm):
    """The status that the daemon published last."""
    return json.loads(vm.read('/run/latencyd/status.json'))


def wait_published(vm, key, value, timeout=30):
    """Until the published status has it so; what it has at last."""
    return wait_for(lambda: published(vm)[key], lambda seen: seen == value, timeout)


def wait_entered(vm, before, timeout=20):
    """Until the target was entered anew after `before`."""
    return wait_for(lambda: target_entered(vm), lambda entered: entered > before, timeout)


def wait_right(vm, timeout=30):
    """Until the kernel says that all is as the document wants it; a second drift may be on its way."""
    wait_for(lambda: kernel.unverified(vm), lambda wrong: not wrong, timeout)


def daemon_pid(vm):
    return int(vm.out('systemctl show -P MainPID latencyd'))


def still_right(vm, t):
    t.empty(kernel.unverified(vm), 'not as the document wants it')
