"""Who may have latencyd change the machine, with Debian's polkit: asked from the service as it is."""

from labvm.runner import lab_test
from labvm.watching import THROTTLING, alerts, describe, mark

# Nobody's session; and one who may administer, whose password a visitor is asked for.
USERS = ("useradd -m visitor; useradd -m -G sudo boss; "
         "printf 'visitor:of the visitor\\nboss:of the boss\\n' | chpasswd")
AS_VISITOR = 'runuser -u visitor -- '
PROMPT = 'Password: '
RIGHT, WRONG = 'of the boss\n', 'of the visitor\n'
MANAGER = 'org.latencyd1 /org/latencyd1 org.latencyd1.Manager'
METHODS = {'Apply': 'b false', 'Revert': 's ""', 'Measure': 's smoke', 'Pause': 't 60',
           'Resume': '', 'Refresh': ''}
COMMANDS = ('apply', 'revert', 'measure', 'pause --for 60', 'resume')
AUTHENTICATE = 'polkit wants an authentication for this: ask from a terminal, or as root'
FAILED = 'the authentication failed; ask again, or as root'
VANISHED = 'polkit gave no answer: Message recipient disconnected'
RULES = '/etc/polkit-1/rules.d/10-lab.rules'
RULE = """polkit.addRule(function(action, subject) {
    if (action.id == "org.latencyd1.%s" && subject.user == "visitor")
        return polkit.Result.%s;
});
"""
# The helper that waits for a password; its name as the kernel cuts it.
ASKING = 'pgrep -x polkit-agent-he'
# The agent shows its prompt first, then turns its terminal's echo off with TCSAFLUSH, which throws
# away what was typed until then. Its terminal: runuser -P makes another one.
TYPE = 'TYPE NOW'
LISTENS = ('(until stty -a -F /dev/$(ps -o tty= -C pkttyagent) 2> /dev/null | grep -qw -- -echo; '
           f'do sleep 0.2; done; echo {TYPE}) & ')
# What is left of a question on the terminal: its agent, and whether what is typed is shown again.
LEFT = ('; sleep 1; pgrep -x pkttyagent && echo AGENT LEFT; '
        'stty -a | grep -qw -- -echo && echo NO ECHO; true')


def _call(method, options=''):
    return f'{AS_VISITOR}busctl {options} call {MANAGER} {method} {METHODS[method]}'


def _paused(vm):
    return vm.out(f'busctl get-property {MANAGER} Paused') == 'b true'


def _refused(t, result, words):
    t.check(result.status != 0 and words in result.out + result.err,
            f'not refused with "{words}"\n{result}')


def _all_refused(vm, t, words, but=()):
    for method in METHODS:
        if method not in but:
            _refused(t, vm.run(_call(method)), words)
    for command in COMMANDS:
        if command.split()[0] not in [b.lower() for b in but]:
            _refused(t, vm.run(f'{AS_VISITOR}latencyctl {command}'), words)


def _untouched(vm, t, since):
    t.equal(vm.read(THROTTLING), '-1', 'kernel.sched_rt_runtime_us')
    t.equal(_paused(vm), False, 'paused')
    t.equal(vm.out('systemctl list-units --all --plain --no-legend "latencyd-*.service"'), '',
            'tasks of latencyd')
    t.equal(describe(alerts(vm, since)), [], 'alerts')


def _rule(vm, action, result):
    vm.put(RULE % (action, result), RULES)
    vm.out('systemctl stop polkit')  # it is started when it is asked, and reads its rules then


@lab_test('polkit: an unprivileged user is refused what changes the machine and told what to do',
          'watched')
def refused(vm, t):
    vm.out(USERS)
    since = mark(vm)
    t.note(vm.out('dpkg-query -W polkitd'))
    _all_refused(vm, t, AUTHENTICATE)
    t.equal(vm.out('systemctl is-active polkit'), 'active', 'polkit, which was asked')
    t.equal(vm.run(f'{AS_VISITOR}busctl call {MANAGER} Status').status, 0, 'Status, for everyone')
    _untouched(vm, t, since)


@lab_test('polkit: a rule that allows a user one action allows that one alone, and one that forbids '
          'it is not asked about', 'watched')
def rules(vm, t):
    vm.out(USERS)
    since = mark(vm)
    _rule(vm, 'pause', 'YES')
    t.equal(vm.run(_call('Pause')).status, 0, 'Pause over the bus')
    t.equal(_paused(vm), True, 'paused')
    resume = vm.run(f'{AS_VISITOR}latencyctl resume')
    t.equal(resume.status, 0, f'latencyctl resume\n{resume}')
    t.equal(_paused(vm), False, 'paused after resume')
    _all_refused(vm, t, AUTHENTICATE, but=('Pause', 'Resume'))
    another = vm.run(f'runuser -u nobody -- busctl call {MANAGER} Pause t 60')
    _refused(t, another, AUTHENTICATE)
    _rule(vm, 'pause', 'NO')
    _refused(t, vm.talk(f'{AS_VISITOR}latencyctl pause', timeout=30),
             'polkit does not allow this to you: ask as root')
    _untouched(vm, t, since)


