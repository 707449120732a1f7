# SPDX-FileCopyrightText: the llfree-preload contributors
# SPDX-License-Identifier: MIT
"""Real programs with and without the preload library: time, faults, memory.

Each program runs in each setting, in turn, several times over: what else the
machine does meets all settings alike. A table shows medians (least to most)
as ratios to the program on its own; programs.csv has every run, programs.svg
(by gnuplot) the ratios.

Seconds and peak memory (the largest process) are those of wait4(2): of the
program and of all its children. The share that was served comes from the
reports of one more run, which is not timed.
"""

import argparse
import csv
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SRC = os.environ.get("srcdir", ".")
BUILD = os.environ.get("builddir", ".")
WORK = os.path.join(SRC, "tests/programs/work")
SHIM = os.path.join(BUILD, ".libs/libllfree-preload.so")
PYTHON = sys.executable

def lines_to_sort():
    yield from (f"{i * 48271 % 2147483647}\tline {i}\n" for i in range(1, 1000000))


# name: programs needed, shell command in an empty folder, its inputs
PROGRAMS = {
    "g++": (["g++"], f"g++ -std=c++17 -O2 -DPART=1 -c {WORK}/cxx.cc -o part.o", {}),
    "python3": ([], f"{PYTHON} -X utf8 -B {WORK}/python3.py 2 >out", {}),
    "numpy": (
        ["/usr/bin/python3"],
        "/usr/bin/python3 -c '"
        "import numpy\n"
        "a = numpy.arange(4000000.0)\n"
        "for _ in range(20): a = numpy.sqrt(a * a + 1) - a / (a + 2)'",
        {},
    ),
    "tasks": (
        [],
        f"{PYTHON} -c '"
        "from threading import Thread\n"
        "for _ in range(250):\n"
        "    tasks = [Thread(target=lambda: sum(range(3000))) for _ in range(24)]\n"
        "    for task in tasks: task.start()\n"
        "    for task in tasks: task.join()'",
        {},
    ),
    "php": (["php"], f"php -d memory_limit=-1 {WORK}/php.php 3 >out", {}),
    "node": (["node"], f"node --no-warnings {WORK}/node.js 2 >out", {}),
    "java": (
        ["javac", "java"],
        f"javac -d . {WORK}/Work.java && java -Xmx400m -cp . Work 2 >out",
        {},
    ),
    "perl": (["perl"], f"perl {WORK}/perl.pl 3 >out", {}),
    "sqlite3": (
        ["sqlite3", "sed"],
        f"sed s/ROWS/200000/ {WORK}/sqlite3.sql | sqlite3 -batch :memory: >out 2>&1 ||:",
        {},
    ),
    "sort": (["sort"], "sort --parallel=2 -S 300M lines >out", {"lines": lines_to_sort}),
    "redis": (
        ["redis-server", "redis-benchmark"],
        "redis-server --unixsocket $PWD/s --port 0 --save '' >log & server=$!;"
        "while ! test -S s; do sleep 0.02; done;"
        "env -u LD_PRELOAD redis-benchmark -s s -n 60000 -c 20 -P 16 -r 200000"
        " -d 300 -q -t set,get,lpush,lpop,hset >log2; kill $server; wait $server",
        {},
    ),
    "image": (
        ["convert"],
        "convert -size 2500x2500 plasma:red-blue -blur 0x4 -resize 60% png:out",
        {},
    ),
    "threads": (["xz"], "xz -T2 -3 --block-size=1MiB <lines >out", {"lines": lines_to_sort}),
}


def library(*names):
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.exists(path):
                return path
    return None


def settings():
    """name: (what is preloaded, more of the environment)"""
    jemalloc = library("libjemalloc.so.2")
    mimalloc = library("libmimalloc.so.2.0", "libmimalloc.so.2")
    found = {"alone": ([], {}), "llfree": ([SHIM], {})}
    found["llfree huge pages"] = ([SHIM], {"LLFREE_THP": "always"})
    if jemalloc:
        found["jemalloc"] = ([jemalloc], {})
        found["jemalloc on llfree"] = ([jemalloc, SHIM], {})
    if mimalloc:
        found["mimalloc"] = ([mimalloc], {})
    return found


def environment(preload, more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("LLFREE_")}
    env.update(more, LC_ALL="C", HOME="/nonexistent")
    env.pop("LD_PRELOAD", None)
    if preload:
        env["LD_PRELOAD"] = ":".join(preload)
    return env


