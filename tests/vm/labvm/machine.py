"""One VM under QEMU: start, restore, run commands, move files, reboot, save.

TCG only: the lab must run where there is no KVM. The machine is what the issue's settings need to
have an effect: 4 CPUs and 8 GiB on two NUMA nodes, an Intel IOMMU with interrupt remapping, and a
virtio disk with a queue per CPU, whose interrupts the kernel manages itself.
"""

import contextlib
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

from . import channel
from .common import LAB_DIR, LabError, say, tail

DEVICES = [
    '-machine', 'q35', '-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max,la57=off',
    '-smp', '4', '-m', '8192',
    # Node 1 has so much that a huge page freed at run time can be had again: a GiB is lost to
    # that as soon as the kernel puts one unmovable page into it. Untouched memory costs nothing.
    '-object', 'memory-backend-ram,id=node0,size=2G',
    '-object', 'memory-backend-ram,id=node1,size=6G',
    '-numa', 'node,nodeid=0,cpus=0-1,memdev=node0',
    '-numa', 'node,nodeid=1,cpus=2-3,memdev=node1',
    '-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'none', '-rtc', 'base=utc',
    '-device', 'intel-iommu,intremap=on',
    '-device', 'virtio-blk-pci,drive=disk,num-queues=4',
    '-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=agent,name=lab.0',
    '-netdev', 'user,id=net,restrict=on', '-device', 'virtio-net-pci,netdev=net,romfile=',
]
CRASHES = {-number for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL,
                                  signal.SIGFPE)}
ATTEMPTS = 3
_numbers = itertools.count()


@dataclass
class Result:
    """What a command in the VM did."""
    command: str
    status: int
    out: str
    err: str

    def __str__(self):
        return (f'$ {self.command}\nexit {self.status}\n{self.out[-4000:]}'
                f'{"--- stderr:" + chr(10) if self.err else ""}{self.err[-4000:]}')


class CommandFailed(LabError):
    """A command that had to succeed did not."""


class QemuCrashed(LabError):
    """QEMU died of a fault of its own, which tells nothing of what ran in it."""


