"""Writes lines for the benchmarks.

lines COUNT PER_WRITE    numbers 1 to COUNT, so many lines to one write(2)
clock COUNT PAUSE_MS     one line each PAUSE_MS: the monotonic clock at which it was written
"""
import os
import sys
import time

kind, count, step = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
if kind == "lines":
    per_write = int(step)
    for first in range(1, count + 1, per_write):
        last = min(first + per_write, count + 1)
        left = memoryview("".join(f"{number}\n" for number in range(first, last)).encode())
        while left:
            left = left[os.write(1, left):]
else:
    due = time.monotonic()
    for _ in range(count):
        due += step / 1000
        time.sleep(max(0, due - time.monotonic()))
        os.write(1, f"@{time.monotonic():.6f}\n".encode())
