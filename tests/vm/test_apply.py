"""Items 2, 3, 4 and 7: from stock to verified and measured, and nothing written twice."""

import json
import re

from labvm import kernel
from labvm.grubcfg import doubled, entries, next_entry
from labvm.product_calls import apply, expect_exit, status
from labvm.runner import lab_test
from labvm.states import APPLY_LOG

# Everything by which a process can change the machine; -y gives each descriptor's path.
TRACED = ('openat,openat2,open,creat,write,pwrite64,writev,sendfile,copy_file_range,ftruncate,'
          'truncate,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,'
          'symlink,symlinkat,chmod,fchmod,fchmodat,chown,fchown,fchownat,setxattr,utimensat,'
          'mount,umount2,fsconfig,move_mount,sched_setaffinity,sched_setscheduler,sched_setparam,'
          'sched_setattr,setpriority,reboot,init_module,finit_module,kill,execve')
# But for what the service keeps of its own looks, of which one may fall in between.
MODIFIED = ('find /var/lib/latencyd /run/latencyd /boot/grub /etc/default/grub.d -type f '
            '-not -name "*lock" -not -name status.json -not -name alerts.json -not -name settled '
            '-printf "%p %t\\n" | sort')
LOCK = re.compile(r'/run/(latencyd/|lock/)?\S*lock')


def changes(trace):
    """The calls in an strace log that change something other than the lock and the output."""
    found = []
    for line in trace.splitlines():
        call = re.sub(r'^\d+\s+', '', line)
        name = call.split('(')[0]
        if re.search(r'= -1 E|^[-+<]', call) and 'O_WRONLY' not in call and 'O_RDWR' not in call:
            continue
        if name in ('openat', 'openat2', 'open'):
            if not re.search(r'O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND', call):
                continue
            if LOCK.search(call) or re.search(r'"/?dev/(null|tty)"', call):
                continue
        elif name in ('write', 'writev', 'pwrite64'):
            # the pipes, terminal and files the shell gave it as output
            if re.match(r'\w+\([12]<', call) or re.search(r'\(\d+<(pipe|socket|anon_inode|UNIX)',
                                                         call):
                continue
        elif name == 'execve' and '/latencyctl"' in call:
            continue
        elif name == 'mkdir' and '"/run/latencyd"' in call:
            continue
        elif name == '':
            continue
        found.append(call)
    return found


@lab_test('apply --reboot: the machine comes back by itself and verify --wait exits 0', 'verified')
def comes_back(vm, t):
    log = json.loads(vm.read(APPLY_LOG))
    t.note(log['verify'].splitlines()[1])
    expect_exit(t, vm.run('latencyctl verify --wait 60'), 0)
    code, report = status(vm)
    t.equal(code, 0, 'exit status of status')
    t.equal(report['verdict'], 'verified', 'verdict')
    t.empty([f'{s["name"]}: {s["verdict"]}' for s in report['settings']
             if s['name'] in kernel.SEED_ROWS and s['verdict'] != 'converged'],
            'rows that are not converged')


@lab_test('verified: latency-verified.target is active and no unit failed', 'verified')
def target(vm, t):
    # The daemon's own look follows what `verify` saw, long before its next pass in 30 s.
    vm.run('for i in $(seq 20); do systemctl -q is-active latency-verified.target && break; '
           'sleep 0.5; done')
    t.equal(vm.run('systemctl is-active latency-verified.target').out.strip(), 'active', 'target')
    t.equal(vm.run('systemctl is-active latencyd.service').out.strip(), 'active', 'service')
    t.equal(vm.run('systemctl --failed --plain --no-legend').out, '', 'failed units')
    published = json.loads(vm.read('/run/latencyd/status.json'))
    t.equal(published['verdict'], 'verified', 'verdict in /run/latencyd/status.json')


