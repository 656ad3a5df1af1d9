"""Host and guest together: one document, a KVM guest inside the host VM, cyclictest in it."""

import json
import re
import time

from labvm import nested
from labvm.product_calls import expect_exit, status
from labvm.runner import lab_test

DOCUMENT = '/etc/latencyd/latencyd.yaml'
CONSOLE = '/run/latencyd/guests/vnf0/console.log'
QEMU_PID = '/run/latencyd/guests/vnf0/qemu.pid'


def facts(vm):
    """What the guest's own witness last said on its serial console: {name: value}."""
    found = {}
    for line in vm.read(CONSOLE, '').splitlines():
        match = re.match(r'FACT (\S+) ?(.*)', line.strip())
        if match:
            found[match[1]] = match[2]
    return found


def fresh_facts(vm):
    """A whole round of the witness that began after now: it speaks every 10 seconds."""
    seen = {facts(vm).get('uptime')}
    deadline = time.monotonic() + 90
    while len(seen) < 3 and time.monotonic() < deadline:
        time.sleep(2)
        seen.add(facts(vm).get('uptime'))
    return facts(vm)


def guest_status(vm):
    _, report = status(vm)
    return next((g for g in (report or {}).get('guests', ()) if g['name'] == 'vnf0'), None)


def row(guest, name):
    return next((s for s in guest['settings'] if s['name'] == name), None)


def wait_verified(vm, t, seconds):
    start = time.monotonic()
    expect_exit(t, vm.run(f'latencyctl verify --wait {seconds}', timeout=seconds + 60), 0)
    return time.monotonic() - start


def threads(vm):
    """{tid: (name, CPUs, policy, priority)} of the guest's QEMU, from the host's /proc."""
    pid = vm.read(QEMU_PID)
    text = vm.out(f'cd /proc/{pid}/task && for t in *; do echo "$t|$(cat $t/comm)|'
                  'grep Cpus_allowed_list $t/status | cut -f2|$(chrt -p $t | sed -n s/.*:.//p | tr \'\\n\' \' \')"; done'
                  .replace('grep Cpus_allowed_list $t/status | cut -f2',
                           '$(grep Cpus_allowed_list $t/status | cut -f2)'))
    found = {}
    for line in text.splitlines():
        tid, name, cpus, sched = line.split('|')
        policy, priority = sched.split()[:2]
        found[int(tid)] = (name, cpus, policy, int(priority))
    return found


@lab_test('host and guest: untuned to verified for both from one apply --reboot, then measured in '
          'the guest', 'nested-verified', timeout=900)
def both_verified(vm, t):
    log = json.loads(vm.read(nested.APPLY_LOG))
    t.note(f'apply --reboot until the host was back: {log["reboot_s"]:.0f} s; until host and guest '
           f'were verified: {log["verified_s"]:.0f} s more')
    expect_exit(t, vm.run('latencyctl verify --wait 120', timeout=180), 0)
    seen = fresh_facts(vm)
    # The guest's kernel, in the words of its own witness.
    t.equal(seen.get('isolated'), '1', 'isolated in the guest')
    t.equal(seen.get('nohz_full'), '1', 'nohz_full in the guest')
    t.check('PREEMPT_RT' in seen.get('version', ''), seen.get('version'))
    t.equal(seen.get('watchdog'), '0', 'watchdog in the guest')
    t.equal(seen.get('rt_runtime'), '-1', 'sched_rt_runtime_us in the guest')
    t.equal(seen.get('timer_migration'), '0', 'timer_migration in the guest')
    # The host, by its /proc.
    for _, (name, cpus, policy, priority) in threads(vm).items():
        match = re.match(r'CPU (\d)/KVM', name)
        if match:
            t.equal((cpus, policy, priority), (str(2 + int(match[1])), 'SCHED_FIFO', 1), name)
        else:
            t.check(set(cpus.replace('-', ',').split(',')) <= {'0', '1'}, f'{name} on CPUs {cpus}')
    maps = vm.out(f'grep -w huge /proc/{vm.read(QEMU_PID)}/numa_maps')
    t.check('N1=1' in maps and 'kernelpagesize_kB=1048576' in maps, maps)
    t.equal(vm.read('/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/free_hugepages'),
            '0', 'free 1 GiB pages on node 1')


