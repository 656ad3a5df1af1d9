"""Puts the staged build of latencyd (`make install DESTDIR=...`) into a VM."""

import functools
import hashlib
import io
import pathlib
import tarfile

from .common import LabError, TOP_DIR, VM_DIR

DOCUMENT = VM_DIR / 'document.yaml'
DOCUMENT_PATH = '/etc/latencyd/latencyd.yaml'
_settings = {'destdir': TOP_DIR / 'build' / 'stage'}


def set_destdir(path):
    _settings['destdir'] = pathlib.Path(path).resolve()


def destdir():
    """Where the build is staged."""
    return _settings['destdir']


@functools.cache
def _archive(folder):
    """The staged tree as a tar file, the same for the same contents."""
    if not (folder / 'usr/bin/latencyctl').exists():
        raise LabError(f'no latencyd is staged in {folder}: configure with --prefix=/usr '
                       f'--sysconfdir=/etc --localstatedir=/var, then make install '
                       f'DESTDIR={folder}')
    buffer = io.BytesIO()

    def normalise(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = 'root'
        return entry
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        for path in sorted(folder.rglob('*')):
            if not path.is_dir() and 'usr/share/man' not in str(path):
                archive.add(path, path.relative_to(folder), recursive=False, filter=normalise)
    return buffer.getvalue()


def archive():
    return _archive(_settings['destdir'])


def inputs():
    """What a snapshot with the product and the document in it depends on."""
    return [hashlib.sha256(archive()).hexdigest(), DOCUMENT.read_text()]


def install_product(machine, document=None):
    """What installing a Debian package of it would do, then the document and the service."""
    machine.put(archive(), '/run/latencyd.tar')
    machine.run('tar -x -f /run/latencyd.tar -C / --keep-directory-symlink && '
                'rm /run/latencyd.tar && mkdir -p -m 755 /etc/latencyd', check=True)
    machine.put(document or DOCUMENT.read_text(), DOCUMENT_PATH)
    machine.run('systemd-tmpfiles --create; systemctl daemon-reload && systemctl reload dbus && '
                'systemctl -q enable --now latencyd.service', check=True)
