"""A true KVM guest inside the lab's machine: QEMU's emulation has SVM, so kvm_amd works in there.

What the machine needs for it (QEMU, a module that claims constant_tsc, busybox) comes from the
machine that runs the lab, which is Debian 12 as well; the guest's kernel and initrd are made inside.
"""

import functools
import hashlib
import io
import json
import pathlib
import re
import shlex
import subprocess
import tarfile
import time

from . import product
from .common import LAB_DIR, LabError, VM_DIR, hash_files
from .snapshots import snapshot
from .states import keep_stock_record

NESTED_DIR = VM_DIR / 'nested'
GUEST_DIR = '/srv/nested'
QEMU = '/usr/bin/qemu-system-x86_64'
FIRMWARE = ['/usr/share/seabios/bios-256k.bin', '/usr/share/qemu/kvmvapic.bin',
            '/usr/share/qemu/linuxboot_dma.bin', '/usr/share/qemu/linuxboot.bin',
            '/usr/share/qemu/multiboot_dma.bin', '/usr/share/qemu/pvh.bin',
            '/usr/lib/ipxe/qemu/efi-virtio.rom']
# Before latencyd, so that KVM is there when it looks; on the ordinary kernel both fail and nothing
# is there, as on a host whose firmware forbids it.
KVM_UNIT = """[Unit]
Description=KVM in the lab's emulated machine
DefaultDependencies=no
Before=latencyd.service
After=systemd-modules-load.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/sbin/insmod /usr/lib/lab/constant_tsc.ko
ExecStart=-/sbin/modprobe kvm_amd

[Install]
WantedBy=multi-user.target
"""


def _headers():
    """The folder of the RT kernel's headers, to build a module for the lab's RT kernel."""
    found = sorted(pathlib.Path('/usr/src').glob('linux-headers-*-rt-amd64'))
    if not found:
        raise LabError('linux-headers-rt-amd64 is not installed; install the packages listed in '
                       'tests/vm/packages')
    return found[-1]


def _module():
    headers = _headers()
    folder = LAB_DIR / f'module-{headers.name}-{hash_files([NESTED_DIR / "constant_tsc.c"])}'
    module = folder / 'constant_tsc.ko'
    if not module.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'constant_tsc.c').write_bytes((NESTED_DIR / 'constant_tsc.c').read_bytes())
        (folder / 'Makefile').write_text('obj-m := constant_tsc.o\n')
        built = subprocess.run(['make', '-C', headers, f'M={folder}', 'modules'],
                               capture_output=True, text=True, check=False)
        if built.returncode != 0:
            raise LabError(f'building constant_tsc.ko failed:\n{built.stdout[-1000:]}\n'
                           f'{built.stderr[-1000:]}')
    return module


def _libraries(program):
    text = subprocess.run(['ldd', program], capture_output=True, text=True, check=True).stdout
    return re.findall(r'(/\S+) \(0x', text)


@functools.cache
def payload():
    """The files of this machine that go into the VM, as a tar file."""
    files = {path: path for path in [QEMU, *FIRMWARE, *_libraries(QEMU)]}
    files['/usr/lib/lab/busybox'] = '/bin/busybox'
    files['/usr/lib/lab/constant_tsc.ko'] = _module()
    files['/usr/lib/lab/nested-init'] = NESTED_DIR / 'init'
    files['/usr/lib/lab/make-initrd'] = NESTED_DIR / 'make-initrd'
    buffer = io.BytesIO()

    def normalise(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = 'root'
        return entry
    with tarfile.open(fileobj=buffer, mode='w', dereference=True) as archive:
        for name in sorted(files):
            archive.add(files[name], name, recursive=False, filter=normalise)
    return buffer.getvalue()


def inputs():
    return [hashlib.sha256(payload()).hexdigest(), KVM_UNIT, *product.inputs()]


@snapshot('nested', parent='installed', usually='1 minute', inputs=inputs)
def nested(machine):
    """The untuned host with latencyd and QEMU; the nested guest's kernel and initrd lie ready."""
    machine.put(payload(), '/run/payload.tar')
    # What the machine has already (libc) stays.
    machine.run('tar -x -f /run/payload.tar -C / --keep-directory-symlink --skip-old-files && '
                'rm /run/payload.tar && ldconfig', timeout=240, check=True)
    machine.put(KVM_UNIT, '/etc/systemd/system/lab-kvm.service')
    machine.run('systemctl -q enable lab-kvm.service', check=True)
    machine.run(f'/usr/lib/lab/make-initrd /srv/lab-repo/linux-image-6*.deb {GUEST_DIR}',
                timeout=400, check=True)
    keep_stock_record(machine)


class GuestShell:
    """Commands in the nested guest, past latencyd: a virtio-serial port of the test's own."""

    def __init__(self, machine):
        self.machine = machine
        machine.put((NESTED_DIR / 'guest-shell').read_bytes(), '/usr/local/sbin/guest-shell', 0o755)
        machine.run('guest-shell plug', check=True)

    def run(self, command, timeout=60):
        return self.machine.run(f'guest-shell run {shlex.quote(command)}', timeout)

    def out(self, command, timeout=60):
        result = self.run(command, timeout)
        if result.status != 0:
            raise LabError(f'in the nested guest: {command}: {result}')
        return result.out.strip()


APPLY_LOG = '/root/lab-nested-apply.json'
DOCUMENT = VM_DIR / 'nested-document.yaml'


def verified_inputs():
    return [*inputs(), DOCUMENT.read_text()]


@snapshot('nested-verified', parent='nested', usually='4 minutes', inputs=verified_inputs)
def nested_verified(machine):
    """What one `latencyctl apply --reboot` makes of host and guest, with no other help."""
    machine.put(DOCUMENT.read_text(), product.DOCUMENT_PATH)
    start = time.monotonic()
    apply = machine.run_and_reboot('latencyctl apply --reboot', timeout=480)
    booted = time.monotonic()
    verify = machine.run('latencyctl verify --wait 400', timeout=460)
    machine.put(json.dumps({'apply': str(apply), 'verify': str(verify), 'reboot_s': booted - start,
                            'verified_s': time.monotonic() - booted}), APPLY_LOG)
    if verify.status != 0:
        journal = machine.run('journalctl -b --no-pager -u "latencyd*" | tail -n 30; '
                              'tail -n 20 /run/latencyd/guests/vnf0/*.log')
        raise LabError(f'not verified after apply --reboot.\n{apply}\n{verify}\n'
                       f'{machine.run("latencyctl status")}\n{journal}')
    machine.wait_settled()