@lab_test('host and guest: measure runs cyclictest on the guest\'s isolated CPU and reports',
          'nested-verified', timeout=600)
def measured(vm, t):
    expect_exit(t, vm.run('latencyctl verify --wait 120', timeout=180), 0)
    result = vm.run('latencyctl measure --json', timeout=300)
    t.check(result.status in (3, 1), f'a smoke run never passes\n{result}')
    run = json.loads(result.out)
    t.equal(run['on'], 'guest/vnf0', 'measured on')
    thread = run['cells'][0]['threads'][0]
    t.equal([x['cpu'] for x in run['cells'][0]['threads']], [1], 'CPUs in the result')
    t.check(thread['cycles'] > 0, 'no cycles')
    t.note(f'{run["verdict"]}: {run["sentence"]}')
    expect_exit(t, vm.run('latencyctl report'), 0)
    page = vm.out(f'cat /var/lib/latencyd/runs/{run["id"]}/report.html')
    t.check('<svg' in page and 'guest/vnf0' in page, 'the page lacks its histogram')


def drifted_then_mended(vm, t, name, do):
    """@do perturbs; the row must say so, and apply must mend it."""
    expect_exit(t, vm.run('systemctl stop latencyd; latencyctl verify --wait 120', timeout=180), 0)
    do()
    t.equal(row(guest_status(vm), name)['verdict'], 'drifted', f'{name} after the perturbation')
    vm.run('latencyctl apply', timeout=240)
    t.equal(row(guest_status(vm), name)['verdict'], 'converged', f'{name} after apply')


def vcpu(vm, number):
    return next(tid for tid, (name, *_) in threads(vm).items() if name == f'CPU {number}/KVM')


@lab_test('host and guest: a vCPU that was unpinned is named and pinned again', 'nested-verified',
          timeout=600)
def unpinned(vm, t):
    drifted_then_mended(vm, t, 'guest_vcpus',
                        lambda: vm.out(f'taskset -pc 0-1 {vcpu(vm, 1)}'))
    t.equal(threads(vm)[vcpu(vm, 1)][1], '3', 'CPUs of vCPU 1')


@lab_test('host and guest: a vCPU whose policy was changed is named and mended', 'nested-verified',
          timeout=600)
def policy_changed(vm, t):
    drifted_then_mended(vm, t, 'guest_vcpus', lambda: vm.out(f'chrt -o -p 0 {vcpu(vm, 0)}'))
    t.equal(threads(vm)[vcpu(vm, 0)][2:], ('SCHED_FIFO', 1), 'policy of vCPU 0')


@lab_test('host and guest: a guest whose QEMU was killed is noticed and started again',
          'nested-verified', timeout=900)
def killed(vm, t):
    expect_exit(t, vm.run('latencyctl verify --wait 120', timeout=180), 0)
    old = vm.read(QEMU_PID)
    vm.run('systemctl stop latencyd')
    vm.out(f'kill -9 {old}; sleep 1')
    guest = guest_status(vm)
    t.equal(row(guest, 'guest_launch')['verdict'], 'drifted', 'guest_launch')
    t.check(guest['verdict'] != 'verified', guest['verdict'])
    vm.run('systemctl start latencyd')
    seconds = wait_verified(vm, t, 400)
    t.note(f'verified again {seconds:.0f} s after its QEMU was killed')
    t.check(vm.read(QEMU_PID) != old, 'the same pid')


@lab_test('host and guest: garbage in the channel makes the guest unknown and nothing else',
          'nested-verified', timeout=600)
