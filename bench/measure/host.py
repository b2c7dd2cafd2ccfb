"""The machine: its name, its processors, and who else uses them."""
import os
import resource
import subprocess

import numpy as np

from . import script

# Libraries and peers use OpenMP: one thread a core, and idle ones that soon stop spinning, or they would slow
# down the other party of a round.
OPENMP = {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores", "KMP_BLOCKTIME": "20"}
PAUSE = 0.04  # seconds from one process's turn to the other's: longer than idle threads spin

CPUS = os.sched_getaffinity(0)


def prepare():
    """Call before anything loads OpenMP."""
    os.environ.update(OPENMP)


def free_affinity():
    """For children: OpenMP binds the thread that starts them to one core."""
    os.sched_setaffinity(0, CPUS)


def possible_threads(counts):
    """Those that have a processor each."""
    if found := [count for count in counts if count <= len(CPUS)]:
        return found
    return script.fail(f"-t: there are {len(CPUS)} processors")


def run(command, **options):
    """subprocess.run on all processors."""
    return subprocess.run([str(word) for word in command], preexec_fn=free_affinity, **options)


def describe():
    text = subprocess.run(["lscpu"], capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    flags = fields.get("Flags", "").split()
    isa = ("avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    names = ("Model name", "CPU family", "Model", "L2 cache", "L3 cache")
    return {"cpus": len(CPUS), **{name: fields[name].strip() for name in names if name in fields},
            "isa": [name for name in isa if name in flags]}


def last_level_cache():
    """Bytes; 32 MiB where the system does not say."""
    folder = "/sys/devices/system/cpu/cpu0/cache/index3/size"
    try:
        text = open(folder).read().strip()
    except OSError:
        return 32 << 20
    return int(text[:-1]) << {"K": 10, "M": 20}[text[-1]]


class Sweep:
    """Pushes what earlier calls read out of the last-level cache: in a model, other layers come between."""

    def __init__(self):
        self.lines = np.ones(last_level_cache() * 3 // 2 // 8, np.uint64)

    def __call__(self):
        self.lines.sum()


class Clock:
    """Who had the processors since it was made, as shares of all of their time."""

    def __init__(self):
        self.start = self.read()

    @staticmethod
    def read():
        numbers = list(map(int, open("/proc/stat").readline().split()[1:]))
        user, nice, system, idle, iowait, irq, soft, steal = numbers[:8]
        ours = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        ticks = os.sysconf("SC_CLK_TCK")
        return {"total": sum(numbers[:8]) / ticks, "busy": (user + nice + system + irq + soft) / ticks,
                "steal": steal / ticks, "ours": ours}

    def shares(self, children=0.0):
        """`children`: seconds of processor time of children that still run."""
        now = self.read()
        passed = {key: now[key] - self.start[key] for key in now}
        total = max(passed["total"], 1e-9)
        others = max(0.0, passed["busy"] - passed["ours"] - children)
        return {"steal": passed["steal"] / total, "others": others / total}


def processor_seconds(pid):
    """User and system time of a running process."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
