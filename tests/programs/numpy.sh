#!/bin/sh
# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
#
# numpy: temporaries, sorting, matrices.

. "$srcdir/tests/programs/program.sh"

python=/usr/bin/python3
"$python" -c 'import numpy' 2>/dev/null ||
	tap_skip_all "numpy not installed"
rounds=$(size 10 100)
export OPENBLAS_NUM_THREADS=2

run() {
	"$python" - "$rounds" <<'PROGRAM'
import sys
import numpy as np

random = np.random.RandomState(1)
a = random.randint(0, 1000, 300000)
for i in range(int(sys.argv[1])):
    b = a * 2 + i
    c = (b[1:] - b[:-1]) ** 2
    a = np.sort(np.concatenate((c % 1000, b[:1] % 1000)))
    random.shuffle(a)
m = random.randint(0, 100, (300, 300))
print(a.sum(), a[:10], (m @ m).sum(), np.fft.fft(m)[0, 0].real)
PROGRAM
}

program_test 'python3'
