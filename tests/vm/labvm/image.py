"""Builds the stock Debian 12 disk image.

The image is a file base.qcow2 in LAB_DIR/image-HASH, where HASH covers everything it is made
from but Debian's packages themselves: they come from the package mirror this machine uses, in
the versions current when the image is built (`lab image --rebuild` fetches newer ones).
"""

import fcntl
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import uuid

from .common import LAB_DIR, LabError, Step, VM_DIR, hash_files, say, tail

RECIPE_DIR = VM_DIR / 'image.d'
GUEST_DIR = VM_DIR / 'guest'
DISK_MIB = 3072
ROOT_UUID = '11111111-2222-3333-4444-555555555555'
RT_KERNEL = 'linux-image-rt-amd64'
# A folder with another RT kernel's two packages (see docs/HACKING.md), or None: Debian 12's own.
KERNEL_DEBS = os.environ.get('LATENCYD_LAB_KERNEL')
SUITES = ('bookworm', 'bookworm-updates', 'bookworm-security', 'stable', 'stable-updates',
          'stable-security')


def recipe_hash():
    """The name of the image this checkout wants."""
    files = [p for d in (RECIPE_DIR, GUEST_DIR) for p in d.iterdir() if p.is_file()]
    kernels = sorted(p.name for p in pathlib.Path(KERNEL_DEBS).glob('*.deb')) if KERNEL_DEBS else []
    return hash_files(files + [pathlib.Path(__file__)], *kernels)


def read_list(name):
    """The words of a list file in image.d, without comments."""
    text = (RECIPE_DIR / name).read_text()
    return [line.split('#')[0].strip() for line in text.splitlines() if line.split('#')[0].strip()]


def _run(command, log, **options):
    """Runs a command, with its output in a log file that an error quotes."""
    with open(log, 'ab') as output:
        output.write(f'$ {shlex.join(map(str, command))}\n'.encode())
        output.flush()
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, check=False, **options)
    if result.returncode != 0:
        raise LabError(f'{command[0]} failed ({result.returncode}); the end of {log}:\n'
                       f'{tail(log, 30)}')


def _stanzas():
    """Every package source of this machine as (types, uris, suites, options)."""
    one_line = [pathlib.Path('/etc/apt/sources.list')]
    directory = pathlib.Path('/etc/apt/sources.list.d')
    one_line += sorted(directory.glob('*.list'))
    for path in one_line:
        for line in path.read_text().splitlines() if path.exists() else ():
            match = re.match(r'\s*deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)', line)
            if match:
                yield [match[2]], [match[3]], match[1] or ''
    for path in sorted(directory.glob('*.sources')):
        for paragraph in re.split(r'\n\s*\n', path.read_text()):
            lines = [line for line in paragraph.splitlines() if not line.startswith('#')]
            fields = {}
            for name, value in (line.split(':', 1) for line in lines if re.match(r'[\w-]+:', line)):
                fields[name.lower()] = value.strip()
            if 'deb' not in fields.get('types', '').split() or fields.get('enabled') == 'no':
                continue
            key = fields.get('signed-by', '')
            option = f'signed-by={key}' if key.startswith('/') else ''
            yield fields.get('uris', '').split(), fields.get('suites', '').split(), option


def debian_sources():
    """The Debian 12 entries of this machine's apt configuration, as lines for a sources.list."""
    lines = []
    for uris, suites, options in _stanzas():
        for uri in uris:
            if not re.search(r'/debian(-security)?/?$', uri):
                continue
            for suite in suites:
                if suite.split('/')[0] in SUITES:
                    lines.append(f'deb {f"[{options}] " if options else ""}{uri} {suite} main')
    if not any('security' not in line for line in lines):
        raise LabError('no Debian 12 package source (a /debian mirror with suite bookworm) in '
                       '/etc/apt/sources.list or /etc/apt/sources.list.d; add one and try again')
    return list(dict.fromkeys(lines))


def _compile(work, log):
    for name, output in (('agent', 'agent'), ('fastinit', 'init')):
        _run(['gcc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror', '-static',
              '-s', '-o', work / output, GUEST_DIR / f'{name}.c'], log)


def _index(repository, log):
    """Makes Packages and Release; without a Release apt tries every compression in vain."""
    (repository / 'Release').unlink(missing_ok=True)
    for name, command in (('Packages', ['apt-ftparchive', 'packages', '.']),
                          ('Release', ['apt-ftparchive', 'release', '.'])):
        with open(log, 'ab') as errors:
            text = subprocess.run(command, cwd=repository, stdout=subprocess.PIPE, stderr=errors,
                                  check=True).stdout
        (repository / name).write_bytes(text)


def _make_initramfs_package(work, log):
    """A package that stands in for initramfs-tools; see lab-initramfs.hook."""
    tree = work / 'lab-initramfs'
    for folder in ('DEBIAN', 'usr/lib/lab-initramfs', 'etc/kernel/postinst.d',
                   'etc/kernel/postrm.d'):
        (tree / folder).mkdir(parents=True)
    (tree / 'DEBIAN/control').write_text(
        'Package: lab-initramfs\nVersion: 1\nArchitecture: amd64\nMaintainer: latencyd lab\n'
        'Provides: linux-initramfs-tool\nDepends: cpio, kmod, mawk\n'
        'Description: minimal initramfs for the latencyd lab\n')
    shutil.copy(work / 'init', tree / 'usr/lib/lab-initramfs/init')
    for folder in ('postinst.d', 'postrm.d'):
        shutil.copy(RECIPE_DIR / 'lab-initramfs.hook', tree / 'etc/kernel' / folder /
                    'lab-initramfs')
    repository = work / 'repo'
    repository.mkdir()
    _run(['dpkg-deb', '--root-owner-group', '-Znone', '-b', tree,
          repository / 'lab-initramfs.deb'], log)
    _index(repository, log)
    return repository


