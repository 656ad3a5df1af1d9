"""Items 0 and 1: the stock machine, and what latencyctl says of it without touching it."""

import json

from labvm import kernel, product
from labvm.grubcfg import next_entry
from labvm.product_calls import expect_exit, status
from labvm.runner import lab_test

DISRUPTIONS = ('none', 'irq-reshuffle', 'nic-reset', 'service-restart', 'guest-restart', 'reboot')


@lab_test('the stock machine runs Debian\'s ordinary kernel and irqbalance', 'stock')
def stock_machine(vm, t):
    t.note(vm.read('/proc/version'))
    t.check('PREEMPT_RT' not in vm.read('/proc/version'), 'the stock kernel is an RT kernel')
    t.equal(vm.out('systemctl is-system-running'), 'running', 'systemctl is-system-running')
    t.equal(vm.out('systemctl is-active irqbalance'), 'active', 'irqbalance')
    entry = next_entry(vm.read('/boot/grub/grub.cfg'), vm.get('/boot/grub/grubenv').decode())
    t.equal(entry.kernel, f'/boot/vmlinuz-{vm.out("uname -r")}', 'the default boot entry')
    t.equal(vm.run('test -e /usr/bin/latencyctl').status, 1, 'latencyctl in the stock image')
    t.equal(kernel.cpus(vm.read('/sys/devices/system/node/node1/cpulist')), {2, 3}, 'node 1')


@lab_test('the RT kernel is not installed but the file: repository offers it', 'stock')
def repository(vm, t):
    policy = vm.out('apt-cache policy linux-image-rt-amd64')
    t.check('Installed: (none)' in policy, policy)
    t.check('file:/srv/lab-repo' in policy, policy)
    t.equal(vm.run('ls /boot | grep -- -rt-').out, '', 'RT kernels in /boot')


@lab_test('Debian\'s own hooks make the RT kernel bootable, and its purge undoes that', 'rt',
          timeout=400)
def rt_package(vm, t):
    t.check('PREEMPT_RT' in vm.read('/proc/version'), vm.read('/proc/version'))
    seconds = vm.run('TIMEFORMAT=%R; time apt-get -y -qq purge linux-image-rt-amd64 '
                     '"linux-image-*-rt-amd64"', timeout=240, check=True).err.split()[-1]
    t.note(f'purge with update-grub: {seconds} s')
    entry = next_entry(vm.read('/boot/grub/grub.cfg'))
    t.check('-rt-' not in entry.kernel, f'the next boot takes {entry.kernel}')
    t.equal(vm.run('ls /boot | grep -- -rt-').out, '', 'RT kernels left in /boot')


@lab_test('stock: status exits 3 and shows every seed row drifted with evidence', 'installed')
def stock_status(vm, t):
    expect_exit(t, vm.run('latencyctl status'), 3)
    code, report = status(vm)
    t.equal(code, 3, 'exit status of status --json')
    t.equal(report['version'], 1, 'version')
    t.equal(report['machine'], 'host', 'machine')
    t.equal(report['verdict'], 'drifted', 'verdict')
    t.equal(report['cpus']['housekeeping'], '0-1', 'housekeeping')
    rows = {row['name']: row for row in report['settings']}
    t.empty([name for name in kernel.SEED_ROWS if name not in rows], 'rows that are missing')
    t.empty([f'{name}: {rows[name]["verdict"]} ({rows[name].get("reason")})'
             for name in kernel.SEED_ROWS if rows[name]['verdict'] != 'drifted'],
            'rows that are not drifted')
    t.empty([name for name in kernel.SEED_ROWS if not rows[name].get('evidence')],
            'rows without evidence')
    keys = {'name', 'verdict', 'severity', 'want', 'live', 'next_boot', 'reason', 'since',
            'changed_by', 'evidence', 'items'}
    t.empty([f'{name}: {sorted(keys - set(rows[name]))}' for name in kernel.SEED_ROWS
             if not keys <= set(rows[name])], 'keys that are missing')


@lab_test('stock: plan lists the steps with their disruption class', 'installed')
def stock_plan(vm, t):
    text = expect_exit(t, vm.run('latencyctl plan'), 0).out
    t.check('linux-image-rt-amd64' in text, f'no package step in\n{text}')
    t.check('isolcpus' in text and 'reboot' in text, f'no boot step in\n{text}')
    plan = json.loads(expect_exit(t, vm.run('latencyctl plan --json'), 0).out)
    t.check(len(plan['steps']) >= 10, f'only {len(plan["steps"])} steps')
    t.note(f'{len(plan["steps"])} steps')
    t.empty([step for step in plan['steps'] if step.get('disruption') not in DISRUPTIONS],
            'steps without a disruption class')
    t.equal(plan['steps'][-1]['disruption'], 'reboot', 'disruption of the last step')


@lab_test('stock: status, plan, explain, validate and verify change nothing', 'installed')
def read_only(vm, t):
    before = kernel.stock_record(vm)
    for command in ('status', 'plan', 'explain tick_offload', 'verify',
                    f'validate {product.DOCUMENT_PATH}'):
        vm.run(f'latencyctl {command}')
    t.same(kernel.stock_record(vm), before, 'changed')


@lab_test('stock: measure refuses and says why', 'installed')
def measure_refused(vm, t):
    result = expect_exit(t, vm.run('latencyctl measure'), 3)
    text = result.out + result.err
    t.check('tick_offload' in text, f'the reason names no setting:\n{result}')
    t.equal(vm.run('ls /var/lib/latencyd/runs').out, '', 'results that were kept')


BAD_DOCUMENTS = {
    'an unknown key': ('tick_offload:', 'tick_ofload:'),
    'a wrong type': ('cpus: {isolated: 2-3}', 'cpus: 2-3'),
    'CPUs this machine has not got': ('isolated: 2-3}', 'isolated: 2-9}'),
    'no housekeeping CPU left': ('isolated: 2-3}', 'isolated: 0-3, allow_cpu0: true}'),
    'huge pages beyond memory': ('count: 1, node: 1', 'count: 64, node: 1'),
    'a duplicate key': ('  machine_check: off', '  machine_check: off\n  machine_check: off'),
}


def _refuses(wrong):
    def test(vm, t):
        text = product.DOCUMENT.read_text()
        t.check(wrong[0] in text, f'{wrong[0]!r} is not in the document any more')
        before = kernel.stock_record(vm)
        vm.put(text.replace(*wrong), product.DOCUMENT_PATH)
        result = vm.run('latencyctl apply')
        t.check(result.status in (1, 2), f'not refused:\n{result}')
        t.check('latencyd.yaml:' in result.err, f'no file and line in\n{result}')
        t.note(result.err.strip())
        t.same(kernel.stock_record(vm), before, 'changed')
    return test


for _what, _wrong in BAD_DOCUMENTS.items():
    lab_test(f'a document with {_what} is refused with its line and changes nothing',
             'installed')(_refuses(_wrong))


@lab_test('a document that others may write is refused', 'installed')
def writable_document(vm, t):
    before = kernel.stock_record(vm)
    vm.run(f'chmod 666 {product.DOCUMENT_PATH}', check=True)
    result = expect_exit(t, vm.run('latencyctl apply'), 1)
    t.check('latencyd.yaml' in result.err, f'the file is not named:\n{result}')
    t.same(kernel.stock_record(vm), before, 'changed')
