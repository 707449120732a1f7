# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
"""Work for python3 that asks for memory in many ways and prints checksums."""

import hashlib
import json
import mmap
import multiprocessing
import os
import subprocess
import sys
import threading

SCALE = int(sys.argv[1])


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def dicts():
    table = {}
    for i in range(100_000 * SCALE):
        table[f"key-{i * 7919 % 1_000_003}"] = [i, str(i), (i, i + 1)]
    for key in list(table)[::3]:
        del table[key]
    return len(table), digest(json.dumps(table, sort_keys=True).encode())


def lists():
    rows = [[j * i % 1009 for j in range(50)] for i in range(10_000 * SCALE)]
    rows.sort()
    columns = list(zip(*rows))
    return sum(sum(c[:100]) for c in columns), digest(repr(rows[:500]).encode())


def strings():
    text = " ".join(str(i) for i in range(200_000 * SCALE))
    words = text.replace("1", "one").split(" ")
    return len(text), len(set(words)), digest("".join(words).encode())


def buffers():
    total = 0
    for i in range(20 * SCALE):
        buffer = bytearray(1_000_000 + 4096 * i)
        assert not any(buffer[::4096]), "fresh memory is not zero"
        buffer[::97] = bytes([i % 251 + 1]) * len(buffer[::97])
        buffer.extend(buffer[:500_000])
        total += sum(buffer[::1013])
    return total


def maps():
    """Anonymous private, shared and file mappings by the mmap module."""
    result = []
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    for pages in (1, 3, 16, 511, 512, 513, 5000):
        with mmap.mmap(-1, pages * 4096, flags=private) as area:
            assert area[: 4096 * pages] == bytes(4096 * pages)
            area[::4096] = b"x" * pages
            area.resize(pages * 4096 * 2)
            result.append((area[:1], area[-1:], area.find(b"x", 1)))
    with open("file", "w+b") as file:
        file.truncate(1 << 20)
        with mmap.mmap(file.fileno(), 0) as area:
            area[1000:1005] = b"hello"
        file.seek(1000)
        result.append(file.read(5))
    return result


def threads():
    results = [None] * 8

    def work(n):
        data = [bytes([n]) * (i % 5000) for i in range(4_000 * SCALE)]
        results[n] = digest(b"".join(data))

    for _ in range(3):
        group = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in group:
            thread.start()
        for thread in group:
            thread.join()
    return results


def child_work(n):
    table = {i: bytearray(i % 3000) for i in range(10_000)}
    return n, sum(len(value) for value in table.values()), os.getpid() != PARENT


def processes():
    context = multiprocessing.get_context("fork")
    with context.Pool(3) as pool:
        result = pool.map(child_work, range(12 * SCALE))
        pool.close()
        pool.join()
    return result


def forks():
    """A child changes what it inherited; the parent must not see it."""
    shared = bytearray(8_000_000)
    for n in range(4):
        pid = os.fork()
        if pid == 0:
            shared[:] = bytes([n + 1]) * len(shared)
            os._exit(shared[-1])
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == n + 1
    return sum(shared)


def programs():
    command = [sys.executable, "-c", "print(sum(range(1000)))"]
    return [subprocess.run(command, capture_output=True, check=True).stdout
            for _ in range(3)]


PARENT = os.getpid()
for job in (dicts, lists, strings, buffers, maps, threads, processes, forks,
            programs):
    print(job.__name__, job(), flush=True)
print("this line goes to stderr", file=sys.stderr)
