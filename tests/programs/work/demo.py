# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
"""What make demo runs: an index of words, built by threads, then sorted."""

import threading
from collections import defaultdict


def words(seed, count):
    for _ in range(count):
        seed = seed * 16807 % 2147483647
        yield f"word{seed % 50021}"


def index(seed, result):
    places = defaultdict(list)
    for place, word in enumerate(words(seed, 200_000)):
        places[word].append(place)
    result[seed] = places


RESULT = {}
THREADS = [threading.Thread(target=index, args=(n, RESULT)) for n in (1, 2, 3, 4)]
for thread in THREADS:
    thread.start()
for thread in THREADS:
    thread.join()

TOTAL = defaultdict(int)
for places in RESULT.values():
    for word, where in places.items():
        TOTAL[word] += len(where)
COMMON = sorted(TOTAL, key=lambda word: (-TOTAL[word], word))
TEXT = " ".join(COMMON) * 50
print(f"{len(TOTAL)} words, most often {COMMON[0]}, {len(TEXT)} bytes of text")
