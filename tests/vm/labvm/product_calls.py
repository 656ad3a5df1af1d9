"""latencyctl as the tests call it."""

import json

from .kernel import SEED_ROWS


def status(vm):
    """(exit status, the object `latencyctl status --json` prints, or None)."""
    result = vm.run('latencyctl status --json')
    try:
        return result.status, json.loads(result.out)
    except ValueError:
        return result.status, None


def verdicts(vm):
    """{setting: verdict} of the seed rows."""
    _, report = status(vm)
    return {s['name']: s['verdict'] for s in (report or {}).get('settings', ())
            if s['name'] in SEED_ROWS}


def expect_exit(t, result, wanted):
    """Checks a command's exit status; a failure quotes its whole output."""
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    t.check(result.status in wanted,
            f'exit {result.status} instead of {" or ".join(map(str, wanted))}\n{result}')
    return result


def apply(vm, t, wanted=0, options='', timeout=240):
    return expect_exit(t, vm.run(f'latencyctl apply {options}'.strip(), timeout=timeout), wanted)
