"""Item 8: what administrators have in their GRUB files; each case starts on the RT kernel."""

from labvm import kernel
from labvm.grubcfg import doubled, next_entry
from labvm.runner import lab_test

WANTED = ('nohz_full=2-3', 'rcu_nocbs=2-3', 'iommu=pt', 'mce=off', 'tsc=reliable',
          'processor.max_cstate=1')
OWN = ('console=ttyS0,115200', 'net.ifnames=0', 'no_timer_check')


def _rendered(vm):
    return next_entry(vm.read('/boot/grub/grub.cfg'), vm.get('/boot/grub/grubenv').decode())


def _missing(arguments, also):
    """What the rendered line should have and has not."""
    missing = [a for a in (*WANTED, *OWN, *also) if a not in arguments]
    isolcpus = (kernel.argument(arguments, 'isolcpus') or '').split(',')
    if not ({'managed_irq', 'domain', '2-3'} <= set(isolcpus)):
        missing.append(f'isolcpus=managed_irq,domain,2-3 (found {",".join(isolcpus)})')
    return missing


def _check_line(vm, t, also=()):
    entry = _rendered(vm)
    t.note(f'{entry.kernel} {" ".join(entry.arguments)}')
    t.check('-rt-' in entry.kernel, f'the next boot takes {entry.kernel}')
    t.empty(doubled(entry.arguments), 'doubled keys')
    t.empty(_missing(entry.arguments, also), 'missing on the rendered line')


def _check_refusal(vm, t, result, file, key):
    text = result.out + result.err + vm.run('latencyctl status').out
    t.check(file in text and key in text, f'the refusal does not name {file} and {key}:\n{result}')
    t.empty(doubled(_rendered(vm).arguments), 'doubled keys')


def _apply(vm):
    return vm.run('latencyctl apply', timeout=300)


def _right_or_refused(vm, t, result, file, key, also=()):
    """Either the right line and pending-reboot, or a refusal that names the file and the key."""
    if result.status == 4:
        _check_line(vm, t, also)
    else:
        t.note(f'refused, exit {result.status}')
        _check_refusal(vm, t, result, file, key)


@lab_test('GRUB: apply writes one drop-in and the rendered line is what the document wants',
          'rt-installed')
def plain(vm, t):
    result = _apply(vm)
    t.equal(result.status, 4, f'exit status\n{result}')
    _check_line(vm, t)
    t.equal(vm.out('ls /etc/default/grub.d'), 'init-select.cfg\nzz-latencyd.cfg', 'drop-ins')
    again = _apply(vm)
    t.equal(again.status, 4, f'exit status of a second apply\n{again}')
    _check_line(vm, t)


@lab_test('GRUB: the administrator\'s own isolcpus= is taken over or refused, never doubled',
          'rt-installed')
def own_isolcpus(vm, t):
    vm.run('sed -i \'s/^GRUB_CMDLINE_LINUX="/&isolcpus=1 /\' /etc/default/grub && update-grub',
           check=True, timeout=200)
    result = _apply(vm)
    _right_or_refused(vm, t, result, '/etc/default/grub', 'isolcpus')


@lab_test('GRUB: iommu.strict=0 stays and is not taken for iommu=', 'rt-installed')
def iommu_strict(vm, t):
    vm.run('sed -i \'s/^GRUB_CMDLINE_LINUX="/&iommu.strict=0 /\' /etc/default/grub', check=True)
    result = _apply(vm)
    t.equal(result.status, 4, f'exit status\n{result}')
    _check_line(vm, t, ['iommu.strict=0'])


@lab_test('GRUB: a single-quoted GRUB_CMDLINE_LINUX', 'rt-installed')
def single_quotes(vm, t):
    vm.run('sed -i "s/^GRUB_CMDLINE_LINUX=.*/GRUB_CMDLINE_LINUX=\'console=ttyS0,115200 '
           'net.ifnames=0 no_timer_check skew_tick=1\'/" /etc/default/grub', check=True)
    result = _apply(vm)
    t.equal(result.status, 4, f'exit status\n{result}')
    _check_line(vm, t, ['skew_tick=1'])


@lab_test('GRUB: a comment with " idle" in it', 'rt-installed')
def comment(vm, t):
    vm.run('printf \'# keep the CPUs out of idle=poll and idle\\n'
           '#GRUB_CMDLINE_LINUX="isolcpus=1 idle=poll"\\n\' >> /etc/default/grub', check=True)
    result = _apply(vm)
    t.equal(result.status, 4, f'exit status\n{result}')
    _check_line(vm, t)
    t.check('idle=poll' not in _rendered(vm).arguments, 'the comment was taken for a setting')


@lab_test('GRUB: a drop-in sorted after ours that overwrites our variable', 'rt-installed')
def later_drop_in(vm, t):
    vm.put('GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n', '/etc/default/grub.d/zzz-site.cfg')
    result = _apply(vm)
    _right_or_refused(vm, t, result, '/etc/default/grub.d/zzz-site.cfg',
                      'GRUB_CMDLINE_LINUX_DEFAULT')
