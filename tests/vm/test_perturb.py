"""Item 5: every runtime setting set wrong behind latencyd's back, then applied again."""

from labvm import kernel
from labvm.product_calls import apply, expect_exit, verdicts
from labvm.runner import lab_test

KSOFTIRQD, RCUC, KTIMERS = ('$(pgrep -x {})'.format(n) for n in ('ksoftirqd/3', 'rcuc/3',
                                                               'ktimers/3'))
NETWORK_IRQ = ('$(basename $(dirname $(ls -d /proc/irq/*/virtio1-virtqueues /proc/irq/*/virtio1-* '
               '2>/dev/null | head -n 1)))')
SYSCTL = '/proc/sys/kernel/'

# What is done, the command that does it, and the setting that has to notice.
PERTURBATIONS = {
    'RT throttling on': (f'echo 950000 > {SYSCTL}sched_rt_runtime_us', 'rt_throttling'),
    # After a boot with nosoftlockup it takes both, in this order, without a read in between.
    'the soft watchdog on': (f'echo 1 > {SYSCTL}soft_watchdog; echo 1 > {SYSCTL}watchdog',
                             'watchdogs'),
    'timer migration on': (f'echo 1 > {SYSCTL}timer_migration', 'timer_migration'),
    'the huge page freed': (f'echo 0 > {kernel.GIB_PAGES.format(1)}', 'hugepages'),
    'hugetlbfs unmounted': ('umount $(awk \'$3 == "hugetlbfs" && /pagesize=1024M/ { print $2 }\' '
                            '/proc/mounts)', 'hugepages'),
    'an interrupt on an isolated CPU': (f'echo 3 > /proc/irq/{NETWORK_IRQ}/smp_affinity_list',
                                        'irq_affinity'),
    'the default interrupt mask open': ('echo f > /proc/irq/default_smp_affinity',
                                        'irq_affinity'),
    'ksoftirqd/3 not real-time': (f'chrt -o -p 0 {KSOFTIRQD}', 'kthread_priority'),
    'rcuc/3 at another priority': (f'chrt -f -p 50 {RCUC}', 'kthread_priority'),
    'ktimers/3 not real-time': (f'chrt -o -p 0 {KTIMERS}', 'kthread_priority'),
    'an rcuo thread on an isolated CPU': ('taskset -pc 3 $(pgrep -x "rcuop/2") > /dev/null',
                                          'rcu_offload'),
    'another clocksource': ('echo hpet > /sys/devices/system/clocksource/clocksource0/'
                            'current_clocksource', 'tsc'),
}


def _converged(vm, t):
    apply(vm, t)
    expect_exit(t, vm.run('latencyctl status'), 0)
    t.empty(kernel.unverified(vm), 'not as the document wants it')


def _perturbed(command, setting):
    def test(vm, t):
        vm.run(command, check=True)
        found = verdicts(vm)
        t.equal(found.get(setting), 'drifted', f'verdict of {setting} (of all: {found})')
        expect_exit(t, vm.run('latencyctl status'), 3)
        _converged(vm, t)
    return test


for _what, (_command, _setting) in PERTURBATIONS.items():
    lab_test(f'perturbed: {_what}; {_setting} drifts and apply mends it',
             'verified')(_perturbed(_command, _setting))


@lab_test('perturbed: irqbalance restarted, so that it forgot what it was told', 'verified')
def irqbalance_restarted(vm, t):
    if vm.run('systemctl is-active irqbalance').status == 0:
        vm.run('systemctl restart irqbalance && sleep 3', check=True)
    else:
        t.note('irqbalance had been stopped; it is started again')
        vm.run('systemctl start irqbalance && sleep 3', check=True)
    t.note(f'exit {vm.run("latencyctl status").status} right after it')
    _converged(vm, t)
    vm.run('sleep 25')
    expect_exit(t, vm.run('latencyctl status'), 0)
    t.empty(kernel.unverified(vm), 'after irqbalance looked twice')


@lab_test('perturbed: everything at once; one apply mends it all', 'verified')
def everything(vm, t):
    for command, _ in PERTURBATIONS.values():
        vm.run(command)
    expect_exit(t, vm.run('latencyctl status'), 3)
    _converged(vm, t)


@lab_test('a write the kernel refuses is shown as failed; the other settings converge', 'verified')
def refused_write(vm, t):
    # A read-only bind mount makes the kernel answer EROFS.
    vm.run(f'echo 1 > {SYSCTL}timer_migration && mount --bind {SYSCTL}timer_migration '
           f'{SYSCTL}timer_migration && mount -o remount,bind,ro {SYSCTL}timer_migration && '
           f'echo 950000 > {SYSCTL}sched_rt_runtime_us', check=True)
    result = vm.run('latencyctl apply')
    t.check(result.status in (3, 5), f'exit {result.status}\n{result}')
    found = verdicts(vm)
    t.check(found.get('timer_migration') in ('failed', 'unfixable'), f'verdicts: {found}')
    t.equal(found.get('rt_throttling'), 'converged', 'rt_throttling')
    t.equal(vm.read(f'{SYSCTL}sched_rt_runtime_us'), '-1', 'kernel.sched_rt_runtime_us')
    expect_exit(t, vm.run('latencyctl status'), 5)
    vm.run(f'umount {SYSCTL}timer_migration', check=True)
    _converged(vm, t)


@lab_test('two applies at the same time do not interleave', 'verified')
def two_at_once(vm, t):
    for command, _ in PERTURBATIONS.values():
        vm.run(command)
    result = vm.run('latencyctl apply > /run/a 2>&1 & first=$!; latencyctl apply > /run/b 2>&1; '
                    'second=$?; wait $first; first=$?; echo $first $second; cat /run/a /run/b')
    codes = [int(word) for word in result.out.splitlines()[0].split()]
    t.note(f'exit {codes[0]} and {codes[1]}')
    t.check(0 in codes and all(code in (0, 1) for code in codes), result)
    _converged(vm, t)