def _proxy_options():
    """The proxy apt is set up with here, which mmdebstrap does not take over by itself."""
    dump = subprocess.run(['apt-config', 'dump', '--format', '%f "%v";%n', 'Acquire::http'],
                          capture_output=True, text=True, check=True).stdout
    return [f'--aptopt={line}' for line in dump.splitlines()
            if re.match(r'Acquire::http::proxy(::\S+)? "[^"]', line, re.IGNORECASE)]


def _unpack_packages(work, repository, debs, log):
    root = work / 'root'
    modules = [f'--dpkgopt=path-include=/lib/modules/*/kernel/{path}' + suffix
               for path in read_list('kernel-modules')
               for suffix in ([''] if path.endswith('.ko') else ['/*'])]
    excluded = ['/lib/modules/*/kernel/*', '/usr/share/doc/*', '/usr/share/man/*',
                '/usr/share/locale/*', '/usr/share/info/*', '/usr/share/grub/themes/*']
    fetch = (f'apt-get download {RT_KERNEL} $(apt-cache depends --no-recommends '
             f'--no-suggests {RT_KERNEL} | '
             "sed -n 's/.*Depends: \\(linux-image-[0-9].*\\)/\\1/p')")
    if KERNEL_DEBS:
        fetch = f'cp {shlex.quote(os.path.abspath(KERNEL_DEBS))}/*.deb .'
    download = f'mkdir -p {shlex.quote(str(debs))} && cd {shlex.quote(str(debs))} && {fetch}'
    sources = work / 'sources.list'
    sources.write_text('\n'.join(debian_sources() +
                                 [f'deb [trusted=yes] copy://{repository} ./']) + '\n')
    _run(['mmdebstrap', '--mode=root', '--variant=apt',
          '--include=' + ','.join(read_list('packages')),
          *[f'--dpkgopt=path-exclude={path}' for path in excluded], *modules,
          '--dpkgopt=force-unsafe-io', '--aptopt=Apt::Install-Recommends "false"',
          '--aptopt=Acquire::Languages "none"', '--aptopt=APT::Sandbox::User "root"',
          *_proxy_options(), f'--customize-hook={download}',
          'bookworm', root, sources], log)
    for name in ('99mmdebstrap',):
        for folder in ('apt/apt.conf.d', 'dpkg/dpkg.cfg.d'):
            (root / 'etc' / folder / name).unlink(missing_ok=True)
    return root


def _fill_repository(root, debs, log):
    """The folder the VM installs its RT kernel from."""
    repository = root / 'srv/lab-repo'
    repository.mkdir(parents=True)
    packages = sorted(debs.glob('*.deb'))
    if len(packages) != 2:
        raise LabError(f'expected {RT_KERNEL} and the kernel it depends on in {debs}, found '
                       f'{[p.name for p in packages]}')
    for deb in packages:
        _run([RECIPE_DIR / 'repack-kernel', deb, RECIPE_DIR, repository / deb.name], log)
    _index(repository, log)


def _make_disk(work, root, output, log):
    raw = work / 'disk.raw'
    with open(raw, 'wb') as disk:
        disk.truncate(DISK_MIB << 20)
    subprocess.run(['sfdisk', '-q', raw], input=b'label: dos\nstart=2048, type=83, bootable\n',
                   check=True)
    # GRUB 2.06 refuses file systems with the two features that are turned off.
    _run(['mke2fs', '-q', '-F', '-t', 'ext4', '-O', '^metadata_csum_seed,^orphan_file', '-m', '0',
          '-U', ROOT_UUID, '-L', 'root', '-E', 'offset=1048576,lazy_itable_init=1',
          '-d', root, raw, f'{DISK_MIB - 1}M'], log)
    with open(raw, 'r+b') as disk:
        disk.write((root / 'usr/lib/grub/i386-pc/boot.img').read_bytes()[:440])
        disk.seek(512)
        disk.write((root / 'boot/grub/i386-pc/core.img').read_bytes())
    _run(['qemu-img', 'convert', '-O', 'qcow2', raw, output], log)


def build():
    """Builds the image unless it exists. Returns its folder."""
    folder = LAB_DIR / f'image-{recipe_hash()}'
    LAB_DIR.mkdir(parents=True, exist_ok=True)
    with open(LAB_DIR / '.image.lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / 'base.qcow2').exists():
            _build(folder)
    return folder


def _build(folder):
    if os.geteuid() != 0:
        raise LabError('building the VM image needs root (mmdebstrap unpacks a Debian system)')
    say(f'lab: building the stock Debian 12 image in {folder}')
    work = LAB_DIR / f'work-{os.getpid()}'
    work.mkdir(parents=True)
    log = LAB_DIR / 'image.log'
    log.write_bytes(b'')
    try:
        with Step('compiling the agent and the initramfs program', '5 s'):
            _compile(work, log)
            repository = _make_initramfs_package(work, log)
        with Step('downloading and unpacking the Debian packages', '1 to 2 minutes'):
            root = _unpack_packages(work, repository, work / 'debs', log)
        with Step('repacking the RT kernel for the package source inside the image', '20 s'):
            _fill_repository(root, work / 'debs', log)
        with Step('setting up the stock machine', '5 s'):
            _run([RECIPE_DIR / 'customise', root, RECIPE_DIR, work / 'agent'], log)
        with Step('writing the disk image', '10 s'):
            _make_disk(work, root, work / 'base.qcow2', log)
        folder.mkdir(exist_ok=True)
        (folder / 'identity').write_text(str(uuid.uuid4()))
        os.rename(work / 'base.qcow2', folder / 'base.qcow2')
        for old in LAB_DIR.glob('image-*'):
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
