# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT

# Work for perl that asks for small and large memory, and prints checksums.

use strict;
use warnings;

my $scale = shift;

sub hashes {
	my (%count, $sum);
	$count{ $_ * 7919 % 1_000_003 } .= "value $_" for 1 .. 150_000 * $scale;
	delete $count{$_} for grep { $_ % 3 == 0 } keys %count;
	$sum += $_ * length $count{$_} for keys %count;
	return scalar(keys %count), $sum;
}

sub lists {
	my @rows = map { [ $_ * 31 % 10007, "row $_", [ 1 .. $_ % 20 ] ] } 1 .. 40_000 * $scale;
	@rows = sort { $a->[0] <=> $b->[0] or $a->[1] cmp $b->[1] } @rows;
	return unpack('%32C*', join ',', map { "$_->[1]:$#{$_->[2]}" } @rows);
}

sub strings {
	my ($text, $sum) = ('', 0);
	$text .= "$_ " for 1 .. 200_000 * $scale;
	$sum += $1 while $text =~ /(\d*7)\b/g;
	for my $n (1 .. 10 * $scale) {
		my $block = "\0" x (2_000_000 + 4096 * $n);
		substr($block, $n, 1) = 'x';
		$sum += index($block, 'x') + ($block =~ tr/\0//);
	}
	return length $text, $sum;
}

sub children {
	my @codes;
	my $block = 'p' x 4_000_000;
	for my $n (1 .. 20) {
		my $pid = fork // die "fork: $!";
		if (!$pid) {
			$block =~ tr/p/c/;
			exit($n + (substr($block, -1) eq 'c' ? 100 : 0));
		}
		waitpid $pid, 0;
		push @codes, $? >> 8;
	}
	return "@codes", $block =~ tr/p//;
}

$| = 1;
print join(' ', 'hashes', hashes()), "\n";
print join(' ', 'lists', lists()), "\n";
print join(' ', 'strings', strings()), "\n";
print join(' ', 'children', children()), "\n";
warn "this line goes to stderr\n";
