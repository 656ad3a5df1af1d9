"""The metrics of a real drift, in a real Prometheus: its alert fires, and resolves."""

import re
import shutil
import tempfile

from labvm import product
from labvm.monitoring import Monitoring
from labvm.runner import Skip, lab_test
from labvm.watching import DOCUMENT, THROTTLING, wait_for, wait_value

METRICS = '/var/lib/prometheus/node-exporter/latencyd.prom'
RULES = 'usr/share/latencyd/latencyd.rules.yml'
TOOLS = ('prometheus', 'prometheus-node-exporter', 'prometheus-alertmanager', 'nsenter')


def _wait_metrics(vm, pattern):
    """The metrics, as soon as a line of theirs is so; None: it is not."""
    text = wait_for(lambda: vm.read(METRICS) + '\n', lambda seen: re.search(pattern, seen), 30)
    return text if re.search(pattern, text) else None


@lab_test('watching: Prometheus, node_exporter and Alertmanager fire the drift alert and resolve it',
          'watched', timeout=400)
def prometheus(vm, t):
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise Skip(f'{", ".join(missing)} is not installed')
    vm.out(f"sed -i 's/repair: runtime/repair: none/' {DOCUMENT}; systemctl reload latencyd")
    with tempfile.TemporaryDirectory() as folder, \
            Monitoring(folder, product.destdir() / RULES) as monitoring:
        monitoring.give(vm.read(METRICS) + '\n')
        t.check(monitoring.wait_alert('LatencySettingDrifted', False), 'fires without a drift')
        vm.out(f'echo 950000 > {THROTTLING}')
        metrics = _wait_metrics(vm, 'latencyd_drifts_total{.*setting="rt_throttling".*} 1')
        t.check(metrics, 'no count of it in the metrics')
        monitoring.give(metrics or '')
        t.check(monitoring.wait_alert('LatencySettingDrifted', True),
                f'does not fire: {monitoring.get("prometheus", "/api/v1/alerts")}')
        vm.out('latencyctl apply')
        t.equal(wait_value(vm, THROTTLING, '-1'), '-1', 'mended')
        metrics = _wait_metrics(vm, 'latencyd_state{.*state="verified".*} 1')
        t.check(metrics, 'not verified in the metrics')
        monitoring.give(metrics or '')
        t.check(monitoring.wait_alert('LatencySettingDrifted', False), 'does not resolve')
