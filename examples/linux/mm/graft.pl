#!/usr/bin/perl
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# graft.pl SOURCE KERNEL: puts the allocator of the source tree SOURCE into the
# kernel tree KERNEL (6.1 or 6.12), once. The definitions below are renamed in
# files of mm/; files of the same name here have functions that are called
# instead. With CONFIG_LLFREE=n the preprocessor takes the old names back. Nothing
# within a body is changed. It stops at a name that has not exactly one
# definition.

use strict;
use warnings;
use File::Copy qw(copy);
use File::Path qw(make_path);

my %always = (
	compaction => [qw(compact_zone)],
	vmstat => [qw(frag_show_print)],
);
my %hooks = (
	'6.1' => { %always, page_alloc => [qw(build_all_zonelists_init
		rmqueue_buddy pcp_allowed_order __free_pages_ok free_unref_page
		free_unref_page_list __alloc_pages_bulk __zone_watermark_ok
		reserve_highatomic_pageblock)] },
	'6.12' => { %always, page_alloc => [qw(build_all_zonelists_init
		rmqueue_buddy pcp_allowed_order free_one_page
		alloc_pages_bulk_noprof __zone_watermark_ok
		reserve_highatomic_pageblock)] },
);

sub slurp {
	my ($path) = @_;
	open my $file, '<', $path or die "$path: $!\n";
	local $/;
	return scalar <$file>;
}

sub spew {
	my ($path, $text) = @_;
	open my $file, '>', $path or die "$path: $!\n";
	print $file $text or die "$path: $!\n";
	close $file or die "$path: $!\n";
}

sub kernel_version {
	my $makefile = slurp("$_[0]/Makefile");
	my ($major) = $makefile =~ /^VERSION = (\d+)$/m;
	my ($minor) = $makefile =~ /^PATCHLEVEL = (\d+)$/m;
	return "$major.$minor";
}

# A definition: the name, its parameters, and a body that begins a line.
sub rename_definition {
	my ($text, $name) = @_;
	my $found = ($$text =~ s/(?<!\w)(\Q$name\E\([^;{}]*\)\s*\n\{)/buddy_$1/g);
	die "$name has " . ($found || 'no') . " definitions\n" if $found != 1;
}

# Keeps the numbers of all lines behind, which warnings have in the object.
sub include_behind_others {
	my ($text, $name) = @_;
	my $at;
	$at = pos $$text while $$text =~ /^#include [<"].*\n/mg;
	my $line = 1 + (substr($$text, 0, $at) =~ tr/\n//);
	substr($$text, $at, 0) = "#include \"llfree/$name.h\"\n#line $line\n";
}

sub graft {
	my ($path, $name, $definitions) = @_;
	my $text = slurp($path);
	include_behind_others(\$text, $name);
	rename_definition(\$text, $_) for @$definitions;
	spew($path, $text . "#include \"llfree/$name.c\"\n");
}

sub append {
	my ($path, $text) = @_;
	spew($path, slurp($path) . $text);
}

sub copy_into {
	my ($folder, @files) = @_;
	make_path($folder);
	copy($_, $folder) or die "$_: $!\n" for @files;
}

my ($source, $kernel) = @ARGV;
die "usage: graft.pl SOURCE KERNEL\n" if @ARGV != 2;
my $version = kernel_version($kernel);
my $files = $hooks{$version} or die "not for Linux $version\n";
my ($linux, $own) = ("$source/examples/linux", "$kernel/mm/llfree");
die "$own is there already\n" if -e $own;

graft("$kernel/mm/$_.c", $_, $files->{$_}) for sort keys %$files;
append("$kernel/mm/Makefile", "obj-\$(CONFIG_LLFREE) += llfree/\n");
append("$kernel/mm/Kconfig", "\nsource \"mm/llfree/Kconfig\"\n");

# The places of our own files stay, below the new folder, for their includes.
copy_into("$own/lib", glob "$source/lib/*.[ch]");
copy_into("$own/examples/linux/module",
	map "$linux/module/$_", qw(bench.h instructions.c side.h));
copy_into($own, glob("$linux/mm/*.[ch]"), glob("$linux/include/*.h"),
	"$source/include/llfree.h", "$source/include/llfree_types.h",
	"$linux/mm/Kbuild", "$linux/mm/Kconfig");
spew("$own/names.h", "#ifndef CONFIG_LLFREE\n"
	. join('', map "#define buddy_$_ $_\n", map @$_, values %$files)
	. "#endif\n");