@lab_test('verified: the running kernel is the RT kernel of the lab\'s repository', 'verified')
def running_kernel(vm, t):
    t.check('PREEMPT_RT' in vm.read('/proc/version'), vm.read('/proc/version'))
    t.equal(vm.read('/sys/kernel/realtime'), '1', '/sys/kernel/realtime')
    t.equal(vm.out("dpkg-query -W -f '${Status}' linux-image-rt-amd64"), 'install ok installed',
            'the package')
    entry = next_entry(vm.read('/boot/grub/grub.cfg'), vm.get('/boot/grub/grubenv').decode())
    t.equal(entry.kernel, f'/boot/vmlinuz-{vm.out("uname -r")}', 'the default boot entry')


@lab_test('verified: /proc and /sys say so too, read without latencyd', 'verified')
def independently(vm, t):
    t.note(vm.read('/proc/cmdline'))
    t.empty(kernel.unverified(vm), 'not as the document wants it')
    t.note('managed, so not ours to move: ' + ', '.join(
        f'{name} on {effective}' for name, _, effective in kernel.interrupts(vm).values()
        if kernel.is_managed(name)))


@lab_test('verified: no boot entry has a doubled key', 'verified')
def no_doubled_key(vm, t):
    t.empty([f'{e.title_path}: {doubled(e.arguments)}'
             for e in entries(vm.read('/boot/grub/grub.cfg')) if doubled(e.arguments)], 'doubled')


@lab_test('verified: interrupts stay off the isolated CPUs while irqbalance runs on', 'verified')
def irqbalance_obeys(vm, t):
    if vm.run('systemctl is-active irqbalance').status == 0:
        t.note('irqbalance is active')
    vm.run('for i in 1 2 3 4 5; do dd if=/dev/vda of=/dev/null bs=64k count=20 iflag=direct '
           '2>/dev/null; ls -R /usr > /dev/null; sleep 5; done', check=True)
    t.empty([f'IRQ {number} ({name}): CPU {effective}'
             for number, (name, _, effective) in kernel.interrupts(vm).items()
             if not kernel.is_managed(name) and not kernel.cpus(effective) <= kernel.HOUSEKEEPING],
            'moved')


@lab_test('a second apply makes no write and takes no step', 'verified')
def second_apply(vm, t):
    expect_exit(t, vm.run('latencyctl plan'), 0)
    t.equal(json.loads(vm.run('latencyctl plan --json').out)['steps'], [], 'steps')
    before = vm.out(MODIFIED).splitlines()
    expect_exit(t, vm.run(f'strace -f -y -s 200 -o /run/lab-trace -e trace={TRACED} '
                          'latencyctl apply'), 0)
    trace = vm.get('/run/lab-trace').decode('utf-8', 'replace')
    t.note(f'{len(trace.splitlines())} traced calls')
    t.check('openat' in trace, 'the trace is empty')
    t.empty(changes(trace), 'calls that change something')
    t.equal(vm.out(MODIFIED).splitlines(), before, 'modification times')


@lab_test('the write counter of the second apply does see the writes of a first one', 'verified')
def counter_counts(vm, t):
    vm.run('echo 950000 > /proc/sys/kernel/sched_rt_runtime_us', check=True)
    expect_exit(t, vm.run(f'strace -f -y -s 200 -o /run/lab-trace -e trace={TRACED} '
                          'latencyctl apply'), 0)
    found = changes(vm.get('/run/lab-trace').decode('utf-8', 'replace'))
    t.check(any('sched_rt_runtime_us' in call for call in found), f'not seen in {found}')


def _ticks_per_second(vm, cpu, seconds=10):
    """Local timer interrupts per second of a CPU on which a loop spins without system calls."""
    vm.run(f'taskset -c {cpu} bash -c "while :; do :; done" < /dev/null > /dev/null 2>&1 & '
           'echo $! > /run/lab-busy; sleep 2', check=True)
    first, start = kernel.local_timer_ticks(vm, cpu), float(vm.read('/proc/uptime').split()[0])
    vm.run(f'sleep {seconds}')
    last, end = kernel.local_timer_ticks(vm, cpu), float(vm.read('/proc/uptime').split()[0])
    vm.run('kill $(cat /run/lab-busy)')
    return (last - first) / (end - start)


