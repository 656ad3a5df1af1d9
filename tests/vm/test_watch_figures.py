"""How soon a drift is told and mended. Under emulation the figures are only printed."""

import json
import statistics
import subprocess
import tempfile

from labvm.common import VM_DIR
from labvm.runner import lab_test
from labvm.watching import THROTTLING, mark, still_right

WRITES = 500


def _writer():
    """The program that writes, built for any Linux."""
    with tempfile.TemporaryDirectory() as folder:
        out = f'{folder}/drift_writer'
        subprocess.run(['gcc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror',
                        '-static', '-o', out, VM_DIR / 'guest' / 'drift_writer.c'], check=True)
        with open(out, 'rb') as f:
            return f.read()


def _figures(times_us):
    ordered = sorted(times_us)
    return (f'median {statistics.median(ordered) / 1e3:.2f} ms, p99 '
            f'{ordered[len(ordered) * 99 // 100] / 1e3:.2f} ms, worst {ordered[-1] / 1e3:.2f} ms '
            f'of {len(ordered)}')


def _alert_times(vm, since):
    fields = 'LATENCYD_NOW,LATENCYD_SETTING,_SOURCE_REALTIME_TIMESTAMP'
    out = vm.out(f"journalctl -q -o json --output-fields={fields} --after-cursor='{since}'",
                 timeout=120)
    found = [e for e in map(json.loads, out.splitlines())
             if e.get('LATENCYD_SETTING') == 'rt_throttling']
    return sorted(int(e.get('_SOURCE_REALTIME_TIMESTAMP') or e['__REALTIME_TIMESTAMP'])
                  for e in found if e.get('LATENCYD_NOW') == 'drifted')


@lab_test(f'watching: {WRITES} drifts by as many programs are all told and mended; how soon',
          'watched', timeout=900)
def figures(vm, t):
    vm.put(_writer(), '/root/drift_writer', mode=0o755)
    since = mark(vm)
    out = vm.out(f'/root/drift_writer {THROTTLING} 950000 -1 {WRITES}', timeout=800)
    *lines, seen = out.splitlines()
    rows = [tuple(map(int, line.split())) for line in lines]
    t.equal(len(rows), WRITES, 'writes')
    t.equal([number for number, _, mended in rows if not mended], [], 'not mended')
    vm.run('journalctl --sync')
    told = _alert_times(vm, since)
    t.equal(len(told), WRITES, 'drifts told')
    t.note(f'write -> alert: {_figures([at - row[1] for row, at in zip(rows, told)])} '
           '(aim on hardware: p99 <= 2 ms)')
    t.note(f'write -> repaired: {_figures([mended - at for _, at, mended in rows])} '
           '(aim on hardware: p99 <= 10 ms)')
    t.note(f'a loop that reads the file once a second came to see {seen.split()[1]} of {WRITES}')
    still_right(vm, t)
