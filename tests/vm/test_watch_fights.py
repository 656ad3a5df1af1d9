"""A program that fights, and one that storms."""

import time

from labvm.runner import lab_test
from labvm.watching import (THROTTLING, alerts, daemon_pid, describe, mark, target_entered,
                            wait_alert)

STORM_S = 30


def _cpu_seconds(vm, pid):
    fields = vm.read(f'/proc/{pid}/stat').rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _rss_kib(vm, pid):
    return int(vm.out(f'sed -n "s/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p" /proc/{pid}/status'))


@lab_test('watching: a shell loop that keeps changing a setting is contested: one alert, named, and '
          'latencyd stays small', 'watched', timeout=400)
def contested(vm, t):
    since, pid = mark(vm), daemon_pid(vm)
    began, cpu = time.monotonic(), _cpu_seconds(vm, pid)
    vm.put(f'while :; do echo 950000 > {THROTTLING}; sleep 0.5; done\n', '/run/fighter.sh')
    vm.out('systemd-run -q --collect --unit=fighter sh /run/fighter.sh')
    alert = wait_alert(vm, since, 'rt_throttling', 'contested', 60)
    t.check(alert, f'not contested; there were {describe(alerts(vm, since))}')
    t.note(alert['MESSAGE'])
    t.equal(alert.get('LATENCYD_WRITER_UNIT'), 'fighter.service', 'its unit')
    told = len(alerts(vm, since))
    vm.run('sleep 40')
    t.equal(len(alerts(vm, since)), told, f'alerts 40 s later: {describe(alerts(vm, since))}')
    share = (_cpu_seconds(vm, pid) - cpu) / (time.monotonic() - began)
    t.note(f'latencyd used {share * 100:.1f} % of one CPU meanwhile')
    t.check(share < 0.5, 'more than half of a CPU')
    status = vm.run('latencyctl status')
    t.equal(status.status, 5, f'exit status\n{status}')
    t.check('fighter.service' in status.out + status.err, f'status names it\n{status}')
    t.equal(target_entered(vm), 0, 'the target is left')
    vm.out('systemctl stop fighter')
    verify = vm.run('latencyctl verify --wait 300', timeout=330)
    t.equal(verify.status, 0, f'verified after the fight\n{verify}')


@lab_test(f'watching: a storm of writes for {STORM_S} s loses no drift, and costs latencyd a bounded '
          'share', 'watched', timeout=400)
def storm(vm, t):
    since, pid = mark(vm), daemon_pid(vm)
    vm.put(f'end=$(($(cut -d. -f1 /proc/uptime) + {STORM_S})); n=0\n'
           f'while [ $(cut -d. -f1 /proc/uptime) -lt $end ]; do i=0; '
           f'while [ $i -lt 500 ]; do echo -1 > {THROTTLING}; echo 60 > /proc/sys/vm/swappiness; '
           'i=$((i + 1)); done; n=$((n + 1000)); done; echo $n > /run/storm-writes\n',
           '/run/storm.sh')
    vm.out('systemd-run -q --collect --unit=storm sh /run/storm.sh')
    rss, cpu, began = _rss_kib(vm, pid), _cpu_seconds(vm, pid), time.monotonic()
    vm.run('sleep 10')
    vm.run('cp /bin/dash /root/planted; '
           '/root/planted -c "echo 1 > /proc/sys/kernel/timer_migration; sleep 1"')
    alert = wait_alert(vm, since, 'timer_migration', 'drifted', 40)
    t.check(alert, f'the drift in the storm was lost; there were {describe(alerts(vm, since))}')
    t.note(alert['MESSAGE'])
    vm.run('while systemctl is-active -q storm; do sleep 1; done', timeout=90)
    share = (_cpu_seconds(vm, pid) - cpu) / (time.monotonic() - began)
    t.note(f'{int(vm.read("/run/storm-writes")) / STORM_S:.0f} writes/s; latencyd used '
           f'{share * 100:.1f} % of one CPU; RSS {rss} -> {_rss_kib(vm, pid)} KiB')
    t.check(share < 0.5, 'more than half of a CPU')
    t.check(_rss_kib(vm, pid) < rss + 2048, 'RSS grew by more than 2 MiB')
    t.equal(daemon_pid(vm), pid, 'the same daemon')
    verify = vm.run('latencyctl verify --wait 60', timeout=90)
    t.equal(verify.status, 0, f'verified after the storm\n{verify}')
