"""What the VM's kernel says, read with plain reads of /proc and /sys and never through latencyd.

`unverified` is the lab's own idea of "verified" for tests/vm/document.yaml.
"""

import re
import shlex

from .grubcfg import doubled

ISOLATED = {2, 3}
HOUSEKEEPING = {0, 1}
SEED_ROWS = ('kernel', 'cpu_isolation', 'tick_offload', 'rcu_offload', 'iommu', 'hugepages',
             'machine_check', 'tsc', 'watchdogs', 'rt_throttling', 'irq_affinity', 'idle',
             'kthread_priority', 'timer_migration')
GIB_PAGES = '/sys/devices/system/node/node{}/hugepages/hugepages-1048576kB/nr_hugepages'
FAIR_SERVER = '/sys/kernel/debug/sched/fair_server/cpu{}/runtime'  # since Linux 6.12
SYSCTLS = ('watchdog', 'nmi_watchdog', 'soft_watchdog', 'sched_rt_runtime_us',
           'sched_rt_period_us', 'timer_migration', 'numa_balancing', 'hung_task_timeout_secs')
BOOT_ARGUMENTS = {
    'nohz_full': '2-3', 'rcu_nocbs': '2-3', 'iommu': 'pt', 'mce': 'off', 'tsc': 'reliable',
    'nmi_watchdog': '0',
}


def cpus(text):
    """A kernel CPU list ("0-1,3") as a set."""
    found = set()
    for part in text.strip().split(','):
        if part and part != '(null)':
            first, _, last = part.partition('-')
            found |= set(range(int(first), int(last or first) + 1))
    return found


def cat(vm, pattern):
    """{path: text} of every file that matches a shell pattern; one process in the guest."""
    script = (f'for f in {pattern}; do [ -e "$f" ] && printf "%s\\t%s\\n" "$f" '
              f'"$(tr "\\n" " " < "$f" 2>/dev/null)"; done; true')
    lines = vm.run(script, check=True).out.splitlines()
    return {path: text.strip() for path, _, text in (line.partition('\t') for line in lines)}


def command_line(vm):
    return shlex.split(vm.read('/proc/cmdline'))


def argument(arguments, name):
    """The last value of a key on a command line, or None."""
    values = [a.partition('=')[2] for a in arguments if a.partition('=')[0] == name]
    return values[-1] if values else None


def interrupts(vm):
    """{number: (name, smp_affinity_list, effective_affinity_list)} of the IRQs in use."""
    script = ('cd /proc/irq; for n in [0-9]*; do for a in $n/*/; do [ -d "$a" ] || continue; '
              'read -r m < $n/smp_affinity_list; e=; read -r e < $n/effective_affinity_list; '
              'a=${a%/}; echo "$n|${a##*/}|$m|$e"; break; done; done')
    rows = [line.split('|') for line in vm.out(script).splitlines()]
    return {int(n): (name, mask, effective) for n, name, mask, effective in rows}


def is_managed(name):
    """In this VM the virtio disk's queues have managed interrupts, and nothing else has."""
    return bool(re.fullmatch(r'virtio0-req\.\d+', name))


def threads(vm, pattern):
    """{comm: (pid, allowed CPUs, policy, priority)} of kernel threads whose name matches.

    status is read whole: bash seeks back to the end of each line that it reads from a file, and
    what stands there moved when the thread began to run or to sleep since.
    """
    script = (f'for d in /proc/[0-9]*; do read -r c < $d/comm 2>/dev/null || continue; '
              f'case $c in {pattern}) ;; *) continue;; esac; '
              'while read -r k v; do [ "$k" = Cpus_allowed_list: ] && a=$v; done '
              '<<< "$(< $d/status)"; '
              'read -r s < $d/stat; set -- ${s##*) }; echo "$c ${d#/proc/} $a ${39} ${38}"; done')
    rows = [line.split() for line in vm.run(f'{script}; true', check=True).out.splitlines()]
    return {c: (int(pid), cpus(a), int(policy), int(priority))
            for c, pid, a, policy, priority in rows}


def local_timer_ticks(vm, cpu):
    """The local timer interrupts of one CPU so far."""
    for line in vm.read('/proc/interrupts').splitlines():
        words = line.split()
        if words[0] == 'LOC:':
            return int(words[1 + cpu])
    raise ValueError('no LOC line in /proc/interrupts')


