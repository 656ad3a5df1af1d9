"""Item 6: revert and a reboot give the stock machine back."""

import json

from labvm import kernel
from labvm.grubcfg import next_entry
from labvm.product_calls import expect_exit
from labvm.runner import lab_test
from labvm.snapshots import machine_from
from labvm.states import STOCK_RECORD

# What is the same in both kernels, so that it can be compared before the reboot.
RUNTIME_SYSCTLS = ('watchdog', 'soft_watchdog', 'sched_rt_runtime_us', 'sched_rt_period_us',
                   'timer_migration')


def _revert_and_reboot(vm, t):
    result = vm.run_and_reboot('latencyctl revert --reboot', timeout=400)
    t.note(f'revert: {(result.out or result.err).strip().splitlines()[:1]}')
    # After the boot the service purges the package that latencyd had installed.
    expect_exit(t, vm.run('for i in $(seq 120); do [ -e /var/lib/latencyd/originals.json ] || '
                          'exit 0; sleep 2; done; exit 1', timeout=300), 0)
    vm.wait_settled()


def _kernel_made_masks(vm):
    """Masks and sysctls of a boot in which no irqbalance interferes."""
    vm.run('systemctl disable --now irqbalance latencyd', timeout=60)
    vm.reboot()
    vm.run('udevadm settle', timeout=120, check=True)
    record = {f'IRQ {n} ({name})': mask for n, (name, mask, _) in kernel.interrupts(vm).items()}
    record.update(kernel.sysctls(vm))
    return record


@lab_test('revert and a reboot: command line, sysctls, huge pages, packages and boot files are '
          'the stock ones, IRQ masks too', 'verified', timeout=900)
def revert(vm, t):
    stock = json.loads(vm.read(STOCK_RECORD))
    _revert_and_reboot(vm, t)
    t.same(kernel.stock_record(vm), stock, 'not as before')
    after = _kernel_made_masks(vm)
    with machine_from('installed', 'revert-reference') as reference:
        wanted = _kernel_made_masks(reference)
    t.note(f'{len([k for k in wanted if k.startswith("IRQ")])} IRQ masks compared, with '
           'irqbalance disabled in both machines')
    t.same(after, wanted, 'not as in a stock machine')


@lab_test('revert alone gives the runtime back at once and the stock kernel at the next boot',
          'verified', timeout=400)
def revert_runtime(vm, t):
    stock = json.loads(vm.read(STOCK_RECORD))
    result = vm.run('latencyctl revert', timeout=240)
    t.check(result.status in (0, 4), result)
    now = kernel.stock_record(vm)
    t.same({key: now['sysctls'][key] for key in RUNTIME_SYSCTLS},
           {key: stock['sysctls'][key] for key in RUNTIME_SYSCTLS}, 'not as before')
    t.equal(now['default_smp_affinity'], stock['default_smp_affinity'], 'default_smp_affinity')
    entry = next_entry(vm.read('/boot/grub/grub.cfg'), vm.get('/boot/grub/grubenv').decode())
    t.check('-rt-' not in entry.kernel, f'the next boot takes {entry.kernel}')
    t.check('isolcpus' not in ' '.join(entry.arguments), f'still {entry.arguments}')


@lab_test('revert of one setting restores that one alone', 'verified', timeout=300)
def revert_one(vm, t):
    stock = json.loads(vm.read(STOCK_RECORD))
    result = vm.run('latencyctl revert rt_throttling', timeout=120)
    t.check(result.status in (0, 4), result)
    now, value = kernel.sysctls(vm), stock['sysctls']['sched_rt_runtime_us']
    t.equal(now['sched_rt_runtime_us'], value, 'kernel.sched_rt_runtime_us')
    t.equal(now['watchdog'], '0', 'kernel.watchdog')
    complaints = [c for c in kernel.unverified(vm) if 'sched_rt_runtime_us' not in c]
    t.empty(complaints, 'changed too')


@lab_test('revert on a machine that was never changed does nothing', 'installed')
def revert_nothing(vm, t):
    before = kernel.stock_record(vm)
    result = vm.run('latencyctl revert')
    t.check(result.status in (0, 3), result)
    t.same(kernel.stock_record(vm), before, 'changed')