def garbage(vm, t):
    expect_exit(t, vm.run('systemctl stop latencyd; latencyctl verify --wait 120', timeout=180), 0)
    vm.put("""import os, socket, sys
path = '/run/latencyd/guests/vnf0/agent.sock'
os.rename(path, path + '.real')
s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(8)
while True:
    c, _ = s.accept()
    try:
        c.sendall(os.urandom(1 << 20)); c.close()
    except OSError:
        pass
""", '/run/garbage.py')
    if vm.run('command -v python3').status != 0 or \
            vm.run('test -S /run/latencyd/guests/vnf0/agent.sock').status != 0:
        from labvm.runner import Skip
        raise Skip('no python3, or no virtio-serial channel, in this VM')
    vm.run('(python3 /run/garbage.py </dev/null >/dev/null 2>&1 &) ; sleep 2')
    guest = guest_status(vm)
    _, report = status(vm)
    t.equal(guest['verdict'], 'unknown', 'the guest')
    t.equal(row(guest, 'guest_vcpus')['verdict'], 'converged', 'what the host sees itself')
    t.equal(report['verdict'], 'verified', 'the host')


def verdicts(rows):
    return {s['name']: s['verdict'] for s in rows}


def wait_guest(vm, wanted, seconds):
    """Asks until the guest's verdict is the wanted one; (the guest, the whole report) at the end."""
    deadline = time.monotonic() + seconds
    while True:
        _, report = status(vm)
        guest = report['guests'][0]
        if guest['verdict'] == wanted or time.monotonic() > deadline:
            return guest, report
        time.sleep(2)


def busiest_irq(shell):
    """The guest's virtio interrupt that fires most, so that a new place is taken at once."""
    counts = {}
    for line in shell.out('cat /proc/interrupts').splitlines()[1:]:
        number, *rest = line.split()
        if 'virtio' in rest[-1] and 'config' not in rest[-1]:
            counts[number.rstrip(':')] = sum(int(x) for x in rest[:2])
    return max(counts, key=counts.get)


def wait_file(shell, path, wanted, seconds):
    """What the guest's file says, once it is that or after so long."""
    deadline = time.monotonic() + seconds
    while True:
        found = shell.out(f'cat {path}')
        if found == wanted or time.monotonic() > deadline:
            return found


def wait_said(vm, pattern, seconds):
    """The first place of the guest's console that matches, or None after so long."""
    deadline = time.monotonic() + seconds
    while True:
        found = re.search(pattern, vm.read(CONSOLE))
        if found or time.monotonic() > deadline:
            return found and found[0]
        time.sleep(1)


def wait_effective(shell, irq, wanted):
    """Where the guest's kernel sends the interrupt."""
    return wait_file(shell, f'/proc/irq/{irq}/effective_affinity_list', wanted, 30)


@lab_test('host and guest: an interrupt moved inside the guest makes the guest drifted, and apply '
          'brings it back', 'nested-verified', timeout=600)
def guest_irq_moved(vm, t):
    expect_exit(t, vm.run('systemctl stop latencyd; latencyctl verify --wait 120', timeout=180), 0)
    shell = nested.GuestShell(vm)
    irq = busiest_irq(shell)
    t.equal(wait_effective(shell, irq, '0'), '0', f'CPU of interrupt {irq} in the guest')
    shell.out(f'echo 1 > /proc/irq/{irq}/smp_affinity_list')
    t.equal(wait_effective(shell, irq, '1'), '1', f'CPU of interrupt {irq} after it was moved')
    guest, report = wait_guest(vm, 'drifted', 90)
    t.equal(guest['verdict'], 'drifted', 'the guest')
    t.equal([name for name, verdict in verdicts(guest['settings']).items()
             if verdict not in ('converged', 'unmanaged', 'not-applicable')], ['irq_affinity'],
            'rows of the guest that are not as wanted')
    t.equal(report['verdict'], 'verified', 'the host')
    # 3: the guest was asked to, and may not be done with it; 5: its kernel took the list, and moves
    # the interrupt when it next fires
    expect_exit(t, vm.run('latencyctl apply', timeout=240), (0, 3, 5))
    t.note(f'verified again {wait_verified(vm, t, 120):.0f} s after apply')
    t.equal(wait_effective(shell, irq, '0'), '0', f'CPU of interrupt {irq} in the end')