def despite_crashes(what, do):
    """Returns do(), done again when QEMU crashed in it.

    TCG before QEMU 8.2 lets a vCPU go on with the addresses of a device's registers while another
    vCPU moves them, as every boot does ("softmmu: Use async_run_on_cpu in tcg_commit" ended that):
    about one boot in some hundreds ends in memory_region_dispatch_write().
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return do()
        except QemuCrashed as crash:
            if attempt == ATTEMPTS:
                raise
            say(f'lab: {what}: begun again, because {crash}')


def qemu_version():
    try:
        return subprocess.run(['qemu-system-x86_64', '--version'], capture_output=True, text=True,
                              check=True).stdout.splitlines()[0]
    except FileNotFoundError:
        raise LabError('qemu-system-x86_64 is not installed; install the packages listed in '
                       'tests/vm/packages') from None


class Machine:
    """A VM on an overlay of a frozen disk; a context manager that ends QEMU and its files."""

    def __init__(self, name, backing):
        self.name = name
        self.folder = LAB_DIR / 'run' / f'{name}-{os.getpid()}-{next(_numbers)}'
        self.folder.mkdir(parents=True)
        self.disk = self.folder / 'disk.qcow2'
        self.console = self.folder / 'console.log'
        self.process = self.channel = self._qmp = None
        subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b',
                        os.path.relpath(backing, self.folder), self.disk], check=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        crash = self._crash() if isinstance(value, Exception) else None
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        if crash:
            raise QemuCrashed(crash) from value

    def _crash(self):
        """What QEMU died of, if it did; its sockets close a moment before it is gone."""
        try:
            status = self.process.wait(2) if self.process else 0
        except subprocess.TimeoutExpired:
            return None
        if status not in CRASHES:
            return None
        return (f'QEMU crashed ({signal.Signals(-status).name}); the end of the console:\n'
                f'{tail(self.console, 5)}\nQEMU said:\n{tail(self.folder / "qemu.log", 5)}')

    def _failed(self, what, error):
        return LabError(f'{self.name}: {what}: {error}\nthe end of the console:\n'
                        f'{tail(self.console)}\nQEMU said:\n{tail(self.folder / "qemu.log", 5)}')

    def start(self, state=None, timeout=240):
        """Boots, or continues from a saved state; returns when the agent answers."""
        command = [
            # A lab that is killed takes its VMs with it.
            'setpriv', '--pdeathsig', 'KILL',
            'qemu-system-x86_64', '-name', self.name,
            '-drive', 'file=disk.qcow2,if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap',
            '-chardev', 'socket,id=agent,path=agent.sock,server=on,wait=off',
            '-chardev', 'file,id=console,path=console.log,append=on', '-serial', 'chardev:console',
            '-qmp', 'unix:qmp.sock,server=on,wait=off', *DEVICES]
        if state:
            command += ['-incoming', f'exec:zstd -dcq {os.path.relpath(state, self.folder)}']
        with open(self.folder / 'qemu.log', 'wb') as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        try:
            self._qmp = channel.connect_in(self.folder, 'qmp.sock', 30)
            self._qmp.settimeout(120)
            self._qmp = self._qmp.makefile('rw')
            self._qmp.readline()
            self.qmp('qmp_capabilities')
            if state:
                self._wait_for_incoming(60)
                self.qmp('cont')
            self.channel = channel.Channel(channel.connect_in(self.folder, 'agent.sock', 30))
            self.channel.sync(timeout)
        except (LabError, OSError, ValueError) as error:
            raise self._failed('did not start', error) from error
        if state:
            self.run(f'date -s @{time.time():.3f}', check=True)

    def _wait_for_incoming(self, timeout):
        deadline = time.monotonic() + timeout
        while self.qmp('query-status')['status'] == 'inmigrate':
            if time.monotonic() > deadline:
                raise LabError(f'the saved state was not read within {timeout} s')
            time.sleep(0.02)

    def stop(self):
        if self.channel:
            self.channel.close()
        self.channel = None
        if self._qmp:
            # What QEMU did not take any more is still in the buffer, and close() tries it again.
            with contextlib.suppress(OSError):
                self._qmp.close()
        self._qmp = None
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self):
        """Ends QEMU at once, from any thread; whoever waits for the VM gets an error."""
        if self.process:
            self.process.kill()

    def qmp(self, command, **arguments):
        try:
            self._qmp.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
            self._qmp.flush()
            for line in self._qmp:
                answer = json.loads(line)
                if 'error' in answer:
                    raise LabError(f'{self.name}: QMP {command}: {answer["error"]["desc"]}')
                if 'return' in answer:
                    return answer['return']
        except OSError as error:
            raise LabError(f'{self.name}: QMP {command}: {error}') from error
        raise LabError(f'{self.name}: QEMU ended')

    def run(self, command, timeout=120, check=False, on_output=None):
        """Runs a shell command as root; with check, a status other than 0 is an error."""
        try:
            status, out, err = self.channel.run(command, timeout, on_output)
        except LabError as error:
            raise self._failed('command', error) from error
        result = Result(command, status, out.decode('utf-8', 'replace'),
                        err.decode('utf-8', 'replace'))
        if check and status != 0:
            raise CommandFailed(f'{self.name}: {result}')
        return result

    def talk(self, command, *answers, timeout=120):
        """Runs a shell command on a terminal of its own; each answer is (prompt, what is typed)."""
        try:
            status, shown = self.channel.talk(command, answers, timeout)
        except LabError as error:
            raise self._failed('command', error) from error
        return Result(command, status, shown.decode('utf-8', 'replace').replace('\r', ''), '')

    def out(self, command, timeout=120):
        """The standard output of a command that has to succeed, without surrounding blanks."""
        return self.run(command, timeout, check=True).out.strip()

    def put(self, data, path, mode=0o644, timeout=120):
        self.channel.put(data if isinstance(data, bytes) else data.encode(), path, mode, timeout)

    def get(self, path, timeout=120):
        """A file's bytes, read without a process of its own in the guest."""
        return self.channel.get(path, timeout)

    def read(self, path, default=None):
        """A small file's text without surrounding blanks; default if there is no such file."""
        try:
            return self.get(path).decode('utf-8', 'replace').strip()
        except FileNotFoundError:
            if default is None:
                raise
            return default

    def boot_id(self):
        return self.read('/proc/sys/kernel/random/boot_id')

    def wait_settled(self, timeout=240):
        """Waits until systemd has started everything; returns its state."""
        return self.run('systemctl is-system-running --wait', timeout).out.strip()

    def reboot(self, timeout=300, settled=True):
        """Reboots through the boot loader; returns the seconds it took."""
        start = time.monotonic()
        self.run_and_reboot('systemctl reboot', timeout)
        if settled:
            self.wait_settled()
        return time.monotonic() - start

    def run_and_reboot(self, command, timeout=300, on_output=None):
        """Runs a command that reboots the VM, waits for the new boot, returns what it printed.

        on_output gets the output as it comes, in pieces of text.

        The shutdown may end the command before it can report, so its output goes to a file; the
        status is None then. A command that has ended with an error while the VM goes on answering
        for half a minute is not going to reboot it.
        """
        old, log = self.boot_id(), '/var/tmp/lab-command'
        self.run(f'rm -f {log}.*; (sh -c {shlex.quote(command)} > {log}.out 2> {log}.err; '
                 f'echo $? > {log}.status) < /dev/null > /dev/null 2>&1 &', check=True)
        deadline, shown, answers = time.monotonic() + timeout, {'out': 0, 'err': 0}, 0
        while True:
            try:
                self.channel.sync(3)
                for stream in shown if on_output else ():
                    text = self.get(f'{log}.{stream}').decode('utf-8', 'replace')
                    on_output(text[shown[stream]:])
                    shown[stream] = len(text)
                if self.boot_id() != old:
                    break
                answers += self.read(f'{log}.status', '0') not in ('', '0')
                if answers > 30:
                    raise CommandFailed(f'{self.name}: no reboot: {self._logged(command, log)}')
            except (channel.ChannelTimeout, OSError):
                pass
            if time.monotonic() > deadline:
                raise self._failed(f'no new boot within {timeout} s of {command}',
                                   self._logged(command, log))
            time.sleep(1)
        return self._logged(command, log)

    def _logged(self, command, log):
        status = self.read(f'{log}.status', '')
        return Result(command, int(status) if status else None, self.read(f'{log}.out', ''),
                      self.read(f'{log}.err', ''))

    def save(self, state, timeout=120):
        """Stops the VM and writes its state to a file; the disk stays as it is then."""
        self.run('sync', check=True)
        self.qmp('stop')
        self.qmp('migrate-set-parameters', **{'max-bandwidth': 1 << 40})
        self.qmp('migrate', uri=f'exec:zstd -1 -q -f -o {os.path.relpath(state, self.folder)}')
        deadline = time.monotonic() + timeout
        while (status := self.qmp('query-migrate')['status']) != 'completed':
            if status in ('failed', 'cancelled') or time.monotonic() > deadline:
                raise self._failed('saving', f'the migration to {state} is {status}')
            time.sleep(0.05)

    def rss_mib(self):
        """Resident memory of QEMU."""
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as status:
            for line in status:
                if line.startswith('VmRSS'):
                    return int(line.split()[1]) // 1024
        return 0
