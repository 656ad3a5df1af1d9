# shellcheck shell=sh
# TAP for the shell tests: source it, call check and, at the end, finish. A failing check prints what the
# command said.
n=0
failed=0

# check NAME COMMAND...: passes when the command succeeds; its output is shown when it does not.
check() {
	name=$1
	shift
	n=$((n + 1))
	if output=$("$@" 2>&1); then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		printf '%s\n' "$output" | sed 's/^/# /'
		failed=$((failed + 1))
	fi
}

skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# exits CODE COMMAND...: succeeds when the command exits with that code.
exits() {
	expected=$1
	shift
	"$@"
	code=$?
	[ "$code" -eq "$expected" ] || {
		echo "exit code $code instead of $expected: $*"
		return 1
	}
}

# says TEXT COMMAND...: the command's output, stderr included, contains the text.
says() {
	text=$1
	shift
	said=$("$@" 2>&1)
	case $said in
	*"$text"*) ;;
	*) echo "\"$text\" is missing in: $said" && return 1 ;;
	esac
}

# soon COMMAND...: succeeds as soon as the command does, within ten seconds.
soon() {
	tries=100
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		if [ $tries -eq 0 ]; then
			"$@"
			return 1
		fi
		sleep 0.1
	done
}

finish() {
	echo "1..$n"
	[ "$failed" -eq 0 ]
}
