#!/bin/sh
# What Prometheus itself says of our metrics and of the shipped alert rules. Run from the build folder.
sample=${METRICS_SAMPLE:-./test_metrics}
source=$(dirname "$0")/../..
# shellcheck source=tests/unit/tap.sh
. "$(dirname "$0")/tap.sh"

command -v promtool >/dev/null || {
	echo "1..0 # SKIP promtool is not installed (package prometheus)"
	exit 0
}

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
rules=$source/units/latencyd.rules.yml

sample_is_clean() {
	"$sample" --sample >"$work/sample" && promtool check metrics <"$work/sample"
}

# Every metric that a rule names is one that latencyd or node_exporter gives.
rules_name_metrics() {
	grep -oE '(latencyd|node)_[a-z_]+' "$rules" | sort -u |
		while read -r name; do
			grep -q "^# TYPE $name " "$work/sample" ||
				[ "$name" = node_textfile_mtime_seconds ] || [ "$name" = node_exporter ] ||
				echo "nobody gives $name"
		done | { ! grep .; }
}

check "promtool finds nothing to say of the metrics" sample_is_clean
check "the alert rules are well formed" promtool check rules "$rules"
check "the alert rules name metrics that there are" rules_name_metrics
check "the alert rules fire when they should, and only then" \
	promtool test rules "$source/tests/prometheus-rules.yml"
finish
