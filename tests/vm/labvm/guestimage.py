"""The stock image as the disk of a guest on this machine: a way in by ssh that is none of latencyd's."""

import subprocess

SSH_OPTIONS = ('-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR '
               '-o ConnectTimeout=30 -o BatchMode=yes')


def open_ssh(here, disk):
    """A key of the test's own and an address into the image: the way in that is not latencyd's."""
    key = here.folder / 'key'
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key], check=True)
    raw = here.folder / 'key.raw'
    subprocess.run(['qemu-img', 'convert', '-O', 'raw', disk, raw], check=True)
    network = here.folder / 'network'
    network.write_text('[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n')
    where = f'{raw}?offset=1048576'
    commands = f'''mkdir /root/.ssh
write {key}.pub /root/.ssh/authorized_keys
write {network} /etc/systemd/network/10-user.network
symlink /etc/systemd/system/multi-user.target.wants/systemd-networkd.service /lib/systemd/system/systemd-networkd.service
set_inode_field /etc/systemd/network/10-user.network mode 0100644
set_inode_field /root/.ssh mode 040700
set_inode_field /root/.ssh/authorized_keys mode 0100600
'''
    subprocess.run(['/usr/sbin/debugfs', '-w', '-f', '-', where], input=commands, text=True,
                   capture_output=True, check=True)
    subprocess.run(['qemu-img', 'convert', '-O', 'qcow2', raw, disk], check=True)
    raw.unlink()
    return key