@lab_test('host and guest: an idle interrupt that is told inside the guest to move when it next fires '
          'is drift before it fires, with the name of who told it', 'nested-verified', timeout=600)
def guest_irq_leaving(vm, t):
    expect_exit(t, vm.run('systemctl stop latencyd; latencyctl verify --wait 120', timeout=180), 0)
    shell = nested.GuestShell(vm)
    irq = shell.out("sed -n 's/^ *\\([0-9]*\\):.*IO-APIC.* acpi$/\\1/p' /proc/interrupts")
    shell.out(f'echo 1 > /proc/irq/{irq}/smp_affinity_list; sleep 3')
    places = [shell.out(f'cat /proc/irq/{irq}/{name}_affinity_list') for name in ('smp', 'effective')]
    t.equal(places, ['1', '0'], f'CPUs asked for and CPUs now of interrupt {irq}')
    guest, _ = wait_guest(vm, 'drifted', 90)
    moved = row(guest, 'irq_affinity')
    t.equal([(x['id'], x['live']) for x in moved['items']], [(irq, '0, then 1')], 'what it says')
    told = wait_said(vm, r'irq_affinity drifted: .*; changed by \S+ \(pid .*', 60)
    t.check(told, f'the guest does not name who told it\n{vm.read(CONSOLE)[-1000:]}')
    t.note(told)
    expect_exit(t, vm.run('latencyctl apply', timeout=240), (0, 3))
    t.note(f'verified again {wait_verified(vm, t, 120):.0f} s after apply')
    t.equal(wait_file(shell, f'/proc/irq/{irq}/smp_affinity_list', '0', 30), '0',
            f'CPUs asked for of interrupt {irq} in the end')


@lab_test('host and guest: with drift repair in the host\'s document the guest mends its own '
          'interrupts, without the host', 'nested-verified', timeout=900)
def guest_mends_itself(vm, t):
    expect_exit(t, vm.run('systemctl stop latencyd; latencyctl verify --wait 120', timeout=180), 0)
    vm.out("printf 'drift: {repair: runtime}\\n' >> /etc/latencyd/latencyd.yaml")
    expect_exit(t, vm.run('latencyctl apply', timeout=240), (0, 3))
    t.note(f'verified by the new document after {wait_verified(vm, t, 120):.0f} s')
    shell = nested.GuestShell(vm)
    t.check('repair: runtime' in shell.out('cat /etc/latencyd/latencyd.yaml'),
            'the guest\'s document has no drift of its own')
    irq = busiest_irq(shell)
    t.equal(wait_effective(shell, irq, '0'), '0', f'CPU of interrupt {irq} in the guest')
    shell.out(f'echo 1 > /proc/irq/{irq}/smp_affinity_list')
    # what was written stands at once, so that only a repair takes it away
    asked = wait_file(shell, f'/proc/irq/{irq}/smp_affinity_list', '0', 60)
    t.equal(asked, '0', f'CPUs of interrupt {irq}, and nobody applied')
    t.equal(wait_effective(shell, irq, '0'), '0', f'CPU of interrupt {irq}, and nobody applied')
    t.note(f'verified again {wait_verified(vm, t, 120):.0f} s later')


@lab_test('host and guest: a guest whose latencyd was killed is unknown, nothing else is, and it is '
          'verified when that is back', 'nested-verified', timeout=600)
