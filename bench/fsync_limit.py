"""How many appends with fdatasync(2) a second the disk under DIRECTORY takes, one 4 KiB page each."""
import os
import sys
import time

path = os.path.join(sys.argv[1], "fsync-limit")
descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
page = b"x" * 4096
count = 300
started = time.monotonic()
for _ in range(count):
    os.write(descriptor, page)
    os.fdatasync(descriptor)
print(count / (time.monotonic() - started))
os.unlink(path)
