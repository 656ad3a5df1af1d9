"""This machine as a test sees it: the staged latencyd in /usr, and /etc/latencyd, /var/lib/latencyd
and /run of the test's own, in mount and pid namespaces that end with the test and take every process
in them along. No file outside LAB_DIR is touched.
"""

import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

from . import product
from .common import LAB_DIR, LabError

_SETUP = '''
set -e
ip link set lo up
mount -t overlay overlay -o lowerdir="$STAGE/usr:/usr" /usr
mkdir "$WORK/etc" "$WORK/etc-work"
mount -t overlay overlay -o lowerdir=/etc,upperdir="$WORK/etc",workdir="$WORK/etc-work" /etc
mkdir "$WORK/var" "$WORK/var-work"
mount -t overlay overlay -o lowerdir=/var/lib,upperdir="$WORK/var",workdir="$WORK/var-work" /var/lib
mount -t tmpfs tmpfs /run
rm -rf /etc/latencyd /var/lib/latencyd
mkdir -p /etc/latencyd /var/lib/latencyd /run/latencyd
touch "$WORK/ready"
exec sleep infinity
'''


@dataclass
class Result:
    """What a command said."""
    status: int
    out: str
    err: str

    def __str__(self):
        return f'status {self.status}\n{self.out}{self.err}'


class Here:
    """Looks to a test like a VM as far as a test of this machine needs it."""

    def __init__(self):
        (LAB_DIR / 'run').mkdir(parents=True, exist_ok=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='here-', dir=LAB_DIR / 'run'))
        self.console = self.folder / 'log'
        self.console.touch()
        self.holder = None
        self.init = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        if os.geteuid() != 0:
            raise LabError('a test on this machine needs root, for namespaces of its own')
        environment = {**os.environ, 'WORK': str(self.folder), 'STAGE': str(product.destdir())}
        with open(self.console, 'ab') as log:
            self.holder = subprocess.Popen(
                # A lab that is killed takes it along.
                ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--net', '--pid', '--fork',
                 '--kill-child', '--mount-proc', 'sh', '-c', _SETUP], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not (self.folder / 'ready').exists():
            if self.holder.poll() is not None or time.monotonic() > deadline:
                raise LabError(f'no namespaces: {self.console.read_text()}')
            time.sleep(0.02)
        children = pathlib.Path(f'/proc/{self.holder.pid}/task/{self.holder.pid}/children')
        self.init = int(children.read_text().split()[0])

    def kill(self):
        """The first process of the pid namespace goes, and with it all the others."""
        if self.init and self.holder.poll() is None:
            os.kill(self.init, signal.SIGKILL)
        if self.holder:
            self.holder.wait(timeout=30)

    def _enter(self, command):
        return ['nsenter', '-t', str(self.init), '-m', '-n', '-p', 'sh', '-c', command]

    def run(self, command, timeout=60, check=False):
        done = subprocess.run(self._enter(command), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors='replace', timeout=timeout, check=False)
        result = Result(done.returncode, done.stdout, done.stderr)
        if check and result.status != 0:
            raise LabError(f'{command}: {result}')
        return result

    def out(self, command, timeout=60):
        return self.run(command, timeout, check=True).out.strip()

    def background(self, command):
        """A process that lives until the namespaces end; its output goes to the log."""
        with open(self.console, 'ab') as log:
            return subprocess.Popen(self._enter(f'exec {command}'), stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)

    def put(self, text, path):
        done = subprocess.run(self._enter(f'cat > {shlex.quote(path)}'), input=text, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise LabError(f'cannot write {path}: {done.stderr}')

    def read(self, path):
        return self.run(f'cat {shlex.quote(path)}', check=True).out