def agent_killed(vm, t):
    expect_exit(t, vm.run('systemctl stop latencyd; latencyctl verify --wait 120', timeout=180), 0)
    before, host_before = wait_guest(vm, 'verified', 0)
    shell = nested.GuestShell(vm)
    shell.out('touch /run/hold-latencyd; kill -9 $(/bin/busybox pidof latencyd)')
    t.equal(shell.run('/bin/busybox pidof latencyd').out.strip(), '', 'a latencyd in the guest')
    guest, report = wait_guest(vm, 'unknown', 30)
    t.equal(guest['verdict'], 'unknown', 'the guest')
    t.equal(row(guest, 'guest_agent')['verdict'], 'unknown', 'guest_agent')
    seen = verdicts(guest['settings'])
    own = {name for name in seen if name.startswith('guest_')} - {'guest_agent'}
    t.check({'guest_launch', 'guest_vcpus', 'guest_memory'} <= own, f'rows of the guest: {seen}')
    t.same({name: seen[name] for name in own},
           {name: verdicts(before['settings'])[name] for name in own}, 'what the host sees itself')
    t.equal(report['verdict'], 'verified', 'the host')
    t.same(verdicts(report['settings']), verdicts(host_before['settings']), 'rows of the host')
    shell.out('rm /run/hold-latencyd')
    t.note(f'verified again {wait_verified(vm, t, 120):.0f} s after it was let back')
    t.check(shell.out('/bin/busybox pidof latencyd') != '', 'no latencyd in the guest')


@lab_test('host and guest: with vhost_vsock on the host the guest is launched with it and answers '
          'over it', 'nested-verified', timeout=900)
def over_vsock(vm, t):
    vm.out('modprobe vhost_vsock && test -c /dev/vhost-vsock')
    vm.run('systemctl stop latencyd')
    old = vm.read(QEMU_PID)
    t.check('vhost-vsock' not in vm.read(f'/proc/{old}/cmdline'), 'it had vsock already')
    vm.out(f'kill -9 {old}; sleep 1; systemctl start latencyd')
    t.note(f'verified {wait_verified(vm, t, 400):.0f} s after its QEMU was killed')
    arguments = vm.read(f'/proc/{vm.read(QEMU_PID)}/cmdline').split('\0')
    device = next((x for x in arguments if x.startswith('vhost-vsock-pci,guest-cid=')), None)
    t.check(device, f'no vsock among {arguments}')
    t.check(not any('virtserialport' in x for x in arguments), 'it has a virtio-serial port too')
    guest, _ = wait_guest(vm, 'verified', 0)
    t.check('answers, document' in row(guest, 'guest_agent')['live'], row(guest, 'guest_agent'))
    t.equal(row(guest, 'rt_throttling')['verdict'], 'converged', 'a row of the guest\'s own')
    t.note(device)


def stop_unit(vm, t):
    """Stops the guest's unit as a shutdown does. (seconds, the guest's console to its end)"""
    pid = vm.read(QEMU_PID)
    start = time.monotonic()
    vm.out('systemctl stop latencyd-guest-vnf0', timeout=300)
    t.check(vm.run(f'test -e /proc/{pid}').status != 0, 'its QEMU still runs')
    return time.monotonic() - start, vm.read(CONSOLE, '')


@lab_test('host and guest: stopping the unit of a guest lets it shut itself down, without latencyd '
          'and without the document', 'nested-verified', timeout=900)
def unit_stopped(vm, t):
    vm.out(f'systemctl stop latencyd; mv {DOCUMENT} {DOCUMENT}.away')
    seconds, console = stop_unit(vm, t)
    t.check('FACT power-button shutting-down' in console, console[-500:])
    t.check('reboot: Power down' in console, console[-500:])
    t.check(seconds < 110, f'{seconds:.0f} s')
    t.note(f'down {seconds:.0f} s after systemctl stop')
    # The stop command's output goes where QEMU's does, and it had nothing to say.
    t.check('latencyctl' not in vm.read(CONSOLE.replace('console', 'qemu'), ''), 'qemu.log')


@lab_test('host and guest: a guest that ignores its power button is ended when its time is over',
          'nested-verified', timeout=900)