@lab_test('polkit: root is not asked about, and without polkit only root may', 'watched')
def root(vm, t):
    vm.out(USERS)
    since = mark(vm)
    for command in ('pause --for 60', 'resume'):
        result = vm.run(f'latencyctl {command}')
        t.equal(result.status, 0, f'latencyctl {command} of root\n{result}')
    t.equal(vm.run('systemctl is-active polkit').out.strip(), 'inactive', 'polkit')
    vm.out('dpkg --remove polkitd', timeout=100)
    _all_refused(vm, t, 'only root may do this: there is no polkit here that could allow it to '
                        'others')
    t.equal(vm.run(f'busctl call {MANAGER} Refresh').status, 0, 'Refresh of root')
    _untouched(vm, t, since)


def _asked(vm, t, login):
    """latencyctl on a terminal, as `login` starts it: a wrong password, the right one, none."""
    command = LISTENS + login.format('latencyctl pause --for 60')
    wrong = vm.talk(command, (TYPE, WRONG), timeout=60)
    t.check('Authenticating as: boss' in wrong.out, f'nobody was asked\n{wrong}')
    _refused(t, wrong, FAILED)
    t.equal(_paused(vm), False, 'paused with a wrong password')
    right = vm.talk(command, (TYPE, RIGHT), timeout=60)
    t.equal(right.status, 0, f'with the right password\n{right}')
    t.check(RIGHT.strip() not in right.out, f'the password was shown\n{right}')
    t.equal(_paused(vm), True, 'paused with the right password')
    vm.out('latencyctl resume')
    ended = vm.talk(command + LEFT, (TYPE, '\x03'), timeout=60)
    t.check('LEFT' not in ended.out and 'NO ECHO' not in ended.out, f'after Ctrl-C\n{ended}')
    t.equal(_paused(vm), False, 'paused after Ctrl-C')


@lab_test('polkit: on a terminal the administrator\'s password is asked for, in a session and '
          'without one', 'watched', timeout=400)
def password(vm, t):
    vm.out(USERS)
    since = mark(vm)
    _asked(vm, t, AS_VISITOR + '{}')
    _asked(vm, t, "runuser -P -l visitor -c '{}'")
    _untouched(vm, t, since)


@lab_test('polkit: a latencyctl that is killed while it asks takes its agent along and gives the '
          'terminal back', 'watched')
def agent(vm, t):
    vm.out(USERS)
    for signal in ('TERM', 'KILL'):
        ended = vm.talk(f'(until {ASKING}; do sleep 0.2; done; '
                        f'sleep 1; pkill -{signal} -x latencyctl) > /dev/null & '
                        f'{AS_VISITOR}latencyctl pause{LEFT}', timeout=60)
        t.check(PROMPT in ended.out, f'nobody was asked\n{ended}')
        t.check('LEFT' not in ended.out and 'NO ECHO' not in ended.out, f'after SIG{signal}\n{ended}')
    t.equal(_paused(vm), False, 'paused')


@lab_test('polkit: one that hangs or dies while it is asked is a refusal that says so', 'watched')
def vanished(vm, t):
    vm.out(USERS)
    since = mark(vm)
    kill = 'systemctl kill -s KILL polkit'
    stop = 'systemctl start polkit; systemctl kill -s STOP polkit'
    patient = '--timeout=25 --allow-interactive-authorization=no'  # 25 s is what most wait
    hung = vm.run(f'{stop}; {_call("Pause", patient)}', timeout=60)
    _refused(t, hung, 'polkit gave no answer: Method call timed out')
    t.equal(vm.run('latencyctl resume').status, 0, 'root, while polkit hangs')
    died = vm.run(f'(sleep 3; {kill}) & {AS_VISITOR}latencyctl pause', timeout=60)
    _refused(t, died, VANISHED)
    died = vm.talk(f'(until {ASKING}; do sleep 0.2; done; {kill}) > /dev/null & '
                   f'{AS_VISITOR}latencyctl pause; echo EXIT $?{LEFT}', timeout=60)
    t.check(VANISHED in died.out and 'EXIT 1' in died.out, f'while a password was asked for\n{died}')
    t.check('LEFT' not in died.out and 'NO ECHO' not in died.out, f'afterwards\n{died}')
    _refused(t, vm.run(_call('Pause')), AUTHENTICATE)
    _untouched(vm, t, since)
