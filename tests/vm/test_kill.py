"""Item 9: SIGKILL of apply at ten moments; a second apply converges and the originals survive."""

import json

from labvm import kernel
from labvm.grubcfg import doubled, next_entry
from labvm.product_calls import expect_exit
from labvm.runner import lab_test
from test_perturb import PERTURBATIONS

ORIGINALS = '/var/lib/latencyd/originals.json'
# In the run-time phase by steps done, as parts of the plan's length; 0 is before the first one.
RUNTIME_MOMENTS = (0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85)
BOOT_MOMENTS_S = (0.5, 3.0, 9.0)


def _perturb(vm):
    for command, _ in PERTURBATIONS.values():
        vm.run(command)


def _kill_apply_after(vm, seconds):
    """Starts apply and kills that process alone; whatever it had started goes on, as after OOM."""
    return vm.run('latencyctl apply > /run/lab-killed 2>&1 & p=$!; '
                  f'sleep {seconds:.3f}; kill -9 $p && echo killed; wait $p; echo $?', timeout=300)


def _kill_apply_at_step(vm, step):
    """The same, as soon as apply has reported that many steps: it is then in the next one."""
    if step == 0:
        return _kill_apply_after(vm, 0.1)
    return vm.run('rm -f /run/lab-steps; mkfifo /run/lab-steps; '
                  'latencyctl apply > /dev/null 2> /run/lab-steps & p=$!; i=0; '
                  'while read -r line; do case $line in *": ["*/*"] "*) i=$((i + 1));; esac; '
                  f'[ $i = {step} ] && kill -9 $p && echo killed && break; done < /run/lab-steps; '
                  'wait $p; echo $?', timeout=300)


def _apply_when_free(vm, t):
    """Applies again. The update-grub that the killed one had started may hold the lock a while."""
    for _ in range(60):
        result = vm.run('latencyctl apply', timeout=300)
        if result.status != 1 or 'is changing this machine' not in result.err:
            return result
        t.note('refused while what the killed apply had started is still running')
        vm.run('sleep 2')
    return result


def _originals(vm):
    return json.loads(vm.read(ORIGINALS))


def _lost_originals(before, after):
    """What is in `before` and not, or differently, in `after`; more targets may have come."""
    lost = []
    for key, value in before.items():
        if isinstance(value, list):
            kept = [json.dumps(item, sort_keys=True) for item in after.get(key, [])]
            lost += [f'{key}: {item}' for item in value
                     if json.dumps(item, sort_keys=True) not in kept]
        elif isinstance(value, dict):
            lost += [f'{key}: {k}' for k, v in value.items() if after.get(key, {}).get(k) != v]
        elif after.get(key) != value:
            lost.append(f'{key}: {after.get(key)} was {value}')
    return lost


def _killed_at_run_time(part):
    def test(vm, t):
        before = _originals(vm)
        _perturb(vm)
        steps = len(json.loads(vm.run('latencyctl plan --json').out)['steps'])
        t.check(steps >= 5, f'only {steps} steps to be killed in')
        result = _kill_apply_at_step(vm, round(part * steps))
        t.check('killed' in result.out, f'apply had ended before it could be killed\n{result}')
        t.note(f'killed after {round(part * steps)} of {steps} steps')
        second = _apply_when_free(vm, t)
        t.equal(second.status, 0, f'exit status of the second apply\n{second}\n')
        expect_exit(t, vm.run('latencyctl status'), 0)
        t.empty(kernel.unverified(vm), 'not as the document wants it')
        t.empty(_lost_originals(before, _originals(vm)), 'originals lost')
    return test


def _killed_at_boot_phase(seconds):
    def test(vm, t):
        result = _kill_apply_after(vm, seconds)
        t.note('killed' if 'killed' in result.out else 'it had ended')
        second = _apply_when_free(vm, t)
        t.equal(second.status, 4, f'exit status\n{second}')
        entry = next_entry(vm.read('/boot/grub/grub.cfg'),
                           vm.get('/boot/grub/grubenv').decode())
        t.empty(doubled(entry.arguments), 'doubled keys')
        t.equal(kernel.argument(entry.arguments, 'nohz_full'), '2-3', 'nohz_full on the next boot')
        revert = vm.run('latencyctl revert', timeout=300)
        t.check(revert.status in (0, 4), revert)
        stock = json.loads(vm.read('/root/lab-stock.json'))
        now = kernel.stock_record(vm)
        t.same({k: now[k] for k in ('sysctls', 'boot files', 'huge pages')},
               {k: stock[k] for k in ('sysctls', 'boot files', 'huge pages')},
               'the originals were not the stock ones: after revert')
    return test


for _part in RUNTIME_MOMENTS:
    lab_test(f'kill -9 of a runtime apply after {_part:.0%} of its steps, then apply: converged, '
             'originals intact', 'verified')(_killed_at_run_time(_part))
for _seconds in BOOT_MOMENTS_S:
    lab_test(f'kill -9 after {_seconds} s of a boot apply, then apply and revert: the stock files',
             'rt-installed', timeout=500)(_killed_at_boot_phase(_seconds))
