"""A guest from nothing, on this machine itself: a stock Debian image is prepared, launched under TCG,
converges itself with one reboot, is verified and measured. Proven through ssh and /proc, past
latencyd."""

import json
import shutil
import time

from labvm import image, kernel
from labvm.guestimage import SSH_OPTIONS, open_ssh
from labvm.product_calls import expect_exit
from labvm.runner import HERE, lab_test

PORT = 2299
DOCUMENT = '''
version: 1
reboot: {{policy: automatic}}
guests:
  - name: vnf0
    launch:
      disk: {disk}
      memory: 1G
      page_size: none
      accel: tcg
    vcpus: [{{cpu: 0, priority: 0}}, {{cpu: 1, priority: 0}}]
    ssh: {{host_port: {port}}}
    state:
      cpus: {{isolated: 1}}
      kernel: {{preemption: rt, package: linux-image-rt-amd64}}
      cpu_isolation: [domain, managed_irq]
      tick_offload: isolated
      rcu_offload: isolated
      machine_check: off
      tsc: {{mode: reliable, invariant: assumed}}
      watchdogs: off
      rt_throttling: off
      irq_affinity: housekeeping
      kthread_priority: realtime
      timer_migration: off
measure:
  on: [guest/vnf0]
  profile: smoke
  # under emulation a wake-up takes longer than the usual 200 us
  interval: 20000
'''


def ssh(here, key, command):
    # sshd's own folder for the client's user is in /root: unchanged by the namespaces.
    return here.out(f"ssh {SSH_OPTIONS} -p {PORT} -i {key} root@127.0.0.1 '{command}'", timeout=60)


def check_inside(here, key, t):
    arguments = ssh(here, key, 'cat /proc/cmdline').split()
    for wanted in ('isolcpus=managed_irq,domain,1', 'nohz_full=1', 'rcu_nocbs=1', 'mce=off',
                   'tsc=reliable'):
        t.check(wanted in arguments, f'{wanted} is not in {arguments}')
    t.check('PREEMPT_RT' in ssh(here, key, 'cat /proc/version'), 'no RT kernel in the guest')
    for path, wanted in (('/sys/devices/system/cpu/isolated', '1'),
                         ('/sys/devices/system/cpu/nohz_full', '1'),
                         ('/proc/sys/kernel/watchdog', '0'),
                         ('/proc/sys/kernel/sched_rt_runtime_us', '-1'),
                         ('/proc/sys/kernel/timer_migration', '0')):
        t.equal(ssh(here, key, f'cat {path}'), wanted, path)
    t.equal(ssh(here, key, 'systemctl is-active latencyd.service'), 'active', 'latencyd inside')


def check_outside(here, pid, t):
    """Each vCPU thread allowed on its CPU alone."""
    lines = here.out(f'cd /proc/{pid}/task && for i in *; do echo "$(cat $i/comm)|'
                     '$(sed -n "s/^Cpus_allowed_list:.//p" $i/status)"; done').splitlines()
    allowed = dict(line.split('|') for line in lines if line.startswith('CPU '))
    t.equal({name: kernel.cpus(cpus) for name, cpus in allowed.items()},
            {'CPU 0/TCG': {0}, 'CPU 1/TCG': {1}}, 'allowed CPUs of the vCPU threads')


@lab_test('a stock image prepared, launched, converged with its reboot, verified, measured', HERE,
          timeout=2400)
def guest_from_nothing(here, t):
    disk = here.folder / 'guest.qcow2'
    shutil.copy(image.build() / 'base.qcow2', disk)
    key = open_ssh(here, disk)
    start = time.monotonic()
    expect_exit(t, here.run(f'latencyctl guest prepare {disk}', timeout=600), 0)
    t.note(f'guest prepare: {time.monotonic() - start:.0f} s')
    again = here.run(f'latencyctl guest prepare {disk}', timeout=600, check=True)
    t.check('prepared already' in again.err, f'the second time it said {again}')

    here.put(DOCUMENT.format(disk=disk, port=PORT), '/etc/latencyd/latencyd.yaml')
    start = time.monotonic()
    here.background('/usr/sbin/latencyd')
    # 4: the guest is still to reboot itself
    applied = here.run('latencyctl apply', timeout=300)
    t.check(applied.status in (0, 3, 4, 5), f'apply: {applied}')
    expect_exit(t, here.run('latencyctl verify --wait 1200', timeout=1260), 0)
    t.note(f'from launch to verified: {time.monotonic() - start:.0f} s')
    boots = here.read('/run/latencyd/guests/vnf0/console.log').count('Loading Linux')
    t.equal(boots, 2, 'boots of the guest: the first and the one of its own reboot')

    guests = json.loads(here.out('latencyctl guest list --json'))['guests']
    t.equal([(g['name'], g['accelerator'], g['verdict']) for g in guests],
            [('vnf0', 'tcg', 'verified')], 'guest list')
    check_inside(here, key, t)
    check_outside(here, guests[0]['pid'], t)
    t.check(here.run(f'latencyctl guest prepare {disk}').status == 1, 'a running image was taken')

    measured = here.run('latencyctl measure', timeout=300)
    t.check(measured.status in (1, 3), f'measure: {measured}')
    folder = here.out('ls -d /var/lib/latencyd/runs/* | tail -n 1')
    result = json.loads(here.read(f'{folder}/result.json'))
    t.equal(result['on'], 'guest/vnf0', 'where it was measured')
    t.equal({thread['cpu'] for cell in result['cells'] for thread in cell['threads']}, {1},
            'CPUs measured')
    t.check(result['verdict'] != 'PASS', 'an emulated 10 s passed')
    t.note(f'{result["verdict"]}: {result.get("sentence", "")}')
    page = here.read(f'{folder}/report.html')
    t.check('<svg' in page and 'vnf0' in page, 'report.html has no picture of the guest')
    expect_exit(t, here.run('latencyctl guest stop vnf0', timeout=200), 0)