def power_button_ignored(vm, t):
    vm.out('systemctl stop latencyd')
    nested.GuestShell(vm).out('touch /run/ignore-power-button')
    seconds, console = stop_unit(vm, t)
    t.check('FACT power-button ignored' in console, console[-500:])
    t.check('Power down' not in console, console[-500:])
    t.check(115 < seconds < 180, f'{seconds:.0f} s')
    t.note(f'ended {seconds:.0f} s after systemctl stop')


ADOPTED = """cd /run && exec qemu-system-x86_64 -name guest=other,debug-threads=on -nodefaults -display none \
 -machine q35,memory-backend=memory,kernel-irqchip=on -accel kvm -cpu host -smp 2 -m 1G \
 -object memory-backend-memfd,id=memory,size=1G,hugetlb=on,hugetlbsize=1G,prealloc=on,host-nodes=1,policy=bind \
 -overcommit mem-lock=on -kernel /srv/nested/vmlinuz -initrd /srv/nested/initrd.img \
 -append "console=ttyS0 isolcpus=managed_irq,domain,1 nohz_full=1" -serial file:/run/other.console \
 -device virtio-serial-pci -chardev socket,id=agent,path=/run/other.agent,server=on,wait=off \
 -device virtserialport,chardev=agent,name=org.latencyd1.0 -qmp unix:/run/other.qmp,server=on,wait=off
"""


def adopting_document(vm):
    """The machine's document with its guest replaced by one that somebody else runs."""
    host = vm.read(DOCUMENT).split('\nguests:')[0]
    return host + """
guests:
  - name: other
    adopt: {domain: other, qmp: /run/other.qmp, channel: /run/other.agent}
    vcpus: [{cpu: 2}, {cpu: 3}]
    state:
      cpus: {isolated: 1}
      rt_throttling: off
      timer_migration: off
reboot: {policy: when-asked}
"""


@lab_test('host and guest: a QEMU that a script started is adopted, pinned and verified, and never '
          'started again', 'nested-verified', timeout=900)
def adopted(vm, t):
    vm.out('systemctl stop latencyd latencyd-guest-vnf0', timeout=240)
    vm.put(adopting_document(vm), DOCUMENT)
    vm.put(ADOPTED, '/run/other.sh')
    vm.out('systemd-run -q --unit=other sh /run/other.sh')
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        _, report = status(vm)
        guest = report['guests'][0]
        # Until its monitor answers, nobody can tell which thread is which vCPU.
        if row(guest, 'guest_vcpus')['verdict'] != 'unknown':
            break
        time.sleep(1)
    pid = vm.out('pgrep -f guest=other,debug | head -n 1')
    t.equal(row(guest, 'guest_launch')['verdict'], 'converged', 'guest_launch')
    t.equal(row(guest, 'guest_vcpus')['verdict'], 'drifted', 'guest_vcpus before')
    vm.run('latencyctl apply; systemctl start latencyd', timeout=240)
    t.note(f'verified {wait_verified(vm, t, 300):.0f} s after it was adopted')
    for thread in vm.out(f'cd /proc/{pid}/task && grep -l "^CPU [01]/KVM" */comm').splitlines():
        tid = thread.split('/')[0]
        number = int(vm.read(f'/proc/{pid}/task/{tid}/comm')[4])
        allowed = vm.out(f'sed -n "s/^Cpus_allowed_list:.//p" /proc/{pid}/task/{tid}/status')
        t.equal(allowed, str(2 + number), f'allowed CPUs of vCPU {number}')
    vm.run('systemctl stop latencyd; systemctl stop other; sleep 1; latencyctl apply', timeout=240)
    t.equal(vm.run('pgrep -f guest=other,debug').status, 1, 'a QEMU of that name after apply')
    _, report = status(vm)
    t.equal(row(report['guests'][0], 'guest_launch')['verdict'], 'unfixable', 'guest_launch')
