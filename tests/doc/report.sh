#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# The manual page names every member of a JSON report, and no other.

. "$srcdir/tests/tap.sh"

perl -MJSON::PP -e 1 2>/dev/null || tap_skip_all "no perl with JSON::PP"

# A line for each member, as items.awk prints them.
cat >"$tmp/members.pl" <<'EOT'
use JSON::PP;
sub print_members {
	my ($group, $path, $value) = @_;
	if (ref $value eq 'ARRAY') {
		print_members($group, $path, $_) for @$value;
	}
	return print "$group $path\n" if $path && ref $value ne 'HASH';
	for (ref $value eq 'HASH' ? sort keys %$value : ()) {
		print_members($group, $path ? "$path.$_" : $_, $value->{$_});
	}
}
local $/ = undef;
my $report = decode_json(<STDIN>);
delete $report->{settings}; # named after the variables
print "settings\n";
for my $group (sort keys %$report) {
	my $value = $report->{$group};
	print "$group\n";
	# These have the same members for each reason, and for both lists.
	print_members($group, '', $_)
		for $group =~ /^(passed_because|profile)$/ ? values %$value : $value;
	if ($group eq 'passed_because') { print "reason $_\n" for keys %$value }
}
EOT

report() {
	LD_PRELOAD=$preload LLFREE_STATS=json LLFREE_STATS_FILE="$tmp/report" \
		LLFREE_PROFILE=1 sort -S 1M "$srcdir/README.md" >"$tmp/sorted" &&
		perl "$tmp/members.pl" <"$tmp/report" | sort -u >"$tmp/members" &&
		grep -qx 'memory live' "$tmp/members"
}

# The members that the page names; no profile where there is none.
named() {
	awk -f "$srcdir/tests/doc/items.awk" "$srcdir/doc/llfree-preload.7" |
		sed 's/: .*//' | sort -u >"$tmp/named"
	grep -q '^profile' "$tmp/members" || sed -i '/^profile/d' "$tmp/named"
	diff "$tmp/named" "$tmp/members"
}

tap_ok "a report is written" report
tap_ok "llfree-preload(7) names its members" named
tap_done
