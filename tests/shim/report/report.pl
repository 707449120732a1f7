# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# Checks JSON reports, one a line, for completeness and for figures that
# contradict each other. Prints what is wrong; exits with 1 if anything is.
#
#   report.pl FILE [EXIT [LOST]]
#
# EXIT: what must stand in "exit" of each; LOST: how many pages may be lost.

use strict;
use warnings;
use JSON::PP;

my ($file, $exit, $lost) = @ARGV;
my ($r, @wrong);

sub check { my ($good, $what) = @_; push @wrong, $what unless $good; return }

# Every key of the specification, as path and kind.
my %keys = (
	number => [qw(version pid calls/madvise calls/mprotect),
		(map { my $c = $_; map { "calls/$c/$_" }
			qw(served served_bytes passed passed_bytes) }
			qw(mmap munmap mremap brk)),
		(map { my $w = $_; map { "passed_because/$w/$_" } qw(calls bytes) }
			qw(prot_none file shared fixed hint too_large arena_full)),
		(map { "memory/$_" } qw(arena online live live_peak dirty resident
			returned zeroed)),
		(map { "fragmentation/$_" } qw(free_frames free_huge free_trees trees)),
		(map { "allocator/$_" } qw(get put get_failed)),
		qw(altered/frames altered/remaps)],
	string => [qw(program exit hooks/why_not settings/stats)],
	there => [map { "allocator/$_" } qw(slot_hits reservations steals demotions
			cas_retries)],
	bool => [qw(hooks/libc hooks/brk balanced passed_because/file/servable)],
	array => [qw(served_by_size fragmentation/free_per_huge_histogram)],
);

sub value {
	my ($path) = @_;
	my $at = $r;
	for my $key (split m{/}, $path) {
		return (0) unless ref $at eq 'HASH' && exists $at->{$key};
		$at = $at->{$key};
	}
	return (1, $at);
}

my %kinds = (
	number => sub { !ref $_[0] && $_[0] =~ /^\d+$/ },
	string => sub { !ref $_[0] && defined $_[0] },
	bool => sub { JSON::PP::is_bool($_[0]) },
	array => sub { ref $_[0] eq 'ARRAY' },
	there => sub { 1 },
);

sub sum { my $sum = 0; $sum += $_ for @_; return $sum }

sub complete {
	for my $kind (sort keys %keys) {
		for my $path (@{ $keys{$kind} }) {
			my ($there, $value) = value($path);
			check($there && $kinds{$kind}->($value), "$path: no $kind");
		}
	}
	return;
}

sub agree {
	my ($calls, $memory, $f, $b) = @$r{qw(calls memory fragmentation balance)};
	my @asking = qw(mmap mremap brk);
	my @reasons = values %{ $r->{passed_because} };
	check($r->{balanced}, 'not balanced');
	check($b->{inherited} + $b->{served} == $b->{live} + $b->{given_back},
		'served pages are not live pages and those given back');
	check($b->{free_counted} + $b->{claimed} == $b->{free_scanned},
		"the allocator's count of free frames is not that of a scan");
	check($b->{frames} == $b->{free_scanned} + $b->{live} + $b->{lost},
		'free and live pages are not all pages');
	check($memory->{live} <= $memory->{live_peak}, 'live above its peak');
	check($memory->{live} <= $memory->{online}, 'more live than online');
	check($memory->{resident} <= $memory->{online}, 'more resident than online');
	check($memory->{online} <= $memory->{arena}, 'more online than there is');
	check(sum(map { $_->{calls} } @{ $r->{served_by_size} }) ==
		$calls->{mmap}{served}, 'calls by size are not calls served');
	check(sum(map { $_->{calls} } @reasons) ==
		sum(map { $calls->{$_}{passed} } @asking),
		'reasons are not as many as calls passed');
	check(sum(map { $_->{bytes} } @reasons) ==
		sum(map { $calls->{$_}{passed_bytes} } @asking),
		'bytes by reason are not bytes passed');
	check(sum(@{ $f->{free_per_huge_histogram} }) * 2**21 == $memory->{arena},
		'the histogram does not count every huge frame');
	check($f->{free_huge} <= $f->{free_per_huge_histogram}[8],
		'free huge frames that the histogram does not show');
	check($b->{lost} + $b->{claimed} <= $lost, 'more lost than that')
		if defined $lost;
	check($r->{exit} eq $exit, "exit is $r->{exit}, not $exit") if $exit;
	return;
}

open my $in, '<', $file or die "$file: $!\n";
my @lines = <$in> or die "$file is empty\n";
for my $text (@lines) {
	my $before = @wrong;

	$r = eval { decode_json($text) } or die "no JSON object: $@\n$text\n";
	complete();
	agree();
	print "$_\n" for @wrong[$before .. $#wrong];
	print $text if @wrong > $before;
}
exit(@wrong != 0);
