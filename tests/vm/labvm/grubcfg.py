"""The lab's own reading of grub.cfg, independent of latencyd's: which entry boots next, with what.

It knows what Debian's grub-mkconfig writes and no more.
"""

import re
import shlex
from dataclasses import dataclass, field


@dataclass
class Entry:
    """A menu entry: identifier path below its submenus, kernel file, arguments."""
    path: str
    title_path: str
    kernel: str = ''
    arguments: list = field(default_factory=list)


def _identity(words):
    """The title and identifier of a menuentry or submenu line."""
    for option in ('$menuentry_id_option', '--id'):
        if option in words:
            return words[1], words[words.index(option) + 1]
    return words[1], words[1]


def entries(text):
    """Every menu entry in order."""
    found, blocks = [], []
    for line in text.splitlines():
        stripped = line.strip()
        if re.match(r'(menuentry|submenu) ', stripped):
            words = shlex.split(stripped.rstrip('{'))
            blocks.append((words[0], *_identity(words)))
            if words[0] == 'menuentry':
                found.append(Entry('>'.join(b[2] for b in blocks), '>'.join(b[1] for b in blocks)))
        elif stripped == '}' and blocks and not line.startswith('  '):
            blocks.pop()
        elif re.match(r'linux\s', stripped) and found:
            words = shlex.split(stripped)
            found[-1].kernel, found[-1].arguments = words[1], words[2:]
    return found


def environment(block):
    """The variables of a grubenv block."""
    return dict(line.split('=', 1) for line in block.splitlines()
                if '=' in line and not line.startswith('#'))


def next_entry(text, block=''):
    """The entry the next boot takes."""
    found, env = entries(text), environment(block)
    defaults = re.findall(r'^\s*set default="?([^"\n]*)"?', text, re.MULTILINE)
    name = [d for d in defaults if d != '${next_entry}'][-1]
    name = env.get('saved_entry', '') if name == '${saved_entry}' else name
    name = env.get('next_entry') or name
    for entry in found:
        if name and name in (entry.path, entry.path.split('>')[-1], entry.title_path,
                             entry.title_path.split('>')[-1]):
            return entry
    position = [int(n) for n in name.split('>')] if re.fullmatch(r'[\d>]+', name) else [0]
    return _by_position(found, position)


def _by_position(found, position):
    """The entry at "1>2": the third one in the second item of the menu."""
    tops = list(dict.fromkeys(e.path.split('>')[0] for e in found))
    if position[0] >= len(tops):
        return found[0]
    inside = [e for e in found if e.path.split('>')[0] == tops[position[0]]]
    index = position[1] if len(position) > 1 else 0
    return inside[index] if index < len(inside) else inside[0]


def key(argument):
    return argument.split('=')[0].replace('-', '_')


def doubled(arguments, may_repeat=('console', 'hugepagesz', 'hugepages')):
    """Keys that stand more than once and should not."""
    keys = [key(a) for a in arguments if key(a) not in may_repeat]
    return sorted({k for k in keys if keys.count(k) > 1})
