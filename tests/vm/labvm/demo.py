"""The main job, shown, by latencyctl alone: a stock host and a guest on it become verified, and the
guest is measured."""

import io
import json
import shutil
import sys
import tarfile
import time

from . import nested, product, snapshots
from .common import LAB_DIR, LabError

REPORT_DIR = LAB_DIR / 'report'


def _step(text, usually=None):
    print(f'\n== {text}{f" (usually {usually})" if usually else ""}', flush=True)


def _show(vm, command, expected=None, timeout=120):
    """Runs a command with its output as it comes; another exit status than expected is an error."""
    print(f'# {command}', flush=True)

    def write(data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    result = vm.run(command, timeout=timeout, on_output=write)
    print(f'[exit {result.status}]', flush=True)
    if expected is not None and result.status not in expected:
        raise LabError(f'{command}: exit {result.status}, expected {expected}')
    return result


def fetch_folder(vm, path, target):
    """Copies a folder of the VM to the host."""
    vm.run(f'tar -C {path} -cf /run/lab-fetch.tar .', check=True)
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(vm.get('/run/lab-fetch.tar'))) as archive:
        archive.extractall(target, filter='data')
    vm.run('rm /run/lab-fetch.tar')


def _apply_and_reboot(vm):
    start = time.monotonic()
    print('# latencyctl apply --reboot', flush=True)

    def write(text):
        sys.stdout.write(text)
        sys.stdout.flush()
    vm.run_and_reboot('latencyctl apply --reboot', timeout=480, on_output=write)
    print(f'[the machine came back by itself after {time.monotonic() - start:.0f} s]', flush=True)


def _print_result(folder):
    """The run's sentence and figures, and where the whole result lies."""
    results = sorted(folder.rglob('result.json'), key=lambda p: p.stat().st_mtime)
    if not results:
        raise LabError('the measurement left no result in /var/lib/latencyd/runs')
    result = json.loads(results[-1].read_text())
    print(f'measured on {result.get("on")}: {result.get("verdict")}: {result.get("sentence", "")}')
    for cell in result.get('cells', ()):
        for thread in cell.get('threads', ()):
            print(f'  {cell.get("name")}, CPU {thread.get("cpu")}: min {thread.get("min_us")} avg '
                  f'{thread.get("avg_us")} max {thread.get("max_us")} us over '
                  f'{thread.get("cycles")} cycles')
    print('\n(An emulated machine says nothing about real latencies: what the lab shows is that '
          'the state is\nreached and proven on host and guest, and that the measurement runs '
          'where it should.)')
    print(f'\nThe report, one page: {results[-1].parent / "report.html"}')


def demo():
    """Shows the main job; returns the exit status."""
    _step('Starting the stock Debian 12 machine with latencyd, QEMU and a guest\'s kernel in it',
          '2 s, or 4 minutes the first time')
    with snapshots.machine_from('nested', 'demo') as vm:
        _show(vm, 'uname -srv; cat /proc/cmdline')
        vm.put(nested.DOCUMENT.read_text(), product.DOCUMENT_PATH)
        _show(vm, f'cat {product.DOCUMENT_PATH}')
        _step('Before: nothing is as the document wants it, and there is no guest', '1 s')
        _show(vm, 'latencyctl status', (3, 5))
        _step('The plan', '1 s')
        _show(vm, 'latencyctl plan', (0,))
        _step('Applying it and rebooting: the RT kernel is installed from the package source in '
              'the machine, GRUB\'s menu is written, the machine reboots', '2 minutes')
        _apply_and_reboot(vm)
        _step('Waiting until latencyd has converged the host, started the guest, and the guest has '
              'converged itself', '2 minutes')
        _show(vm, 'latencyctl verify --wait 400', (0,), timeout=460)
        _step('After: host and guest', '1 s')
        _show(vm, 'latencyctl status', (0,))
        _show(vm, 'uname -srv; cat /proc/cmdline; systemctl is-active latency-verified.target')
        _show(vm, 'latencyctl guest list', (0,))
        _step('Measuring in the guest', '30 s')
        _show(vm, 'latencyctl measure', (0, 1, 3, 4), timeout=300)
        _show(vm, 'latencyctl runs', (0,))
        shutil.rmtree(REPORT_DIR, ignore_errors=True)
        fetch_folder(vm, '/var/lib/latencyd/runs', REPORT_DIR)
    _step('The result')
    _print_result(REPORT_DIR)
    return 0