@lab_test('before: a busy CPU 3 is ticked', 'installed')
def ticks_before(vm, t):
    rate = _ticks_per_second(vm, 3)
    t.note(f'{rate:.1f} local timer interrupts a second on busy CPU 3, untuned')
    t.check(rate > 50, f'only {rate:.1f} ticks a second: this measures nothing')


@lab_test('after: a busy isolated CPU has at most a twentieth of the ticks', 'verified')
def ticks_after(vm, t):
    isolated, housekeeping = _ticks_per_second(vm, 3), _ticks_per_second(vm, 1)
    t.note(f'{isolated:.1f} local timer interrupts a second on busy CPU 3 (isolated), '
           f'{housekeeping:.1f} on busy CPU 1 (housekeeping)')
    t.check(housekeeping > 50, 'the housekeeping CPU is not ticked: this measures nothing')
    t.check(isolated * 20 <= housekeeping, f'{isolated:.1f} is more than 1/20 of '
            f'{housekeeping:.1f}')


@lab_test('verified: measure gives a result with every isolated CPU in it', 'verified')
def measure(vm, t):
    # A short run of an emulated machine proves nothing: 3 (INCONCLUSIVE) or 4 (WARN) are right.
    result = expect_exit(t, vm.run('latencyctl measure --duration 5', timeout=120), (0, 1, 3, 4))
    t.note((result.out.strip() or result.err.strip()).splitlines()[0])
    runs = vm.out('ls /var/lib/latencyd/runs').split()
    t.equal(len(runs), 1, 'runs kept')
    kept = json.loads(vm.read(f'/var/lib/latencyd/runs/{runs[0]}/result.json'))
    threads = kept['cells'][0]['threads']
    t.equal(sorted(thread['cpu'] for thread in threads), [2, 3], 'CPUs measured')
    t.check(all(thread['cycles'] > 0 for thread in threads), 'a thread without samples')
    t.note(f'{kept["verdict"]}: {kept["sentence"]}')
    t.equal(kept['fingerprint']['host']['kernel']['release'], vm.out('uname -r'),
            'kernel in the fingerprint')
    t.check(runs[0] in vm.run('latencyctl runs').out, 'latencyctl runs does not list it')


@lab_test('a drift during a measurement makes it INCONCLUSIVE and names the setting', 'verified')
def measure_drift(vm, t):
    vm.run('(sleep 4; echo 950000 > /proc/sys/kernel/sched_rt_runtime_us) < /dev/null '
           '> /dev/null 2>&1 &')
    result = expect_exit(t, vm.run('latencyctl measure --duration 12', timeout=120), 3)
    runs = vm.out('ls /var/lib/latencyd/runs').split()
    kept = vm.read(f'/var/lib/latencyd/runs/{runs[0]}/result.json')
    t.equal(json.loads(kept)['verdict'], 'INCONCLUSIVE', 'verdict')
    t.check('drift' in [r['code'] for r in json.loads(kept)['reasons']], f'reasons in {kept}')
    t.check('rt_throttling' in kept + result.out + result.err, f'no setting named in {kept}')


@lab_test('a drift takes latency-verified.target away, and apply brings it back', 'verified')
def target_follows(vm, t):
    vm.run('echo 950000 > /proc/sys/kernel/sched_rt_runtime_us', check=True)
    expect_exit(t, vm.run('for i in $(seq 60); do systemctl -q is-active latency-verified.target '
                          '|| exit 0; sleep 1; done; exit 1', timeout=120), 0)
    apply(vm, t)
    expect_exit(t, vm.run('for i in $(seq 60); do systemctl -q is-active latency-verified.target '
                          '&& exit 0; sleep 1; done; exit 1', timeout=120), 0)


@lab_test('a restart of the service changes nothing on the machine', 'verified')
def service_restart(vm, t):
    before = kernel.stock_record(vm)
    vm.run('systemctl stop latencyd', check=True)
    t.same(kernel.stock_record(vm), before, 'changed by the stop')
    expect_exit(t, vm.run('latencyctl status'), 0)
    vm.run('systemctl start latencyd', check=True)
    t.same(kernel.stock_record(vm), before, 'changed by the start')
    expect_exit(t, vm.run('latencyctl verify --wait 60'), 0)
