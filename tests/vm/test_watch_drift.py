"""A foreign write to each run-time setting: told with the name of who did it, and mended."""

from labvm import kernel
from labvm.image import KERNEL_DEBS
from labvm.runner import lab_test
from labvm.watching import (THROTTLING, alerts, describe, mark, still_right, target_entered,
                            wait_alert, wait_entered, wait_right, wait_value)
from test_perturb import NETWORK_IRQ

SYSCTL = '/proc/sys/kernel/'
CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource'

# What is written, where, and the setting that has to notice.
WRITES = {
    'RT throttling': (THROTTLING, '950000', 'rt_throttling'),
    'timer migration': (SYSCTL + 'timer_migration', '1', 'timer_migration'),
    'an interrupt': ('/proc/irq/{irq}/smp_affinity_list', '3', 'irq_affinity'),
    'the default interrupt mask': ('/proc/irq/default_smp_affinity', 'f', 'irq_affinity'),
    'the huge page': (kernel.GIB_PAGES.format(1), '0', 'hugepages'),
    'the clocksource': (CLOCKSOURCE, 'hpet', 'tsc'),
    'the watchdog': (SYSCTL + 'watchdog', '1', 'watchdogs'),
}
if KERNEL_DEBS:  # Debian 12's own kernel has none
    WRITES['a fair server'] = (kernel.FAIR_SERVER.format(3), '50000000', 'rt_throttling')


def _stranger(vm, command, unit='stranger'):
    """Runs it as a service of its own, which lives a little longer than its write."""
    vm.put(f'{command}\nsleep 3\n', f'/run/{unit}.sh')
    vm.out(f'systemd-run -q --collect --unit={unit} sh /run/{unit}.sh')


def _named(t, alert, path, comm, exe, unit):
    t.equal(alert.get('LATENCYD_PATH'), path, 'the path')
    t.equal(alert.get('LATENCYD_WRITER_COMM'), comm, 'the writer')
    t.equal(alert.get('LATENCYD_WRITER_EXE'), exe, 'its program')
    t.equal(alert.get('LATENCYD_WRITER_UNIT'), unit, 'its unit')
    t.check(int(alert.get('LATENCYD_WRITER_PID', 0)) > 1, f'its pid: {alert}')


def _watchdogs_on(vm, since):
    """It takes two files, and a read of either between the writes undoes the first: the kernel sets
    what was asked for to what is so whenever it is read (kernel/watchdog.c). The look that the
    first write brings about is such a read, so it may take more than one try."""
    for n in range(5):
        _stranger(vm, f'echo 1 > {SYSCTL}soft_watchdog; echo 1 > {SYSCTL}watchdog', f'stranger{n}')
        alert = wait_alert(vm, since, 'watchdogs', 'drifted', 8)
        if alert:
            break
    return alert


def _written(path, value, setting):
    def test(vm, t):
        where = path.format(irq=vm.out(f'echo {NETWORK_IRQ}')) if '{irq}' in path else path
        before, right, since = target_entered(vm), vm.read(where), mark(vm)
        t.check(before > 0, 'the target is not active before it')
        if setting == 'watchdogs':
            alert = _watchdogs_on(vm, since)
        else:
            _stranger(vm, f'echo {value} > {where}')
            alert = wait_alert(vm, since, setting, 'drifted')
        t.check(alert, f'no alert; {where} is {vm.read(where)}, was {right}; '
                       f'there were {describe(alerts(vm, since))}')
        t.note(alert['MESSAGE'])
        if setting != 'watchdogs':  # two files, two writes: either may be the one that was seen
            _named(t, alert, where, 'sh', vm.out('readlink -f /bin/sh'), 'stranger.service')
        t.check(alert.get('LATENCYD_FOUND') and alert.get('LATENCYD_WANT'),
                f'what was found and wanted: {alert}')
        t.check(wait_alert(vm, since, setting, 'converged', 60), 'its end is not told')
        t.equal(wait_value(vm, where, right), right, f'{where} mended')
        t.check(wait_entered(vm, before) > before, 'the target was not left and entered again')
        wait_right(vm)
        still_right(vm, t)
    return test


for _what, (_path, _value, _setting) in WRITES.items():
    lab_test(f'watching: {_what} written by a stranger is told with its name, and mended',
             'watched')(_written(_path, _value, _setting))


@lab_test('watching: sysctl, a process in another mount namespace and one that exits at once are '
          'told', 'watched')
def writers(vm, t):
    for what, command, comm in (
            ('sysctl', 'sysctl -q -w kernel.sched_rt_runtime_us=950000', 'sysctl'),
            ('another mount namespace', f"unshare -m sh -c 'mount -t tmpfs none /mnt; echo 950000 "
             f"> {THROTTLING}; sleep 2'", 'sh'),
            ('exits at once', f"/bin/echo 950000 > {THROTTLING}", None)):
        since = mark(vm)
        vm.run(command, check=True)
        alert = wait_alert(vm, since, 'rt_throttling', 'drifted')
        t.check(alert, f'{what}: no alert; there were {describe(alerts(vm, since))}')
        t.note(f'{what}: {alert["MESSAGE"]}')
        gone = alert.get('LATENCYD_WRITER_GONE') == '1'
        t.check(int(alert.get('LATENCYD_WRITER_PID', 0)) > 1, f'{what}: its pid: {alert}')
        t.check(gone or alert.get('LATENCYD_WRITER_COMM') == (comm or alert.get(
            'LATENCYD_WRITER_COMM')), f'{what}: its name: {alert}')
        t.check(wait_alert(vm, since, 'rt_throttling', 'converged'), f'{what}: not mended')
        t.equal(vm.read(THROTTLING), '-1', what)