def _boot_complaints(vm):
    arguments = command_line(vm)
    isolcpus = (argument(arguments, 'isolcpus') or '').split(',')
    if not {'managed_irq', 'domain'} <= set(isolcpus):
        yield f'isolcpus={",".join(isolcpus)} has not both flags'
    for name, value in BOOT_ARGUMENTS.items():
        if argument(arguments, name) != value:
            yield f'{name} is {argument(arguments, name)} on the command line, not {value}'
    for name in doubled(arguments):
        yield f'{name} stands more than once on the command line'
    if 'PREEMPT_RT' not in vm.read('/proc/version'):
        yield f'not an RT kernel: {vm.read("/proc/version")}'
    for name in ('isolated', 'nohz_full'):
        text = vm.read(f'/sys/devices/system/cpu/{name}')
        if cpus(text) != ISOLATED:
            yield f'/sys/devices/system/cpu/{name} is {text}'
    types = cat(vm, '/sys/kernel/iommu_groups/*/type')
    if not types or set(types.values()) != {'identity'}:
        yield f'IOMMU groups are {types}'
    if vm.run('test -e /sys/devices/system/machinecheck').status == 0:
        yield '/sys/devices/system/machinecheck is there'
    clock = vm.read('/sys/devices/system/clocksource/clocksource0/current_clocksource')
    if clock != 'tsc':
        yield f'the clocksource is {clock}'


def _runtime_complaints(vm):
    for name, want in (('watchdog', '0'), ('nmi_watchdog', '0'), ('soft_watchdog', '0'),
                       ('sched_rt_runtime_us', '-1'), ('timer_migration', '0')):
        value = vm.read(f'/proc/sys/kernel/{name}', 'absent')
        if value not in (want, 'absent'):
            yield f'kernel.{name} is {value}, not {want}'
    for cpu in ISOLATED | HOUSEKEEPING:
        value = vm.read(FAIR_SERVER.format(cpu), 'absent')
        if value != 'absent' and (value == '0') != (cpu in ISOLATED):
            yield f'the fair server of CPU {cpu} has {value} ns'
    for node, want in ((0, '0'), (1, '1')):
        value = vm.read(GIB_PAGES.format(node))
        if value != want:
            yield f'node {node} has {value} pages of 1 GiB, not {want}'
    if not re.search(r'^\S+ \S+ hugetlbfs \S*pagesize=1024M', vm.read('/proc/mounts'),
                     re.MULTILINE):
        yield 'no hugetlbfs with pagesize=1024M is mounted'
    for number, (name, mask, effective) in interrupts(vm).items():
        if not is_managed(name) and not cpus(effective) <= HOUSEKEEPING:
            yield f'IRQ {number} ({name}) is delivered to CPU {effective} (mask {mask})'


def _thread_complaints(vm):
    offload = threads(vm, 'rcuo*')
    for cpu in ISOLATED:
        if not any(re.fullmatch(rf'rcuo[a-z]/{cpu}', comm) for comm in offload):
            yield f'no rcuo thread for CPU {cpu}: {sorted(offload)}'
    for comm, (_, allowed, _, _) in offload.items():
        if not allowed <= HOUSEKEEPING:
            yield f'{comm} may run on CPUs {sorted(allowed)}'
    workers = threads(vm, 'ksoftirqd/*|rcuc/*|ktimers/*|rcub/*')
    for kind in ('ksoftirqd', 'rcuc', 'ktimers'):
        for cpu in ISOLATED:
            if f'{kind}/{cpu}' not in workers:
                yield f'there is no thread {kind}/{cpu}'
    for comm, (_, _, policy, priority) in workers.items():
        last = comm.rpartition('/')[2]
        if policy != 1 and (comm.startswith('rcub') or int(last) in ISOLATED):
            yield f'{comm} has policy {policy} priority {priority}, not SCHED_FIFO'


def unverified(vm):
    """Everything in which the VM is not what the document wants; empty when it is."""
    return [*_boot_complaints(vm), *_runtime_complaints(vm), *_thread_complaints(vm)]


def sysctls(vm):
    return {name: vm.read(f'/proc/sys/kernel/{name}', 'absent') for name in SYSCTLS}


def boot_files(vm):
    """{path: sha256 or link target} of everything that decides what boots."""
    script = ('find /boot -type f ! -path "*/i386-pc/*" ! -name unicode.pf2 -exec sha256sum {} + ;'
              ' sha256sum /etc/default/grub; find /etc/default/grub.d -type f -exec sha256sum {} +;'
              ' find / -maxdepth 1 -type l -printf "%l %p\\n"')
    rows = [line.split(None, 1) for line in vm.out(script).splitlines()]
    return {path: digest for digest, path in rows}


def stock_record(vm):
    """What `revert` has to bring back, but for IRQ masks, which irqbalance keeps moving."""
    return {
        'command line': vm.read('/proc/cmdline'),
        'kernel': vm.read('/proc/version'),
        'sysctls': sysctls(vm),
        'huge pages': cat(vm, '/sys/devices/system/node/node*/hugepages/*/nr_hugepages'),
        'hugetlbfs': [line for line in vm.read('/proc/mounts').splitlines()
                      if ' hugetlbfs ' in line],
        'default_smp_affinity': vm.read('/proc/irq/default_smp_affinity'),
        'boot files': boot_files(vm),
        'packages': vm.out("dpkg-query -W -f '${Package} ${Version} ${Status}\\n'"),
        'irqbalance': vm.run('systemctl is-enabled irqbalance; systemctl is-active irqbalance').out,
        'clocksource': vm.read('/sys/devices/system/clocksource/clocksource0/'
                               'current_clocksource'),
    }
