"""How many children a second: COUNT times `true`, WIDTH at once, as bare as it can be. Prints children per second."""
import os
import sys
import time

count, width = int(sys.argv[1]), int(sys.argv[2])
null = os.open("/dev/null", os.O_RDWR)
actions = [(os.POSIX_SPAWN_DUP2, null, descriptor) for descriptor in (0, 1, 2)]
started = time.monotonic()
running = 0
for _ in range(count):
    if running == width:
        os.wait()
        running -= 1
    os.posix_spawnp("true", ["true"], os.environ, file_actions=actions)
    running += 1
while running:
    os.wait()
    running -= 1
print(count / (time.monotonic() - started))