def run(command, folder, env):
    """Wall seconds, user, system, faults, peak bytes; None when it failed."""
    start = time.monotonic()
    child = subprocess.Popen(["sh", "-c", command], cwd=folder, env=env,
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        return None
    return {
        "wall": time.monotonic() - start,
        "user": used.ru_utime,
        "system": used.ru_stime,
        "faults": used.ru_minflt,
        "peak": used.ru_maxrss * 1024,
    }


def served(command, folder, preload):
    """The share of the bytes that could be served, by the reports."""
    with tempfile.TemporaryDirectory() as reports:
        more = {"LLFREE_STATS": "json", "LLFREE_STATS_FILE": reports + "/%n.%p"}
        run(command, folder, environment(preload, more))
        ours = theirs = 0
        for name in os.listdir(reports):
            with open(os.path.join(reports, name), encoding="utf8") as file:
                programs = [json.loads(line) for line in file]  # one for each exec
            for report in programs:
                ours += sum(report["calls"][c]["served_bytes"]
                            for c in ("mmap", "mremap", "brk"))
                theirs += sum(why["bytes"] for why in report["passed_because"].values()
                              if why["servable"])
    return ours / (ours + theirs) if ours + theirs else math.nan


def cpu(sample):
    return sample["user"] + sample["system"]


def ratio(samples, base, what):
    """Median, least and most, as parts of the other side's median."""
    other = statistics.median(what(b) for b in base) or 1
    values = sorted(what(s) / other for s in samples)
    return statistics.median(values), values[0], values[-1]


COLUMNS = {
    "user+system": cpu,
    "wall": lambda s: s["wall"],
    "faults": lambda s: s["faults"],
    "peak": lambda s: s["peak"],
}


def measure(name, sides, runs, writer):
    """Lines of the table for one program: {setting: {column: ratio}}"""
    _, command, inputs = PROGRAMS[name]
    samples = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        for file, content in inputs.items():
            with open(os.path.join(folder, file), "w", encoding="utf8") as out:
                out.writelines(content())
        for turn in range(runs):
            for side, (preload, more) in sides.items():
                sample = run(command, folder, environment(preload, more))
                if sample is None:
                    continue
                samples[side].append(sample)
                writer.writerow([name, side, turn] + list(sample.values()))
        share = served(command, folder, sides["llfree"][0])
    base = samples["alone"]
    if not base:
        print(f"{name}: does not run here", file=sys.stderr)
        return {}
    middle = {c: statistics.median(f(b) for b in base) for c, f in COLUMNS.items()}
    print(f"\n{name}: alone {middle['user+system']:.2f} s user+system, "
          f"{middle['faults']:.0f} faults, {middle['peak'] / 2**20:.0f} MiB; "
          f"{share:.1%} of what could be served was")
    results = {}
    for side, taken in samples.items():
        if side == "alone":
            continue
        if len(taken) < runs:
            print(f"  {side:20}  fails")
            continue
        results[side] = {c: ratio(taken, base, f) for c, f in COLUMNS.items()}
        print(f"  {side:20}" + "".join(
            f"  {c} {m:.2f} ({low:.2f}-{high:.2f})"
            for c, (m, low, high) in results[side].items()), flush=True)
    return results


def summary(results, sides):
    print("\ngeometric means (worst)")
    for side in sides:
        mine = [r[side] for r in results.values() if side in r]
        if not mine:
            continue
        cells = []
        for column in COLUMNS:
            values = [m[column][0] for m in mine]
            mean = math.exp(statistics.fmean(math.log(v) for v in values))
            cells.append(f"  {column} {mean:.2f} ({max(values):.2f})")
        print(f"  {side:20}" + "".join(cells))


def plot(results, sides):
    """programs.svg: user+system and peak of each program, alone being 1."""
    if not shutil.which("gnuplot"):
        print("no gnuplot: no programs.svg", file=sys.stderr)
        return
    shown = [s for s in sides if s != "alone"]
    script = ["set terminal svg size 1000,700 background 'white'",
              "set output 'programs.svg'", "set multiplot layout 2,1",
              "set style data histograms", "set style fill solid 0.8",
              "set yrange [0:2]", "set key outside", "set grid y"]
    rows = [" ".join([f'"{name}"'] + [f"{r[s][c][0]:.3f}" if s in r else "?"
                                      for c in ("user+system", "peak") for s in shown])
            for name, r in results.items()]
    script += ["$data << END"] + rows + ["END", "set datafile missing '?'"]
    for i, title in enumerate(("user + system time", "peak memory")):
        first = 2 + i * len(shown)
        script.append(f"set title '{title}, the program alone being 1'")
        script.append("plot 1 notitle with lines lc 'black', " + ", ".join(
            f"$data using {first + n}:xtic(1) title '{side}'"
            for n, side in enumerate(shown)))
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


def arguments():
    parser = argparse.ArgumentParser(prog="programs.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="*", metavar="PROGRAM",
                        help="only these, of: " + ", ".join(PROGRAMS))
    parser.add_argument("--runs", type=int, default=5, help="of each (default: 5)")
    parser.add_argument("--settings", metavar="NAME,...",
                        help="these besides alone and llfree, of: "
                        + ", ".join(list(settings())[2:]) + " (default: all)")
    args = parser.parse_args()
    for program in args.program:
        if program not in PROGRAMS:
            parser.error(f"no such program: {program}")
    if not os.path.exists(SHIM):
        parser.error(f"no {SHIM}: run make, or name the folder in builddir")
    args.sides = settings()
    if args.settings is not None:
        wanted = ["alone", "llfree", *filter(None, args.settings.split(","))]
        for side in wanted:
            if side not in args.sides:
                parser.error(f"no such setting here: {side}")
        args.sides = {side: args.sides[side] for side in wanted}
    if args.runs < 1:
        parser.error("--runs: 1 or more")
    return args


def begin_csv(file):
    where = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    print(where)
    file.write(f"# {where}, llfree-preload {os.environ.get('VERSION', '')}\n")
    writer = csv.writer(file)
    writer.writerow(["program", "setting", "run", "wall", "user", "system",
                     "faults", "peak"])
    return writer


def main():
    args = arguments()
    results = {}
    with open("programs.csv", "w", encoding="utf8", newline="") as file:
        writer = begin_csv(file)
        for name in args.program or PROGRAMS:
            missing = [c for c in PROGRAMS[name][0] if not shutil.which(c)]
            if missing:
                print(f"{name}: {missing[0]} is not installed")
                continue
            taken = measure(name, args.sides, args.runs, writer)
            if taken:
                results[name] = taken
    if results:
        summary(results, args.sides)
        plot(results, args.sides)


if __name__ == "__main__":
    main()
