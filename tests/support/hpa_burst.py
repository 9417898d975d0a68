"""Asks for many numbers at once over TLS, in a process of its own; prints the latencies as JSON.

Arguments: port, certificate, key, paths' file, number of connections. Each connection asks for its
share of the paths, one after the other, as kube-apiserver's does for HPA's controller; all begin
together. A latency is counted from that beginning: the last HPA waits for all before it.
"""

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path


async def ask(port: int, context: ssl.SSLContext, paths: list[str], begin: asyncio.Event):
    await begin.wait()
    started_s = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = []
    for path in paths:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        body = json.loads(await reader.readexactly(length))
        found.append((time.perf_counter() - started_s, body["items"][0]["value"]))
    writer.close()
    return found


async def burst(port: int, context: ssl.SSLContext, paths: list[str], connections: int):
    begin = asyncio.Event()
    shares = [paths[start::connections] for start in range(connections)]
    tasks = [asyncio.create_task(ask(port, context, share, begin)) for share in shares]
    await asyncio.sleep(0)
    begin.set()
    return [each for found in await asyncio.gather(*tasks) for each in found]


def main() -> None:
    port, certificate, key, file, connections = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    paths = json.loads(Path(file).read_text())
    found = asyncio.run(burst(int(port), context, paths, int(connections)))
    json.dump(
        {"seconds": [each[0] for each in found], "values": [each[1] for each in found]}, sys.stdout
    )


if __name__ == "__main__":
    main()
