"""latencyd killed at random moments of drifts: it knows what it knew, and tells nothing twice."""

import collections
import json
import random
import time

from labvm.runner import lab_test
from labvm.watching import (THROTTLING, alerts, daemon_pid, describe, entries, mark, still_right,
                            wait_alert, wait_value)

KILLS = 50
SEED = 20261122


def _restarted(vm, old, timeout=30):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        pid = daemon_pid(vm)
        if pid not in (0, old):
            return pid
        time.sleep(0.1)
    return 0


def _equal_in_a_row(found):
    """Alerts of a setting that say what the one before said."""
    last, twice = {}, []
    for alert in found:
        setting, now = alert['LATENCYD_SETTING'], alert['LATENCYD_NOW']
        if last.get(setting) == now:
            twice.append((setting, now, alert['LATENCYD_ALERT']))
        last[setting] = now
    return twice


@lab_test(f'watching: killed {KILLS} times during drifts, it tells each change once and mends all',
          'watched', timeout=1500)
def killed(vm, t):
    vm.out('mkdir -p /run/systemd/system/latencyd.service.d; printf "[Unit]\\nStartLimitBurst=1000'
           '\\n[Service]\\nRestartSec=100ms\\n" > /run/systemd/system/latencyd.service.d/lab.conf; '
           'systemctl daemon-reload')
    chance = random.Random(SEED)
    t.note(f'seed {SEED}')
    since = mark(vm)
    pid = daemon_pid(vm)
    for i in range(KILLS):
        # Programs of different names: one alone would soon be contested.
        delay = chance.uniform(0, 0.6)
        vm.run(f'cp /bin/dash /root/stranger-{i}; /root/stranger-{i} -c "echo 950000 > {THROTTLING}"; '
               f'sleep {delay:.3f}; kill -9 {pid}', check=True)
        pid = _restarted(vm, pid)
        t.check(pid, f'kill {i}: latencyd was not started again')
        asked = time.monotonic()
        t.equal(wait_value(vm, THROTTLING, '-1', 60), '-1', f'kill {i}: mended')
        # Killed before it could name the stranger, four times in a row, latencyd repairs less and
        # less often; ten seconds of quiet end that.
        if time.monotonic() - asked > 5:
            vm.run('sleep 11')
    t.equal(wait_value(vm, THROTTLING, '-1', 30), '-1', 'mended at last')
    vm.run('sleep 3')
    found = alerts(vm, since)
    numbers = collections.Counter(a['LATENCYD_ALERT'] for a in found)
    t.note(f'{len(found)} alerts, {sum(a["LATENCYD_NOW"] == "drifted" for a in found)} of them '
           'drifts')
    t.equal([n for n, times in numbers.items() if times > 1], [], 'numbers that came twice')
    t.equal(_equal_in_a_row(found), [], 'told twice in a row')
    t.equal([e['MESSAGE'] for e in entries(vm, since)
             if 'cannot' in e.get('MESSAGE', '')], [], 'complaints')
    still_right(vm, t)


@lab_test('watching: a daemon that is killed while a drift stands knows since when, and by whom',
          'watched')
def remembers(vm, t):
    vm.out("sed -i 's/repair: runtime/repair: none/' /etc/latencyd/latencyd.yaml; "
           'systemctl reload latencyd')
    since = mark(vm)
    vm.put(f'echo 950000 > {THROTTLING}\nsleep 3\n', '/run/stranger.sh')
    vm.out('systemd-run -q --collect --unit=stranger sh /run/stranger.sh')
    t.check(wait_alert(vm, since, 'rt_throttling', 'drifted'), 'no alert')
    before = _row(vm)
    t.equal((before.get('changed_by') or {}).get('unit'), 'stranger.service', 'changed_by')
    time.sleep(3)
    old = daemon_pid(vm)
    vm.out(f'kill -9 {old}')
    t.check(_restarted(vm, old), 'latencyd was not started again')
    time.sleep(3)
    after = _row(vm)
    for key in ('verdict', 'since', 'changed_by'):
        t.equal(after.get(key), before.get(key), key)
    t.equal(len(alerts(vm, since, 'rt_throttling')), 1, f'alerts {describe(alerts(vm, since))}')


def _row(vm):
    status = json.loads(vm.read('/run/latencyd/status.json'))
    return next(s for s in status['settings'] if s['name'] == 'rt_throttling')


@lab_test('watching: stopping and starting latencyd changes nothing on the machine', 'watched')
def stopped(vm, t):
    since = mark(vm)
    vm.out('systemctl stop latencyd; '
           f'echo 950000 > {THROTTLING}; systemctl is-active latency-verified.target')
    t.equal(vm.read(THROTTLING), '950000', 'while it is stopped')
    vm.out('systemctl start latencyd')
    alert = wait_alert(vm, since, 'rt_throttling', 'drifted', 30)
    t.check(alert, f'not told; there were {describe(alerts(vm, since))}')
    t.check('LATENCYD_WRITER_PID' not in alert, f'a writer that nobody saw: {alert}')
    t.equal(wait_value(vm, THROTTLING, '-1', 30), '-1', 'mended')
