"""Who may reach a guest's ssh port on its host: asked from two network namespaces of the test's own,
and read by nft(8) itself. The guest is a stock Debian image under TCG on this machine."""

import json
import shutil
import time

from labvm import image
from labvm.guestimage import SSH_OPTIONS, open_ssh
from labvm.product_calls import expect_exit
from labvm.runner import HERE, lab_test

PORT = 2299
# {namespace: (the host's address on the way there, its own)}
FRIEND, STRANGER = 'friend', 'stranger'
ADDRESSES = {FRIEND: ('10.77.1.1', '10.77.1.2'), STRANGER: ('10.77.2.1', '10.77.2.2')}
LAUNCH = '''
version: 1
guests:
  - name: vnf0
    launch: {{disk: {disk}, memory: 512M, page_size: none, accel: tcg}}
    vcpus: [{{cpu: 0, priority: 0}}, {{cpu: 1, priority: 0}}]
'''
SSH = '    ssh: {{host_port: {port}, from: [{sources}]}}\n'
# What the port of 10.77.X.1 says: the first line, "refused", or "silence" when no answer comes.
KNOCK = '''
import socket, sys
s = socket.socket()
s.settimeout(float(sys.argv[3]))
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    print(s.recv(64).decode(errors="replace").strip() or "closed")
except ConnectionRefusedError:
    print("refused")
except TimeoutError:
    print("silence")
'''


def write_document(here, disk, sources):
    """sources: None for a document without ssh."""
    text = LAUNCH.format(disk=disk)
    if sources:
        text += SSH.format(port=PORT, sources=', '.join(sources))
    here.put(text, '/etc/latencyd/latencyd.yaml')


def make_namespaces(here):
    """Two peers of the namespace in which QEMU runs, each on a wire of its own."""
    for name, (host, own) in ADDRESSES.items():
        here.out(f'ip netns add {name} && ip link add {name} type veth peer name eth0 netns {name} && '
                 f'ip addr add {host}/24 dev {name} && ip link set {name} up && '
                 f'ip -n {name} addr add {own}/24 dev eth0 && ip -n {name} link set eth0 up && '
                 f'ip -n {name} link set lo up')
    here.put(KNOCK, '/run/knock.py')


def knock(here, namespace, address=None, port=PORT, timeout=3):
    inside = f'ip netns exec {namespace} ' if namespace else ''
    address = address or ADDRESSES[namespace][0]
    return here.out(f'{inside}/usr/bin/python3 /run/knock.py {address} {port} {timeout}',
                    timeout=timeout + 30)


def wait_banner(here, namespace, seconds):
    deadline = time.monotonic() + seconds
    while True:
        said = knock(here, namespace, timeout=10)
        if said.startswith('SSH-2.0-') or time.monotonic() > deadline:
            return said
        time.sleep(1)


def ruleset(here):
    """All rules of the namespace as nft lists them, with their handles."""
    return [x for x in json.loads(here.out('nft -j list ruleset'))['nftables'] if 'metainfo' not in x]


def port_rules(objects):
    """[(source or None, verdict)] of the rules that speak of the port."""
    found = []
    for rule in (x['rule'] for x in objects if 'rule' in x):
        matches = {m['match']['left']['payload']['field']: m['match']['right']
                   for m in rule['expr'] if 'payload' in m.get('match', {}).get('left', {})}
        if matches.get('dport') == PORT:
            verdict = [key for m in rule['expr'] for key in m if key in ('accept', 'drop')]
            found.append((matches.get('saddr'), *verdict))
    return found


def check_reach(here, t, friend, stranger):
    """Who gets sshd's banner; the others get no answer at all."""
    for name, allowed in ((FRIEND, friend), (STRANGER, stranger)):
        said = knock(here, name, timeout=10 if allowed else 3)
        if allowed:
            t.check(said.startswith('SSH-2.0-'), f'the {name} was told {said!r}')
        else:
            t.equal(said, 'silence', f'what the {name} was told')


def start(here, t):
    """The guest as launched, with the friend allowed; its disk and the key to it."""
    disk = here.folder / 'guest.qcow2'
    shutil.copy(image.build() / 'base.qcow2', disk)
    key = open_ssh(here, disk)
    make_namespaces(here)
    t.equal(ruleset(here), [], 'rules before')
    write_document(here, disk, [ADDRESSES[FRIEND][1]])
    applied = expect_exit(t, here.run('latencyctl apply', timeout=120), 0)
    begun = time.monotonic()
    said = wait_banner(here, FRIEND, 300)
    t.check(said.startswith('SSH-2.0-'), f'the {FRIEND} was told {said!r}\n{applied}')
    t.note(f'{said} {time.monotonic() - begun:.0f} s after its launch')
    return disk, key


@lab_test('ssh to a guest: from the allowed source it works, from another nobody answers, applying '
          'twice leaves one rule, and none is left when the document drops it', HERE, timeout=900)
def forward(here, t):
    disk, key = start(here, t)
    pid = here.read('/run/latencyd/guests/vnf0/qemu.pid').strip()
    host, friend = ADDRESSES[FRIEND]
    check_reach(here, t, True, False)
    # The way itself is open to the stranger: another port says so at once.
    t.equal(knock(here, STRANGER, port=PORT + 1), 'refused', 'another port, to the stranger')
    t.equal(knock(here, None, address='127.0.0.1'), 'silence', 'the host itself, which is not named')
    words = here.out(f'ip netns exec {FRIEND} ssh {SSH_OPTIONS} -p {PORT} -i {key} root@{host} '
                     'cat /proc/sys/kernel/hostname', timeout=60)
    t.equal(words, 'latencylab', 'the host name, asked by ssh')

    rules = ruleset(here)
    t.equal(port_rules(rules), [(friend, 'accept'), (None, 'drop')], 'rules of the port')
    expect_exit(t, here.run('latencyctl apply', timeout=120), 0)
    t.equal(ruleset(here), rules, 'the rules, with their handles, after a second apply')

    # A rule more, as a hand or a script adds it: seen, and gone after apply.
    here.out(f'nft insert rule inet latencyd input tcp dport {PORT} accept')
    check_reach(here, t, True, True)
    expect_exit(t, here.run('latencyctl verify'), (3, 5))
    expect_exit(t, here.run('latencyctl apply', timeout=120), 0)
    check_reach(here, t, True, False)
    t.equal(port_rules(ruleset(here)), [(friend, 'accept'), (None, 'drop')], 'rules after that')

    # The document allows the stranger as well, then has no ssh at all.
    write_document(here, disk, [friend, ADDRESSES[STRANGER][1]])
    expect_exit(t, here.run('latencyctl apply', timeout=120), 0)
    check_reach(here, t, True, True)
    t.equal(here.read('/run/latencyd/guests/vnf0/qemu.pid').strip(), pid, 'pid of QEMU till here')
    write_document(here, disk, None)
    dropped = here.run('latencyctl apply', timeout=200)
    t.equal(ruleset(here), [], f'rules without ssh in the document; apply said {dropped}')
    expect_exit(t, here.run('latencyctl guest stop vnf0', timeout=200), 0)
