"""Reads what producer.py `clock` wrote, from stdin or from the event stream of a URL, and tells how late each line was.

Every line `@SECONDS` carries the monotonic clock of its writer, which all processes of one Linux machine share. Lines
written before the first thing was seen don't count: their reader was still starting. Prints one JSON list of
milliseconds at the end.
"""
import json
import os
import re
import socket
import sys
import time
import urllib.parse

STAMP = re.compile(rb"@(\d+\.\d{6})")
late = []
began = None


def pieces_of_stdin():
    while piece := os.read(0, 1 << 16):
        yield piece


def pieces_of_url(text):
    url = urllib.parse.urlsplit(text)
    connection = socket.create_connection((url.hostname, url.port))
    head = f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    while piece := connection.recv(1 << 16):
        yield piece


rest = b""
for piece in pieces_of_url(sys.argv[1]) if len(sys.argv) > 1 else pieces_of_stdin():
    now = time.monotonic()
    began = began or now
    *lines, rest = (rest + piece).split(b"\n")
    for line in lines:
        written = [float(stamp) for stamp in STAMP.findall(line)]
        late.extend((now - at) * 1000 for at in written if at > began)
print(json.dumps(late))
