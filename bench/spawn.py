"""The small parent that starts what is measured: one order per line on stdin, one answer per line on stdout.

It does as little as possible between its looks at the clock: posix_spawn, read stderr to its end, wait4. The peak
memory it gives is the kernel's figure for the process waited for; it can't be below this parent's own.
"""
import json
import os
import sys
import time

null = os.open("/dev/null", os.O_RDWR)


def measure(order):
    argv = order["argv"]
    environment = {**os.environ, **order.get("env", {})}
    read_end, write_end = os.pipe()
    actions = [
        (os.POSIX_SPAWN_DUP2, null, 0),
        (os.POSIX_SPAWN_DUP2, null, 1),
        (os.POSIX_SPAWN_DUP2, write_end, 2),
        (os.POSIX_SPAWN_CLOSE, read_end),
    ]
    began = time.time()
    started = time.monotonic()
    pid = os.posix_spawnp(argv[0], argv, environment, file_actions=actions)
    os.close(write_end)
    first = None
    said = b""
    while piece := os.read(read_end, 65536):
        if first is None:
            first = time.monotonic() - started
        said = (said + piece)[-2000:]
    _, status, usage = os.wait4(pid, 0)
    ended = time.monotonic() - started
    os.close(read_end)
    return {
        "beganMs": began * 1000,
        "exitMs": ended * 1000,
        "firstLineMs": None if first is None else first * 1000,
        "peakMb": usage.ru_maxrss / 1024,
        "cpuMs": (usage.ru_utime + usage.ru_stime) * 1000,
        "code": os.waitstatus_to_exitcode(status),
        "said": said.decode("utf-8", "replace"),
    }


for line in sys.stdin:
    print(json.dumps(measure(json.loads(line))), flush=True)
