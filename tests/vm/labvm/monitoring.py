"""Prometheus, node_exporter and Alertmanager of Debian, on a loopback of their own."""

import json
import pathlib
import subprocess
import time

PORTS = {'prometheus': 9090, 'node_exporter': 9100, 'alertmanager': 9093}


class Monitoring:
    """Started in a new network namespace, so that nothing leaves it; all ended with it."""

    def __init__(self, folder, rules):
        self.folder = pathlib.Path(folder)
        self.rules = rules
        self.processes = []
        self.namespace = None

    def __enter__(self):
        (self.folder / 'textfiles').mkdir()
        (self.folder / 'prometheus.yml').write_text(
            'global: {scrape_interval: 1s, evaluation_interval: 1s}\n'
            f'rule_files: ["{self.rules}"]\n'
            'alerting: {alertmanagers: [{static_configs: [{targets: ["127.0.0.1:9093"]}]}]}\n'
            'scrape_configs:\n'
            '- {job_name: node, static_configs: [{targets: ["127.0.0.1:9100"]}]}\n')
        (self.folder / 'alertmanager.yml').write_text(
            'route: {receiver: nobody}\nreceivers: [{name: nobody}]\n')
        self.namespace = subprocess.Popen(['unshare', '-n', 'sh', '-c',
                                           'ip link set lo up && exec sleep infinity'])
        time.sleep(1)
        self._start('prometheus-node-exporter', '--collector.disable-defaults',
                    '--collector.textfile',
                    f'--collector.textfile.directory={self.folder}/textfiles',
                    '--web.listen-address=127.0.0.1:9100')
        self._start('prometheus-alertmanager', f'--config.file={self.folder}/alertmanager.yml',
                    f'--storage.path={self.folder}/alertmanager', '--cluster.listen-address=',
                    '--web.listen-address=127.0.0.1:9093')
        self._start('prometheus', f'--config.file={self.folder}/prometheus.yml',
                    f'--storage.tsdb.path={self.folder}/tsdb',
                    '--web.listen-address=127.0.0.1:9090')
        return self

    def _start(self, *argv):
        log = open(self.folder / f'{argv[0]}.log', 'wb')  # pylint: disable=consider-using-with
        self.processes.append(subprocess.Popen(self._inside(*argv), stdout=log, stderr=log,
                                               stdin=subprocess.DEVNULL))

    def _inside(self, *argv):
        return ['nsenter', '-t', str(self.namespace.pid), '-n', *argv]

    def __exit__(self, *_):
        for process in [*self.processes, self.namespace]:
            process.terminate()
        for process in [*self.processes, self.namespace]:
            process.wait()

    def give(self, metrics):
        """A new textfile, put there as node_exporter wants it."""
        new = self.folder / 'textfiles' / 'latencyd.new'
        new.write_text(metrics)
        new.rename(self.folder / 'textfiles' / 'latencyd.prom')

    def get(self, what, path):
        """A JSON answer of one of the three, or None."""
        url = f'http://127.0.0.1:{PORTS[what]}{path}'
        out = subprocess.run(self._inside('python3', '-c', FETCH, url), capture_output=True,
                             check=False).stdout
        return json.loads(out) if out else None

    def wait_alert(self, name, firing, timeout=60):
        """Until Alertmanager has the alert, or has it no more. Whether that came."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = self.get('alertmanager', '/api/v2/alerts?active=true')
            names = {a['labels']['alertname'] for a in found or ()}
            if found is not None and (name in names) == firing:
                return True
            time.sleep(1)
        return False


FETCH = ('import sys, urllib.request; '
         'sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())')
