"""Bad input to a daemon that runs."""

from labvm.runner import lab_test
from labvm.watching import (DOCUMENT, THROTTLING, daemon_pid, entries, mark, published, still_right,
                            target_entered, wait_alert, wait_for, wait_published, wait_value)

CALL = 'busctl call org.latencyd1 /org/latencyd1 org.latencyd1.Manager'


@lab_test('watching: a document that turns invalid is told with line and column, the old one stays '
          'in force, and a reload of it is refused', 'watched')
def invalid(vm, t):
    since, good, entered = mark(vm), vm.read(DOCUMENT) + '\n', target_entered(vm)
    vm.put(good + 'watchdog: on\n', DOCUMENT)
    told = wait_for(lambda: [e for e in entries(vm, since) if 'latencyd.yaml:' in e['MESSAGE']], bool)
    t.check(told, 'not told')
    t.note(told[0]['MESSAGE'])
    state = wait_for(lambda: published(vm)['document_state'], lambda seen: seen != 'in-force')
    t.check(state.startswith('invalid: '), state)
    vm.run('systemctl reload latencyd; sleep 2')
    t.equal(published(vm)['verdict'], 'verified', 'the verdict by the old document')
    t.equal(target_entered(vm), entered, 'the target was not left')
    vm.run(f'echo 950000 > {THROTTLING}')
    t.check(wait_alert(vm, since, 'rt_throttling', 'converged'), 'the old one is not in force')
    vm.put(good, DOCUMENT)
    t.equal(wait_published(vm, 'document_state', 'in-force'), 'in-force', 'when it is right again')


@lab_test('watching: with a full /var a drift is told and mended, and the loss is a state of its own',
          'watched')
def full(vm, t):
    since, pid = mark(vm), daemon_pid(vm)
    vm.out('cp -a /var/lib/latencyd /run/kept; mount -t tmpfs -o size=256k full /var/lib/latencyd; '
           'cp -a /run/kept/. /var/lib/latencyd; '
           'dd if=/dev/zero of=/var/lib/latencyd/fill bs=1k 2>/dev/null; true')
    vm.out('cp /bin/dash /root/stranger; '
           f'/root/stranger -c "echo 950000 > {THROTTLING}; sleep 1"')
    t.check(wait_alert(vm, since, 'rt_throttling', 'drifted'), 'not told')
    t.check(wait_alert(vm, since, 'rt_throttling', 'converged'), 'not mended')
    lost = wait_for(lambda: published(vm)['persistence'], lambda seen: seen != 'ok')
    t.note(lost)
    t.check(lost != 'ok', 'persistence')
    told = [e['MESSAGE'] for e in entries(vm, since) if 'alerts.json' in e['MESSAGE']]
    t.equal(len(told), 1, f'how often it is told: {told}')
    vm.out('rm /var/lib/latencyd/fill; umount -l /var/lib/latencyd')
    vm.out(f'/root/stranger -c "echo 950000 > {THROTTLING}; sleep 1"')
    t.equal(wait_published(vm, 'persistence', 'ok'), 'ok', 'afterwards')
    t.equal(wait_value(vm, THROTTLING, '-1'), '-1', 'mended')
    t.equal(daemon_pid(vm), pid, 'the same daemon')
    still_right(vm, t)


@lab_test('watching: hostile D-Bus calls are refused or bounded', 'watched', timeout=1200)
def hostile(vm, t):
    pid = daemon_pid(vm)
    for arguments in ('Apply s yes', 'Apply bb true true', 'Pause s long', 'Revert s ../../etc',
                      'Revert s ' + 'x' * 5000, 'Measure s nosuchprofile', 'Nothing',
                      'Pause t 18446744073709551614'):
        result = vm.run(f'{CALL} {arguments}')
        t.check(result.status != 0, f'{arguments[:40]} was taken\n{result}')
    vm.run('latencyctl resume')
    vm.put(f'for i in $(seq 300); do {CALL} Status >/dev/null & {CALL} Refresh >/dev/null & '
           f'{CALL} Plan > /dev/null & [ $((i % 20)) = 0 ] && wait; done; wait\n', '/run/flood.sh')
    vm.run('runuser -u nobody -- sh /run/flood.sh', timeout=900)
    t.equal(daemon_pid(vm), pid, 'the same daemon')
    vm.run(f'echo 950000 > {THROTTLING}')
    t.equal(wait_value(vm, THROTTLING, '-1', 30), '-1', 'mended after the flood')
    still_right(vm, t)


@lab_test('watching: two applies and a reload during a drift are all answered, and the end is right',
          'watched', timeout=400)
def at_once(vm, t):
    vm.put(f'{CALL} Apply b false > /run/a 2>&1 & a=$!; {CALL} Apply b false > /run/b 2>&1 & b=$!; '
           f'echo 950000 > {THROTTLING}; systemctl reload latencyd; r=$?; '
           'wait $a; a=$?; wait $b; echo $a $? $r; cat /run/a /run/b\n', '/run/at-once.sh')
    result = vm.run('sh /run/at-once.sh', timeout=300)
    t.equal(result.out.splitlines()[0], '0 0 0', f'exit statuses\n{result}')
    t.equal(result.out.count('is 0'), 2, f'answers\n{result}')
    t.equal(wait_value(vm, THROTTLING, '-1', 30), '-1', 'mended')
    still_right(vm, t)
