/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: the llfree-preload contributors */

/*
 * All that may differ between the kernel and the library, with the reason.
 * Nothing else may: whatever differ does not compare is named here
 * where it is left out, and a trace shows the name in its place.
 */
#pragma once

enum legit {
	LEGIT_ADDRESS,
	LEGIT_AFTER_UNMAP,
	LEGIT_BEHIND,
	LEGIT_SPLIT,
	LEGIT_PIECED,
	LEGIT_UNLOCKED,
	LEGIT_HINT,
	LEGIT_RESIDENT,
	LEGIT_FREE,
	LEGIT_COLLAPSE,
	LEGIT_GROWS,
	LEGIT_UNSPECIFIED,
	LEGIT_MAX,
	LEGIT_COUNT
};

struct legit_entry {
	const char *name;
	const char *reason;
};

static const struct legit_entry legit_table[LEGIT_COUNT] = {
	[LEGIT_ADDRESS] = { "address", "where new memory is: a place of the "
				       "kernel's own choice; later "
				       "calls use it by its name" },
	[LEGIT_AFTER_UNMAP] = { "after-unmap",
				"access after munmap: memory of the arena "
				"stays readable until "
				"it is reused, unless LLFREE_STRICT=1, when "
				"this is compared" },
	[LEGIT_BEHIND] = { "behind", "whether mremap without MREMAP_MAYMOVE "
				     "grows: depends on what "
				     "happens to lie behind; what it grew by "
				     "is looked at, and "
				     "undone" },
	[LEGIT_SPLIT] = { "split", "with LLFREE_MAX, whether mremap moves what "
				   "was altered: it "
				   "counts where it stays in the arena, and "
				   "not where the kernel "
				   "takes it out; what was moved is compared "
				   "with what it was, and "
				   "unmapped" },
	[LEGIT_PIECED] = { "pieced", "mremap of what was altered piece by "
				     "piece: the kernel refuses "
				     "(EFAULT) unless the pieces happen to "
				     "have become one again; "
				     "tried where the kernel moves several "
				     "mappings at once, since "
				     "6.17" },
	[LEGIT_UNLOCKED] = { "unlocked",
			     "what MREMAP_DONTUNMAP unlocks: the kernel "
			     "unlocks all of the "
			     "mapping that it takes a part of, whatever has "
			     "become one with "
			     "it; not tried with what was altered" },
	[LEGIT_HINT] = { "hint", "whether an address that is no more than a "
				 "hint is followed" },
	[LEGIT_RESIDENT] = { "resident", "which pages are resident (mincore): "
					 "memory that is reused is "
					 "there before its first use" },
	[LEGIT_FREE] = { "free", "what is in a page after MADV_FREE: the old "
				 "contents or zero, "
				 "as the kernel is short of memory; it is "
				 "written at once" },
	[LEGIT_COLLAPSE] = { "collapse", "the result of MADV_COLLAPSE: depends "
					 "on free huge pages" },
	[LEGIT_GROWS] = { "grows", "the error of mprotect with PROT_GROWSDOWN "
				   "or PROT_GROWSUP "
				   "across a hole, which nothing is that can "
				   "be mapped here" },
	[LEGIT_UNSPECIFIED] = { "unspecified", "whether a private mapping of a "
					       "file sees later changes of the "
					       "file (mmap(2)): not tried" },
	[LEGIT_MAX] = { "max",
			"what is refused (ENOMEM) with LLFREE_MAX: the kernel "
			"is not "
			"asked for it. Nothing may be refused that would fit" },
};