@lab_test('watching: a write that the kernel refuses, and one of the same value, are no drift',
          'watched')
def no_drift(vm, t):
    since = mark(vm)
    vm.run(f'echo nonsense > {THROTTLING}; echo -1 > {THROTTLING}; sleep 3')
    t.equal(describe(alerts(vm, since)), [], 'alerts')


@lab_test('watching: irqbalance that moves interrupts is named, and they are moved back', 'watched',
          timeout=400)
def irqbalance(vm, t):
    since = mark(vm)
    vm.out('mkdir -p /run/systemd/system/irqbalance.service.d; printf "[Service]\\n'
           'Environment=IRQBALANCE_BANNED_CPULIST=0-1 IRQBALANCE_ARGS=--interval=1\\n" > '
           '/run/systemd/system/irqbalance.service.d/lab.conf; systemctl daemon-reload; '
           'systemctl restart irqbalance')
    alert = wait_alert(vm, since, 'irq_affinity', 'drifted', 60)
    t.check(alert, f'no alert; there were {describe(alerts(vm, since))}')
    t.note(alert['MESSAGE'])
    t.equal(alert.get('LATENCYD_WRITER_COMM'), 'irqbalance', 'the writer')
    t.equal(alert.get('LATENCYD_WRITER_UNIT'), 'irqbalance.service', 'its unit')
    vm.out('rm /run/systemd/system/irqbalance.service.d/lab.conf; systemctl daemon-reload; '
           'systemctl stop irqbalance')
    verify = vm.run('latencyctl verify --wait 200', timeout=230)
    t.equal(verify.status, 0, f'verified again\n{verify}')
    still_right(vm, t)


@lab_test('watching: with repair none a drift is told and left as it is', 'watched')
def told_only(vm, t):
    vm.out("sed -i 's/repair: runtime/repair: none/' /etc/latencyd/latencyd.yaml; "
           'systemctl reload latencyd')
    since = mark(vm)
    _stranger(vm, f'echo 950000 > {THROTTLING}')
    t.check(wait_alert(vm, since, 'rt_throttling', 'drifted'), 'no alert')
    vm.run('sleep 5')
    t.equal(vm.read(THROTTLING), '950000', 'the stranger\'s value')
    t.equal(target_entered(vm), 0, 'the target is left')


@lab_test('watching: nothing is mended while paused, and all of it afterwards', 'watched')
def paused(vm, t):
    vm.run('latencyctl pause --for 10min', check=True)
    since = mark(vm)
    _stranger(vm, f'echo 950000 > {THROTTLING}')
    t.check(wait_alert(vm, since, 'rt_throttling', 'drifted'), 'no alert while paused')
    vm.run('sleep 5')
    t.equal(vm.read(THROTTLING), '950000', 'while paused')
    vm.run('latencyctl resume', check=True)
    t.equal(wait_value(vm, THROTTLING, '-1', 60), '-1', 'after it')


@lab_test('watching: latencyd-alert@.service, overridden, is told what the journal is told', 'watched')
def alert_unit(vm, t):
    # Slower than the drift is mended: it must be told of that too, and of both in their order.
    vm.out('mkdir -p /run/systemd/system/latencyd-alert@.service.d')
    vm.put('[Service]\nExecStart=\nExecStart=/bin/sh -c \'sleep 2; '
           'printf "%%s\\n" "$LATENCYD_MESSAGE" >> /run/alerted\'\n',
           '/run/systemd/system/latencyd-alert@.service.d/lab.conf')
    vm.out("sed -i 's/alert: .journal, dbus, metrics./alert: [journal, unit]/' "
           '/etc/latencyd/latencyd.yaml; systemctl daemon-reload; systemctl reload latencyd')
    since = mark(vm)
    _stranger(vm, f'echo 950000 > {THROTTLING}')
    t.check(wait_alert(vm, since, 'rt_throttling', 'converged'), 'no alert')
    vm.run('for i in $(seq 100); do grep -q restored /run/alerted && break; sleep 0.2; done')
    told = vm.read('/run/alerted', default='nothing').splitlines()
    t.equal(told, [a['MESSAGE'] for a in alerts(vm, since)], 'what the unit was told')
    t.equal(vm.run('ls /var/lib/prometheus/node-exporter/latencyd.prom').status, 2,
            'metrics that the document does not ask for')


@lab_test('watching: the target that somebody else stops is entered again with the next pass',
          'watched')
def stopped_target(vm, t):
    before = target_entered(vm)
    vm.out('systemctl stop latency-verified.target')
    t.check(wait_entered(vm, before, 60) > before, 'it is not entered again')
    t.check('latency-verified.target was found inactive' in
            vm.out('journalctl -b -q -o cat -u latencyd'), 'nothing in the journal')
