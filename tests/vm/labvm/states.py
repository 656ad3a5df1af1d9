"""The snapshots that hold latencyd, and the records tests compare against."""

import json

from . import kernel, product
from .common import LabError
from .snapshots import snapshot
from .watching import wait_for

STOCK_RECORD = '/root/lab-stock.json'
APPLY_LOG = '/root/lab-apply.json'


def keep_stock_record(machine):
    """Writes down inside the VM what `revert` has to bring back."""
    machine.put(json.dumps(kernel.stock_record(machine)), STOCK_RECORD)


@snapshot('installed', parent='stock', usually='20 s', inputs=product.inputs)
def installed(machine):
    """The stock machine with latencyd and the lab's document; nothing applied."""
    keep_stock_record(machine)
    product.install_product(machine)


@snapshot('rt-installed', parent='rt', usually='20 s', inputs=product.inputs)
def rt_installed(machine):
    """The RT kernel runs, latencyd is installed, and no boot argument is set."""
    keep_stock_record(machine)
    product.install_product(machine)


@snapshot('verified', parent='installed', usually='2 to 3 minutes', inputs=product.inputs)
def verified(machine):
    """What `latencyctl apply --reboot` makes of the stock machine, with no other help."""
    apply = machine.run_and_reboot('latencyctl apply --reboot', timeout=480)
    verify = machine.run('latencyctl verify --wait 300', timeout=330)
    machine.put(json.dumps({'apply': str(apply), 'verify': str(verify)}), APPLY_LOG)
    if verify.status != 0:
        status = machine.run('latencyctl status')
        journal = machine.run('journalctl -b --no-pager -u latencyd | tail -n 20')
        raise LabError(f'not verified after apply --reboot.\n{apply}\n{verify}\n{status}\n'
                       f'{journal}')
    machine.wait_settled()
    # The last thing that the daemon keeps of a boot: its first passes are over then.
    kept = wait_for(lambda: json.loads(machine.read('/var/lib/latencyd/alerts.json')),
                    lambda kept: kept['fingerprint'], 120)
    if not kept['fingerprint']:
        raise LabError(f'latencyd keeps no fingerprint of the verified machine: {kept}')
