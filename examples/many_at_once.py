"""Ask a server many questions at once from one asyncio program: no more are under way than the server takes.

python examples/many_at_once.py localhost:50051 holiday/*.jpg
"""

from __future__ import annotations

import asyncio
import sys

import setwise


async def main(target: str, pictures: list[str]) -> None:
    """Ask with all pictures and print answers as they come. The client holds back what the server would refuse."""
    async with setwise.connect_async(target, timeout=600) as client:
        await client.info()  # learns the limits once, before everybody needs them

        async def ask(picture: str) -> None:
            hits = await client.search(picture, k=1)
            print(f"{picture}: {hits[0].id if hits else 'nothing'} after {hits.timings.total_ms:.0f} ms in the server")

        await asyncio.gather(*(ask(picture) for picture in pictures))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
